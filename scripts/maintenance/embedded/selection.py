"""Selection of the embedded dataset from `flla_2015.csv` of the matminer 0.4.2 source distribution.

The source: 3,938 structures of the Materials Project with DFT formation energy and energy above
hull, chosen by Faber et al. (2015) for a study of crystal structure representations.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pymatgen.core.periodic_table import Element

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path
from foldwise.crystals.descriptors import ANION_FAMILIES, anion_family
from foldwise.crystals.neighbors import CrystalArrays, GraphError, build_graph
from foldwise.crystals.parsing import CrystalError, check_crystal, parse_structure

CSV_MEMBER = "matminer-0.4.2/matminer/datasets/flla_2015.csv"
CSV_SHA256 = "35b8dbc0b92f4dc7e219fd6606c3a27bee18a9618f376cfee1ff731e306210bb"
N_CRYSTALS = 500
_DECIMALS = 8
_ENERGY_TOLERANCE = 1e-6  # eV
_E_FORM_RANGE = (-5.0, 3.0)  # eV/atom
_E_HULL_RANGE = (0.0, 5.0)  # eV/atom


@dataclass(frozen=True)
class Candidate:
    """One row of the source that could be selected.

    Attributes:
        id: Materials Project id, "mp-…".
        crystal: Its structure.
        family: Anion family, the stratum.
        e_form: Formation energy in eV/atom.
        e_hull: Energy above the convex hull in eV/atom.
    """

    id: str
    crystal: CrystalArrays
    family: str
    e_form: float
    e_hull: float

    @property
    def order(self) -> tuple[int, int]:
        """Small cells first, then the number of the Materials Project id."""
        return len(self.crystal.numbers), int(self.id.removeprefix("mp-"))


def read_source(sdist: str | os.PathLike[str]) -> pd.DataFrame:
    """The table `flla_2015.csv` inside the source distribution, energies checked.

    Raises:
        FoldwiseError: The archive is missing or damaged, the csv is another one, or its energies
            contradict each other or leave the sane range.
    """
    where = str(sdist)
    try:
        with tarfile.open(sdist) as archive:
            member = archive.extractfile(CSV_MEMBER)
            content = b"" if member is None else member.read()
    except (OSError, EOFError, KeyError, tarfile.TarError) as error:
        raise FoldwiseError(
            f"flla_2015.csv cannot be read from the archive ({error})",
            where=where,
            hint="pip download --no-deps --no-binary :all: matminer==0.4.2",
        ) from error
    if hashlib.sha256(content).hexdigest() != CSV_SHA256:
        raise FoldwiseError(
            "flla_2015.csv has another checksum than that of matminer 0.4.2",
            where=where,
            hint="pip download --no-deps --no-binary :all: matminer==0.4.2",
        )
    table = pd.read_csv(io.BytesIO(content), comment="#")
    _check_energies(table, where)
    return table


def candidates(table: pd.DataFrame) -> tuple[list[Candidate], dict[str, int]]:
    """Usable rows of the source, and how many were left out for which reason.

    Left out: what `parse_structure` or `check_crystal` refuses, and crystals with an isolated atom.
    """
    usable: list[Candidate] = []
    excluded: dict[str, int] = {}
    columns = ["material_id", "structure", "formation_energy_per_atom", "e_above_hull"]
    for name, text, e_form, e_hull in table[columns].itertuples(index=False, name=None):
        try:
            crystal = parse_structure(ast.literal_eval(text))
            check_crystal(crystal)
            build_graph(crystal)
        except CrystalError as error:
            excluded[error.failure.reason] = excluded.get(error.failure.reason, 0) + 1
        except GraphError:
            excluded["isolated atom"] = excluded.get("isolated atom", 0) + 1
        else:
            family = anion_family(crystal.numbers)
            usable.append(Candidate(name, crystal, family, float(e_form), float(e_hull)))
    return usable, excluded


def select(usable: Sequence[Candidate], count: int = N_CRYSTALS) -> list[Candidate]:
    """The `count` crystals of the embedded dataset, in the order of their ids.

    Every anion family gets its share of `count` by largest remainders; inside a family the
    smallest cells win, ties by the number of the id.
    """
    strata = {
        family: sorted((c for c in usable if c.family == family), key=lambda c: c.order)
        for family in ANION_FAMILIES
    }
    shares = _shares({family: len(members) for family, members in strata.items()}, count)
    chosen = [c for family, members in strata.items() for c in members[: shares[family]]]
    return sorted(chosen, key=lambda c: c.order[1])


def encode(chosen: Sequence[Candidate]) -> bytes:
    """Matbench format: gzip of JSON in `split` orient; the same crystals give the same bytes."""
    table = {
        "index": [c.id for c in chosen],
        "columns": ["structure", "e_form", "e_hull"],
        "data": [
            [_slim_dict(c.crystal), round(c.e_form, _DECIMALS), round(c.e_hull, _DECIMALS)]
            for c in chosen
        ],
    }
    text = json.dumps(table, separators=(",", ":"), allow_nan=False)
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a binary file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _check_energies(table: pd.DataFrame, where: str) -> None:
    contradiction = table.formation_energy - table.formation_energy_per_atom * table.nsites
    wrong = (
        (contradiction.abs() > _ENERGY_TOLERANCE)
        | ~table.formation_energy_per_atom.between(*_E_FORM_RANGE)
        | ~table.e_above_hull.between(*_E_HULL_RANGE)
    )
    if wrong.any():
        raise FoldwiseError(
            f"energies of {int(wrong.sum())} rows contradict each other or are out of range",
            where=where,
            hint="Use flla_2015.csv of matminer 0.4.2 unchanged.",
        )


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Split `count` in proportion to `sizes` by largest remainders."""
    total = sum(sizes.values())
    shares = {name: count * size // total for name, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda name: (-(count * sizes[name] % total), name))
    for name in by_remainder[: count - sum(shares.values())]:
        shares[name] += 1
    return shares


def _slim_dict(crystal: CrystalArrays) -> dict[str, Any]:
    """The least that `pymatgen.core.Structure.from_dict` reads."""
    return {
        "@module": "pymatgen.core.structure",
        "@class": "Structure",
        "lattice": {"matrix": crystal.lattice.round(_DECIMALS).tolist()},
        "sites": [
            {
                "species": [{"element": Element.from_Z(int(number)).symbol, "occu": 1}],
                "abc": position,
            }
            for number, position in zip(
                crystal.numbers, crystal.frac.round(_DECIMALS).tolist(), strict=True
            )
        ],
    }
