"""The cards of the embedded dataset: one for programs, one for readers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from foldwise.common.files import read_json, write_text
from foldwise.crystals.descriptors import ANION_FAMILIES
from maintenance.embedded.selection import CSV_MEMBER, CSV_SHA256, Candidate
from maintenance.embedded.subset import target_statistics

_COMMANDS = (
    "pip download --no-deps --no-binary :all: matminer==0.4.2",
    "python scripts/maintenance/make_embedded_dataset.py --sdist matminer-0.4.2.tar.gz "
    "--out data/demo.json.gz",
)
_CITATIONS = (
    "F. Faber, A. Lindmaa, O. A. von Lilienfeld, R. Armiento, Int. J. Quantum Chem. 115, "
    "1094 (2015), doi:10.1002/qua.24917",
    "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323 (Materials Project)",
)
_NOTES = (
    "Small cells of a 2015 study, for a quick run on real data: too few and too small for a claim "
    "about a method. Pretrained CHGNet has presumably seen most of these materials (MPtrj)."
)
_TASKS = {
    "demo_e_form": ("e_form", "formation energy per atom"),
    "demo_e_hull": ("e_hull", "energy above the convex hull, per atom"),
}
UNIT = "eV/atom"
_DEMO_CARD = "demo.card.json"


def make_card(
    chosen: Sequence[Candidate],
    usable: Sequence[Candidate],
    excluded: Mapping[str, int],
    file_name: str,
    sha256: str,
) -> dict[str, Any]:
    """The machine-readable card.

    Args:
        chosen: Crystals of the file.
        usable: Crystals they were chosen from.
        excluded: Count of source rows left out, by reason.
        file_name: Name of the dataset file.
        sha256: Its checksum.
    """
    sizes = np.array([len(c.crystal.numbers) for c in chosen])
    elements = np.unique(np.concatenate([c.crystal.numbers for c in chosen]))
    values = {"e_form": [c.e_form for c in chosen], "e_hull": [c.e_hull for c in chosen]}
    return {
        "file": file_name,
        "sha256": sha256,
        "description": f"{len(chosen)} small crystals of flla_2015.csv (matminer 0.4.2)",
        "source": {"member": CSV_MEMBER, "sha256": CSV_SHA256},
        "commands": list(_COMMANDS),
        "licence": "CC BY 4.0",
        "citations": list(_CITATIONS),
        "notes": _NOTES,
        "n_source": len(usable) + sum(excluded.values()),
        "n_excluded": dict(sorted(excluded.items())),
        "n_crystals": len(chosen),
        "n_elements": len(elements),
        "atoms": {
            "min": int(sizes.min()),
            "mean": round(float(sizes.mean()), 2),
            "max": int(sizes.max()),
            "total": int(sizes.sum()),
        },
        "tasks": {
            task: {
                "column": column,
                "target_name": name,
                "unit": UNIT,
                "intensive": True,
                **target_statistics(values[column]),
            }
            for task, (column, name) in _TASKS.items()
        },
        "strata": _strata(chosen, usable),
    }


def write_readme(folder: Path) -> None:
    """Write `README.md` beside the cards: the same facts in words.

    Raises:
        FoldwiseError: The card of the demo dataset is missing.
    """
    subsets = [
        read_json(path) for path in sorted(folder.glob("*.card.json")) if path.name != _DEMO_CARD
    ]
    text = render_readme(read_json(folder / _DEMO_CARD), subsets)
    write_text(folder / "README.md", text)


def render_readme(card: Mapping[str, Any], subsets: Sequence[Mapping[str, Any]] = ()) -> str:
    """The text of `data/README.md`.

    Args:
        card: Card of the demo dataset.
        subsets: Cards of the subsets of official tasks.
    """
    reasons = ", ".join(f"{count} {reason}" for reason, count in card["n_excluded"].items())
    strata = "\n".join(
        f"| {family} | {row['source']} | {row['chosen']} |"
        for family, row in card["strata"].items()
    )
    tasks = "\n".join(
        f"| `{task}` | `{row['column']}` | {row['target_name']} | {row['unit']} | "
        f"{row['min']:.3f} | {row['max']:.3f} | {row['mean']:.3f} | {row['std']:.3f} |"
        for task, row in card["tasks"].items()
    )
    atoms = card["atoms"]
    return f"""# Embedded data

