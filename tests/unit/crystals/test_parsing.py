import copy
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from crystal_files import SHARED_DATA, cesium_chloride, needs_shared_data, site, structure
from foldwise.crystals.parsing import CrystalError, check_crystal, parse_structure
from foldwise.tasks.matbench_json import read_split_json


def assert_equal_to_pymatgen(content, reference=None):
    crystal = parse_structure(content)
    expected = reference or Structure.from_dict(copy.deepcopy(content))
    assert crystal.numbers.tolist() == [s.specie.Z for s in expected]
    assert crystal.numbers.dtype == np.int32
    np.testing.assert_allclose(crystal.lattice, expected.lattice.matrix, rtol=0, atol=1e-12)
    np.testing.assert_allclose(crystal.frac, expected.frac_coords, rtol=0, atol=1e-9)


@needs_shared_data
def test_parsing_agrees_with_pymatgen_on_real_crystals():
    path = SHARED_DATA / "matbench" / "matbench_mp_e_form.json.gz"
    rows = read_split_json(path, lambda cell: cell).rows
    for content, _ in rows[::60]:
        assert_equal_to_pymatgen(content)


def test_oxidation_states_isotopes_and_text_species():
    content = structure(
        site("Fe", 0, 0, 0, oxidation_state=3),
        site("D", 0.5, 0.5, 0.5),
        site("T", 0.5, 0.5, 0),
        site("Fe3+", 0.5, 0, 0),
        site("O2-", 0, 0.5, 0),
        site("Na+", 0, 0, 0.5),
    )
    assert parse_structure(content).numbers.tolist() == [26, 1, 1, 26, 8, 11]


def test_cartesian_coordinates_and_lattice_parameters():
    reference = Structure(
        Lattice.from_parameters(4, 5, 6, 80, 95, 110), ["Ga", "N"], [[0.1, 0, 0], [0.4, 0.6, 0.5]]
    )
    content = reference.as_dict()
    for entry in content["sites"]:
        del entry["abc"]
    assert_equal_to_pymatgen(content, reference)
    del content["lattice"]["matrix"]
    assert_equal_to_pymatgen(content, reference)


