"""Each mistake meets the real program: exit code 2, one line on stderr, nothing half-written."""

import gzip
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from small_study import BASELINE, CONFIG, TASK, flags

MEMBER = f"predictions/baseline/{TASK}/fold_0/seed_{{}}/train.parquet"
MODEL = f"models/baseline/{TASK}/fold_0/seed_0/model.safetensors"
SPLIT = f"splits/{TASK}/fold_0.json"
LISTS = ("splits", "fits", "histories", "predictions", "timings")
STUDENT = json.dumps({**BASELINE, "teacher": {"ensemble": "e3"}})
KEYS = (
    "model, init, epochs, steps, batch_size, lr, weight_decay, warmup, loss, huber_delta, "
    "ema_decay, clip_norm, patience, bootstrap, teacher, augment, consistency, labels, pretrain"
)


def truncated(source, path, keep=0.5):
    content = source.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    return path


def text(path, content):
    path.write_text(content)
    return path


def gzipped(path, content):
    path.write_bytes(gzip.compress(content))
    return path


def table(path, frame):
    frame.to_parquet(path, index=False)
    return path


def split_of_other_ids(source, path):
    split = json.loads(source.read_text())
    for key in ("train", "test"):
        split[key] = [f"other-{crystal}" for crystal in split[key]]
    split["validation"] = [[f"other-{name}" for name in part] for part in split["validation"]]
    return text(path, json.dumps(split))


def broken_graphs(study, path, name, keep=0.5):
    """The study's graph store with one file cut short, or taken away where nothing is kept."""
    source = study.results / "data" / TASK / "graphs"
    shutil.copytree(source, path)
    if keep:
        truncated(source / name, path / name, keep)
    else:
        (path / name).unlink()
    return path


def checkpoint(source, path, *, poison=False, metadata=None):
    """A copy of a checkpoint with NaN weights or with other metadata."""
    with safe_open(str(source), framework="pt") as archive:
        kept = archive.metadata()
        tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    if poison:
        tensors["mlp.layers.7.weight"] *= float("nan")
    save_file(tensors, path, metadata=kept if metadata is None else metadata)
    return path


def soft_targets(study, path, **values):
    source = study.results / f"ensembles/e3/{TASK}/fold_0/crossfit.parquet"
    frame = pd.read_parquet(source)
    if "id" in values:
        frame["id"] = values["id"] + frame["id"]
    else:
        frame.loc[frame.index[3], "mean"] = values["mean"]
    return table(path, frame)


def train(**changes):
    def arguments(study, bad, out):
        options = {
            key: value(study, bad) if callable(value) else value for key, value in changes.items()
        }
        return "jobs/train_model.py", *study.training(**{"out": out, **options})

    return arguments


def predict(model=None, **changes):
    def arguments(study, bad, out):
        path = study.results / MODEL if model is None else model(study, bad)
        options = {
            key: value(study, bad) if callable(value) else value for key, value in changes.items()
        }
        return "jobs/predict.py", *study.prediction(path, out, **options)

    return arguments


def combine(first, second, kind="mean"):
    def arguments(study, bad, out):
        files = [member(study, bad) for member in (first, second)]
        options = {"members": files, "kind": kind, "out": out / "mean.parquet"}
        return "jobs/combine_predictions.py", *flags(options)

    return arguments


def graphs(structures):
    def arguments(study, bad, out):
        return "jobs/build_graphs.py", *flags(
            {"structures": structures(study, bad), "out": out / "graphs"}
        )

    return arguments


def dataset(path, **changes):
    def arguments(study, bad, out):
        options = {
            "task": TASK,
            "source": "file",
            "path": path(study, bad),
            "target": "e_form",
            "target-name": "formation energy",
            "unit": "eV/atom",
            "out": out,
        }
        return "jobs/prepare_dataset.py", *flags({**options, **changes})

    return arguments


def member(seed):
    return lambda study, bad: study.results / MEMBER.format(seed)


def in_data(name):
    return lambda study: study.results / "data" / TASK / name


def lonely_atoms(study, path):
    np.savez(
        path.with_suffix(".npz"),
        ids=np.array(["a", "b"]),
        lattice=np.stack([np.eye(3) * 9.0] * 2),
        offsets=np.array([0, 1, 2]),
        numbers=np.array([10, 18], dtype=np.int32),
        frac=np.zeros((2, 3)),
    )
    return path.with_suffix(".npz")


