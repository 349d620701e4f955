"""One check of the review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = bool | Literal["look"] | None


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: What is checked.
        passed: `True`, `False`, `"look"` if only a person can tell, or `None` if there was nothing
            to check.
        detail: What was found, in words and numbers.
    """

    name: str
    passed: Verdict
    detail: str