@given(
    lengths=st.tuples(*[st.floats(3, 12)] * 3),
    angles=st.tuples(*[st.floats(70, 110)] * 3),
    points=st.lists(st.tuples(*[st.floats(-2, 2)] * 3), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_parsing_inverts_as_dict(lengths, angles, points):
    reference = Structure(Lattice.from_parameters(*lengths, *angles), ["Si"] * len(points), points)
    assert_equal_to_pymatgen(reference.as_dict())


NAN, INF = math.nan, math.inf
FLAT = [[1, 0, 0], [2, 0, 0], [0, 0, 3]]
GOOD = cesium_chloride()

BAD_STRUCTURES = {
    "null": (None, "unreadable structure: nothing instead of a structure dict"),
    "text": ("CsCl", "unreadable structure: str instead of a structure dict"),
    "no sites": ({"lattice": GOOD["lattice"]}, "unreadable structure: no list of sites"),
    "molecule": ({"sites": GOOD["sites"]}, "unreadable structure: no lattice (a molecule?)"),
    "slab": (
        {**GOOD, "lattice": {**GOOD["lattice"], "pbc": [True, True, False]}},
        "unreadable structure: not periodic in all three directions",
    ),
    "two lattice vectors": (
        {**GOOD, "lattice": {"matrix": [[1, 0, 0], [0, 1, 0]]}},
        "unreadable structure: lattice of shape [2, 3]",
    ),
    "no gamma": (
        {**GOOD, "lattice": dict.fromkeys(("a", "b", "c", "alpha", "beta"), 90)},
        "unreadable structure: lattice: 'gamma' is missing",
    ),
    "no species": (structure({"abc": [0, 0, 0]}), "unreadable structure: site 0 has no species"),
    "no coordinates": (
        structure({"species": [{"element": "Si", "occu": 1}]}),
        "unreadable structure: a site has no coordinates",
    ),
    "two coordinates": (
        structure(site("Si", 0, 0)),
        "unreadable structure: coordinates of shape [1, 2]",
    ),
    "NaN coordinate": (
        structure(site("Si", NAN, 0, 0)),
        "unreadable structure: a coordinate is not finite",
    ),
    "far away": (
        structure(site("Si", 250.0, 0, 0)),
        "unreadable structure: fractional coordinate 250 (Å instead?)",
    ),
    "empty": (structure(), "empty structure: 0 sites"),
    "unknown element": (structure(site("Xx", 0, 0, 0)), "unknown element: Xx"),
    "dummy species": (structure(site("X", 0, 0, 0, oxidation_state=0)), "unknown element: X"),
    "americium": (structure(site("Am", 0, 0, 0)), "element beyond Z = 94: Am (Z = 95)"),
    "vacancy": (
        structure(site("Fe", 0, 0, 0, occu=0.5)),
        "partial occupancy: site 0: Fe 0.5",
    ),
    "mixed site": (
        structure(
            {
                "species": [{"element": "Fe", "occu": 0.5}, {"element": "Co", "occu": 0.5}],
                "abc": [0, 0, 0],
            }
        ),
        "partial occupancy: site 0: Fe 0.5, Co 0.5",
    ),
    "empty site": (
        structure({"species": [], "abc": [0, 0, 0]}),
        "partial occupancy: site 0 is empty",
    ),
    "infinite lattice": (
        {**GOOD, "lattice": {"matrix": [[INF, 0, 0], [0, 1, 0], [0, 0, 1]]}},
        "absurd cell: a lattice vector is not finite",
    ),
    "singular lattice": (
        {**GOOD, "lattice": {"matrix": FLAT}},
        "absurd cell: the lattice is singular",
    ),
    "tiny cell": (cesium_chloride(a=1.2), "absurd cell: 0.864 Å³ per atom"),
    "huge cell": (cesium_chloride(a=20), "absurd cell: 4000 Å³ per atom"),
    "thin cell": (
        {**GOOD, "lattice": {"matrix": [[0.05, 0, 0], [0, 10, 0], [0, 0, 10]]}},
        "absurd cell: lattice planes 0.05 Å apart",
    ),
    "same site twice": (
        structure(site("Cs", 0, 0, 0), site("Cl", 0, 0, 0)),
        "atoms too close: 0.000 Å",
    ),
    "close image": (
        structure(site("Cs", 0.02, 0, 0), site("Cl", 0.97, 0, 0)),
        "atoms too close: 0.210 Å",
    ),
    "own image": (
        {
            "lattice": {"matrix": [[0.4, 0, 0], [0, 6, 0], [0, 0, 6]]},
            "sites": [site("Si", 0, 0, 0)],
        },
        "atoms too close: 0.400 Å",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD_STRUCTURES.values(), ids=BAD_STRUCTURES)
def test_bad_structures_have_a_reason(content, message):
    with pytest.raises(CrystalError) as caught:
        check_crystal(parse_structure(content))
    assert str(caught.value) == message


def test_left_handed_and_skewed_cells_are_fine():
    check_crystal(
        parse_structure({**GOOD, "lattice": {"matrix": [[0, 4, 0], [4, 0, 0], [0, 0, 4]]}})
    )
    check_crystal(
        parse_structure({**GOOD, "lattice": {"matrix": [[4, 0, 0], [12, 4, 0], [8, 8, 4]]}})
    )


@given(
    shear=st.tuples(*[st.integers(-3, 3)] * 3),
    points=st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_distance_check_agrees_with_pymatgen(shear, points):
    x, y, z = shear
    matrix = [[3, 0, 0], [3 * x, 3, 0], [3 * y, 3 * z, 3]]
    reference = Structure(matrix, ["Si"] * len(points), points)
    distances = reference.distance_matrix + np.eye(len(points)) * 9
    refused = None
    try:
        check_crystal(parse_structure(reference.as_dict()))
    except CrystalError as error:
        refused = error.failure.reason
    expected = {"absurd cell"} if 27 / len(points) < 1 else set()
    expected |= {"atoms too close"} if distances.min() < 0.5 else set()
    assert refused in (expected or {None})
