"""The symmetry operations of a CIF: those that it lists, or those of the group that it names.

Groups are looked up in spglib's table of 530 Hall symbols (all settings of the International
Tables). What the file says must agree: the operations with the cell and with the group's number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import spglib
from numpy.typing import NDArray

from foldwise.crystals.parsing import UNREADABLE, CrystalError
from foldwise.tasks.formats.cif.syntax import MISSING, Block

_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC = "_space_group_symop_magn_operation_xyz"
_MAGNETIC_CENTRING = "_space_group_symop_magn_centering_xyz"
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NAME = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_symmetry_space_group_name_h_m",
    "_space_group_name_h_m_alt",
)
_SETTING = "_space_group_it_coordinate_system_code"
_N_HALL = 530
_MAX_OPERATIONS = 192 * 4  # of a group with centring; four times that for cells that are multiples
_STANDARD = ("", "b", "b1", "1", "2", "H", "R")
# How databases mark a setting behind the symbol: origin 1 or 2, hexagonal or rhombohedral axes.
_SUFFIX = re.compile(
    r"(?:(?:\s*:\s*|\s+)(?P<code>[12]|-?[abc][123]?|[12]?[abc-]{3,4})"
    r"|[\s:]*(?P<letters>[HRSZ]|[HR][SZ]))\s*$"
)
_CODES = {"S": "1", "Z": "2", "HS": "H", "HZ": "H", "RS": "R", "RZ": "R"}
_TERM = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)?(?:/(\d+))?\*?([xyz])?", re.ASCII)
_METRIC_TOLERANCE = 0.01  # of a length squared
_CLOSURE_TOLERANCE = 0.02  # of a cell edge: translations such as 0.33


class Operations(NamedTuple):
    """Symmetry operations on fractional coordinates.

    Attributes:
        rotations: Float, shape [n, 3, 3].
        translations: Float, shape [n, 3].
        setting: spglib's Hall number, or 0 if the file lists the operations itself.
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    setting: int


class Symmetry(NamedTuple):
    """What a CIF says about symmetry.

    Attributes:
        choices: Operations that fit; several if the file does not say which setting it uses.
        number: Number of the space group that the file names; None if it names none.
        number_made: Number of the group of the operations, if there is one choice.
    """

    choices: list[Operations]
    number: int | None
    number_made: int | None


def read_symmetry(block: Block, lattice: NDArray[np.float64]) -> Symmetry:
    """Operations of a block, all of which leave its cell as it is.

    Args:
        block: Tags and values.
        lattice: Lattice vectors as rows in Å, shape [3, 3].

    Raises:
        CrystalError: The operations or the group cannot be read, do not agree with each other, or
            do not fit the cell.
    """
    named = _named_settings(block)
    number = _stated_number(block, named)
    listed = _listed_operations(block)
    if listed is not None:
        if not fits_cell(listed, lattice):
            raise CrystalError(UNREADABLE, "the symmetry operations do not fit the cell")
        return Symmetry([listed], number, _number_of(listed))
    if named is None and number is None:
        return Symmetry([_operations(1)], None, 1)
    settings = named if named is not None else _standard_settings(number)
    choices = [found for found in map(_operations, settings) if fits_cell(found, lattice)]
    if not choices:
        raise CrystalError(
            UNREADABLE, f"space group {_shown(block)} does not fit the cell, in any setting"
        )
    return Symmetry(_usual_axis(choices), number or _type(choices[0].setting).number, None)


def fits_cell(operations: Operations, lattice: NDArray[np.float64]) -> bool:
    """Whether the operations leave lengths and angles of the cell as they are."""
    metric = lattice @ lattice.T
    moved = operations.rotations.transpose(0, 2, 1) @ metric @ operations.rotations
    lengths = np.sqrt(np.diag(metric))
    return bool((np.abs(moved - metric) <= _METRIC_TOLERANCE * np.outer(lengths, lengths)).all())


def _usual_axis(choices: list[Operations]) -> list[Operations]:
    """Of monoclinic settings that a cell of right angles leaves open, the one of unique axis b."""
    usual = [found for found in choices if _type(found.setting).choice in ("b", "b1", "b2", "b3")]
    return usual or choices


def _value(block: Block, names: tuple[str, ...]) -> str | None:
    for name in names:
        value = (block.get(name) or ["?"])[0].strip()
        if value not in MISSING:
            return value
    return None


