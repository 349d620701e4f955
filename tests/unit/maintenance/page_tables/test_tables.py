"""The tables of README.md come from result folders."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest

from experiment_files import EXPERIMENTS, make_study
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json, write_parquet
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment
from foldwise.statistics.wording import value_text
from maintenance.page_tables.tables import with_readme_tables
from paths import REPOSITORY

SHORT = """run: short
only: [e0, e3, e4, labels_only]
recipes: {labels_only: {passes_of: e4}}
"""

ASKED = """run: asked
only: [e0, zero_shot]
recipes: {asked: {model: text, method: zero_shot, detail: sites}}
experiments:
  zero_shot: {recipe: asked, seeds: [0], title: Asked, purpose: To ask., compare_with: [e0]}
"""
ASKED_PAGE = "<!-- text models: config/asked.yaml -->\nold\n<!-- end -->\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A repository with the config above and its finished results."""
    root = tmp_path_factory.mktemp("readme")
    made = make_study(root / "made", init="scratch")
    results = root / "results" / "short"
    for name in EXPERIMENTS:
        write_experiment(load_inputs(made.paths(name), name), made.out(name))
        shutil.copytree(made.out(name), results / name)
    shutil.copytree(results / "e0", results / "labels_only")
    record = read_json(results / "labels_only" / "results.json")
    write_json(
        results / "labels_only" / "results.json",
        record | {"experiment": "labels_only", "config_id": "labels_only_0123abcd"},
    )
    (root / "config").mkdir()
    shutil.copy(REPOSITORY / "config" / "config.yaml", root / "config")
    (root / "config" / "short.yaml").write_text(SHORT)
    return root


def page(kind):
    return f"before\n<!-- {kind}: config/short.yaml -->\nold\n<!-- end -->\nafter\n"


def rows(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


def test_a_study_is_told_as_its_records_say(root):
    text = with_readme_tables(page("study"), root)
    assert text.startswith("before\n<!-- study: config/short.yaml -->\n| experiment | start |")
    assert text.endswith("|\n<!-- end -->\nafter\n")
    assert "old" not in text
    _, *lines = rows(text)
    names = [line[0].split()[0] for line in lines if line[0]]
    assert names == ["`e0`", "`e3`", "`e4`", "`labels_only`"]
    record = read_json(root / "results" / "short" / "e4" / "results.json")
    student = next(line for line in lines if line[0].startswith("`e4`"))
    assert student[4].startswith(f"{record['metrics']['pooled']['mae']:.4f} [")
    entry = record["decision"]["comparisons"][0]
    assert student[5].startswith(f"{entry['delta_mae']:+.4f} [")
    assert student[6] == f"`{entry['against']}`"
    assert with_readme_tables(text, root) == text


def test_the_kept_share_is_that_of_the_predictions(root):
    _, *lines = rows(with_readme_tables(page("soft targets"), root))
    maes = {}
    for name in ("e0", "e3", "e4"):
        table = pd.read_parquet(root / "results" / "short" / name / "predictions.parquet")
        maes[name] = np.abs(table["prediction"] - table["target"]).mean()
    share = (maes["e0"] - maes["e4"]) / (maes["e0"] - maes["e3"])
    cells = {line[0].split()[0].strip("`"): line[-1] for line in lines}
    assert (cells["e0"], cells["e3"]) == ("", "")
    found = re.fullmatch(r"(-?\d+) % \[(-?\d+), (-?\d+)\]", cells["e4"])
    estimate, low, high = (int(part) for part in found.groups())
    assert estimate == round(100 * share)
    assert low <= estimate <= high


def test_missing_results_and_pages_without_a_place(root):
    with pytest.raises(FoldwiseError, match="does not exist"):
        with_readme_tables("<!-- study: config/config.yaml -->\n<!-- end -->", root)
    with pytest.raises(FoldwiseError, match="there is no place for a table"):
        with_readme_tables("nothing", root)


def test_readme_has_a_place_for_both_tables():
    text = (REPOSITORY / "README.md").read_text()
    assert "<!-- study: config/config.yaml " in text
    assert "<!-- soft targets: config/distillation_mp_e_form.yaml -->" in text
    assert text.count("<!-- end -->") == 2


@pytest.fixture(scope="module")
def asked(root):
    """A study of `e0` and of a language model that errs twice as much, the other way."""
    results = root / "results" / "asked"
    shutil.copytree(root / "results" / "short" / "e0", results / "e0")
    shutil.copytree(results / "e0", results / "zero_shot")
    record = read_json(results / "e0" / "results.json")
    changed = {"experiment": "zero_shot", "title": "Asked", "config_id": "zero_shot_0123abcd"}
    write_json(results / "zero_shot" / "results.json", record | changed)
    table = pd.read_parquet(results / "e0" / "predictions.parquet")
    table["prediction"] = table["target"] - 2.0 * (table["prediction"] - table["target"])
    write_parquet(results / "zero_shot" / "predictions.parquet", table.iloc[::-1])
    plain = table["target"] + np.where(np.arange(len(table)) % 2, 0.5, -0.25)
    raw = pd.DataFrame(
        {
            "id": table["id"],
            "ground_truth": table["target"],
            "input_tokens": 120,
            "parse_status": np.where(np.arange(len(table)) == 3, "no number", "ok"),
            "plain_value": plain.where(np.arange(len(table)) != 3),
        }
    )
    write_parquet(results / "zero_shot" / "raw_outputs.parquet", raw)
    (root / "config" / "asked.yaml").write_text(ASKED)
    return results


def test_every_cell_of_language_models_is_that_of_the_folders(root, asked):
    lines = with_readme_tables(ASKED_PAGE, root).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[3:-1]]
    record = read_json(asked / "e0" / "results.json")
    baselines = record["metrics"]["baselines"]
    mean, linear, e0, told = cells
    assert mean[3] == value_text(baselines["train_mean_mae"])
    assert linear[3] == value_text(baselines["element_reference_mae"])
    assert e0[0] == f"`e0` {record['title']}"
    assert e0[3].startswith(f"{value_text(record['metrics']['pooled']['mae'])} [")
    assert told[:3] == ["`zero_shot` Asked", "sites", "120"]
    n = len(pd.read_parquet(asked / "zero_shot" / "raw_outputs.parquet"))
    errors = np.where(np.arange(n) % 2, 0.5, 0.25)
    assert told[4] == value_text(float(np.delete(errors, 3).mean()))
    assert told[5:] == [f"1 of {n}", "-1.00"]
