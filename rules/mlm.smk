# Masked-LM checkpoints. Its own config file: snakemake --config mlm_config=config/my_mlm.yaml mlm
import os

from foldwise.mlm.settings import ROOT as MLM_ROOT
from foldwise.mlm.settings import read_study

try:
    MLM = read_study(config.get("mlm_config", "config/mlm.yaml"))
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
    return [name for name in named if name != "embedded" and not name.startswith("hf://")]


def mlm_shares(corpus):
    shares = MLM.config["corpora"][corpus].get(
        "shares", {"evaluation": 1.0, "heldout": 0.0, "training": 0.0}
    )
    return " ".join(str(shares[part]) for part in ("evaluation", "heldout", "training"))


def mlm_checkpoint(wildcards):
    return MLM.checkpoint(wildcards.mlm_run, f"{wildcards.phase}/{wildcards.checkpoint}")


def mlm_checkpoint_files(wildcards):
    """What says that a checkpoint is there: the training's record, or the files of a user's own."""
    checkpoint = mlm_checkpoint(wildcards)
    if checkpoint.model:
        return [f"{MLM_ROOT}/models/{checkpoint.model}/{checkpoint.phase}/training.json"]
    return [f"{checkpoint.folder}/config.json", f"{checkpoint.folder}/model.safetensors"]


def mlm_training_texts(wildcards):
    checkpoint = mlm_checkpoint(wildcards)
    if not checkpoint.model:
        return []
    return [f"{MLM_ROOT}/corpora/{mlm_corpus_of(checkpoint.model)}/training.jsonl"]


def mlm_results(wildcards):
    """Result folders of a run, in the order of the training."""
    names = [checkpoint.name for checkpoint in MLM.run_checkpoints(wildcards.mlm_run)]
    return [f"{MLM_ROOT}/{wildcards.mlm_run}/{name}_eval_results.json" for name in names]


rule mlm:
    input:
        f"{MLM_ROOT}/{MLM.config['default_run']}/summary.md",


rule prepare_mlm_texts:
    input:
        files=lambda wildcards: mlm_files(wildcards.corpus),
        code=sources_of("prepare_mlm_texts.py"),
    output:
        evaluation=f"{MLM_CORPUS}/evaluation.jsonl",
        heldout=f"{MLM_CORPUS}/heldout.jsonl",
        training=f"{MLM_CORPUS}/training.jsonl",
        card=f"{MLM_CORPUS}/card.json",
    wildcard_constraints:
        corpus="[a-z][a-z0-9_]*",
    params:
        texts=lambda wildcards: MLM.config["corpora"][wildcards.corpus]["texts"],
        shares=lambda wildcards: mlm_shares(wildcards.corpus),
        options=lambda wildcards: mlm_options(
            MLM.config["corpora"][wildcards.corpus], "texts", "shares"
        ),
    log:
        f"{MLM_LOGS}/prepare_mlm_texts/{{corpus}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/prepare_mlm_texts/{{corpus}}.tsv"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/mlm.yaml"
    shell:
        "python scripts/prepare_mlm_texts.py --texts {params.texts:q} --shares {params.shares}"
        " {params.options} --workers {threads} --out $(dirname {output.card}) 2> {log}"


rule build_mlm_samples:
    input:
        texts=lambda wildcards: MLM_CORPUS.format(
            corpus=MLM.config["samples"][wildcards.sample_set]["corpus"]
        )
        + "/evaluation.jsonl",
        card=lambda wildcards: MLM_CORPUS.format(
            corpus=MLM.config["samples"][wildcards.sample_set]["corpus"]
        )
        + "/card.json",
        code=sources_of("build_mlm_samples.py"),
    output:
        samples=f"{MLM_ROOT}/samples/{{sample_set}}.jsonl",
        card=f"{MLM_ROOT}/samples/{{sample_set}}.card.json",
        rejections=f"{MLM_ROOT}/samples/{{sample_set}}.rejections.csv",
    wildcard_constraints:
        sample_set="[a-z][a-z0-9_]*",
    params:
        options=lambda wildcards: mlm_options(
            MLM.config["samples"][wildcards.sample_set], "corpus"
        ),
    log:
        f"{MLM_LOGS}/build_mlm_samples/{{sample_set}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/build_mlm_samples/{{sample_set}}.tsv"
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/mlm.yaml"
    shell:
        "python scripts/build_mlm_samples.py --texts {input.texts} --corpus-card {input.card}"
        " {params.options} --workers {threads} --out {output.samples} 2> {log}"


