"""POSCAR files: pymatgen reads them, and what it would pass over or guess is refused first."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

from pymatgen.io.vasp.inputs import Poscar

from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import TOO_LARGE, UNREADABLE, CrystalError, one_line, parse_structure

_COUNTS_LINE = 5
_MAX_ELEMENT_LINES = 10  # VASP breaks lines of more than 20 groups
_FRAME = re.compile(r"direct configuration", re.IGNORECASE)
_HEAD = re.compile(r"lattice velocities|cartesian|direct", re.IGNORECASE)  # of velocities
_VELOCITY = re.compile(r"(?:[-+.\deEdD]+\s+){2}[-+.\deEdD]+", re.ASCII)
_FLAGS = {"T", "F", ".TRUE.", ".FALSE."}


def crystal_of_poscar(text: str, max_atoms: int) -> CrystalArrays:
    """The crystal of a POSCAR with one structure, whose elements it names.

    Raises:
        CrystalError: It is none, holds more than one structure, or has more than `max_atoms` atoms.
    """
    _check_lines(text.rstrip().splitlines(), max_atoms)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = Poscar.from_str(text, read_velocities=False).structure
        # A parser of free text meets errors of every kind.
        except Exception as error:
            raise CrystalError(UNREADABLE, f"no CIF, POSCAR or JSON ({one_line(error)})") from error
    if any("cannot be determined" in str(warning.message) for warning in caught):
        raise CrystalError(UNREADABLE, "the POSCAR names no elements")
    return parse_structure(found.as_dict())


def _check_lines(lines: Sequence[str], max_atoms: int) -> None:
    """Compare the lines with the counts of atoms; text without counts is left to pymatgen."""
    start = next(
        (
            at
            for at in range(_COUNTS_LINE, min(len(lines), _COUNTS_LINE + _MAX_ELEMENT_LINES + 1))
            if re.fullmatch(r"\s*\d+(\s+\d+)*\s*", lines[at], re.ASCII)
        ),
        None,
    )
    if start is None:
        return
    # As many lines of counts as of elements; a POSCAR of VASP 4 has no line of elements.
    stop = start + max(start - _COUNTS_LINE, 1)
    words = " ".join(lines[start:stop]).split()
    if any(not re.fullmatch(r"\d{1,9}", word, re.ASCII) for word in words):
        return
    n_atoms = sum(map(int, words))
    if n_atoms > max_atoms:
        raise CrystalError(TOO_LARGE, f"{n_atoms} atoms, more than {max_atoms}")
    named = " ".join(lines[_COUNTS_LINE:start]).split()
    if named and len(named) != len(words):
        raise CrystalError(UNREADABLE, f"{len(named)} elements and {len(words)} counts of atoms")
    selective = stop < len(lines) and lines[stop].strip()[:1] in ("s", "S")
    first = stop + 1 + selective
    if not named and not selective:
        _check_elements_of_lines(lines[first : first + n_atoms])
    _check_rest(lines[first + n_atoms :])


def _check_elements_of_lines(rows: Sequence[str]) -> None:
    """Without a line of elements each atom's line ends with its element, and with nothing else."""
    for row in rows:
        words = row.split()[3:]
        if any(word.upper() in _FLAGS for word in words[1:]):
            raise CrystalError(
                UNREADABLE, f"the POSCAR names no elements ({' '.join(words)[:40]!r} are flags)"
            )


def _check_rest(rest: Sequence[str]) -> None:
    """After the atoms nothing may follow but the velocities of a CONTCAR."""
    filled = [row.strip() for row in rest if row.strip()]
    if any(_FRAME.match(row) for row in filled):
        raise CrystalError(UNREADABLE, "several structures in one file")
    if not filled or _HEAD.match(filled[0]):
        return
    if rest[0].strip():
        raise CrystalError(
            UNREADABLE, f"more lines than atoms: {filled[0][:40]!r} follows the last"
        )
    if not _VELOCITY.fullmatch(filled[0]):
        raise CrystalError(UNREADABLE, "several structures in one file")
