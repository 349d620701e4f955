"""Outliers where targets pile up at one number, as band gaps do at zero."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from foldwise.experiment.tables.diagnostics import outlier_table

SIGMA = 0.2


def outliers(target, prediction):
    rows = pd.DataFrame(
        {
            "id": [f"c{row}" for row in range(len(target))], "formula": "X", "fold": 0,
            "target": target, "prediction": prediction, "std": 0.0,
            "abs_error": np.abs(prediction - target),
        }
    )  # fmt: skip
    inputs = SimpleNamespace(training_ranges={0: (target.min(), target.max())})
    return outlier_table(inputs, SimpleNamespace(table=rows))


@pytest.fixture(scope="module")
def gaps():
    """4,000 gaps, two fifths of them zero, which the model meets within 0.01 on both sides."""
    generator = np.random.default_rng(3)
    metal = np.arange(4000) % 5 < 2
    target = np.where(metal, 0.0, generator.uniform(0.5, 6, 4000))
    error = generator.normal(0, np.where(metal, 0.01, SIGMA))
    return target, target + error


def test_hits_on_the_pile_do_not_make_outliers_of_usual_errors(gaps):
    target, prediction = gaps
    found = outliers(target, prediction)
    beyond = (prediction > target.max()).sum()
    assert len(found) == beyond < 60
    assert set(found["reason"]) == {"outside the training range"}


def test_a_metal_that_is_called_an_insulator_is_found(gaps):
    target, prediction = gaps[0], gaps[1].copy()
    prediction[0], prediction[1], prediction[2] = 3.0, -0.5 * 6 * SIGMA, -1.5 * 6 * SIGMA
    found = outliers(target, prediction).set_index("id")["reason"]
    assert found["c0"] == "large error"
    assert found["c2"] == "outside the training range; large error"
    assert "c1" not in found


def test_without_a_pile_the_rule_is_the_robust_deviation_over_all_rows():
    generator = np.random.default_rng(5)
    target = generator.normal(0, 1, 1000)
    prediction = target + generator.standard_t(2, 1000) * 0.05
    residual = prediction - target
    deviation = np.abs(residual - np.median(residual))
    outside = (prediction < target.min()) | (prediction > target.max())
    expected = outside | (deviation > 6 * 1.4826 * np.median(deviation))
    found = set(outliers(target, prediction)["id"])
    assert found == {f"c{row}" for row in np.flatnonzero(expected)}
