"""Crystals of every format come out as pymatgen reads them; each bad one names itself."""

import gzip
import json
import os
import shutil

import ase.db
import ase.io
import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp.inputs import Poscar

from foldwise.crystals.parsing import Failure
from foldwise.tasks.formats.reader import open_structures
from paths import REPOSITORY
from refusals import message

TEN = REPOSITORY / "tests" / "data" / "ten_crystals"
TARGETS = pd.read_csv(TEN.with_name("ten_crystals.csv")).set_index("id")["e_form"]


@pytest.fixture(scope="module")
def crystals():
    return {path.stem: Structure.from_file(path) for path in sorted(TEN.glob("*.cif"))}


def written_folder(place, crystals, name):
    """The ten as POSCAR files, in three ways of naming them."""
    for number, (crystal, structure) in enumerate(crystals.items()):
        path = place / name.format(id=crystal)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = Poscar(structure).get_str(significant_figures=16)
        if number % 2:
            path = path.with_name(f"{path.name}.gz")
        path.write_bytes(gzip.compress(text.encode()) if number % 2 else text.encode())
    return place


def as_cif(place, crystals):
    return shutil.copytree(TEN, place / "cif")


def as_vasp(place, crystals):
    return written_folder(place / "vasp", crystals, "{id}.vasp")


def as_poscar(place, crystals):
    return written_folder(place / "poscar", crystals, "POSCAR_{id}")


def as_calculations(place, crystals):
    return written_folder(place / "calculations", crystals, "{id}/POSCAR")


def atoms_of(crystal, structure):
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.info = {"material_id": crystal, "e_form": TARGETS[crystal]}
    return atoms


def as_xyz(place, crystals):
    ase.io.write(
        place / "ten.extxyz", [atoms_of(*item) for item in crystals.items()], format="extxyz"
    )
    return place / "ten.extxyz"


def as_database(place, crystals):
    with ase.db.connect(place / "ten.db") as database:
        for crystal, structure in crystals.items():
            database.write(atoms_of(crystal, structure), **atoms_of(crystal, structure).info)
    return place / "ten.db"


def table_of(crystals, text):
    return pd.DataFrame(
        {
            "id": list(crystals),
            "structure": [text(structure) for structure in crystals.values()],
            "e_form": [TARGETS[crystal] for crystal in crystals],
        }
    )


def cif_text(structure):
    return str(CifWriter(structure, significant_figures=16))


def as_csv(place, crystals):
    table_of(crystals, cif_text).to_csv(place / "ten.csv", index=False)
    return place / "ten.csv"


def as_json_lines(place, crystals):
    table_of(crystals, Structure.as_dict).to_json(
        place / "ten.jsonl", orient="records", lines=True, double_precision=15
    )
    return place / "ten.jsonl"


def as_parquet(place, crystals):
    table_of(crystals, Structure.to_json).to_parquet(place / "ten.parquet")
    return place / "ten.parquet"


def as_matbench(place, crystals):
    table = table_of(crystals, Structure.as_dict).set_index("id")
    content = json.dumps(
        {
            "index": list(table.index),
            "columns": list(table.columns),
            "data": table.to_numpy().tolist(),
        }
    )
    (place / "ten.json.gz").write_bytes(gzip.compress(content.encode()))
    return place / "ten.json.gz"


FOLDERS = [as_cif, as_vasp, as_poscar, as_calculations]
WITH_TARGETS = [as_xyz, as_database, as_csv, as_json_lines, as_parquet, as_matbench]