rule train_mlm:
    input:
        texts=lambda wildcards: MLM_CORPUS.format(corpus=mlm_corpus_of(wildcards.mlm_model))
        + "/training.jsonl",
        code=sources_of("train_mlm.py"),
    output:
        record=f"{MLM_MODEL}/mlm/training.json",
        history=f"{MLM_MODEL}/mlm/history.csv",
    wildcard_constraints:
        mlm_model="[a-z][a-z0-9_]*",
    params:
        network=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["network"]
        ),
        training=lambda wildcards: mlm_options(MLM.config["models"][wildcards.mlm_model]["mlm"]),
    log:
        f"{MLM_LOGS}/train_mlm/{{mlm_model}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/train_mlm/{{mlm_model}}.tsv"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=1,
    conda:
        "../envs/mlm.yaml"
    shell:
        "python scripts/train_mlm.py --texts {input.texts} {params.network} {params.training}"
        " --threads {threads} --output-dir $(dirname {output.record}) 2> {log}"


rule finetune_mlm_entities:
    input:
        start=f"{MLM_MODEL}/mlm/training.json",
        training=lambda wildcards: MLM_CORPUS.format(corpus=mlm_corpus_of(wildcards.mlm_model))
        + "/training.jsonl",
        heldout=lambda wildcards: MLM_CORPUS.format(corpus=mlm_corpus_of(wildcards.mlm_model))
        + "/heldout.jsonl",
        code=sources_of("run_entity_coref_finetune_v2.py"),
    output:
        record=f"{MLM_MODEL}/entity/training.json",
        history=f"{MLM_MODEL}/entity/history.csv",
    wildcard_constraints:
        mlm_model="[a-z][a-z0-9_]*",
    params:
        start=lambda wildcards, input: "{folder}/checkpoint-{steps}".format(
            folder=input.start.rsplit("/", 1)[0],
            steps=MLM.config["models"][wildcards.mlm_model]["mlm"]["steps"],
        ),
        length=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["network"],
            "hidden",
            "layers",
            "heads",
            "vocabulary",
            "dropout",
        ),
        training=lambda wildcards: mlm_options(
            MLM.config["models"][wildcards.mlm_model]["entity"]
        ),
    log:
        f"{MLM_LOGS}/finetune_mlm_entities/{{mlm_model}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/finetune_mlm_entities/{{mlm_model}}.tsv"
    threads: 4
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=1,
    conda:
        "../envs/mlm.yaml"
    shell:
        "python scripts/run_entity_coref_finetune_v2.py --checkpoint {params.start}"
        " --dataset $(dirname {input.training}) {params.length} {params.training}"
        " --threads {threads} --output-dir $(dirname {output.record}) 2> {log}"


