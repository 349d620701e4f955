"""The share of a study's time on a cluster in which nobody computes."""

import pytest

from maintenance.testbed.throughput import ideal_seconds, throughput


def test_models_fill_the_slots_and_other_jobs_follow():
    seconds = {
        "train_model": {"a": 60.0, "b": 70.0, "c": 80.0},
        "predict": {"a": 5.0, "b": 5.0, "c": 5.0},
        "write_experiment": {"e0": 4.0},
        "make_splits": {"fold_0": 1.0, "fold_1": 1.0},
    }
    # Two slots: a until 65, b until 75, c from 65 to 150.
    assert ideal_seconds(seconds, slots=2) == 150 + 6
    assert ideal_seconds(seconds, slots=3) == 85 + 6
    assert ideal_seconds(seconds, slots=1) == 225 + 6


def test_what_is_left_of_the_wall_time_is_waiting(tmp_path):
    for rule, names, own in (("train_model", ("x/0", "x/1"), 90), ("write_experiment", ("e0",), 9)):
        for name in names:
            path = tmp_path / rule / f"{name}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"s\th:m:s\n{own}\t0:00\n")
    row = throughput(tmp_path, slots=2, wall=110.0)
    assert row["trainings"] == 2
    assert row["waiting, %"] == pytest.approx(10.0)
