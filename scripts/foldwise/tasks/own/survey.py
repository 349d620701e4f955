"""What was found among a user's crystals, as text: for the terminal and for a file beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pymatgen.core.periodic_table import Element

from foldwise.tasks.duplicates.groups import structure_groups
from foldwise.tasks.formats.reader import StructureSource
from foldwise.tasks.own.collect import REJECTED, Collected
from foldwise.tasks.own.values import Quantity

_SHOWN = 10  # rejected rows and conflicting pairs that are printed
_LARGE_ENERGY = 20.0  # eV/atom; more than any crystal has against its elements


@dataclass(frozen=True)
class Duplicates:
    """Rows that stand several times.

    Attributes:
        same_formula: Rows whose formula another row has.
        same_structure: Rows that StructureMatcher finds to be another row's crystal.
        widest: Pairs of one structure whose targets differ most, as (id, id, difference).
    """

    same_formula: int
    same_structure: int
    widest: list[tuple[str, str, float]]


def find_duplicates(found: Collected) -> Duplicates:
    """Rows of one formula, and rows of one structure by pymatgen's StructureMatcher."""
    table = found.table()
    formulas = dict(zip(found.ids, table["formula"], strict=True))
    crystals = dict(zip(found.ids, found.crystals, strict=True))
    groups = structure_groups({"own": formulas}, {"own": crystals})
    merged = groups.merge(table[["id", "target"]], on="id")
    widest = []
    for _, rows in merged.groupby("group"):
        if len(rows) > 1:
            ordered = rows.sort_values("target", kind="stable")
            low, high = ordered.iloc[0], ordered.iloc[-1]
            widest.append((str(low["id"]), str(high["id"]), float(high["target"] - low["target"])))
    return Duplicates(
        same_formula=int(table["formula"].duplicated(keep=False).sum()),
        same_structure=int(merged["group"].duplicated(keep=False).sum()),
        widest=sorted(widest, key=lambda pair: -pair[2]),
    )


def survey(
    source: StructureSource, found: Collected, duplicates: Duplicates, quantity: Quantity
) -> str:
    """The findings, a paragraph each."""
    table = found.table()
    n_all = len(found.ids) + len(found.rejected)
    lines = [
        f"rows        {n_all:,} in a {source.kind}: {len(found.ids):,} taken, "
        f"{len(found.rejected):,} rejected",
        *_ignored(source.ignored),
        f"elements    {_elements(found)}",
        f"cells       {_cells(table)}",
        f"{'target':<12}{_target(table['target'], quantity)}",
        *_scale(table["target"], quantity),
        f"duplicates  {duplicates.same_formula:,} rows share a formula with another row, "
        f"{duplicates.same_structure:,} a structure (pymatgen StructureMatcher)",
        *_conflicts(duplicates, quantity.unit),
        *_rejected(found),
    ]
    return "\n".join(lines) + "\n"


def _ignored(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"{'':<12}{len(names):,} other file(s) passed over, the first is {names[0]}"]


def _elements(found: Collected) -> str:
    counts: Counter[int] = Counter()
    for crystal in found.crystals:
        counts.update(np.unique(crystal.numbers).tolist())
    usual = counts.most_common(5)
    rare = sorted(number for number, count in counts.items() if count < 5)
    text = f"{len(counts)}: most often {_listed(usual)}"
    if rare and len(rare) < len(counts):
        names = ", ".join(Element.from_Z(number).symbol for number in rare[:8])
        text += f"; in fewer than 5 crystals: {names}{' …' if len(rare) > 8 else ''}"
    return text


def _listed(counts: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{Element.from_Z(number).symbol} ({count:,})" for number, count in counts)


def _cells(table: pd.DataFrame) -> str:
    sizes = table["n_atoms"]
    systems = table["crystal_system"].value_counts()
    usual = ", ".join(f"{name} ({count:,})" for name, count in systems.head(3).items())
    return (
        f"{sizes.min()} to {sizes.max()} atoms, median {sizes.median():g}; "
        f"{table['formula'].nunique():,} formulas; {usual}"
    )


def _target(values: pd.Series[float], quantity: Quantity) -> str:
    quarters = ", ".join(f"{value:.4g}" for value in values.quantile([0.25, 0.5, 0.75]))
    zeros = int((values == 0).sum())
    return (
        f"{quantity.column}: {values.min():.4g} to {values.max():.4g} {quantity.unit}, "
        f"quartiles {quarters}, mean {values.mean():.4g}, standard deviation "
        f"{values.std(ddof=0):.4g}" + (f", {zeros:,} exact zeros" if zeros else "")
    )


def _scale(values: pd.Series[float], quantity: Quantity) -> list[str]:
    large = int((values.abs() > _LARGE_ENERGY).sum())
    if quantity.unit != "eV/atom" or not large:
        return []
    return [
        f"{'':<12}LOOK: {large:,} values beyond {_LARGE_ENERGY:g} eV/atom: another unit, or total "
        "energies?"
    ]


def _conflicts(duplicates: Duplicates, unit: str) -> list[str]:
    return [
        f"{'':<12}{low} and {high} are one structure; their targets differ by {size:.4g} {unit}"
        for low, high, size in duplicates.widest[:_SHOWN]
        if size > 0
    ]


def _rejected(found: Collected) -> list[str]:
    if not found.rejected:
        return []
    counts = Counter(row.reason for row in found.rejected)
    lines = [f"rejected    {', '.join(f'{why} ({n:,})' for why, n in counts.most_common())}"]
    lines += [
        f"{'':<12}{row.id}: {row.reason} ({row.detail}), {row.where}"
        for row in found.rejected[:_SHOWN]
    ]
    if len(found.rejected) > _SHOWN:
        lines.append(f"{'':<12}… and {len(found.rejected) - _SHOWN:,} more in {REJECTED}")
    return lines