rule evaluate_mlm_checkpoint:
    input:
        checkpoint=mlm_checkpoint_files,
        samples=lambda wildcards: "{root}/samples/{name}.jsonl".format(
            root=MLM_ROOT, name=MLM.config["runs"][wildcards.mlm_run]["samples"]
        ),
        card=lambda wildcards: "{root}/samples/{name}.card.json".format(
            root=MLM_ROOT, name=MLM.config["runs"][wildcards.mlm_run]["samples"]
        ),
        lambada=[MLM_LAMBADA] if MLM_LAMBADA and os.path.exists(MLM_LAMBADA) else [],
        training_texts=mlm_training_texts,
        templates=["reports/mlm_README.txt.j2", "config/schemas/mlm_results.schema.json"],
        code=sources_of("evaluate_checkpoint.py"),
    output:
        short=f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval_results.json",
        results=f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval/results.json",
        readme=report(
            f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval/README.txt",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_readme.rst",
        ),
        predictions=f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval/predictions.parquet",
        groups=directory(f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval/groups"),
        diagnostics=directory(f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval/diagnostics"),
        figure=report(
            f"{MLM_RUN}/{{phase}}/{{checkpoint}}_eval/figures/groups.png",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_groups.rst",
        ),
        report=f"{MLM_RUN}/{{phase}}/{{checkpoint}}_report.txt",
    wildcard_constraints:
        mlm_run="[a-z][a-z0-9_]*",
        phase="[a-z][a-z0-9_]*",
        checkpoint="checkpoint-([0-9]+|best)",
    params:
        folder=lambda wildcards: mlm_checkpoint(wildcards).folder,
        settings=lambda wildcards: mlm_options(
            MLM.config["runs"][wildcards.mlm_run], "samples", "phases", "compare"
        ),
        depth=mlm_options(MLM.config["evaluation"]),
        baseline=json.dumps(MLM.config["baseline"]),
        training=lambda wildcards, input: (
            f"--training-texts {input.training_texts}" if input.training_texts else ""
        ),
        lambada=f"--lambada {shlex.quote(MLM_LAMBADA)}" if MLM_LAMBADA else "",
    log:
        f"{MLM_LOGS}/evaluate_mlm_checkpoint/{{mlm_run}}/{{phase}}/{{checkpoint}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/evaluate_mlm_checkpoint/{{mlm_run}}/{{phase}}/{{checkpoint}}.tsv"
    threads: 2
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=1,
    conda:
        "../envs/mlm.yaml"
    shell:
        "python scripts/evaluate_checkpoint.py --checkpoint {params.folder}"
        " --samples {input.samples} {params.lambada} {params.settings} {params.depth}"
        " --baseline {params.baseline:q} {params.training} --threads {threads}"
        " --output-dir $(dirname {output.short}) > {output.report} 2> {log}"


rule summarise_mlm:
    input:
        results=mlm_results,
        records=lambda wildcards: [
            path.replace("_eval_results.json", "_eval/results.json")
            for path in mlm_results(wildcards)
        ],
        template="reports/mlm_summary.md.j2",
        code=sources_of("write_mlm_summary.py"),
    output:
        markdown=report(
            f"{MLM_RUN}/summary.md",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_summary.rst",
        ),
        csv=f"{MLM_RUN}/summary.csv",
        curve=report(
            f"{MLM_RUN}/figures/learning_curve.png",
            category="Masked-LM checkpoints",
            subcategory="{mlm_run}",
            caption="../reports/mlm_learning_curve.rst",
        ),
    wildcard_constraints:
        mlm_run="[a-z][a-z0-9_]*",
    params:
        folders=lambda wildcards, input: [path.rsplit("/", 1)[0] for path in input.records],
        compare=lambda wildcards: MLM.config["runs"][wildcards.mlm_run].get("compare", []),
        bootstrap=MLM.config["evaluation"]["bootstrap"],
    log:
        f"{MLM_LOGS}/summarise_mlm/{{mlm_run}}.log",
    benchmark:
        f"{MLM_BENCHMARKS}/summarise_mlm/{{mlm_run}}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    conda:
        "../envs/mlm.yaml"
    shell:
        "python scripts/write_mlm_summary.py --run {wildcards.mlm_run}"
        " --folders {params.folders} --compare {params.compare} --bootstrap {params.bootstrap}"
        " --command 'snakemake --cores 2 {output.markdown}' --out {output.markdown} 2> {log}"
