"""A whole job on real crystals with a tiny model: every method, and what stays secret."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_csv, write_json, write_parquet
from foldwise.crystals.descriptors import describe
from foldwise.crystals.files import write_structures
from foldwise.crystals.parsing import parse_structure
from foldwise.network.machine import Machine
from foldwise.study.kinds import parse_any
from foldwise.study.outside.text import TextRecipe
from foldwise.tasks.matbench_json import read_split_json
from foldwise.text.fitting.features import fit_head
from foldwise.text.job import run_text_job
from foldwise.text.rows import TextFiles, TextJob
from paths import REPOSITORY

ROWS = 24


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TextFiles:
    folder = tmp_path_factory.mktemp("data")
    table = read_split_json(REPOSITORY / "data" / "demo.json.gz", parse_structure)
    rows = table.rows[:: len(table.rows) // ROWS][:ROWS]
    ids = [str(name) for name in table.index[:: len(table.rows) // ROWS][:ROWS]]
    crystals = [row[table.columns.index("structure")] for row in rows]
    targets = [row[table.columns.index("e_form")] for row in rows]
    formulas = [describe(crystal).formula for crystal in crystals]
    write_structures(folder / "structures.npz", ids, crystals)
    write_parquet(
        folder / "targets.parquet",
        pd.DataFrame({"id": ids, "target": targets, "formula": formulas}),
    )
    write_json(folder / "card.json", {"target_name": "formation energy", "unit": "eV/atom"})
    write_csv(folder / "failures.csv", pd.DataFrame({"id": [ids[-1]]}))
    split = {
        "task": "demo", "fold": 0, "n_folds": 3, "protocol": "test", "official": False,
        "train": ids[:16], "validation": [ids[:5], ids[5:16]], "test": ids[16:],
    }  # fmt: skip
    write_json(folder / "split.json", split)
    return TextFiles(
        targets=folder / "targets.parquet",
        structures=folder / "structures.npz",
        card=folder / "card.json",
        split=folder / "split.json",
        graph_failures=folder / "failures.csv",
    )


def job(tiny_folder: Path, out: Path, **options: object) -> TextJob:
    recipe = parse_any(
        {"model": "text", "language_model": str(tiny_folder), "detail": "composition", **options},
        "recipes.x",
    )
    assert isinstance(recipe, TextRecipe)
    return TextJob("x", recipe, 0, 0, Machine("cpu", 1), out / "model", out / "predictions")


METHODS = {
    "zero_shot": {"method": "zero_shot"},
    "probe": {"method": "zero_shot", "detail": "id"},
    "few_shot": {"method": "few_shot", "shots": 2, "example_sets": 3},
    "free": {"method": "zero_shot", "decoding": "free"},
    "head": {"method": "head", "num_train_epochs": 1, "lora_layers": 1},
    "frozen": {"method": "head", "backbone": "frozen"},
    "written": {"method": "written", "num_train_epochs": 2, "lora_layers": 1, "lr": 1e-2},
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_answers_every_row_and_no_test_target_enters(
    name: str, files: TextFiles, tiny_folder: Path, tmp_path: Path
) -> None:
    made = job(tiny_folder, tmp_path / "a", **METHODS[name])
    raw = run_text_job(files, made)
    split = read_json(files.split)
    assert (
        raw[raw["subset"] == "test"]["id"].tolist() == split["test"][:-1]
    )  # the last has no graph
    assert raw[raw["subset"] == "held_out"]["id"].tolist() == split["validation"][0]
    assert set(pd.read_parquet(made.predictions / "test.parquet")["id"]) == set(split["test"][:-1])
    assert np.isfinite(raw["prediction"]).all()
    failed = raw["parse_status"] != "ok"
    fitted = pd.read_parquet(files.targets).set_index("id").loc[split["validation"][1], "target"]
    assert (raw["prediction"][failed] == fitted.median()).all()
    fit = read_json(made.model / "fit.json")
    scores = fit["text"]["test"]
    assert scores["parse_failures"] == int(failed[raw["subset"] == "test"].sum())
    assert fit["n_train"] == 11
    # Other test targets: every byte of the answers stays.
    table = pd.read_parquet(files.targets)
    table.loc[table["id"].isin(split["test"]), "target"] = 777.0
    poisoned = tmp_path / "poisoned.parquet"
    table.to_parquet(poisoned)
    again = replace(made, model=tmp_path / "b/model", predictions=tmp_path / "b/predictions")
    run_text_job(replace(files, targets=poisoned), again)
    for file in ("test.parquet", "train.parquet"):
        one, two = ((each.predictions / file).read_bytes() for each in (made, again))
        assert one == two


def test_answers_of_other_weights_in_the_same_folder_are_not_taken_over(
    files: TextFiles, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "language_model"
    shutil.copytree(tiny_folder, folder)
    made = job(folder, tmp_path / "a", **METHODS["zero_shot"])

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("foldwise.text.job.write_parquet", killed)
        with pytest.raises(KeyboardInterrupt):
            run_text_job(files, made)
    assert (made.predictions / "journal.jsonl").is_file()
    weights = load_file(folder / "model.safetensors")
    changed = {name: value.flip(-1).contiguous() for name, value in weights.items()}
    save_file(changed, folder / "model.safetensors", metadata={"format": "pt"})
    found = run_text_job(files, made)
    fresh = run_text_job(files, job(folder, tmp_path / "b", **METHODS["zero_shot"]))
    pd.testing.assert_frame_equal(found, fresh)


def test_few_shot_examples_are_fitted_rows(
    files: TextFiles, tiny_folder: Path, tmp_path: Path
) -> None:
    raw = run_text_job(files, job(tiny_folder, tmp_path, **METHODS["few_shot"]))
    table = pd.read_parquet(files.targets).set_index("id")
    split = read_json(files.split)
    fitted = set(table.loc[split["validation"][1], "formula"])
    for _, call in raw.iterrows():
        shown = [part.split(" (")[0] for part in call["input_text"].split("Formula: ")[1:]]
        *examples, asked = shown
        assert asked == table.loc[call["id"], "formula"]
        assert len(examples) == 2
        assert set(examples) <= fitted - {asked}


def test_the_head_is_a_ridge_regression() -> None:
    """It finds a linear target in noise, on the layer that holds it."""
    random = np.random.default_rng(3)
    features = {1: random.normal(size=(60, 4)), 2: random.normal(size=(60, 4))}
    targets = features[2] @ [1.0, -2.0, 0.5, 0.0] + 3.0
    fitted, held_out = np.arange(60) < 40, np.arange(60) >= 40
    head, tried = fit_head(features, targets, fitted, held_out)
    assert head.layer == 2
    assert np.abs(head.answer(features) - targets).max() < 0.05
    assert tried["val_mae"].min() == pytest.approx(
        np.abs(head.answer(features) - targets)[held_out].mean()
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"question": "{crystal} {id}"}, r"recipes.x.question: the placeholder \{id\}"),
        ({"question": "what?"}, "says nothing of the crystal"),
        ({"instructions": "{}"}, "would be left"),
        ({"shots": 0}, "recipes.x.shots"),
        ({"temperature": 1.0}, "unknown key 'temperature'"),
    ],
)
def test_a_wrong_recipe_is_one_line(options: dict[str, object], words: str) -> None:
    with pytest.raises(FoldwiseError, match=words) as caught:
        parse_any({"model": "text", "method": "zero_shot", **options}, "recipes.x")
    assert "\n" not in str(caught.value)


def test_an_engine_that_is_not_installed_is_one_line(
    files: TextFiles, tiny_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(FoldwiseError, match="engine: vLLM is not installed"):
        run_text_job(files, job(tiny_folder, tmp_path, method="zero_shot", engine="vllm"))
    assert torch.get_num_threads() == 1
