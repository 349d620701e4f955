"""What a job computes on, and what a GPU may do: compile, shorten its products, repeat itself."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import json_object

DEVICES = ("auto", "cpu", "cuda")
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
    known = [entry.name for entry in fields(EngineSettings)]
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


@dataclass(frozen=True)
class Machine:
    """What a job computes on.

    Attributes:
        device: `auto` (CUDA where there is one), `cpu` or `cuda`.
        threads: CPU threads.
        engine: What a GPU may do.
    """

    device: str = "auto"
    threads: int = 1
    engine: EngineSettings = field(default_factory=EngineSettings)


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """The options of a program that computes on a machine."""
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--engine", default="{}", help="what a GPU may do, as JSON")


def machine_of(options: argparse.Namespace) -> Machine:
    """The machine that a program's options describe.

    Raises:
        FoldwiseError: `--engine` is no JSON object, or has an unknown key or value.
    """
    engine = parse_engine(json_object(options.engine, "--engine"), where="--engine")
    return Machine(options.device, options.threads, engine)
