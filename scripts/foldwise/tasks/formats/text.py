"""One structure as text or as ASE atoms: CIF, POSCAR, JSON, `Atoms`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import opened, parse_json
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import (
    DISORDERED,
    TOO_LARGE,
    UNREADABLE,
    CrystalError,
    parse_structure,
)
from foldwise.tasks.formats.cif.crystal import crystal_of_cif
from foldwise.tasks.formats.poscar import crystal_of_poscar

if TYPE_CHECKING:
    from ase import Atoms

NO_UTF8 = "encoding is not UTF-8"
MAX_ATOMS = 1000  # a cell of more takes more memory in training than a batch of usual crystals
MAX_BYTES = 50_000_000  # of one structure's text; longer is no crystal of this project
_CIF = re.compile(r"^\s*data_|_cell[._]length_a", re.IGNORECASE | re.MULTILINE)


def crystal_of_file(path: str, max_atoms: int) -> CrystalArrays:
    """Crystal of a CIF or POSCAR file, gzipped or not.

    Raises:
        CrystalError: The file cannot be read, or its structure cannot be used.
    """
    try:
        with opened(path, packed=path.endswith(".gz")) as file:
            content = file.read(MAX_BYTES + 1)
    except FoldwiseError as error:
        raise CrystalError(UNREADABLE, error.what) from error
    if len(content) > MAX_BYTES:
        raise CrystalError(TOO_LARGE, f"a file of more than {MAX_BYTES // 1_000_000} MB")
    return crystal_of_text(decoded(content), max_atoms)


def decoded(content: bytes) -> str:
    """UTF-8 text, with or without a byte order mark.

    Raises:
        CrystalError: It is in another encoding; the first wrong byte and its line are named.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CrystalError(NO_UTF8, f"byte 0x{content[error.start]:02x} in line {line}") from error


def crystal_of_text(text: str, max_atoms: int) -> CrystalArrays:
    """Crystal of a CIF, a POSCAR, or a pymatgen dict as JSON: whichever the text is.

    Raises:
        CrystalError: It is none of them, or the structure cannot be used.
    """
    if not text.strip():
        raise CrystalError(UNREADABLE, "nothing")
    if text.lstrip().startswith("{"):
        return _of_json(text)
    if _CIF.search(text):
        return crystal_of_cif(text, max_atoms)
    return crystal_of_poscar(text, max_atoms)


def crystal_of_cell(value: object, max_atoms: int) -> CrystalArrays:
    """Crystal of a table's cell: text of any kind, or a pymatgen dict.

    Raises:
        CrystalError: The cell holds no structure, or one that cannot be used.
    """
    return crystal_of_text(value, max_atoms) if isinstance(value, str) else parse_structure(value)


def crystal_of_atoms(atoms: Atoms, _: int) -> CrystalArrays:
    """Crystal of ASE atoms.

    Raises:
        CrystalError: There is no cell, a direction is not periodic, or a site is disordered.
    """
    occupancy = atoms.info.get("occupancy")
    if isinstance(occupancy, Mapping):
        for site, species in occupancy.items():
            if not isinstance(species, Mapping):
                continue
            if len(species) > 1 or any(share != 1 for share in species.values()):
                names = ", ".join(f"{name} {share:g}" for name, share in species.items())
                raise CrystalError(DISORDERED, f"site {site}: {names}")
    matrix = atoms.cell.array
    return parse_structure(
        {
            "lattice": {"matrix": matrix, "pbc": atoms.pbc.tolist()} if matrix.any() else None,
            "sites": [
                {"species": [{"element": symbol, "occu": 1}], "xyz": place}
                for symbol, place in zip(atoms.symbols, atoms.positions, strict=True)
            ],
        }
    )


def same_crystal(crystal: CrystalArrays, _: int) -> CrystalArrays:
    """A crystal that was read already."""
    return crystal


def _of_json(text: str) -> CrystalArrays:
    try:
        value = parse_json(text, "structure")
    except FoldwiseError as error:
        raise CrystalError(UNREADABLE, error.what) from error
    return parse_structure(value)