def _shown(block: Block) -> str:
    return str(_value(block, (*_NAME, *_HALL, *_NUMBER)))


def _listed_operations(block: Block) -> Operations | None:
    """The operations that the block lists; None if there are none."""
    if any(tag.startswith(("_space_group_ssg", "_cell_modulation", "_cell_wave")) for tag in block):
        raise CrystalError(UNREADABLE, "a modulated structure")
    magnetic = block.get(_MAGNETIC)
    texts = next((block[tag] for tag in _OPERATIONS if block.get(tag)), magnetic or [])
    texts = [text for text in texts if text.strip() not in MISSING]
    if len(texts) > _MAX_OPERATIONS:
        raise CrystalError(UNREADABLE, f"{len(texts)} symmetry operations")
    if not texts:
        if any(tag.startswith("_space_group_magn") for tag in block):
            raise CrystalError(UNREADABLE, "a magnetic space group without its operations")
        return None
    parsed = [_operation(text) for text in texts]
    rotations = np.array([rotation for rotation, _ in parsed])
    translations = np.array([translation for _, translation in parsed])
    if magnetic and block.get(_MAGNETIC_CENTRING):
        shifts = np.array([_operation(text)[1] for text in block[_MAGNETIC_CENTRING]])
        rotations = np.tile(rotations, (len(shifts), 1, 1))
        translations = (shifts[:, None] + translations).reshape(-1, 3)
    found = Operations(rotations, translations, 0)
    _check_group(found)
    return found


