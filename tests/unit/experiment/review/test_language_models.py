"""What the review says of a language model's outputs."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from foldwise.experiment.review.outcomes import parse_check, probe_check


def outputs(values, truth, status="ok"):
    values = np.asarray(values, dtype=float)
    return pd.DataFrame({
        "id": [f"row-{number}" for number in range(len(values))], "parse_status": status,
        "value": values, "prediction": values, "ground_truth": truth,
    })  # fmt: skip


@pytest.mark.parametrize(("knows", "passed"), [(0.0, True), (1.0, "look"), (-1.0, "look")])
def test_answers_that_follow_the_targets_ask_for_a_look(knows, passed):
    generator = np.random.default_rng(3)
    truth = generator.normal(size=100)
    raw = outputs(knows * truth + generator.normal(size=100), truth)
    check = probe_check(raw, "id")
    assert check.passed == passed
    expected = spearmanr(raw["value"], raw["ground_truth"]).statistic
    assert (
        f"told the id alone, its answers and the targets have a rank correlation of "
        f"{expected:+.2f} over 100 crystals (by chance within ±0.20)" == check.detail
    )


def test_one_answer_for_all_knows_nothing_and_what_has_no_number_does_not_count():
    truth = np.linspace(0.0, 1.0, 50)
    assert probe_check(outputs(np.ones(50), truth), "formula").passed is True
    raw = outputs(truth, truth)
    raw.loc[10:, "parse_status"] = "no number"
    assert "over 10 crystals" in probe_check(raw, "formula").detail


@pytest.mark.parametrize(("failed", "passed"), [(1, True), (4, "look"), (6, False)])
def test_more_outputs_without_a_number_are_looked_at_then_fail(failed, passed):
    raw = outputs(np.zeros(100), np.ones(100))
    raw.loc[: failed - 1, "parse_status"] = "no number"
    check = parse_check(raw, "eV")
    assert check.passed == passed
    assert check.detail.startswith(f"{failed} of 100 outputs ({failed}.0%) hold no number")
