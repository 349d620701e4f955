"""Numbers: format, parsing, and the median of a distribution over them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foldwise.common.errors import FoldwiseError
from foldwise.text.numbers import (
    NO_NUMBER,
    OK,
    SEVERAL,
    DecimalFormat,
    median_step,
    order_of,
    parse_number,
)

finite = st.floats(-900, 900, allow_nan=False)


@given(st.lists(finite, min_size=1, max_size=5), st.integers(1, 4))
def test_every_fitted_target_is_written_and_read_back(targets: list[float], decimals: int) -> None:
    form = DecimalFormat.of_targets(targets, decimals)
    lengths = set()
    for target in targets:
        text = form.text(target)
        lengths.add(len(text))
        assert len(text) == len(form.slots)
        assert all(character in slot for character, slot in zip(text, form.slots, strict=True))
        assert parse_number(text) == (OK, pytest.approx(target, abs=0.5000001 * 10**-decimals))
    assert len(lengths) == 1


@given(st.lists(finite, min_size=2, max_size=30), st.integers(1, 3))
def test_order_of_texts_is_order_of_numbers(values: list[float], decimals: int) -> None:
    form = DecimalFormat.of_targets(values, decimals)

    def place(text: str) -> tuple[int, ...]:
        negative = text.startswith("-")
        return tuple(
            order_of(slot, negative=negative).index(character)
            for character, slot in zip(text, form.slots, strict=True)
        )

    written = [form.text(value) for value in sorted(values)]
    assert [place(text) for text in written] == sorted(place(text) for text in written)


def test_what_is_beyond_the_format_becomes_its_end() -> None:
    form = DecimalFormat.of_targets([-4.3, 1.2], 2)
    assert (form.text(-12.0), form.text(55.5), form.text(-0.001)) == ("-9.99", "+9.99", "+0.00")
    assert DecimalFormat.of_targets([0.2, 311.5], 1).text(-3) == "000.0"
    assert DecimalFormat.of_targets([9.996], 2).text(9.996) == "10.00"


@pytest.mark.parametrize("targets", [[], [float("nan")], [1.0, float("inf")]])
def test_no_format_without_finite_targets(targets: list[float]) -> None:
    with pytest.raises(FoldwiseError, match="no finite target"):
        DecimalFormat.of_targets(targets, 2)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("signed", [True, False])
def test_median_by_characters_is_the_median_of_all_numbers(seed: int, signed: bool) -> None:
    """Oracle: the weighted median over every number of the format, written out."""
    form = DecimalFormat(signed=signed, integer_digits=1, decimals=1)
    texts = ["".join(parts) for parts in itertools.product(*form.slots)]
    masses = np.random.default_rng(seed).exponential(size=len(texts)) ** 3
    keys = [(not text.startswith("-"), float(text)) for text in texts]
    order = sorted(range(len(texts)), key=lambda row: keys[row])
    below = np.cumsum(masses[order]) / masses.sum()
    expected = texts[order[int(np.searchsorted(below, 0.5, side="left"))]]
    found, quantile = "", 0.5
    for slot in form.slots:
        ordered = order_of(slot, negative=found.startswith("-"))
        branch = np.array(
            [
                sum(m for m, text in zip(masses, texts, strict=True) if text.startswith(found + c))
                for c in ordered
            ]
        )
        chosen, quantile, _ = median_step(branch, quantile)
        found += ordered[chosen]
    assert found == expected


def test_an_impossible_branch_is_never_taken() -> None:
    assert median_step(np.array([0.5, 0.0, 0.5]), 0.5)[0] == 0
    assert median_step(np.array([0.0, 0.0, 1.0]), 0.0)[0] == 2
    assert median_step(np.array([1.0, 0.0]), 1.0)[0] == 0
    with pytest.raises(ValueError, match="sum to"):
        median_step(np.array([0.0, 0.0]), 0.5)


@pytest.mark.parametrize(
    ("text", "status", "value"),
    [
        ("-1.23", OK, -1.23),
        ("The answer is \N{MINUS SIGN}0.5 eV/atom.", OK, -0.5),
        ("+02.50", OK, 2.5),
        ("1.5e-1", OK, 0.15),
        ("about -1.2, so -1.2", OK, -1.2),
        ("between 1 and 2", SEVERAL, math.nan),
        ("Fe2O3 is stable", NO_NUMBER, math.nan),
        ("1.2.3", NO_NUMBER, math.nan),
        ("1e999", NO_NUMBER, math.nan),
        (" \n", "empty", math.nan),
        ("\N{EN DASH}1.2", OK, -1.2),
        ("- 1.2", OK, -1.2),
        ("minus 1.2", OK, -1.2),
        ("about negative 0.3 eV per atom", OK, -0.3),
        ("\N{FULLWIDTH HYPHEN-MINUS}\uff11.\uff12", OK, -1.2),
        ("-1.2eV/atom", OK, -1.2),
        ("-1.23 kJ/mol", NO_NUMBER, math.nan),
        ("1.2 eV", NO_NUMBER, math.nan),
        ("12 meV/atom", NO_NUMBER, math.nan),
        ("-1 .2", NO_NUMBER, math.nan),
        ("1..2", NO_NUMBER, math.nan),
        ("10\N{SUPERSCRIPT TWO}", NO_NUMBER, math.nan),
        ("1.2 e-5", NO_NUMBER, math.nan),
        ("\N{MINUS SIGN}\N{ZERO WIDTH SPACE}1.2", OK, -1.2),
        ("--1.2", NO_NUMBER, math.nan),
        ("1-2", NO_NUMBER, math.nan),
        ("energy-1.2", NO_NUMBER, math.nan),
        ("less than: < 1.2", NO_NUMBER, math.nan),
    ],
)
def test_parsing_of_words(text: str, status: str, value: float) -> None:
    found, number = parse_number(text, "eV/atom")
    assert found == status
    assert number == value or (math.isnan(number) and math.isnan(value))


def test_digits_of_the_unit_are_no_number() -> None:
    assert parse_number("4.5 g/cm3 or 10^3 kg", "g/cm3")[0] != OK
    assert parse_number("4.5 10^3 kg", "10^3 kg") == (OK, 4.5)


@pytest.mark.parametrize("unit", ["-", "1", "", "eV/atom", "%", "10^3 kg"])
def test_a_unit_takes_nothing_from_the_number(unit: str) -> None:
    assert parse_number("-21.30", unit) == (OK, -21.3)
    assert parse_number(f"-21.30 {unit if unit.isalpha() else ''}", unit) == (OK, -21.3)


@given(
    st.floats(-1e6, 1e6).map(lambda value: round(value, 4)),
    st.sampled_from(
        ["-", "\N{MINUS SIGN}", "\N{EN DASH}", "\N{EM DASH}", "- ", "minus ", "\uff0d"]
    ),
    st.sampled_from(["{}", "It is {}.", "about {} eV/atom", "{}eV/atom", "({})", "E = {} kJ/mol"]),
    st.booleans(),
)
@settings(max_examples=500)
def test_a_written_number_is_read_or_refused(
    value: float, minus: str, words: str, wide: bool
) -> None:
    written = f"{abs(value):.4f}"
    if wide:
        written = written.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    status, found = parse_number(words.format(f"{minus if value < 0 else ''}{written}"), "eV/atom")
    assert (status, found) == (OK, value) or (status != OK and "kJ" in words)


@given(st.text(max_size=60))
def test_any_words_are_parsed_without_an_error(text: str) -> None:
    status, value = parse_number(text, "eV/atom")
    assert (status == OK) == math.isfinite(value)
