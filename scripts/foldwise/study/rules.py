"""Rules of a study that its results decide: what is adopted, and when a series stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foldwise.common.errors import FoldwiseError

ADOPT, HEADLINE, DROP = "adopt", "headline", "drop"


@dataclass(frozen=True)
class Decision:
    """A rule about one experiment.

    Attributes:
        rule: `adopt` where the MAE falls on every fold and the paired interval excludes zero;
            `headline` makes `makes` the study's headline where the MAE is within `reach` of the
            best published value; `drop` where nothing is gained.
        against: The experiment that it is compared with (`adopt`, `drop`).
        makes: The experiment that becomes the headline.
        reach: Share of the published value that the MAE may lie above it.
    """

    rule: str
    against: str | None = None
    makes: str | None = None
    reach: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary without what does not apply."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Series:
    """Experiments that grow from a first one, which must be better than no network at all.

    Attributes:
        first: The smallest experiment.
        action: `stop` trains no other model of the series where the first experiment is no better
            than the linear element reference; `warn` says so and goes on.
    """

    first: str
    action: str


def parse_decisions(
    raw: Mapping[str, Any], parents: Mapping[str, tuple[str, ...]], named: set[str]
) -> dict[str, Decision]:
    """Decisions about the experiments of a study.

    Args:
        raw: The config's `decisions`; those set to `null` are left out.
        parents: What each experiment of the study is compared with.
        named: All experiments that the config names, left-out ones included: rules about these
            are left out with them.

    Raises:
        FoldwiseError: A name does not exist, or a rule compares with something that its
            experiment is not compared with.
    """
    decisions = {}
    for name, value in raw.items():
        if value is None or not _present(name, parents, named, f"decisions.{name}"):
            continue
        decision = Decision(**value)
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
    raw: Mapping[str, Any], experiments: Mapping[str, Any], named: set[str]
) -> dict[str, Series]:
    """Series whose first experiment is part of the study.

    Raises:
        FoldwiseError: A first experiment does not exist.
    """
    return {
        name: Series(**value)
        for name, value in raw.items()
        if value is not None
        and _present(value["first"], experiments, named, f"series.{name}.first")
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
