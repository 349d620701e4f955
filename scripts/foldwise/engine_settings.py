"""What a GPU may do: compile, shorten its products, or give the same bytes again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from foldwise.errors import FoldwiseError

PRECISIONS = ("float32", "tf32", "bf16")
COMPILED = ("auto", "yes", "no")


@dataclass(frozen=True)
class EngineSettings:
    """What a GPU may do; a CPU takes no notice.

    Attributes:
        compiled: Whether to compile the network; `auto` compiles for work long enough to repay it.
        precision: Of matrix products: `float32`, `tf32` (10 bits of mantissa), or `bf16` (7 bits,
            and bfloat16 features between layers).
        deterministic: Ask PyTorch for the same bytes from the same inputs, which costs time.
    """

    compiled: str = "auto"
    precision: str = "float32"
    deterministic: bool = False


def parse_engine(values: Mapping[str, Any], where: str) -> EngineSettings:
    """Checked settings from plain values; what is absent takes its default.

    Raises:
        FoldwiseError: An unknown key or value.
    """
    known = [field.name for field in fields(EngineSettings)]
    for key in values:
        if key not in known:
            raise FoldwiseError(
                f"unknown key {key!r}", where=where, hint=f"Allowed: {', '.join(known)}."
            )
    for key, allowed in (
        ("compiled", COMPILED),
        ("precision", PRECISIONS),
        ("deterministic", (True, False)),
    ):
        if key in values and values[key] not in allowed:
            raise FoldwiseError(
                f"unknown value {values[key]!r}",
                where=f"{where}.{key}",
                hint=f"Allowed: {', '.join(str(value).lower() for value in allowed)}.",
            )
    return EngineSettings(**values)


def engine_from_json(text: str) -> EngineSettings:
    """The settings of a program's `--engine`.

    Raises:
        FoldwiseError: No JSON object, an unknown key or an unknown value.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError:
        values = None
    if not isinstance(values, dict):
        raise FoldwiseError(
            "no JSON object", where="--engine", hint='Write --engine \'{"precision": "tf32"}\'.'
        )
    return parse_engine(values, where="--engine")
