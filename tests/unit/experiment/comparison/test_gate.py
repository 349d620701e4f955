"""A series stops where its first experiment is no better than a linear element reference."""

import numpy as np
import pandas as pd
import pytest

from crystal_files import run_script
from experiment_files import N_FOLDS, make_study
from foldwise.common.files import read_json, write_parquet
from foldwise.experiment.comparison.gate import check_gate
from foldwise.experiment.inputs.loading import load_inputs
from foldwise.experiment.job import write_experiment


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("gate"))


def files(study, experiment):
    paths = study.paths(experiment)
    return paths.targets, paths.splits, paths.predictions


@pytest.fixture
def bad(study, tmp_path):
    """Predictions of a model that has learned nothing."""
    targets, splits, predictions = files(study, "e0")
    spoilt = []
    for fold, path in enumerate(predictions):
        table = pd.read_parquet(path)
        spoilt.append(tmp_path / f"{fold}.parquet")
        write_parquet(spoilt[-1], table.assign(prediction=table["prediction"] + 3.0))
    return targets, splits, spoilt


def test_the_numbers_are_those_of_the_record(study):
    write_experiment(load_inputs(study.paths("e0"), "e0"), study.out("e0"))
    metrics = read_json(study.out("e0") / "results.json")["metrics"]
    gate = check_gate("s", "e0", *files(study, "e0"))
    assert gate.mae == pytest.approx(metrics["aggregate"]["mae_mean"], abs=1e-12)
    expected = metrics["baselines"]["element_reference_mae"]
    assert gate.element_reference_mae == pytest.approx(expected, abs=1e-12)
    assert gate.passed


def test_members_are_averaged(study):
    targets, splits, predictions = files(study, "e3")
    gate = check_gate("s", "e3", targets, splits, predictions)
    table = pd.read_parquet(targets).set_index("id")["target"]
    maes = []
    for fold in range(N_FOLDS):
        answers = [
            pd.read_parquet(path).set_index("id")["prediction"]
            for path in predictions[3 * fold : 3 * fold + 3]
        ]
        maes.append((sum(answers) / 3 - table[answers[0].index]).abs().mean())
    assert gate.mae == pytest.approx(np.mean(maes), abs=1e-12)


@pytest.mark.parametrize(
    ("action", "force", "code"), [("stop", False, 2), ("stop", True, 0), ("warn", False, 0)]
)
def test_a_bad_first_experiment(bad, tmp_path, action, force, code):
    targets, splits, predictions = bad
    out = tmp_path / "gate.json"
    done = run_script(
        "jobs/check_series.py", "--series", "s", "--first", "e0", "--action", action,
        "--targets", targets, "--splits", *splits, "--predictions", *predictions, "--out", out,
        *(["--force"] if force else []),
    )  # fmt: skip
    assert done.returncode == code
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert "series s: " in lines[0]
    assert "no better than a linear element reference" in lines[0]
    assert out.exists() == (code == 0)
    if code:
        assert lines[0].endswith("--config force=true goes on all the same.")
    else:
        assert read_json(out)["passed"] is False
