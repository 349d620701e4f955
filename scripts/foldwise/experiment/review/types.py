"""One check of the review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = bool | Literal["look"]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: What is checked.
        passed: `True`, `False`, or `"look"` where only a person can tell.
        detail: What was found, in words and numbers.
    """

    name: str
    passed: Verdict
    detail: str
