"""A CIF is read as it is written, or refused; nothing in it is guessed, dropped or repaired."""

import gzip
import json
import warnings
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Element, Structure
from pymatgen.io.cif import CifParser, CifWriter
from pymatgen.symmetry.groups import SpaceGroup

from foldwise.crystals.parsing import CrystalError, Failure, parse_structure
from foldwise.tasks.formats.text import crystal_of_text
from paths import REPOSITORY

SALT = "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5"
CESIUM = "Cs1 Cs 0 0 0\nCl1 Cl 0.5 0.5 0.5"
IDENTITY = "loop_\n_symmetry_equiv_pos_as_xyz\n'x, y, z'"
ZIRCONIA = """\
_chemical_formula_sum 'O2 Zr'
_cell_formula_units_Z 4
_symmetry_space_group_name_H-M '{name}'
"""
ZIRCONIA_SITES = "Zr1 Zr .2754 .0395 .2083\nO1 O .07 .3317 .3447\nO2 O .4496 .7569 .4792"


def cif(sites, cell=(4.12, 4.12, 4.12, 90, 90, 90), head=IDENTITY, columns="", block="data_a"):
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True)]
    tags = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", *columns.split()]
    loop = ["loop_", *(f"_atom_site_{tag}" for tag in tags)]
    return "\n".join([block, *lines, head, *loop, sites, ""])


def labelled(sites):
    """As `cif`, without type symbols."""
    return cif(sites, (5, 5, 7, 90, 90, 90)).replace("_atom_site_type_symbol\n", "")


def read(text):
    """Atoms of each element, or why not."""
    try:
        crystal = crystal_of_text(text, 1000)
    except CrystalError as error:
        return error.failure
    return {
        Element.from_Z(number).symbol: n for number, n in Counter(crystal.numbers.tolist()).items()
    }


