"""Numbers as a language model writes them: one fixed decimal format per task, and its median.

With a sign, a fixed count of digits before and after the point, the order of numbers is the order
of their characters (reversed behind a minus). The median of a model's distribution over numbers is
then found as a plain answer is: character by character, one forward pass each, along the branch
that holds half of the probability. It is the answer that minimises the expected absolute error.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError

DIGITS = "0123456789"
SIGNS = "-+"
OK, EMPTY, NO_NUMBER, SEVERAL = "ok", "empty", "no number", "several numbers"
PARSE_STATUS = (OK, EMPTY, NO_NUMBER, SEVERAL)
_NUMBER = re.compile(
    r"(?<![\w.])(?<!\w-)(?:[-+]\s*)?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?(?!\w|\.\d)"
)
_DASHES = re.compile("[\N{MINUS SIGN}\N{MODIFIER LETTER MINUS SIGN}\N{HEAVY MINUS SIGN}]")
_MINUS = re.compile(r"\b(?:minus|negative)\s*(?=[-+]?\s*\.?\d)", re.IGNORECASE)
# Pieces that are not one number, or whose sign or size nobody can tell.
_UNCLEAR = re.compile(
    r"\d\s*\^|\d\s+[eE][-+]?\d|\d\s+\.\d|\d\.\s+\d|\d\.\.+\d|\d\s*-\s*\.?\d|[-+]\s*[-+]\s*\.?\d|[±∓<>≤≥¬]\s*[-+]?\s*\.?\d"
)
_ANY_UNIT = re.compile(
    r"\d\s*(?:%|[munkMGTpfµ]?(?:eV|J|cal|Ha|Ry|Pa|Hz|m|mol)\b|[mµ]?K\b|Å|bar\b|atm\b|hartrees?\b|"
    r"angstroms?\b|(?:kilo|milli)?(?:electron\s?volts?|joules?|calories?)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DecimalFormat:
    """How the answers of a task are written, `-1.23` say.

    Attributes:
        signed: Whether a sign stands first, a plus too.
        integer_digits: Digits before the point, with leading zeros.
        decimals: Digits after it, at least one.
    """

    signed: bool
    integer_digits: int
    decimals: int

    @classmethod
    def of_targets(cls, targets: Sequence[float], decimals: int) -> DecimalFormat:
        """The narrowest format that holds all targets that a model is fitted to.

        Raises:
            FoldwiseError: There is no target, or one is not finite.
        """
        values = np.asarray(targets, dtype=np.float64)
        if not values.size or not np.isfinite(values).all():
            raise FoldwiseError(
                "no finite target to take a number format from",
                where="fitted rows",
                hint="Mend the split or the targets.",
            )
        largest = round(float(np.abs(values).max()), decimals)
        digits = len(str(math.floor(largest)))
        return cls(bool((values < 0).any()), digits, decimals)

    @property
    def largest(self) -> float:
        """Largest number that can be written."""
        return float(f"{'9' * self.integer_digits}.{'9' * self.decimals}")

    @property
    def smallest(self) -> float:
        """Smallest number that can be written."""
        return -self.largest if self.signed else 0.0

    @property
    def slots(self) -> list[str]:
        """The characters that may stand at each place."""
        sign = [SIGNS] if self.signed else []
        return [*sign, *[DIGITS] * self.integer_digits, ".", *[DIGITS] * self.decimals]

    def text(self, value: float) -> str:
        """The number as it is written; what is beyond the format becomes its end."""
        kept = min(max(value, self.smallest), self.largest)
        width = self.integer_digits + 1 + self.decimals
        magnitude = f"{abs(kept):0{width}.{self.decimals}f}"
        if not self.signed:
            return magnitude
        negative = kept < 0 and float(magnitude) != 0
        return f"{'-' if negative else '+'}{magnitude}"

    def describe(self) -> str:
        """The format for a prompt, in words."""
        sign = "a sign (+ or -), " if self.signed else ""
        before = "one digit" if self.integer_digits == 1 else f"{self.integer_digits} digits"
        after = "one digit" if self.decimals == 1 else f"{self.decimals} digits"
        return f"{sign}{before}, a point and {after}"


def order_of(characters: str, *, negative: bool) -> str:
    """Characters of a place from the smallest number to the largest."""
    if characters == SIGNS:
        return SIGNS
    return characters[::-1] if negative else characters


def median_step(probabilities: NDArray[np.float64], quantile: float) -> tuple[int, float, float]:
    """Which branch of a place holds a quantile, and where in that branch.

    Args:
        probabilities: Of the branches in the order of the numbers, shape [n]; their sum is the
            whole.
        quantile: Between 0 and 1, of the whole.

    Returns:
        Index of the branch, the quantile inside of it, and the branch's share of the whole.

    Raises:
        ValueError: The probabilities sum to nothing, or one is not finite.
    """
    total = float(probabilities.sum())
    if not (math.isfinite(total) and total > 0):
        raise ValueError(f"probabilities {probabilities.tolist()} sum to {total}")
    shares = probabilities / total
    below = np.concatenate([[0.0], np.cumsum(shares)])
    found = int(np.searchsorted(below[1:], quantile, side="left"))
    # A quantile on an edge, or beyond the last one by rounding, belongs to a possible branch.
    possible = np.flatnonzero(shares > 0)
    branch = int(possible[max(int(np.searchsorted(possible, found, side="right")) - 1, 0)])
    inside = (quantile - float(below[branch])) / float(shares[branch])
    return branch, min(max(inside, 0.0), 1.0), float(shares[branch])


def parse_number(text: str, unit: str = "") -> tuple[str, float]:
    """The number in a model's own words, or a refusal: never another number.

    Any dash, and the words minus and negative, before a number are its sign.

    Args:
        text: What the model wrote.
        unit: Unit of the target: digits in it are not a number, and a number in another unit is
            not an answer. Empty if it is not known.

    Returns:
        One of `PARSE_STATUS` and the value, NaN without one. Several different numbers are not an
        answer.
    """
    if not text.strip():
        return EMPTY, math.nan
    plain = _without_unit(_plain_signs(text), unit)
    if _UNCLEAR.search(plain) or (unit and _ANY_UNIT.search(plain)):
        return NO_NUMBER, math.nan
    values = list(dict.fromkeys(float("".join(each.split())) for each in _NUMBER.findall(plain)))
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return NO_NUMBER, math.nan
    if len(values) > 1:
        return SEVERAL, math.nan
    return OK, finite[0]


def _plain_signs(text: str) -> str:
    """The text with ASCII digits and signs."""
    # Raised digits are not digits of the number, and what has no width hides a sign from it.
    raised = (
        "^" if unicodedata.decomposition(each).startswith("<super>") else each for each in text
    )
    seen = (each for each in raised if unicodedata.category(each) != "Cf")
    plain = unicodedata.normalize("NFKC", "".join(seen))
    plain = "".join("-" if unicodedata.category(each) == "Pd" else each for each in plain)
    return _MINUS.sub("-", _DASHES.sub("-", plain))


def _without_unit(text: str, unit: str) -> str:
    """The text without the unit after a number or on its own; a unit without letters has none."""
    if not any(each.isalpha() or each == "%" for each in unit):
        return text
    parts = (r"\s*".join(map(re.escape, part.split())) for part in _plain_signs(unit).split("/"))
    words = r"\s*(?:/|per\b)\s*".join(parts)
    return re.sub(rf"(?:(?<=\d)\s*|(?<![\w.+-])){words}(?![\w/])", " ", text)