@pytest.mark.parametrize("write", [*FOLDERS, *WITH_TARGETS])
def test_every_format_gives_the_crystals_of_pymatgen(write, crystals, tmp_path):
    rows = list(open_structures(write(tmp_path, crystals)).rows())
    assert sorted(row.id for row in rows) == sorted(crystals)
    for row in rows:
        structure = crystals[row.id]
        order = np.argsort(structure.atomic_numbers, kind="stable")
        mine = np.argsort(row.crystal.numbers, kind="stable")
        assert row.crystal.numbers[mine].tolist() == [structure.atomic_numbers[i] for i in order]
        assert row.crystal.lattice == pytest.approx(structure.lattice.matrix, abs=1e-7)
        away = row.crystal.frac[mine] - structure.frac_coords[order]
        assert away - np.round(away) == pytest.approx(np.zeros_like(away), abs=1e-7)
        if write in WITH_TARGETS:
            assert float(row.columns["e_form"]) == TARGETS[row.id]


def test_several_processes_give_the_same_rows_in_the_same_order(tmp_path):
    alone, together = (list(open_structures(TEN).rows(workers)) for workers in (1, 2))
    assert [row.id for row in alone] == [row.id for row in together]
    for one, other in zip(alone, together, strict=True):
        assert one.crystal.frac.tobytes() == other.crystal.frac.tobytes()


def test_rows_that_are_known_are_passed_over():
    skipped = sorted(TARGETS.index)[:7]
    assert {row.id for row in open_structures(TEN).rows(skip=skipped)} == {*TARGETS.index} - set(
        skipped
    )


def salt(occupancy=1.0, **extra):
    cell = Structure(Lattice.cubic(4.2), [{"Cs": occupancy, **extra}, "Cl"], [[0, 0, 0], [0.5] * 3])
    return str(CifWriter(cell))


def large_cell(n_side):
    grid = np.stack(np.meshgrid(*[np.arange(n_side)] * 3), axis=-1).reshape(-1, 3) / n_side
    return str(CifWriter(Structure(Lattice.cubic(3 * n_side), ["Fe"] * len(grid), grid)))


