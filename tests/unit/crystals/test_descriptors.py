import numpy as np
import pytest
from pymatgen.core import Composition, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystal_files import SHARED_DATA, cesium_chloride, needs_shared_data, site, structure
from foldwise.crystals.descriptors import (
    ANION_FAMILIES,
    anion_family,
    crystal_system,
    describe,
    reduced_formula,
)
from foldwise.crystals.parsing import parse_structure
from foldwise.tasks.matbench_json import read_split_json


def numbers_of(formula):
    composition = Composition(formula)
    return np.array(
        [element.Z for element, count in composition.items() for _ in range(int(count))]
    )


@needs_shared_data
def test_descriptors_agree_with_pymatgen_on_real_crystals():
    path = SHARED_DATA / "matbench" / "matbench_mp_e_form.json.gz"
    rows = read_split_json(path, lambda cell: cell).rows
    for content, _ in rows[::90]:
        found = describe(parse_structure(content))
        reference = Structure.from_dict(content)
        analyzer = SpacegroupAnalyzer(reference, symprec=0.01)
        assert found.formula == reference.composition.reduced_formula
        assert found.n_atoms == len(reference)
        assert found.n_elements == len(reference.composition)
        assert found.spacegroup == analyzer.get_space_group_number()
        assert found.crystal_system == analyzer.get_crystal_system()
        assert found.anion_family in ANION_FAMILIES


@pytest.mark.parametrize(
    ("formula", "family"),
    [
        ("SiO2", "oxide"),
        ("CaCO3", "oxide"),
        ("BiOCl", "oxide"),
        ("LaOF", "halide"),
        ("CsPbBr3", "halide"),
        ("NH4Cl", "halide"),
        ("ZnS", "chalcogenide"),
        ("Bi2Te3", "chalcogenide"),
        ("GaN", "pnictide"),
        ("InSb", "pnictide"),
        ("PtAs2", "pnictide"),
        ("WC", "carbide"),
        ("NaBH4", "hydride"),
        ("MgB2", "boride"),
        ("AuCu3", "intermetallic"),
        ("As", "elemental"),
        ("O2", "elemental"),
    ],
)
def test_anion_family(formula, family):
    assert anion_family(numbers_of(formula)) == family


def test_precedence_is_that_of_electronegativity():
    symbols = ["F", "O", "Cl", "N", "Br", "I", "S", "Se", "C", "H", "P", "As", "Te", "Sb", "B"]
    values = [Composition(symbol).elements[0].X for symbol in symbols]
    assert values == sorted(values, reverse=True)


def test_formula_of_a_noble_gas_warns_nobody(recwarn):
    assert reduced_formula(((10, 4),)) == "Ne"
    assert not recwarn.list


def test_structure_without_symmetry_is_unknown():
    # spglib refuses two atoms on one site.
    crystal = parse_structure(structure(site("Fe", 0, 0, 0), site("Fe", 0, 0, 0)))
    found = describe(crystal)
    assert (found.spacegroup, found.crystal_system) == (0, "unknown")


def test_systems():
    bounds = [1, 2, 3, 15, 16, 74, 75, 142, 143, 167, 168, 194, 195, 230]
    assert [crystal_system(number) for number in bounds[::2]] == [
        crystal_system(number) for number in bounds[1::2]
    ]
    assert describe(parse_structure(cesium_chloride())).crystal_system == "cubic"