REPEAT = "Delete it and run again."
REBUILD = "Delete the folder and build the graphs again."
PREPARE = "Delete it and prepare the dataset again."
CASES = {
    "missing checkpoint": (
        predict(lambda study, bad: bad),
        "{bad}: the checkpoint does not exist. Train the model first.",
    ),
    "truncated checkpoint": (
        predict(lambda study, bad: truncated(study.results / MODEL, bad)),
        "{bad}: the checkpoint is truncated or not a safetensors file (*). "
        "Delete it and train again.",
    ),
    "text instead of a checkpoint": (
        predict(lambda study, bad: text(bad, "weights")),
        "{bad}: the checkpoint is truncated or not a safetensors file (*). "
        "Delete it and train again.",
    ),
    "checkpoint of another program": (
        predict(
            lambda study, bad: checkpoint(study.results / MODEL, bad, metadata={"format": "pt"})
        ),
        "{bad}: not a Foldwise checkpoint: {{}}. Give a model.safetensors that this project wrote.",
    ),
    "checkpoint full of NaN": (
        predict(lambda study, bad: checkpoint(study.results / MODEL, bad, poison=True)),
        "{bad}: the checkpoint holds numbers that are not finite, *",
    ),
    "missing targets": (
        train(targets=lambda study, bad: bad),
        "{bad}: the file does not exist. Make it first.",
    ),
    "truncated targets": (
        train(targets=lambda study, bad: truncated(in_data("targets.parquet")(study), bad)),
        f"{{bad}}: the file is truncated or not a Parquet file. {REPEAT}",
    ),
    "targets without target": (
        train(
            targets=lambda study, bad: table(
                bad, pd.read_parquet(in_data("targets.parquet")(study))[["id", "formula"]]
            )
        ),
        "{bad}: column 'target' is missing (columns: id, formula). "
        "Delete the file and run again, or name the column so.",
    ),
    "targets of other ids": (
        train(
            targets=lambda study, bad: table(
                bad, pd.read_parquet(in_data("targets.parquet")(study)).iloc[:1]
            )
        ),
        "{bad}: * id(s) of the split have no target, the first is *. "
        "Make targets and splits from the same dataset.",
    ),
    "missing split": (
        train(split=lambda study, bad: bad),
        "{bad}: the file does not exist. Make it first.",
    ),
    "truncated split": (
        train(split=lambda study, bad: truncated(study.results / SPLIT, bad)),
        f"{{bad}}: it is not valid JSON (*). {REPEAT}",
    ),
    "split of other ids, training": (
        train(split=lambda study, bad: split_of_other_ids(study.results / SPLIT, bad)),
        "{bad}: no row to fit or to validate has a graph. "
        "Make graphs and splits from the same dataset.",
    ),
    "split of other ids, prediction": (
        predict(split=lambda study, bad: split_of_other_ids(study.results / SPLIT, bad)),
        f"fold 0 of {TASK}: no row of subset 'test' has a graph. "
        "Make graphs and splits from the same dataset.",
    ),
    "truncated graphs": (
        train(graphs=lambda study, bad: broken_graphs(study, bad, "edge_atoms.npy")),
        f"{{bad}}: the graph store is incomplete or truncated (*). {REBUILD}",
    ),
    "graphs cut in the header": (
        predict(graphs=lambda study, bad: broken_graphs(study, bad, "offsets.npy", 0.01)),
        f"{{bad}}: the graph store is incomplete or truncated (*). {REBUILD}",
    ),
    "graphs without angles": (
        predict(graphs=lambda study, bad: broken_graphs(study, bad, "angle_theta.npy", 0)),
        f"{{bad}}: the graph store is incomplete or truncated (*). {REBUILD}",
    ),
    "graphs without ids": (
        predict(graphs=lambda study, bad: broken_graphs(study, bad, "meta.json", 0)),
        "{bad}/meta.json: the file does not exist. Make it first.",
    ),
    "recipe that is no JSON": (
        train(recipe="{epochs: 3}"),
        "--recipe: it is not valid JSON (Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)). Write --recipe '{{\"key\": value}}'.",
    ),
    "recipe that is a list": (
        train(recipe="[3]"),
        "--recipe: it is not a JSON object. Write --recipe '{{\"key\": value}}'.",
    ),
    "recipe with an unknown key": (
        train(recipe='{"epoch": 3}'),
        f"--recipe: unknown key 'epoch'. Allowed: {KEYS}.",
    ),
    "CUDA without a GPU": (
        train(device="cuda"),
        "--device cuda: no CUDA device is visible. Use --device cpu, or run where a GPU is.",
    ),
    "CUDA without a GPU, prediction": (
        predict(device="cuda"),
        "--device cuda: no CUDA device is visible. Use --device cpu, or run where a GPU is.",
    ),
    "NaN soft target": (
        train(
            **{"soft-targets": lambda study, bad: soft_targets(study, bad, mean=np.nan)},
            recipe=STUDENT,
        ),
        "{bad}: the soft targets are empty or not finite. Delete the file and run the ensemble "
        "again.",
    ),
    "soft targets of other ids": (
        train(
            **{"soft-targets": lambda study, bad: soft_targets(study, bad, id="other-")},
            recipe=STUDENT,
        ),
        "soft targets: no soft target concerns a row to fit. "
        "Make the ensemble from the same fold as the student.",
    ),
    "student without soft targets": (
        train(recipe=STUDENT),
        "--soft-targets: soft targets belong to a recipe with a teacher, and to no other. "
        "Give both or neither.",
    ),
    "truncated member": (
        combine(member(0), lambda study, bad: truncated(member(1)(study, bad), bad)),
        f"{{bad}}: the file is truncated or not a Parquet file. {REPEAT}",
    ),
    "member of other crystals": (
        combine(
            member(0),
            lambda study, bad: table(bad, pd.read_parquet(member(1)(study, bad)).iloc[::-1]),
        ),
        "{bad}: it holds other crystals than *train.parquet. "
        "Predict the same subset of the same fold with every member.",
    ),
    "member without hold-outs": (
        combine(
            member(0),
            lambda study, bad: table(
                bad, pd.read_parquet(member(1)(study, bad)).drop(columns="held_out")
            ),
            kind="crossfit",
        ),
        "{bad}: column 'held_out' is missing (columns: id, prediction). "
        "Delete the file and run again, or name the column so.",
    ),
    "truncated structures": (
        graphs(lambda study, bad: truncated(in_data("structures.npz")(study), bad)),
        f"{{bad}}: the structure file is missing, truncated or incomplete (*). {PREPARE}",
    ),
    "missing structures": (
        graphs(lambda study, bad: bad),
        f"{{bad}}: the structure file is missing, truncated or incomplete (*). {PREPARE}",
    ),
    "isolated atoms only": (
        graphs(lonely_atoms),
        "{bad}.npz: none of the 2 structures has a graph. "
        "Look at the reasons in the dataset's failures.csv.",
    ),
    "truncated dataset": (
        dataset(lambda study, bad: truncated(study.root / "tiny.json.gz", bad)),
        "{bad}: the file is truncated. Copy or download it again.",
    ),
    "dataset that is no JSON": (
        dataset(lambda study, bad: gzipped(bad, b"[1,")),
        "{bad}: the file is not valid JSON (*). "
        'Write it with pandas: table.to_json(path, orient="split").',
    ),
    "dataset with another checksum": (
        dataset(lambda study, bad: shutil.copy(study.root / "tiny.json.gz", bad), sha256="0" * 64),
        "{bad}: sha256 is *…, expected 000000000000…. "
        "Correct the sha256 in the config, or restore the file it describes.",
    ),
    "broken config of an experiment": (
        lambda study, bad, out: (
            "jobs/write_experiment.py",
            *flags(
                {
                    "experiment": "e0",
                    "config": text(bad, '{"experiment": '),
                    **dict.fromkeys(
                        ("targets", "card", "dataset-failures", "graph-failures", "duplicates"), bad
                    ),
                    **{key: [bad] for key in LISTS},
                    "out": out / "e0",
                }
            ),
        ),
        f"{{bad}}: it is not valid JSON (*). {REPEAT}",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_and_nothing_half_written(study, tmp_path, name):
    arguments, line = CASES[name]
    bad, out = tmp_path / "bad", tmp_path / "out"
    out.mkdir()
    done = study.program(*arguments(study, bad, out))
    stderr = done.stderr
    assert done.returncode == 2, stderr
    expected = re.escape(line.format(bad=bad)).replace(r"\*", ".+")
    progress = re.compile(r"^\[\d\d:\d\d:\d\d\] .*\n", re.MULTILINE)
    assert re.fullmatch(f"error: {expected}\n", progress.sub("", stderr)), stderr
    assert done.stdout == ""
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_divergence_names_step_and_crystals(study, tmp_path):
    recipe = json.dumps({**BASELINE, "lr": 1e30, "loss": "mse", "warmup": 0.0})
    done = study.program("jobs/train_model.py", *study.training(tmp_path / "out", recipe=recipe))
    assert done.returncode == 2
    assert re.fullmatch(
        r"error: training: loss \S+ and gradient norm \S+ at step \d+ \(crystals mp-.+\)\. "
        r"Lower lr, or look at these crystals' targets\.",
        done.stderr.splitlines()[-1],
    )
    assert [path for path in (tmp_path / "out").glob("*") if path.is_file()] == []


def test_a_failed_job_leaves_no_artifact_and_shows_its_line(study, tmp_path):
    house = study.copy(tmp_path / "house")
    model = house.results / MODEL
    model.write_bytes(model.read_bytes()[:1000])
    folder = f"results/{CONFIG['run']}/predictions/baseline/{TASK}/fold_0/seed_0"
    done = house.snakemake(f"{folder}/test.parquet", "--forcerun", "predict")
    assert done.returncode == 1
    assert f"error: results/{CONFIG['run']}/{MODEL}: the checkpoint is truncated" in done.stderr
    left = {path.name for path in (house.root / folder).glob("*")}
    assert left & {"test.parquet", "train.parquet", "test_timing.json"} == set()
