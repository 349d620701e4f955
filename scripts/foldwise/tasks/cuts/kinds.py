"""One fold by each kind of rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from foldwise.common.errors import FoldwiseError
from foldwise.tasks.cuts.rule import Asked, Cut, SplitRule, chemical_system, partition
from foldwise.tasks.cuts.table import column_folds, column_times, column_units

_UNITS = {
    "formula": "reduced formula",
    "chemical_system": "set of elements",
    "spacegroup": "space group",
    "prototype": "prototype (anonymous formula and space group)",
}
_N_ELEMENTS = 118


def cut_fold(targets: pd.DataFrame, rule: SplitRule, asked: Asked) -> Cut:
    """Training and test rows of one fold.

    Args:
        targets: Table with `id` and `formula`, for some kinds `spacegroup`, in dataset order.
        rule: How folds are cut; its kind is not `official`.
        asked: Which fold.

    Raises:
        FoldwiseError: The table lacks a row, a value cannot be used, or there are too few groups.
    """
    ids = targets["id"].astype(str).tolist()
    formulas = targets["formula"].astype(str).tolist()
    match rule.kind:
        case "random":
            return random_cut(ids, formulas, asked)
        case "cluster":
            return _cluster_cut(ids, formulas, asked)
        case "time":
            return _time_cut(ids, formulas, rule, asked)
        case "file":
            return _written_cut(ids, formulas, rule, asked)
        case "column":
            name = f"value of {rule.column!r}"
            return _grouped_cut(ids, column_units(rule, ids), name, asked)
    return _grouped_cut(ids, _units(targets, rule.kind, formulas), _UNITS[rule.kind], asked)


def random_cut(ids: Sequence[str], formulas: Sequence[str], asked: Asked) -> Cut:
    """A fold of Matbench's protocol."""
    from sklearn.model_selection import KFold  # noqa: PLC0415 (a second, in every job that reads a split)

    splitter = KFold(asked.n_folds, shuffle=True, random_state=asked.seed)
    train, test = list(splitter.split(ids))[asked.fold]
    return Cut(
        train=[ids[row] for row in train],
        test=[ids[row] for row in test],
        unit=dict(zip(ids, formulas, strict=True)),
        protocol=f"Fold {asked.fold} of {asked.n_folds} shuffled folds (scikit-learn KFold, "
        f"random_state {asked.seed}, the protocol of Matbench).",
        unit_name=_UNITS["formula"],
    )


def _grouped_cut(ids: Sequence[str], labels: Sequence[str], name: str, asked: Asked) -> Cut:
    n_groups = len(set(labels))
    if n_groups < asked.n_folds:
        raise FoldwiseError(
            f"{n_groups} group(s) by {name} cannot make {asked.n_folds} folds",
            where=asked.where,
            hint="Use fewer folds, or another kind of split.",
        )
    test = set(partition(ids, labels, asked.n_folds, asked.seed)[asked.fold])
    return Cut(
        train=[row for row in ids if row not in test],
        test=[row for row in ids if row in test],
        unit=dict(zip(ids, labels, strict=True)),
        protocol=f"Fold {asked.fold} of {asked.n_folds} folds by {name}, of which there are "
        f"{n_groups:,}: no two crystals that share it are on different sides.",
        unit_name=name,
    )


def _units(targets: pd.DataFrame, kind: str, formulas: Sequence[str]) -> list[str]:
    if kind == "formula":
        return list(formulas)
    if kind == "chemical_system":
        return [chemical_system(formula) for formula in formulas]
    groups = targets["spacegroup"].astype(str).tolist()
    if kind == "spacegroup":
        return groups
    from pymatgen.core.composition import Composition  # noqa: PLC0415 (half a second, in every job that reads a split)

    anonymous = [Composition(formula).anonymized_formula for formula in formulas]
    return [f"{formula}, {group}" for formula, group in zip(anonymous, groups, strict=True)]