def _operation(text: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation [3, 3] and translation [3] of a text such as "-x+1/2, y, z"."""
    parts = "".join(text.lower().split()).split(",")
    if len(parts) == 4 and re.fullmatch(r"[+-]?1", parts[3], re.ASCII):
        parts = parts[:3]  # the fourth is time reversal
    if len(parts) != 3:
        raise CrystalError(UNREADABLE, f"symmetry operation {text[:40]!r}")
    rotation, translation = np.zeros((3, 3)), np.zeros(3)
    for row, part in enumerate(parts):
        at = 0
        while at < len(part) or not at:
            found = _TERM.match(part, at)
            sign, value, divisor, axis = found.groups() if found else ("", None, None, None)
            if not (value or axis) or (at and not sign) or (divisor and not value):
                raise CrystalError(UNREADABLE, f"symmetry operation {text[:40]!r}")
            if divisor and not int(divisor):
                raise CrystalError(UNREADABLE, f"symmetry operation {text[:40]!r}")
            size = float(f"{sign}1") * float(value or 1) / int(divisor or 1)
            if axis:
                rotation[row, "xyz".index(axis)] += size
            else:
                translation[row] += size
            assert found is not None
            at = found.end()
    whole = (rotation == np.round(rotation)).all() and np.abs(rotation).max() <= 9
    if not whole or abs(round(np.linalg.det(rotation))) != 1 or np.abs(translation).max() > 99:
        raise CrystalError(UNREADABLE, f"symmetry operation {text[:40]!r}")
    return rotation, translation


def _check_group(found: Operations) -> None:
    """Refuse operations whose products are not all among them: then others are missing."""
    wrapped = np.round(found.translations % 1, 2) % 1
    _, first = np.unique(
        np.hstack([_codes(found.rotations)[:, None], wrapped]), axis=0, return_index=True
    )
    rotations, translations = found.rotations[first], found.translations[first]
    codes = _codes(rotations)
    kinds, counts = np.unique(codes, return_counts=True)
    order = np.argsort(codes, kind="stable")
    # Each rotation of a group comes with the same number of translations.
    known = translations[order].reshape(len(kinds), -1, 3) if len(set(counts)) == 1 else None
    for rotation, translation in zip(rotations, translations, strict=True):
        products = _codes(rotation @ rotations)
        at = np.minimum(np.searchsorted(kinds, products), len(kinds) - 1)
        if known is None or (kinds[at] != products).any():
            break
        away = known[at] - (translations @ rotation.T + translation)[:, None]
        near = np.abs(away - np.round(away)).max(axis=2) < _CLOSURE_TOLERANCE
        if not near.any(axis=1).all():
            break
    else:
        return
    raise CrystalError(UNREADABLE, "the symmetry operations are no group: some are missing")


def _codes(rotations: NDArray[np.float64]) -> NDArray[np.float64]:
    """One number for each integer matrix."""
    found: NDArray[np.float64] = rotations.reshape(-1, 9) @ (32.0 ** np.arange(9))
    return found


def _number_of(found: Operations) -> int | None:
    """Number of the group of some operations; None if spglib does not recognise it."""
    exact = np.round(found.translations * 24) / 24
    near = np.abs(exact - found.translations).max() < _CLOSURE_TOLERANCE
    try:
        kind = spglib.get_spacegroup_type_from_symmetry(
            found.rotations.astype(np.int32), exact if near else found.translations
        )
    except Exception:  # noqa: BLE001 - spglib's errors differ by version
        return None
    return None if kind is None else int(kind.number)


def _stated_number(block: Block, named: list[int] | None) -> int | None:
    text = _value(block, _NUMBER)
    numbers = {_type(setting).number for setting in named or ()}
    if text is None:
        return numbers.pop() if len(numbers) == 1 else None
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= 230:
        raise CrystalError(UNREADABLE, f"space group number {text[:20]!r}")
    if numbers and int(text) not in numbers:
        raise CrystalError(
            UNREADABLE, f"the file names space group {_shown(block)} and the number {text}"
        )
    return int(text)


def _named_settings(block: Block) -> list[int] | None:
    """Hall numbers that the block's symbol and setting may mean; None if it names no group.

    Raises:
        CrystalError: The symbol is not known, and no operations are listed either.
    """
    hall = _value(block, _HALL)
    if hall is not None and _key(hall) in _hall_symbols():
        return [_hall_symbols()[_key(hall)]]
    name = _value(block, _NAME)
    if name is None and hall is None:
        return None
    found = _settings_of(name or "", _value(block, (_SETTING,)))
    if not found and not any(block.get(tag) for tag in (*_OPERATIONS, _MAGNETIC)):
        raise CrystalError(
            UNREADABLE,
            f"no symmetry operations are listed, and space group {(name or hall or '')[:40]!r} is "
            "not known",
        )
    return found or None


def _settings_of(name: str, code: str | None) -> list[int]:
    direct = _names().get(_key(name), [])
    suffix = None if direct else _SUFFIX.search(name)
    if suffix is not None:
        code = suffix["code"] or suffix["letters"]
        direct = _names().get(_key(name[: suffix.start()]), [])
    if code is None or not direct:
        return direct
    choice = _CODES.get(code, code)
    # A group of one setting may be called :1 all the same.
    return [
        setting
        for setting in direct
        if _type(setting).choice == choice or (choice == "1" and not _type(setting).choice)
    ]


def _standard_settings(number: int | None) -> list[int]:
    return [
        setting
        for setting in range(1, _N_HALL + 1)
        if _type(setting).number == number and _type(setting).choice in _STANDARD
    ]


@cache
def _operations(setting: int) -> Operations:
    found: Any = spglib.get_symmetry_from_database(setting)
    return Operations(
        found["rotations"].astype(np.float64), found["translations"].astype(np.float64), setting
    )


class _Type(NamedTuple):
    number: int
    choice: str
    names: tuple[str, ...]
    hall: str


@cache
def _type(setting: int) -> _Type:
    if not setting:
        return _Type(0, "", (), "")
    found: Any = spglib.get_spacegroup_type(setting)
    full = found.international_full
    names = [full]
    if 3 <= found.number <= 15:  # a short symbol of them fits several axes: P 1 21/c 1 is P 21/c
        names.append(" ".join(part for part in full.split() if part != "1"))
    else:
        names += found.international.split("=")
    return _Type(int(found.number), found.choice, tuple(names), found.hall_symbol)


def _key(symbol: str) -> str:
    return re.sub(r"[\s_()]", "", symbol).lower()


@cache
def _hall_symbols() -> dict[str, int]:
    return {_key(_type(setting).hall): setting for setting in range(_N_HALL, 0, -1)}


@cache
def _names() -> dict[str, list[int]]:
    """Hall numbers of each symbol, older symbols too: Cmca for Cmce, Fm3m for Fm-3m."""
    known: dict[str, list[int]] = defaultdict(list)
    for setting in range(1, _N_HALL + 1):
        for name in dict.fromkeys(map(_key, _type(setting).names)):
            known[name].append(setting)
    older: dict[str, list[int]] = defaultdict(list)
    for name, settings in known.items():
        variants = {name.replace("-3", "3")} | {name.replace("e", glide) for glide in "abc"}
        for variant in variants - known.keys():
            older[variant] += settings
    return {**older, **known}
