"""What a job computes on, and what a GPU may do: compile, shorten its products, repeat itself."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from foldwise.common.files import json_object
from foldwise.common.settings import CLOSED, Flag, checked


def _word(value: Any) -> Any:
    """YAML reads a bare yes or no as a truth value."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


@dataclass(frozen=True, config=CLOSED)
class EngineSettings:
    """What a GPU may do; of a CPU only `precision: bf16` is asked, if it has a tile unit (AMX)."""

    compiled: Annotated[Literal["auto", "yes", "no"], BeforeValidator(_word)] = Field(
        default="auto",
        description="`torch.compile`, and CUDA graphs for small batches; `auto` compiles for work "
        "long enough to repay it",
        json_schema_extra={"enum": ["auto", "yes", "no", True, False]},
    )
    precision: Literal["float32", "tf32", "bf16"] = Field(
        default="float32",
        description="of matrix products: `tf32` has 10 bits of mantissa, `bf16` 7 bits and "
        "bfloat16 features between layers; on a CPU with a tile unit (AMX) `bf16` is one bfloat16 "
        "product for each of float32",
    )
    deterministic: Flag = Field(
        default=False, description="the same bytes from the same inputs, which costs time"
    )


def parse_engine(values: Any, where: str) -> EngineSettings:
    """Checked settings from plain values; what is absent takes its default.

    Raises:
        FoldwiseError: An unknown key or value.
    """
    return checked(EngineSettings, values, where)


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a job computes on.

    Attributes:
        device: `auto` (CUDA where there is one), `cpu` or `cuda`.
        threads: CPU threads.
        engine: What a GPU may do.
    """

    device: str = "auto"
    threads: int = 1
    engine: EngineSettings = dataclasses.field(default_factory=EngineSettings)


def machine_of(options: argparse.Namespace) -> Machine:
    """The machine that a program's options describe.

    Raises:
        FoldwiseError: `--engine` is no JSON object, or has an unknown key or value.
    """
    engine = parse_engine(json_object(options.engine, "--engine"), where="--engine")
    return Machine(options.device, options.threads, engine)