def _cluster_cut(ids: Sequence[str], formulas: Sequence[str], asked: Asked) -> Cut:
    labels = _clusters(formulas, asked)
    systems = [chemical_system(formula) for formula in formulas]
    return Cut(
        train=[name for name, label in zip(ids, labels, strict=True) if label != asked.fold],
        test=[name for name, label in zip(ids, labels, strict=True) if label == asked.fold],
        unit=dict(zip(ids, systems, strict=True)),
        protocol=f"Cluster {asked.fold} of {asked.n_folds} is left out (leave one cluster out, "
        f"Meredig et al. 2018): k-means on the shares of the elements, random_state {asked.seed}; "
        "cluster 0 is the largest.",
        unit_name=_UNITS["chemical_system"],
    )


def _clusters(formulas: Sequence[str], asked: Asked) -> NDArray[np.int64]:
    """Number of each row's cluster, the largest cluster 0; B. Meredig et al., MSDE 3, 819."""
    from pymatgen.core.composition import Composition  # noqa: PLC0415 (half a second, in every job that reads a split)

    shares = np.zeros((len(formulas), _N_ELEMENTS + 1))
    for row, formula in enumerate(formulas):
        for element, amount in Composition(formula).fractional_composition.items():
            shares[row, element.Z] = amount
    n_kinds = len(np.unique(shares, axis=0))
    if n_kinds < asked.n_folds:
        raise FoldwiseError(
            f"{n_kinds} composition(s) cannot make {asked.n_folds} clusters",
            where=asked.where,
            hint="Use fewer folds.",
        )
    from sklearn.cluster import KMeans  # noqa: PLC0415 (a second, in every job that reads a split)

    with threadpool_limits(1):
        found = KMeans(asked.n_folds, n_init=10, random_state=asked.seed).fit_predict(shares)
    sizes = Counter(found.tolist())
    first = {label: int(np.argmax(found == label)) for label in sizes}
    order = sorted(sizes, key=lambda label: (-sizes[label], first[label]))
    number = {label: position for position, label in enumerate(order)}
    return np.array([number[label] for label in found.tolist()])


def _time_cut(ids: Sequence[str], formulas: Sequence[str], rule: SplitRule, asked: Asked) -> Cut:
    from sklearn.model_selection import TimeSeriesSplit  # noqa: PLC0415 (a second, in every job that reads a split)

    times = column_times(rule, ids)
    order = np.argsort(times, kind="stable")
    starts = [times[order[test[0]]] for _, test in TimeSeriesSplit(asked.n_folds).split(order)]
    # Rows of one time are on one side: the later one.
    block = np.searchsorted(np.array(starts), times, side="right")
    return Cut(
        train=[name for name, at in zip(ids, block, strict=True) if at <= asked.fold],
        test=[name for name, at in zip(ids, block, strict=True) if at == asked.fold + 1],
        unit=dict(zip(ids, formulas, strict=True)),
        protocol=f"Fold {asked.fold} of {asked.n_folds} in the order of {rule.column!r} "
        "(scikit-learn TimeSeriesSplit): tested on a span of time, trained on all that is earlier "
        "and on nothing later; the first span is never tested.",
        unit_name=_UNITS["formula"],
    )


def _written_cut(ids: Sequence[str], formulas: Sequence[str], rule: SplitRule, asked: Asked) -> Cut:
    tested = column_folds(rule, ids)
    found = sorted({number for number in tested if number is not None})
    if found != list(range(asked.n_folds)):
        raise FoldwiseError(
            f"it holds the folds {', '.join(map(str, found)) or 'none'}, the study {asked.n_folds}",
            where=f"{rule.table} column {rule.column}",
            hint="Number the folds from 0 without a gap, and set splits.folds to their number.",
        )
    return Cut(
        train=[name for name, at in zip(ids, tested, strict=True) if at != asked.fold],
        test=[name for name, at in zip(ids, tested, strict=True) if at == asked.fold],
        unit=dict(zip(ids, formulas, strict=True)),
        protocol=f"Fold {asked.fold} of {asked.n_folds} as {Path(str(rule.table)).name} says, "
        f"column {rule.column!r}.",
        unit_name=_UNITS["formula"],
    )
