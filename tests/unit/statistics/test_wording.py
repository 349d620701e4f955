import pytest

from foldwise.common.names import safe_name
from foldwise.statistics.bootstrap import Interval
from foldwise.statistics.wording import (
    duration_text,
    listing,
    plural,
    signed_text,
    value_text,
    verdict_text,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01823, "0.0182"), (-0.000123, "-0.00012"), (0.0, "0.0000"), (12.3, "12.3000"),
     (0.00094, "0.00094"), (0.00098, "0.0010"), (0.0000995, "0.00010"), (-0.0, "0.0000"),
     (3e-9, "3.0e-09")],
)  # fmt: skip
def test_values(value, text):
    assert value_text(value) == text


def test_small_words():
    assert signed_text(0.01) == "+0.0100"
    assert [duration_text(s) for s in (4.2, 42.4, 400, 7560)] == ["4.2s", "42s", "6.7min", "2.1h"]
    assert [plural(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
    assert [listing(["a"]), listing(["a", "b", "c"])] == ["a", "a, b and c"]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.003, -0.001, ["more accurate", "0.0020 eV/atom lower", "excludes zero"]),
        (0.001, 0.003, ["less accurate", "0.0020 eV/atom higher", "excludes zero"]),
        (-0.001, 0.003, ["cannot be told apart", "not larger", "includes zero"]),
    ],
)
def test_verdicts(low, high, words):
    interval = Interval((low + high) / 2, low, high, 0.95, 100, 50, "resampling")
    text = verdict_text("E4", "E3", interval, "eV/atom")
    assert all(word in text for word in words)


def test_names_of_folders_are_safe_and_never_shared():
    assert safe_name("anion_family=oxide") == "anion_family=oxide"
    texts = ["a/b", "a b", "a\\b", "..", ".hidden", "x" * 200, "x" * 201, "ä"]
    names = [safe_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all("/" not in name and not name.startswith(".") for name in names)