ROCK_SALT = {"Na": 4, "Cl": 4}
CUBE = (5.64, 5.64, 5.64, 90, 90, 90)
MONOCLINIC = (5.1505, 5.2116, 5.3173, 90, 99.23, 90)
RHOMBOHEDRAL = (4.7459, 4.7459, 4.7459, 57.23, 57.23, 57.23)
BISMUTH = "_chemical_formula_sum Bi\n_cell_formula_units_Z 2\n_symmetry_Int_Tables_number 166\n"
DIAMOND = "_chemical_formula_sum C\n_cell_formula_units_Z 8\n_space_group_name_H-M_alt"
TWICE = (
    "Na0 Na 0 0 0\nNa1 Na .5 .5 0\nNa2 Na .5 0 .5\nNa3 Na 0 .5 .5\nCl4 Cl .5 .5 .5\n"
    "Cl5 Cl 0 0 .5\nCl6 Cl 0 .5 0\nCl7 Cl .5 0 0"
)
FACE_CENTRED = [
    "_symmetry_space_group_name_H-M 'F m -3 m'",
    "_symmetry_space_group_name_H-M F m -3 m",  # without quotes
    "_SYMMETRY_SPACE_GROUP_NAME_H-M 'Fm-3m'",
    "_symmetry_space_group_name_H-M 'F 4/m -3 2/m'",
    "_symmetry_space_group_name_H-M 'Fm-3m :1'",
    "_symmetry_space_group_name_H-M 'F m 3 m'",  # as before 1983
    "_space_group_name_Hall '-F 4 2 3'",
    "_space_group.IT_number 225\n_space_group.name_H-M_alt 'F m -3 m'",
    "_symmetry_Int_Tables_number 225",
]
GOOD = {
    **{f"NaCl {head}": (cif(SALT, CUBE, head), ROCK_SALT) for head in FACE_CENTRED},
    "all atoms listed": (cif(TWICE, CUBE, FACE_CENTRED[0]), ROCK_SALT),
    **{
        name: (cif(ZIRCONIA_SITES, MONOCLINIC, ZIRCONIA.format(name=name)), {"Zr": 4, "O": 8})
        for name in ("P 21/c", "P 1 21/c 1", "P2_1/c", "P 1 21/c 1 :b1")
    },
    **{
        f"bismuth {name}": (
            cif("Bi1 Bi .23389 .23389 .23389", RHOMBOHEDRAL, BISMUTH + name),
            {"Bi": 2},
        )
        for name in ("", *(f"_space_group_name_H-M_alt 'R-3m{end}'" for end in (":R", " RS", "R")))
    },
    "origin 2": (cif("C1 C .125 .125 .125", (3.567,) * 3 + (90,) * 3, f"{DIAMOND} 'F d -3 m :2'"),
                 {"C": 8}),
    "origin 2 by Z": (cif("C1 C .125 .125 .125", (3.567,) * 3 + (90,) * 3, f"{DIAMOND} 'F d -3 m'"),
                      {"C": 8}),
    "origin 1": (cif("C1 C 0 0 0", (3.567,) * 3 + (90,) * 3, f"{DIAMOND} 'F d -3 m S'"),
                 {"C": 8}),
    "occupancy not given": (cif("Cs1 Cs 0 0 0 .\nCl1 Cl .5 .5 .5 1", columns="occupancy"),
                            {"Cs": 1, "Cl": 1}),
    "isotopes": (cif("D1 2H 0 0 0\nD2 D .5 .5 0\nC1 13C .5 .5 .5"), {"H": 2, "C": 1}),
    "charges": (cif("Cs1 Cs+ 0 0 0\nCl1 Cl1- .5 .5 .5"), {"Cs": 1, "Cl": 1}),
    "global block": ("data_global\n_journal_name_full 'A Journal'\n\n" + cif(CESIUM),
                     {"Cs": 1, "Cl": 1}),
    "capitals": (cif(CESIUM, block="DATA_a").replace("loop_", "LOOP_"), {"Cs": 1, "Cl": 1}),
    "Cartesian": (cif("Cs1 Cs 0 0 0\nCl1 Cl 2.06 2.06 2.06").replace("fract", "Cartn"),
                  {"Cs": 1, "Cl": 1}),
    "site symmetry of SHELXL-97": (
        cif(ZIRCONIA_SITES.replace("\n", " 1\n") + " 1", MONOCLINIC, ZIRCONIA.format(name="P 21/c"),
            columns="symmetry_multiplicity"), {"Zr": 4, "O": 8}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_cif_that_says_all_is_read_whole(name):
    text, atoms = GOOD[name]
    assert read(text) == atoms


MISSING, UNKNOWN, UNREADABLE = "atoms missing", "unknown element", "unreadable structure"
BAD = {
    "unknown group": (cif(SALT, CUBE, "_space_group_name_H-M_alt 'Q m'"), UNREADABLE, "'Q m'"),
    "identity alone": (
        cif(SALT, CUBE, f"{IDENTITY}\n_symmetry_Int_Tables_number 225"), MISSING, "225"),
    "Z": (cif(CESIUM, head=f"{IDENTITY}\n_chemical_formula_sum 'Cs Cl'\n_cell_formula_units_Z 4"),
          MISSING, "4 times"),
    "volume": (cif(CESIUM, head=f"{IDENTITY}\n_cell_volume 279.7"), "absurd cell", "279.7"),
    "multiplicity": (
        cif("Na1 Na 0 0 0 4\nCl1 Cl .5 .5 .5 4", CUBE, columns="symmetry_multiplicity"),
        MISSING, "multiplicity 4"),
    "name and number": (cif(SALT, CUBE, f"{FACE_CENTRED[0]}\n_symmetry_Int_Tables_number 14"),
                        UNREADABLE, "14"),
    "operation lost": (
        cif(SALT, CUBE, "loop_\n_symmetry_equiv_pos_as_xyz\n'x,y,z'\n'-x,-y,z'\n'-x,y,-z'"),
        UNREADABLE, "no group"),
    "wrong axes": (cif("Bi1 Bi .2 .2 .2", RHOMBOHEDRAL, "_symmetry_Int_Tables_number 160\n"
                       "_symmetry_space_group_name_H-M 'R 3 m :H'"), UNREADABLE, "does not fit"),
    "origin not said": (cif("C1 C .1 .2 .3", (9.5,) * 3 + (90,) * 3,
                            "_symmetry_space_group_name_H-M 'F d -3 m'"), UNREADABLE, "origins"),
    "minus in an operation": (
        cif(CESIUM, head=IDENTITY + "\n'\u2212x,-y,-z'"), UNREADABLE, "\u2212x"),
    "minus in a coordinate": (cif("Cs1 Cs 0 0 \u22120.3"), UNREADABLE, "no number"),
    "full-width digit": (cif("Cs1 Cs 0 0 -0.\uff130"), UNREADABLE, "no number"),
    "sign in the cell": (
        cif(CESIUM, (4, 4, 4, 90, "\u221290", 90)), UNREADABLE, "_cell_angle_beta"),
    "coordinate .": (cif("Cs1 Cs 0 0 ."), UNREADABLE, "Cs1"),
    "coordinate ?": (cif("Cs1 Cs 0 0 ?"), UNREADABLE, "Cs1"),
    "no angle": (
        cif(CESIUM).replace("_cell_angle_alpha 90\n", ""), UNREADABLE, "_cell_angle_alpha"),
    "endless number": (cif("Cs1 Cs 0 0 1e999"), UNREADABLE, "1e999"),
    "occupancy ?": (cif("Cs1 Cs 0 0 0 ?", columns="occupancy"), UNREADABLE, "Cs1"),
    "occupancy 0": (cif(f"{CESIUM}\nH1 H .5 0 0 0".replace(" 0 0 0\n", " 0 0 0 1\n").replace(
        " .5 .5 .5\n", " .5 .5 .5 1\n").replace("0.5 0.5 0.5\n", "0.5 0.5 0.5 1\n"),
        columns="occupancy"), "partial occupancy", "H 0"),
    "occupancy -1": (cif("Cs1 Cs 0 0 0 -1", columns="occupancy"), "partial occupancy", "Cs -1"),
    "label HO1": (labelled("O1 .5 .5 .5\nHO1 .5 .5 .63"), UNKNOWN, "HO1"),
    "label CD1": (labelled("CD1 .5 .5 .5"), UNKNOWN, "CD1"),
    "label T1": (labelled("T1 0 0 0\nO1 .5 .5 .5"), UNKNOWN, "T1"),
    "label OH1": (labelled("Na1 0 0 0\nOH1 .5 .5 .5"), MISSING, "OH1"),
    "dummy": (cif("Cs1 Cs 0 0 0 .\nCg1 Cg .5 0 0 dum", columns="calc_flag"), UNKNOWN, "Cg1"),
    **{f"type {symbol}": (cif(f"Cs1 Cs 0 0 0\nX1 {symbol} .5 .5 .5"), UNKNOWN, symbol)
       for symbol in ("CO", "Va", "Tx", "T", "?", "2O")},
    **{f"type {symbol}": (cif(f"Cs1 Cs 0 0 0\nO1 {symbol} .5 .5 .5"), MISSING, "several atoms")
       for symbol in ("OH", "H2O", "Wat", "O-H")},
    "hydrogen attached": (cif("O1 O 0 0 0 1", columns="attached_hydrogens"), MISSING, "hydrogen"),
    "hydrogen on oxygen": (cif("O1 O 0 0 0\nH1 H 0 0 0"), MISSING, "one place"),
    "too short for a third": (
        cif("Mg1 Mg .333 .667 .25", (3.2, 3.2, 5.2, 90, 90, 120),
            "_symmetry_space_group_name_H-M 'P 63/m m c'"), "atoms too close", "1/3"),
    "two blocks of one name": (cif(CESIUM) + cif(CESIUM.replace("Cl", "Br")), UNREADABLE,
                               "2 structures"),
    "two columns short": (cif("Cs1 Cs 0 0"), UNREADABLE, "4 values"),
    "two cells": (cif(CESIUM, head="_cell_length_a 5"), UNREADABLE, "twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_cif_that_would_have_to_be_guessed_is_refused(name):
    text, reason, detail = BAD[name]
    found = read(text)
    assert isinstance(found, Failure), found
    assert found.reason == reason
    assert detail in found.detail


def embedded(n):
    table = json.loads(gzip.decompress((REPOSITORY / "data" / "demo.json.gz").read_bytes()))
    at = table["columns"].index("structure")
    return [Structure.from_dict(row[at]) for row in table["data"][:n]]


def by_pymatgen(text):
    parser = CifParser.from_str(text, check_cif=False)
    return parser.parse_structures(primitive=False, on_error="raise")[0]


@pytest.mark.filterwarnings("ignore")
def test_operations_and_names_make_the_crystals_that_pymatgen_makes():
    for structure in embedded(24):
        for text in (
            str(CifWriter(structure)),
            str(CifWriter(structure, symprec=0.01, refine_struct=True)),
        ):
            mine, other = crystal_of_text(text, 1000), by_pymatgen(text)
            same = parse_structure(other.as_dict())
            assert mine.numbers.tobytes() == same.numbers.tobytes()
            assert mine.lattice.tobytes() == same.lattice.tobytes()
            assert mine.frac == pytest.approx(same.frac, abs=1e-9)
        start = text.index("loop_\n _symmetry_equiv_pos_site_id")
        named = text[:start] + text[text.index("loop_\n _atom_site_type_symbol") :]
        crystal = crystal_of_text(named, 1000)
        again = Structure(crystal.lattice, crystal.numbers, crystal.frac)
        assert StructureMatcher(primitive_cell=False, scale=False).fit(again, other)


@cache
def group_of(number):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SpaceGroup.from_int_number(number)


@pytest.mark.slow  # buys: all 230 groups by number and by operations, against pymatgen
@settings(max_examples=500, deadline=None)
@given(
    number=st.integers(1, 230),
    shift=st.tuples(*[st.floats(0.03, 0.47)] * 3),
    listed=st.booleans(),
)
def test_a_named_group_makes_as_many_atoms_as_the_position_has(number, shift, listed):
    """Of a general position: as many as the group has operations, counted by pymatgen."""
    group = group_of(number)
    cell = {
        "triclinic": (11, 12, 13, 95, 100, 105),
        "monoclinic": (11, 12, 13, 90, 100, 90),
        "orthorhombic": (11, 12, 13, 90, 90, 90),
        "tetragonal": (12, 12, 13, 90, 90, 90),
        "trigonal": (12, 12, 13, 90, 90, 120),
        "hexagonal": (12, 12, 13, 90, 90, 120),
        "cubic": (13, 13, 13, 90, 90, 90),
    }[group.crystal_system]
    head = f"_symmetry_Int_Tables_number {number}"
    if listed:
        lines = [f"'{op.as_xyz_str()}'" for op in group.symmetry_ops]
        head += "\nloop_\n_symmetry_equiv_pos_as_xyz\n" + "\n".join(lines)
    found = read(cif(f"Fe1 Fe {shift[0]:.6f} {shift[1]:.6f} {shift[2]:.6f}", cell, head))
    if isinstance(found, Failure):
        assert "origins or axes" in found.detail or found.reason == "atoms too close"
        return
    order = len({op.as_xyz_str() for op in group.symmetry_ops})
    assert order % found["Fe"] == 0
    assert found["Fe"] == order or np.ptp(shift) < 0.5  # on a special position, by chance
