import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.experiment.comparison.leaderboard import (
    CONTAMINATION,
    FOLDER,
    read_leaderboard,
    standing,
)
from foldwise.tasks.official import any_official_task, official_task


def is_trainable(task):
    official = any_official_task(task)
    return official.input_type == "structure" and not official.is_classification


TASKS = sorted(path.stem for path in FOLDER.glob("*.yaml") if is_trainable(path.stem))


def record(mae=0.0169, *, seen=False, written=True, members=None):
    recorded = {"members": members, "statement": "Cross-fold."} if members else None
    return {
        "experiment": "e9",
        "metrics": {"aggregate": {"mae_mean": mae}, "fallback": None},
        "matbench": {"written": written},
        "leakage": {"test_structures_presumably_seen": seen, "recorded_teachers": recorded},
    }


def test_every_structure_regression_task_has_its_five_best():
    assert len(TASKS) == 8
    for task in TASKS:
        board, official = read_leaderboard(task), official_task(task)
        assert official is not None
        assert board["unit"] == official.unit
        scratch = [entry["mae"] for entry in board["entries"] if entry["start"] == "scratch"]
        assert len(scratch) == 5
        assert scratch == sorted(scratch)
        assert all(entry["source"] and entry["date"] for entry in board["entries"])


def test_the_numbers_of_the_strategy_note():
    best = {
        task: [(entry["name"], entry["mae"]) for entry in read_leaderboard(task)["entries"][:3]]
        for task in ("matbench_mp_e_form", "matbench_mp_gap")
    }
    assert best["matbench_mp_e_form"] == [("coGN", 0.017), ("coNGN", 0.0178), ("ALIGNN", 0.0215)]
    assert best["matbench_mp_gap"] == [("coGN", 0.1559), ("DeeperGATGNN", 0.1694),
                                       ("coNGN", 0.1697)]  # fmt: skip


def test_a_run_from_scratch_is_ranked_among_its_like_only():
    place = standing(record(0.0175), read_leaderboard("matbench_mp_e_form"))
    assert (place["rank"], place["of"]) == (2, 6)
    assert place["lines"][:2] == ["0.0170  coGN", "0.0175  E9 (this run)"]
    assert not any("MatterVial" in line for line in place["lines"])
    assert place["others"][0] == "0.0148  MODNet@MatterVial"
    assert place["caveat"] is None


def test_a_pretrained_run_is_not_ranked_beside_models_from_scratch():
    place = standing(record(0.0160, seen=True), read_leaderboard("matbench_mp_e_form"))
    assert (place["rank"], place["of"]) == (2, 3)
    assert not any("coGN" in line for line in place["lines"])
    assert any("coGN" in line for line in place["others"])
    assert "must not be ranked" in CONTAMINATION


def test_an_incomplete_or_unpublished_task_has_no_place():
    assert standing(record(written=False), read_leaderboard("matbench_mp_e_form")) is None
    assert read_leaderboard("demo_e_form") is None
    assert standing(record(), None) is None


def test_a_combination_says_what_it_is_made_of():
    place = standing(record(members=["a", "b"]), read_leaderboard("matbench_mp_e_form"))
    assert "a, b. Cross-fold." in place["caveat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("task: t\nunit: eV\nentries:\n"
         "  - {name: x, mae: 1, start: scratch, source: s}", "lacks 'date'"),
        ("task: t\nunit: eV\nentries:\n"
         "  - {name: x, mae: 1, start: here, source: s, date: d}", "starts from 'here'"),
        ("task: u\nunit: eV\nentries: []", "no entries of task 't'"),
        ("[", "valid YAML"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named(tmp_path, text, message):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(FoldwiseError, match=message):
        read_leaderboard("t", tmp_path)
