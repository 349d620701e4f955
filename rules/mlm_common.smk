# Paths and look-ups of the masked-LM rules: the config is checked and derived in foldwise.mlm.settings.
import glob
import os

from foldwise.mlm.settings import ROOT as MLM_ROOT
from foldwise.mlm.settings import read_study

try:
    MLM = read_study(config.get("mlm_config") or "config/mlm.yaml")
except FoldwiseError as error:
    print(f"error: mlm config: {error}", file=sys.stderr)
    sys.exit(2)

MLM_CORPUS = f"{MLM_ROOT}/corpora/{{corpus}}"
MLM_MODEL = f"{MLM_ROOT}/models/{{mlm_model}}"
MLM_RUN = f"{MLM_ROOT}/{{mlm_run}}"
MLM_LOGS = f"{MLM_ROOT}/logs"
MLM_BENCHMARKS = f"{MLM_ROOT}/benchmarks"
MLM_LAMBADA = MLM.config["lambada"]


def mlm_options(settings, *left_out):
    """`--key value` for every key of a config block."""
    return " ".join(
        f"--{key.replace('_', '-')} {shlex.quote(str(value))}"
        for key, value in settings.items()
        if key not in left_out and value is not None
    )


def mlm_corpus_of(model):
    return MLM.config["models"][model]["corpus"]


def mlm_files(corpus):
    """Local files of a corpus; nothing for embedded texts and for the hub's."""
    named = MLM.config["corpora"][corpus]["texts"]
    return [
        name for name in named if name != "embedded" and not name.startswith("hf://")
    ]


def mlm_shares(corpus):
    shares = MLM.config["corpora"][corpus].get(
        "shares", {"evaluation": 1.0, "heldout": 0.0, "training": 0.0}
    )
    return " ".join(str(shares[part]) for part in ("evaluation", "heldout", "training"))


def mlm_checkpoint(wildcards):
    return MLM.checkpoint(wildcards.mlm_run, f"{wildcards.phase}/{wildcards.mlm_name}")


def mlm_checkpoint_files(wildcards):
    """What says that a checkpoint is there: the training's record, or the files of a user's own."""
    one = mlm_checkpoint(wildcards)
    if one.model:
        return [f"{MLM_ROOT}/models/{one.model}/{one.phase}/training.json"]
    weights = sorted(glob.glob(f"{one.folder}/*.safetensors"))
    return [
        f"{one.folder}/config.json",
        *(weights or [f"{one.folder}/model.safetensors"]),
    ]


def mlm_training_texts(wildcards):
    one = mlm_checkpoint(wildcards)
    if not one.model:
        return []
    return [f"{MLM_ROOT}/corpora/{mlm_corpus_of(one.model)}/training.jsonl"]


def mlm_results(wildcards):
    """Result folders of a run, in the order of the training."""
    names = [one.name for one in MLM.run_checkpoints(wildcards.mlm_run)]
    return [
        f"{MLM_ROOT}/{wildcards.mlm_run}/{name}_eval_results.json" for name in names
    ]


def mlm_part(part):
    """A part of the corpus that a model is trained on."""
    return lambda wildcards: (
        f"{MLM_ROOT}/corpora/{mlm_corpus_of(wildcards.mlm_model)}/{part}.jsonl"
    )


def mlm_sample_texts(name):
    """A file of the corpus that a sample set is made from."""
    return lambda wildcards: (
        f"{MLM_ROOT}/corpora/{MLM.config['samples'][wildcards.sample_set]['corpus']}/{name}"
    )


def mlm_samples(suffix):
    """A file of the sample set that a run is asked about."""
    return lambda wildcards: (
        f"{MLM_ROOT}/samples/{MLM.config['runs'][wildcards.mlm_run]['samples']}.{suffix}"
    )


def mlm_records(wildcards):
    return [
        path.replace("_eval_results.json", "_eval/results.json")
        for path in mlm_results(wildcards)
    ]


def mlm_last_step(model):
    return MLM.config["models"][model]["mlm"]["steps"]


def mlm_lambada():
    """The Ko-LAMBADA file: built here, or a user's own, where there is one."""
    if not MLM_LAMBADA or MLM_LAMBADA.startswith("hf://"):
        return []
    built = MLM_LAMBADA.startswith(f"{MLM_ROOT}/lambada/")
    return [MLM_LAMBADA] if built or os.path.exists(MLM_LAMBADA) else []
