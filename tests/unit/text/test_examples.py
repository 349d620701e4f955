"""Examples of few-shot prompts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.text.examples import Candidate, ExampleSets, composition_distance, element_shares


def shares_of(*numbers: int) -> np.ndarray:
    atoms = np.array(numbers, np.int32)
    return element_shares(CrystalArrays(atoms, np.zeros((len(atoms), 3)), np.eye(3)))


compositions = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def candidate(row: int, numbers: list[int]) -> Candidate:
    return Candidate(f"id{row}", "-".join(map(str, sorted(numbers))), shares_of(*numbers))


@given(st.lists(compositions, min_size=12, max_size=30), compositions, st.integers(0, 8))
def test_no_example_has_the_formula_of_the_question(
    fitted: list[list[int]], asked: list[int], sets: int
) -> None:
    rows = [candidate(row, numbers) for row, numbers in enumerate(fitted)]
    by_id = {row.id: row for row in rows}
    question = candidate(-1, asked)
    formulas = {row.formula for row in rows} - {question.formula}
    if len(formulas) < 3 or len({row.formula for row in rows}) < 3:
        return
    chosen = ExampleSets(rows, 3, sets).of(question.formula, question.shares)
    assert len(chosen) == 3
    found = [by_id[name].formula for name in chosen]
    assert question.formula not in found
    assert len(set(found)) == 3


def test_without_sets_the_nearest_are_shown_the_nearest_last() -> None:
    rows = [candidate(row, numbers) for row, numbers in enumerate([[1, 8], [1, 1, 8], [3, 9], [8]])]
    assert ExampleSets(rows, 2, 0).of("none", shares_of(1, 1, 1, 8)) == ["id0", "id1"]


def test_a_set_is_chosen_whoever_else_is_asked() -> None:
    rows = [candidate(row, [3 + row % 5, 8 + row % 3]) for row in range(40)]
    sets = ExampleSets(rows, 4, 3)
    alone = sets.of("x", shares_of(3, 8))
    sets.of("y", shares_of(7, 10))
    assert sets.of("x", shares_of(3, 8)) == alone
    assert len({tuple(sets.of("x", row.shares)) for row in rows}) <= 3


def test_distance_is_a_share_of_atoms() -> None:
    others = np.stack([shares_of(1, 8), shares_of(26), shares_of(1, 1, 8)])
    assert composition_distance(shares_of(1, 8), others) == pytest.approx([0, 1, 1 / 6])


@pytest.mark.parametrize(
    ("count", "formulas", "words"),
    [(3, 3, "3 fitted rows are too few"), (9, 2, "too few formulas")],
)
def test_too_few_rows_are_named(count: int, formulas: int, words: str) -> None:
    rows = [candidate(row, [1 + row % formulas]) for row in range(count)]
    with pytest.raises(FoldwiseError, match=words):
        ExampleSets(rows, 3, 2)
