"""Rules of a study that its results decide: what is adopted, and when a series stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, Number

ADOPT, HEADLINE, DROP = "adopt", "headline", "drop"


@dataclass(frozen=True, config=CLOSED)
class Judgement:
    """A rule about the difference between one experiment and another."""

    makes: ClassVar[None] = None

    rule: Literal["adopt", "drop"] = Field(
        description="`adopt` where the MAE falls on every fold and the paired interval excludes "
        "zero; `drop` unless the interval lies below zero"
    )
    against: str = Field(description="one of the experiment's `compare_with`")

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, for JSON."""
        return asdict(self)


@dataclass(frozen=True, config=CLOSED)
class Headline:
    """A rule that holds one experiment against the best published result."""

    against: ClassVar[None] = None

    rule: Literal["headline"] = Field(
        description="`makes` becomes the study's headline where the MAE is within `reach`"
    )
    makes: str = Field(description="experiment that becomes the headline")
    reach: Number = Field(
        ge=0, le=10, description="share of the best published MAE that this one may lie above it"
    )

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, for JSON."""
        return asdict(self)


def _kind(value: Any) -> str:
    is_headline = isinstance(value, Mapping) and value.get("rule") == HEADLINE
    return Headline.__name__ if is_headline or isinstance(value, Headline) else Judgement.__name__


Decision = Annotated[
    Annotated[Judgement, Tag(Judgement.__name__)] | Annotated[Headline, Tag(Headline.__name__)],
    Discriminator(_kind),
]


@dataclass(frozen=True, config=CLOSED)
class Series:
    """Experiments that grow from a first one, which must be better than no network at all."""

    first: str = Field(description="the smallest experiment")
    action: Literal["stop", "warn"] = Field(
        description="`stop` trains no other model of the series where the first experiment is no "
        "better than the linear element reference; `warn` says so and goes on"
    )


def parse_decisions(
    declared: Mapping[str, Decision | None],
    parents: Mapping[str, tuple[str, ...]],
    named: set[str],
) -> dict[str, Decision]:
    """Decisions about the experiments of a study.

    Args:
        declared: The config's `decisions`; those set to `null` are left out.
        parents: What each experiment of the study is compared with.
        named: All experiments that the config names, left-out ones included: rules about these
            are left out with them.

    Raises:
        FoldwiseError: A name does not exist, or a rule compares with something that its
            experiment is not compared with.
    """
    decisions = {}
    for name, decision in declared.items():
        if decision is None or not _present(name, parents, named, f"decisions.{name}"):
            continue
        where = f"decisions.{name}"
        if decision.against and _present(decision.against, parents, named, f"{where}.against"):
            if decision.against not in parents[name]:
                raise FoldwiseError(
                    f"{name} is not compared with {decision.against}",
                    where=f"{where}.against",
                    hint=f"Add it to experiments.{name}.compare_with.",
                )
        elif decision.against or not _present(
            decision.makes or name, parents, named, f"{where}.makes"
        ):
            continue
        decisions[name] = decision
    return decisions


def parse_series(
    declared: Mapping[str, Series | None], experiments: Mapping[str, Any], named: set[str]
) -> dict[str, Series]:
    """Series whose first experiment is part of the study.

    Raises:
        FoldwiseError: A first experiment does not exist.
    """
    return {
        name: series
        for name, series in declared.items()
        if series is not None and _present(series.first, experiments, named, f"series.{name}.first")
    }


def _present(name: str, known: Mapping[str, Any], named: set[str], where: str) -> bool:
    """Whether an experiment is part of the study.

    Raises:
        FoldwiseError: The config does not know it at all.
    """
    if name not in known and name not in named:
        raise FoldwiseError(
            f"unknown name {name!r}", where=where, hint=f"Allowed: {', '.join(known)}."
        )
    return name in known
