import pytest

from foldwise.common.names import safe_name
from foldwise.statistics.intervals import Interval
from foldwise.statistics.wording import (
    claim_text,
    duration_text,
    listing,
    over_folds_text,
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
    durations = ["4.2s", "42s", "6.7min", "2.1h"]
    assert [duration_text(seconds) for seconds in (4.2, 42.4, 400, 7560)] == durations
    assert [plural(n, "row") for n in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]
    assert [listing(["a"]), listing(["a", "b", "c"])] == ["a", "a, b and c"]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (
            -0.003,
            -0.001,
            ["As trained here", "more accurate", "0.0020 eV/atom lower", "excludes zero"],
        ),
        (0.001, 0.003, ["less accurate", "0.0020 eV/atom higher", "excludes zero"]),
        (-0.001, 0.003, ["cannot be told apart", "includes zero"]),
    ],
)
def test_verdicts(low, high, words):
    interval = Interval((low + high) / 2, low, high, 0.95, 50)
    text = verdict_text("E4", "E3", interval, "eV/atom")
    assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("replicates", "adjusted", "words"),
    [
        ((3, 3), 0.02, ["Tested: that both sides have the same mean error", "0.0067", "0.020",
                        "3 comparisons", "below 0.05: a star"]),
        ((3, 3), 0.06, ["not below 0.05: no star"]),
        ((2, 3), 0.02, ["and other training seeds", "2 and 3"]),
        ((3, 1), 0.02, ["no other training seed", "3 and 1"]),
        ((1, 1), 0.02, ["no other training seed", "1 and 1"]),
    ],
)  # fmt: skip
def test_what_was_tested(replicates, adjusted, words):
    interval = Interval(-2, -3, -1, 0.95, 50, 12, replicates=replicates, p_value=0.0067)
    text = claim_text(interval, adjusted, 3)
    assert all(word in text for word in [*words, "12 formulas"])
    assert ("Tested" in text) == (min(replicates) > 2)


def test_names_of_folders_are_safe_and_never_shared():
    assert safe_name("anion_family=oxide") == "anion_family=oxide"
    texts = ["a/b", "a b", "a\\b", "..", ".hidden", "x" * 200, "x" * 201, "ä"]
    names = [safe_name(text) for text in texts]
    assert len(set(names)) == len(texts)
    assert all("/" not in name and not name.startswith(".") for name in names)


def test_one_fold_has_no_spread():
    assert over_folds_text(0.02, 0.001, 5) == "0.0200 ± 0.0010"
    assert over_folds_text(0.02, 0.0, 1) == "0.0200"
