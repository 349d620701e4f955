import dataclasses

import numpy as np
import pytest

from board_files import made_up_rows
from foldwise.submissions.board import nested, rules
from foldwise.submissions.board.nested import combine, leave_one_out
from foldwise.submissions.board.rules import CHOSEN, TWO_LEVEL, inner_folds, level_one
from foldwise.submissions.scoring import fold_score

pytestmark = pytest.mark.slow  # buys: no label of a fold in its own answers, with real boosters


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    few = dataclasses.replace(rules._SMALL, trees=20, seeds=1)
    monkeypatch.setattr(rules, "_SMALL", few)


def poisoned(rows, fold):
    target = rows.target.copy()
    test = rows.fold == fold
    target[test] = 1.0 - target[test] if rows.classification else 1e6
    return dataclasses.replace(rows, target=target)


@pytest.mark.parametrize("classification", [False, True])
def test_poisoned_labels_of_a_fold_move_neither_its_answers_nor_its_choice(classification):
    rows = made_up_rows(classification=classification)
    before, after = combine(rows), combine(poisoned(rows, 2))
    test = rows.fold == 2
    for rule, values in before.answers.items():
        assert np.array_equal(values[test], after.answers[rule][test]), rule
        assert np.isfinite(values).all()
    assert before.chosen[2] == after.chosen[2]
    assert before.inner[2] == after.inner[2]
    assert before.inner[1] != after.inner[1]


def test_a_choice_by_the_tested_fold_would_be_noticed(monkeypatch):
    """The same poison, with a rule that reads the tested fold's labels."""
    answer = rules.answer

    def cheating(features, rule, known, wanted):
        return answer(features, rule, [0, 1, 2, 3, 4], wanted)

    monkeypatch.setattr(nested, "answer", cheating)
    rows = made_up_rows()
    test = rows.fold == 2
    before, after = combine(rows), combine(poisoned(rows, 2))
    assert not np.array_equal(before.answers["boosted"][test], after.answers["boosted"][test])


@pytest.mark.parametrize("classification", [False, True])
def test_the_chosen_rule_is_the_best_on_the_inner_folds_and_beats_the_mean(classification):
    rows = made_up_rows(1200, classification=classification)
    found = combine(rows)
    assert {*level_one(rows), "averaged", TWO_LEVEL, CHOSEN} == set(found.answers)
    for fold, losses in found.inner.items():
        assert losses[found.chosen[fold]] == min(losses.values())
        test = rows.fold == fold
        chosen = found.answers[found.chosen[fold]][test]
        assert np.array_equal(found.answers[CHOSEN][test], chosen)
    score, mean = (
        fold_score(rows.target, found.answers[rule], classification) for rule in (CHOSEN, "mean")
    )
    assert score > mean if classification else score < mean


def test_answers_stay_in_the_range_that_physics_allows():
    rows = made_up_rows()
    low = dataclasses.replace(rows, values=rows.values - 3.0)
    assert all((values >= 0.0).all() for values in combine(low).answers.values())
    assert (combine(dataclasses.replace(low, low=None)).answers["mean"] < 0.0).any()


def test_the_same_rows_give_the_same_bytes():
    rows = made_up_rows()
    first, second = combine(rows), combine(rows)
    assert all(np.array_equal(first.answers[rule], second.answers[rule]) for rule in first.answers)


def test_one_member_a_constant_column_and_nothing_beside_are_no_problem():
    rows = made_up_rows()
    alone = dataclasses.replace(
        rows, names=("a",), values=rows.values[:, :1], beside=np.full((400, 1), np.nan)
    )
    assert all(np.isfinite(values).all() for values in combine(alone).answers.values())
    assert leave_one_out(alone) == {}


def test_leaving_out_the_good_members_costs_most():
    worth = leave_one_out(made_up_rows(1000), "median")
    assert set(worth) == {"a", "b", "c", "d"}
    assert max(worth["a"], worth["b"]) < min(worth["c"], worth["d"])


def test_inner_folds_of_a_large_task_are_its_neighbours(monkeypatch):
    rows = made_up_rows()
    assert inner_folds(rows, 0) == [1, 2, 3, 4]
    monkeypatch.setattr(rules, "LARGE_ROWS", 100)
    assert inner_folds(rows, 0) == [1, 4]
    assert inner_folds(rows, 3) == [2, 4]