WITHOUT_LATTICE = "\n".join(line for line in salt().splitlines() if "_cell_" not in line)
POSCAR_WITHOUT_ELEMENTS = "CsCl\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\nDirect\n0 0 0\n.5 .5 .5\n"
HYDROXIDE = salt().replace("_chemical_formula_sum   'Cs1 Cl1'", "_chemical_formula_sum 'HCsCl'")
BAD = {
    "partial.cif": (salt(0.5).encode(), "partial occupancy", "Cs 0.5"),
    "disordered.cif": (salt(0.5, Rb=0.5).encode(), "partial occupancy", "Rb 0.5"),
    "no_lattice.cif": (WITHOUT_LATTICE.encode(), "unreadable structure", "_cell_length_a"),
    "latin.cif": (b"# Universit\xe4t\n" + salt().encode(), "encoding is not UTF-8", "line 1"),
    "empty.cif": (b"", "unreadable structure", "nothing"),
    "noise.cif": (b"this is no crystal", "unreadable structure", "no CIF, POSCAR or JSON"),
    "large.cif": (large_cell(22).encode(), "cell too large", "10648 sites, more than 1000"),
    "no_hydrogen.cif": (HYDROXIDE.encode(), "atoms missing", "its sites make CsCl"),
    "POSCAR_old": (POSCAR_WITHOUT_ELEMENTS.encode(), "unreadable structure", "names no elements"),
    "cut.cif.gz": (gzip.compress(salt().encode())[:-20], "unreadable structure", "truncated"),
    "overlap.cif": (salt().replace("0.5000", "0.0010").encode(), "atoms too close", "Å"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_structure_says_what_is_wrong_and_the_others_are_read(name, tmp_path):
    content, reason, detail = BAD[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.cif").write_text(salt())
    rows = {row.id: row for row in open_structures(tmp_path).rows()}
    assert len(rows) == 2
    assert rows.pop("good").crystal.numbers.tolist() == [55, 17]
    (bad,) = rows.values()
    assert isinstance(bad.crystal, Failure), bad.crystal
    assert bad.crystal.reason == reason
    assert detail in bad.crystal.detail
    assert "\n" not in bad.crystal.detail


def test_a_cell_that_is_allowed_to_be_large_is_read(tmp_path):
    (tmp_path / "large.vasp").write_text(Poscar(Structure.from_str(large_cell(3), "cif")).get_str())
    (refused,) = open_structures(tmp_path, max_atoms=26).rows()
    (read,) = open_structures(tmp_path, max_atoms=27).rows()
    assert refused.crystal.reason == "cell too large"
    assert len(read.crystal.numbers) == 27


def test_atoms_without_a_cell_are_no_crystal(tmp_path):
    (tmp_path / "water.xyz").write_text("3\nid=water\nO 0 0 0\nH 0 0 1\nH 0 1 0\n")
    (row,) = open_structures(tmp_path / "water.xyz").rows()
    assert row.crystal == Failure("unreadable structure", "no lattice (a molecule?)")


def read_all(path, **options):
    return list(open_structures(path, **options).rows())


def test_two_files_with_one_id_are_both_named(tmp_path):
    (tmp_path / "salt.cif").write_text(salt())
    (tmp_path / "salt.vasp").write_text("")
    told = message(read_all, tmp_path)
    assert "two files have the id 'salt': salt.cif and salt.vasp" in told


def test_two_rows_with_one_id_are_both_named(tmp_path):
    pd.DataFrame({"id": ["a", "b", "a"], "cif": [salt()] * 3}).to_csv(tmp_path / "t.csv")
    told = message(read_all, tmp_path / "t.csv")
    assert "t.csv row 4: the id 'a' stands in" in told
    assert "t.csv row 2 too" in told


WRONG = {
    "latin.csv": ("id,cif\nä,x\n".encode("latin-1"), "latin.csv line 2: the encoding is not UTF-8"),
    "bare.csv": (b"id,e_form\na,1\n", "row 2: there is no column of structures (columns: id, e_fo"),
    "no_id.csv": (b"id,cif\n,x\n", "row 2: it has no id in 'id'"),
    "slash.csv": (b"id,cif\na/b,x\n", "'a/b' cannot be an id"),
    "cut.jsonl": (b'{"id": "a", "cif": "x"}\n{"id"', "line 2: it is not valid JSON"),
    "none.parquet": (b"PAR", "it is no Parquet file"),
    "none.db": (b"not a database, only a text that is long enough", "it is no ASE database"),
    "cut.extxyz": (
        b'1\nLattice="4 0 0 0 4 0 0 0 4"\nFe 0 0 0\n9\n\n',
        "frame 2 (line 4): the frame has 9",
    ),
    "notes.txt": (b"", "no known format"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_source_that_cannot_be_read_on_says_where(name, tmp_path):
    content, told = WRONG[name]
    (tmp_path / name).write_bytes(content)
    assert told in message(read_all, tmp_path / name)


def test_a_folder_without_structures_and_a_missing_one_say_what_is_expected(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert "there is no structure in it (1 other files)" in message(read_all, tmp_path)
    assert "it does not exist" in message(read_all, tmp_path / "absent")


def test_a_link_to_a_folder_is_followed_once(tmp_path):
    real, away = tmp_path / "real", tmp_path / "away"
    (real / "inner").mkdir(parents=True)
    away.mkdir()
    (real / "inner" / "a.cif").write_text(salt())
    (away / "b.cif").write_text(salt())
    for name, target in (("x", away), ("y", away), ("again", real / "inner"), ("loop", real)):
        (real / name).symlink_to(target)
    (away / "back").symlink_to(real)
    rows = {row.id: row.where for row in open_structures(real).rows()}
    assert sorted(rows) == ["a", "b"]
    assert rows["a"].endswith("inner/a.cif")


def test_names_that_look_alike_are_one_id_and_other_bytes_are_refused(tmp_path):
    (tmp_path / "Gru\u0308n.cif").write_text(salt())
    (row,) = open_structures(tmp_path).rows()
    assert row.id == "Gr\u00fcn"
    (tmp_path / os.fsdecode(b"caf\xe9.cif")).write_text(salt())
    assert "cannot be an id" in message(read_all, tmp_path)


def test_a_cell_without_a_structure_is_a_bad_row(tmp_path):
    good = Structure.from_file(TEN / "mp-22865.cif")
    cells = [good.as_dict(), None, good.to_json(), 7, {"lattice": None}, {"sites": [[]]}, [], "x"]
    far = good.as_dict()
    far["lattice"]["matrix"][0][0] = 10**400
    open_pbc = good.as_dict()
    open_pbc["lattice"]["pbc"] = None
    cells += [far, open_pbc]
    content = {"index": list("abcdefghij"), "columns": ["structure"], "data": [[c] for c in cells]}
    (tmp_path / "t.json.gz").write_bytes(gzip.compress(json.dumps(content).encode()))
    rows = read_all(tmp_path / "t.json.gz")
    assert [row.id for row in rows if not isinstance(row.crystal, Failure)] == ["a", "c", "j"]


def test_a_row_without_the_column_of_structures_is_a_bad_row(tmp_path):
    lines = [{"id": "a", "cif": salt()}, {"id": "b"}, {"id": "c", "cif": salt()}]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    rows = read_all(tmp_path / "t.jsonl")
    assert [isinstance(row.crystal, Failure) for row in rows] == [False, True, False]
    (tmp_path / "u.jsonl").write_text('{"id": "b"}\n{"id": "c", "e": 1}')
    assert "there is no column of structures" in message(read_all, tmp_path / "u.jsonl")


def test_what_is_no_file_is_a_bad_row(tmp_path):
    os.mkfifo(tmp_path / "pipe.cif")
    (tmp_path / "gone.cif").symlink_to(tmp_path / "nothing")
    (tmp_path / "bomb.cif.gz").write_bytes(gzip.compress(bytes(60_000_000)))
    rows = {row.id: row.crystal for row in open_structures(tmp_path).rows()}
    assert {name: found.reason for name, found in rows.items()} == {
        "pipe": "unreadable structure",
        "gone": "unreadable structure",
        "bomb": "cell too large",
    }


POSCAR = "x\n1.0\n4.12 0 0\n0 4.12 0\n0 0 4.12\n{elements}1 1\n{mode}\n0 0 0{one}\n.5 .5 .5{two}\n"
NAMED = {"elements": "Cs Cl\n", "mode": "Direct", "one": "", "two": ""}
VASP4 = NAMED | {"elements": ""}
POSCARS = {
    "plain": (NAMED, "", None),
    "velocities": (NAMED, "\n0 0 0\n.1 -.1 1e-3\n", None),
    "lattice velocities": (NAMED, "Lattice velocities and vectors\n1\n", None),
    "elements at the ends": (VASP4 | {"one": " Cs", "two": " Cl"}, "", None),
    "selective": (
        VASP4 | {"mode": "Selective\nDirect", "one": " T T F Cs", "two": " F F F Cl"}, "", None),
    "flags for elements": (VASP4 | {"one": " F F F", "two": " F F F"}, "", "flags"),
    "an element and flags": (VASP4 | {"one": " C T F", "two": " O T F"}, "", "flags"),
    "more lines": (NAMED, ".5 0 0\n", "more lines than atoms"),
    "two frames": (NAMED, "Direct configuration= 2\n0 0 0\n.5 .5 .6\n", "several structures"),
    "two files": (NAMED, "\nx\n1.0\n4.12 0 0\n", "several structures"),
    "more elements than counts": (NAMED | {"elements": "Cs Cl Br\n"}, "", "3 elements"),
}  # fmt: skip


@pytest.mark.parametrize("kind", POSCARS)
def test_a_poscar_says_one_structure_and_its_elements(kind, tmp_path):
    parts, rest, told = POSCARS[kind]
    (tmp_path / "POSCAR_a").write_text(POSCAR.format(**parts) + rest)
    (row,) = open_structures(tmp_path).rows()
    if told is None:
        assert row.crystal.numbers.tolist() == [55, 17]
    else:
        assert row.crystal.reason == "unreadable structure"
        assert told in row.crystal.detail