Nothing here needs a download. The default study takes `demo.json.gz` (`source: embedded`); the
studies of official Matbench tasks take the subsets at the end of this page (`source: embedded` and
`name`).

# The demo dataset

`{card["file"]}` holds {card["n_crystals"]} crystals of {card["n_elements"]} elements with energies
from density functional theory. With it the default study needs no download and takes minutes on
two CPU cores. {_NOTES}

**Source.** `{CSV_MEMBER}` in the source distribution of matminer 0.4.2:
{card["n_source"]:,} structures of the Materials Project, chosen by Faber et al.

**Licence.** {card["licence"]} (Materials Project).

**Cite.** {card["citations"][0]}; {card["citations"][1]}.

**Format.** That of the Matbench files: gzip-compressed JSON in pandas' `split` orient. The index
holds Materials Project ids, the column `structure` pymatgen dicts with lattice vectors (Å, rows)
and fractional coordinates, rounded to 8 decimals.

| task | column | target | unit | min | max | mean | std |
|---|---|---|---|---|---|---|---|
{tasks}

Both targets are intensive. Cells have {atoms["min"]} to {atoms["max"]} atoms, {atoms["mean"]} on
average, {atoms["total"]:,} together.

**How it was made.**

```
{_COMMANDS[0]}
{_COMMANDS[1]}
```

The program checks that `formation_energy` equals `formation_energy_per_atom` times `nsites` in
every row and that energies are in a sane range. Rows left out: {reasons or "none"} (an isolated
atom has no neighbour within 6 Å). Every anion family (that of the most electronegative anion
former) gets its share of the places by largest remainders; inside a family the cells with the
fewest atoms come first, ties by the number of the id. The same input gives the same bytes.

| anion family | usable in the source | chosen |
|---|---|---|
{strata}

**Checksum** (sha256, checked by the workflow; also in `demo.card.json`):
`{card["sha256"]}`
{"".join(_subset_section(subset) for subset in subsets)}"""


def _subset_section(card: Mapping[str, Any]) -> str:
    ((task, facts),) = card["tasks"].items()
    atoms = card["atoms"]
    citations = "; ".join(card["citations"])
    return f"""
# {task}

`{card["file"]}` holds {card["description"]}, {card["n_elements"]} elements. {card["notes"]}

**Target.** `{facts["column"]}`, {facts["target_name"]}, {facts["unit"]}, intensive:
{facts["min"]:.3f} to {facts["max"]:.3f}, mean {facts["mean"]:.3f}, standard
deviation {facts["std"]:.3f}. Cells have {atoms["min"]} to {atoms["max"]} atoms, {atoms["mean"]} on
average, {atoms["total"]:,} together.

**Licence.** {card["licence"]}.

**Cite.** {citations}.

**What can be checked.** The file is kept byte for byte. Every structure is one of
`{card["source"]["member"]}` with lattice (Å) and coordinates rounded to
6 decimals, and every target is the official one of its id:

```
{card["commands"][0]}
{card["commands"][1]}
```

**Checksum** (sha256, checked by the workflow; also in `{task}.card.json`):
`{card["sha256"]}`
"""


def _strata(chosen: Sequence[Candidate], usable: Sequence[Candidate]) -> dict[str, Any]:
    source = Counter(c.family for c in usable)
    taken = Counter(c.family for c in chosen)
    return {
        family: {"source": source[family], "chosen": taken[family]}
        for family in ANION_FAMILIES
        if source[family]
    }
