"""One structure as text or as ASE atoms: CIF, POSCAR, JSON, `Atoms`.

pymatgen and ASE read the formats. What they repair in silence and what would then be another
crystal is refused: elements that they had to guess, symmetry that they could not read, atoms that
the file's own formula names and its sites do not hold.
"""

from __future__ import annotations

import gzip
import json
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core.composition import Composition
from pymatgen.core.structure import Structure
from pymatgen.io.cif import CifParser
from pymatgen.io.vasp.inputs import Poscar

from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import (
    DISORDERED,
    UNREADABLE,
    CrystalError,
    parse_structure,
)

if TYPE_CHECKING:
    from ase import Atoms

TOO_LARGE = "cell too large"
MISSING_ATOMS = "atoms missing"
NO_UTF8 = "encoding is not UTF-8"
MAX_ATOMS = 1000  # a cell of more takes more memory in training than a batch of usual crystals
MAX_BYTES = 50_000_000  # of one structure's text; longer is no crystal of this project
_FORMULA = "_chemical_formula_sum"
_COORDINATE = "_atom_site_fract_x"
_GROUPS = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_FORMULA_TOLERANCE = 0.02  # of an element's share; formulas are rounded in print


def crystal_of_file(path: str, max_atoms: int) -> CrystalArrays:
    """Crystal of a CIF or POSCAR file, gzipped or not.

    Raises:
        CrystalError: The file cannot be read, or its structure cannot be used.
    """
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise CrystalError(TOO_LARGE, f"a file of more than {MAX_BYTES // 1_000_000} MB")
        content = Path(path).read_bytes()
        if path.endswith(".gz"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise CrystalError(UNREADABLE, _one_line(error)) from error
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
    if "_cell_length_a" in text or any(line.startswith("data_") for line in text.splitlines()):
        return _of_cif(text, max_atoms)
    return _of_poscar(text)


def crystal_of_cell(value: object, max_atoms: int) -> CrystalArrays:
    """Crystal of a table's cell: text of any kind, or a pymatgen dict.

    Raises:
        CrystalError: The cell holds no structure, or one that cannot be used.
    """
    return crystal_of_text(value, max_atoms) if isinstance(value, str) else _of_dict(value)


def crystal_of_atoms(atoms: Atoms, _: int) -> CrystalArrays:
    """Crystal of ASE atoms.

    Raises:
        CrystalError: There is no cell, a direction is not periodic, or a site is disordered.
    """
    occupancy = atoms.info.get("occupancy")
    if isinstance(occupancy, Mapping):
        for site, species in occupancy.items():
            if len(species) > 1 or any(share != 1 for share in species.values()):
                names = ", ".join(f"{name} {share:g}" for name, share in species.items())
                raise CrystalError(DISORDERED, f"site {site}: {names}")
    matrix = atoms.cell.array
    return _of_dict(
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


def _of_dict(value: object) -> CrystalArrays:
    return parse_structure(value)


def _of_json(text: str) -> CrystalArrays:
    try:
        return _of_dict(json.loads(text))
    except json.JSONDecodeError as error:
        raise CrystalError(UNREADABLE, f"no valid JSON ({error})") from error


def _of_cif(text: str, max_atoms: int) -> CrystalArrays:
    if "_cell_length_a" not in text:
        raise CrystalError(UNREADABLE, "no lattice: _cell_length_a is missing")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen repeats them in `warnings` of the parser
        try:
            parser = CifParser.from_str(text, check_cif=False)
            _check_size(parser, max_atoms)
            found = parser.parse_structures(primitive=False, on_error="raise")
            _check_symmetry(parser)
            _check_formula(parser, found[0])
        except CrystalError:
            raise
        # A parser of free text meets errors of every kind.
        except Exception as error:
            reason = DISORDERED if "ccupanc" in str(error) else UNREADABLE
            raise CrystalError(reason, _one_line(error)) from error
    if len(found) > 1:
        raise CrystalError(UNREADABLE, f"{len(found)} structures in one CIF")
    return _of_dict(found[0].as_dict())


def _check_size(parser: CifParser, max_atoms: int) -> None:
    """Pymatgen compares every site with every other: 10,000 would take minutes."""
    for block in parser.as_dict().values():
        sites = block.get(_COORDINATE, ())
        if isinstance(sites, list) and len(sites) > max_atoms:
            raise CrystalError(TOO_LARGE, f"{len(sites)} sites, more than {max_atoms}")


def _check_symmetry(parser: CifParser) -> None:
    told: list[str] = vars(parser)["warnings"]
    if not any("Defaulting to P1" in line for line in told):
        return
    for block in parser.as_dict().values():
        group = next((block[key] for key in _GROUPS if key in block), "1")
        if str(group).strip() not in ("1", "?", "."):
            raise CrystalError(UNREADABLE, f"no symmetry operations for space group {group}")


def _check_formula(parser: CifParser, structure: Structure) -> None:
    """Sites that make another composition than the file states lack atoms, mostly hydrogen."""
    for block in parser.as_dict().values():
        try:
            stated = Composition(str(block[_FORMULA]))
        except (KeyError, ValueError):
            return
        own = structure.composition.element_composition
        if any(
            abs(stated.get_atomic_fraction(e) - own.get_atomic_fraction(e)) > _FORMULA_TOLERANCE
            for e in {*stated, *own}
        ):
            raise CrystalError(
                MISSING_ATOMS,
                f"the file states {stated.reduced_formula}, its sites make {own.reduced_formula}",
            )


def _of_poscar(text: str) -> CrystalArrays:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = Poscar.from_str(text, read_velocities=False).structure
        except Exception as error:
            raise CrystalError(
                UNREADABLE, f"no CIF, POSCAR or JSON ({_one_line(error)})"
            ) from error
    if any("cannot be determined" in str(warning.message) for warning in caught):
        raise CrystalError(UNREADABLE, "the POSCAR names no elements")
    return _of_dict(found.as_dict())


def _one_line(error: Any) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:200]}…"
