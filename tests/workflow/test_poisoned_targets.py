"""No target of a test row reaches a model, a soft target or an answer: poisoned, none moves."""

import gzip
import json

import pytest

from later_study import CHANGES, HULL, SHORT
from small_study import TASK, build_house

TRAINED = ("model.safetensors", "history.csv")
ABOUT = {"title": "A check", "purpose": "A check."}
WIDE = {
    **CHANGES,
    "copies": {"copies": 2},
    "recipes": {
        **CHANGES["recipes"],
        "in_sample": {
            "extends": "baseline",
            "teacher": {"ensemble": "e3", "targets": "in_sample", "soft_weight": 0.5},
        },
        "scratch": {**SHORT, "lr": 0.001},
        "scratch_student": {
            "extends": "scratch", "teacher": {"ensemble": "e3_scratch", "targets": "augmented"},
        },
    },
    "experiments": {
        **CHANGES["experiments"],
        "e4_in_sample": {"recipe": "in_sample", "seeds": [0], **ABOUT},
        "e0_scratch": {"recipe": "scratch", "seeds": [0], "compare_with": [], **ABOUT},
        "e3_scratch": {"recipe": "scratch", "seeds": [0, 1], "compare_with": [], **ABOUT},
        "e4_scratch": {"recipe": "scratch_student", "seeds": [0], "compare_with": [], **ABOUT},
    },
}  # fmt: skip
MODELS = {
    "baseline": (0, 1), "student": (0,), "in_sample": (0,), "views": (0,), "joint": (0,),
    "scratch": (0, 1), "scratch_student": (0,),
}  # fmt: skip
ANSWERS = [
    *(f"{recipe}/{TASK}/fold_0/seed_{seed}" for recipe, seeds in MODELS.items() for seed in seeds),
    f"views/{TASK}/fold_0/seed_0/tta_2",
    f"student/{TASK}/fold_0/seed_0/tta_2",
]
ENSEMBLES = ("e3/{}/test", "e3/{}/train", "e3/{}/crossfit", "e3_scratch/{}/copies")


def same_bytes(first, second, names):
    return {name: (first / name).read_bytes() == (second / name).read_bytes() for name in names}


def poison(house, split):
    """Other targets, in both columns, for the test rows of fold 0."""
    path = house.root / "tiny.json.gz"
    table = json.loads(gzip.decompress(path.read_bytes()))
    targets = [table["columns"].index(name) for name in ("e_form", "e_hull")]
    for crystal, row in zip(table["index"], table["data"], strict=True):
        if crystal in split["test"]:
            for at in targets:
                row[at] = -10.0 * row[at] + 5.0
    path.write_bytes(gzip.compress(json.dumps(table).encode(), mtime=0))


def run_wide(house):
    done = house.snakemake(
        *(f"results/tiny/predictions/{answers}/test.parquet" for answers in ANSWERS),
        *(f"results/tiny/ensembles/{name.format(f'{TASK}/fold_0')}.parquet" for name in ENSEMBLES),
        f"results/tiny/data/{TASK}/card.json",
        "results/tiny/configs/e0.json",
        config=house.write_config("wide.json", **WIDE),
    )
    assert done.returncode == 0, done.stderr
    return house


@pytest.fixture(scope="module")
def clean(later_study, tmp_path_factory):
    return run_wide(later_study.copy(tmp_path_factory.mktemp("clean") / "house"))


@pytest.fixture(scope="module")
def poisoned(study, tmp_path_factory):
    """The same study with other targets for the test rows of fold 0."""
    house = build_house(tmp_path_factory.mktemp("poisoned") / "house")
    poison(house, json.loads((study.results / f"splits/{TASK}/fold_0.json").read_text()))
    return run_wide(house)


def test_poisoned_test_targets_change_no_model_and_no_prediction(clean, poisoned):
    targets = [f"data/{task}/targets.parquet" for task in (TASK, HULL)]
    assert same_bytes(clean.results, poisoned.results, targets) == dict.fromkeys(targets, False)
    names = [
        f"splits/{TASK}/fold_0.json",
        f"data/{TASK}/copies/fold_0/structures.npz",
        f"models/joint/{TASK}/fold_0/seed_0/backbone.safetensors",
        f"predictions/views/{TASK}/fold_0/seed_0/tta_2/calibration.json",
        *(f"ensembles/{name.format(f'{TASK}/fold_0')}.parquet" for name in ENSEMBLES),
        *(f"predictions/{answers}/test.parquet" for answers in ANSWERS),
    ]
    for recipe, seeds in MODELS.items():
        for seed in seeds:
            where = f"{recipe}/{TASK}/fold_0/seed_{seed}"
            names += [f"models/{where}/{name}" for name in TRAINED]
    same = same_bytes(clean.results, poisoned.results, names)
    assert [name for name, equal in same.items() if not equal] == []


def test_poisoned_test_targets_change_the_metrics(study, clean, poisoned, tmp_path):
    """The record of fold 0 alone, from the programs' files with and without the poison."""
    maes = []
    for house in (clean, poisoned):
        results, data = house.results, house.results / "data" / TASK
        config = json.loads((results / "configs/e0.json").read_text()) | {"folds": [0]}
        (tmp_path / "config.json").write_text(json.dumps(config))
        model = results / f"models/baseline/{TASK}/fold_0/seed_0"
        answers = results / f"predictions/baseline/{TASK}/fold_0/seed_0"
        duplicates = study.results / "splits" / TASK / "duplicates.json"
        out = tmp_path / house.root.parent.name
        done = house.program(
            "jobs/write_experiment.py", "--experiment", "e0", "--config", tmp_path / "config.json",
            "--targets", data / "targets.parquet", "--card", data / "card.json",
            "--dataset-failures", data / "failures.csv",
            "--graph-failures", data / "graphs/failures.csv", "--duplicates", duplicates,
            "--splits", results / f"splits/{TASK}/fold_0.json", "--fits", model / "fit.json",
            "--histories", model / "history.csv", "--predictions", answers / "test.parquet",
            "--timings", answers / "test_timing.json", "--out", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        maes.append(json.loads((out / "results.json").read_text())["metrics"]["folds"][0]["mae"])
    whole = json.loads((study.results / "e0/results.json").read_text())
    assert maes[0] == whole["metrics"]["folds"][0]["mae"]
    assert maes[1] > 2 * maes[0]


def test_copies_are_of_the_folds_training_rows_and_of_their_elements(clean):
    split = json.loads((clean.results / f"splits/{TASK}/fold_0.json").read_text())
    store = json.loads((clean.results / f"data/{TASK}/copies/fold_0/graphs/meta.json").read_text())
    failed = (clean.results / f"data/{TASK}/copies/fold_0/graphs/failures.csv").read_text()
    copied = {name.rpartition("#")[0] for name in store["ids"]}
    assert copied <= set(split["train"])
    assert all(f"{name}#" in failed for name in set(split["train"]) - copied)
