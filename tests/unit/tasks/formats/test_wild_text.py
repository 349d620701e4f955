"""Text that is nearly a structure gives a crystal or a reason, never another error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp.inputs import Poscar

from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import CrystalError, Failure
from foldwise.tasks.formats.text import crystal_of_text
from paths import REPOSITORY

SALT = Structure.from_file(REPOSITORY / "tests/data/ten_crystals/mp-22865.cif")
CIF = str(CifWriter(SALT, symprec=0.01))
NAMED = CIF[: CIF.index("loop_")] + CIF[CIF.index("loop_\n _atom_site_type_symbol") :]
TEXTS = {"cif": CIF, "named group": NAMED, "poscar": Poscar(SALT).get_str()}
PIECES = st.one_of(
    st.text(max_size=6), st.sampled_from(["\n", "?", "loop_", "data_x", "-1", "1e999", "0", "Xx2+"])
)


def outcome(text):
    try:
        return crystal_of_text(text, 1000)
    except CrystalError as error:
        return error.failure


@pytest.mark.parametrize("kind", TEXTS)
@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_a_spoilt_file_is_refused_or_read(kind, data):
    text = TEXTS[kind]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(PIECES) + text[stop:]
    found = outcome(text)
    if isinstance(found, Failure):
        assert found.reason
        assert "\n" not in found.detail
    else:
        assert isinstance(found, CrystalArrays)
