import gzip
import json
import math

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Structure

from crystal_files import (
    SHARED_DATA,
    cesium_chloride,
    needs_shared_data,
    run_script,
    site,
    spec,
    structure,
    table,
    write_table,
)
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.crystals.files import read_structures
from foldwise.tasks.dataset import BAD_TARGET, prepare_dataset, submission_warning

FILES = ["card.json", "failures.csv", "structures.npz", "targets.parquet"]
GOOD = cesium_chloride()


def prepare(tmp_path, content, **changes):
    path = write_table(tmp_path / "own.json.gz", content)
    card = prepare_dataset(spec(path, **changes), tmp_path / "out")
    failures = pd.read_csv(tmp_path / "out" / "failures.csv", dtype=str, keep_default_na=False)
    return card, failures


def line_of(tmp_path, content, **changes):
    with pytest.raises(FoldwiseError) as caught:
        prepare(tmp_path, content, **changes)
    assert not (tmp_path / "out").exists()
    return str(caught.value).removeprefix(f"{tmp_path / 'own.json.gz'}: ")


@needs_shared_data
def test_real_file_agrees_with_pymatgen(tmp_path):
    path = SHARED_DATA / "matbench" / "matbench_mp_e_form.json.gz"
    content = json.loads(gzip.decompress(path.read_bytes()))
    rows = slice(0, None, 20)
    content = {**content, "index": content["index"][rows], "data": content["data"][rows]}
    card, failures = prepare(tmp_path, content, task="matbench_mp_e_form")
    targets = pd.read_parquet(tmp_path / "out" / "targets.parquet")
    ids, crystals = read_structures(tmp_path / "out" / "structures.npz")
    assert card["official"] is True
    assert card["n_accepted"] == len(content["index"])
    assert failures.empty
    assert targets["id"].tolist() == ids == content["index"]
    assert targets["target"].tolist() == [target for _, target in content["data"]]
    for row, (cell, _) in list(enumerate(content["data"]))[::10]:
        reference = Structure.from_dict(cell)
        assert targets["formula"][row] == reference.composition.reduced_formula
        assert crystals[row].numbers.tolist() == list(reference.atomic_numbers)
        np.testing.assert_array_equal(crystals[row].frac, reference.frac_coords)
        np.testing.assert_array_equal(crystals[row].lattice, reference.lattice.matrix)


@pytest.mark.parametrize(
    ("task", "second", "words"),
    [
        ("matbench_mp_e_form", structure(), "1 of the 132,752 rows of matbench_mp_e_form cannot"),
        ("matbench_mp_e_form", GOOD, None),
        ("own", structure(), None),
    ],
)
def test_a_lost_row_of_an_official_task_is_said_before_training(tmp_path, task, second, words):
    card, _ = prepare(tmp_path, table([GOOD, second]), task=task)
    warning = submission_warning(card)
    assert (warning is None) == (words is None)
    assert words is None or words in warning


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    card = prepare_dataset(
        spec(None, task="demo_e_form", source="embedded", target_name="formation energy"), out
    )
    return card, out


def test_embedded_dataset(demo):
    card, out = demo
    targets = pd.read_parquet(out / "targets.parquet")
    assert dict(targets.dtypes.astype(str)) == {
        "id": "object",
        "formula": "object",
        "n_atoms": "int32",
        "n_elements": "int32",
        "anion_family": "object",
        "crystal_system": "object",
        "spacegroup": "int32",
        "target": "float64",
    }
    assert card["n_source"] == card["n_accepted"] == len(targets) >= 400
    assert card["official"] is False
    values = targets["target"].to_numpy()
    for name in ("min", "max", "mean", "std"):
        assert card[f"target_{name}"] == getattr(np, name)(values)
    assert card["max_atoms"] == targets["n_atoms"].max()
    with np.load(out / "structures.npz") as arrays:
        n_atoms = int(arrays["offsets"][-1])
        assert {name: (arrays[name].dtype.str[1:], arrays[name].shape) for name in arrays} == {
            "ids": (arrays["ids"].dtype.str[1:], (len(targets),)),
            "lattice": ("f8", (len(targets), 3, 3)),
            "offsets": ("i8", (len(targets) + 1,)),
            "numbers": ("i4", (n_atoms,)),
            "frac": ("f8", (n_atoms, 3)),
        }
        assert np.diff(arrays["offsets"]).tolist() == targets["n_atoms"].tolist()
        assert card["n_elements"] == len(set(arrays["numbers"].tolist()))


def test_a_column_of_truth_values_is_a_class(tmp_path):
    card, _ = prepare(tmp_path, table([GOOD, GOOD, GOOD], [True, False, True]))
    assert card["n_failed"] == 0
    assert pd.read_parquet(tmp_path / "out" / "targets.parquet")["target"].tolist() == [
        1.0,
        0.0,
        1.0,
    ]


@pytest.mark.slow  # buys: processes change no byte of a dataset
def test_same_bytes_by_the_program_with_two_processes(demo, tmp_path):
    _, out = demo
    flags = "--task demo_e_form --source embedded --unit eV/atom --workers 2 --target-name"
    done = run_script(
        "jobs/prepare_dataset.py", *flags.split(), "formation energy", "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    for name in FILES:
        assert file_sha256(tmp_path / name) == file_sha256(out / name), name


BAD_ROWS = {
    "NaN target": (GOOD, math.nan, BAD_TARGET, "nan"),
    "infinite target": (GOOD, -math.inf, BAD_TARGET, "-inf"),
    "no target": (GOOD, None, BAD_TARGET, "None"),
    "text target": (GOOD, "1.5", BAD_TARGET, "'1.5'"),
    "truth value": (GOOD, True, BAD_TARGET, "True"),
    "list target": (GOOD, [1.0], BAD_TARGET, "[1.0]"),
    "no structure": (None, 1.0, "unreadable structure", "nothing instead of a structure dict"),
    "text structure": ("NaCl", 1.0, "unreadable structure", "str instead of a structure dict"),
    "molecule": ({"sites": GOOD["sites"]}, 1.0, "unreadable structure", "no lattice (a molecule?)"),
    "empty": (structure(), 1.0, "empty structure", "0 sites"),
    "unknown element": (cesium_chloride("Zz"), 1.0, "unknown element", "Zz"),
    "heavy element": (cesium_chloride("Cm"), 1.0, "element beyond Z = 94", "Cm (Z = 96)"),
    "partial occupancy": (
        structure(site("Fe", 0, 0, 0, occu=0.9)),
        1.0,
        "partial occupancy",
        "site 0: Fe 0.9",
    ),
    "tiny cell": (cesium_chloride(a=1.0), 1.0, "absurd cell", "0.5 Å³ per atom"),
    "NaN lattice": (
        {**GOOD, "lattice": {"matrix": [[math.nan, 0, 0], [0, 4, 0], [0, 0, 4]]}},
        1.0,
        "absurd cell",
        "a lattice vector is not finite",
    ),
    "atoms too close": (
        structure(site("Cs", 0, 0, 0), site("Cl", 0.1, 0, 0)),
        1.0,
        "atoms too close",
        "0.420 Å",
    ),
}


@pytest.mark.parametrize(("crystal", "target", "reason", "detail"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_row_is_a_failure_and_the_rest_goes_on(tmp_path, crystal, target, reason, detail):
    other = cesium_chloride("Rb", "Br")
    card, failures = prepare(tmp_path, table([GOOD, crystal, other], [1.0, target, 2]))
    assert failures.to_dict("records") == [
        {"id": "own_task-000002", "stage": "dataset", "reason": reason, "detail": detail}
    ]
    assert (card["n_source"], card["n_accepted"], card["n_failed"]) == (3, 2, 1)
    targets = pd.read_parquet(tmp_path / "out" / "targets.parquet")
    assert targets["id"].tolist() == ["own_task-000001", "own_task-000003"]
    assert targets["formula"].tolist() == ["CsCl", "RbBr"]
    assert targets["target"].tolist() == [1.0, 2.0]


def test_all_bad_rows_together_and_with_processes(tmp_path):
    structures = [GOOD, *(row[0] for row in BAD_ROWS.values())]
    targets = [0.0, *(row[1] for row in BAD_ROWS.values())]
    path = write_table(tmp_path / "own.json.gz", table(structures, targets))
    for workers in (1, 2):
        card = prepare_dataset(spec(path), tmp_path / str(workers), workers=workers)
        assert card["n_failed"] == len(BAD_ROWS)
        assert card["n_accepted"] == 1
    for name in FILES:
        assert file_sha256(tmp_path / "1" / name) == file_sha256(tmp_path / "2" / name)


TWO_TARGETS = {"index": [0], "columns": ["structure", "a", "b"], "data": [[GOOD, 1, 2]]}


@pytest.mark.parametrize(
    ("content", "changes", "line"),
    [
        (
            table([GOOD], index=["a"]),
            {"target": "e_form"},
            "there is no target column 'e_form' (columns: structure, y). "
            "Name one of these as the target.",
        ),
        (
            TWO_TARGETS,
            {},
            "2 columns could be the target (columns: structure, a, b). "
            "Name one of them as the target.",
        ),
        (
            TWO_TARGETS,
            {"target": "structure"},
            "there is no target column 'structure' (columns: structure, a, b). "
            "Name one of these as the target.",
        ),
        (
            {"index": [0], "columns": ["composition", "y"], "data": [["NaCl", 1]]},
            {},
            "there is no column 'structure' (columns: composition, y). "
            "Name the column of pymatgen dicts so.",
        ),
        (
            table([GOOD, GOOD], index=["a", "a"]),
            {},
            "1 duplicate id(s), the first is 'a'. Make every id unique.",
        ),
        (
            table([GOOD, GOOD], index=["a", 1]),
            {},
            "the index is neither all text nor all integers (int, str). "
            "Use ids, or row numbers from 0.",
        ),
        (
            table([GOOD, None], [math.nan, 1.0]),
            {},
            "all 2 rows failed, the first with: target is not a finite number (nan). "
            "Check the structure and target columns.",
        ),
        (
            [1, 2],
            {},
            "the file is not in pandas' split orient (no list 'index'). "
            'Write it with pandas: table.to_json(path, orient="split").',
        ),
        (
            table([GOOD], index=["mp-1"]),
            {"task": "matbench_phonons"},
            "1 id(s) are not of matbench_phonons, the first is 'mp-1'. "
            "Use the official ids or row numbers, or a task name of your own.",
        ),
    ],
)
def test_bad_file_stops_with_one_line(tmp_path, content, changes, line):
    assert line_of(tmp_path, content, **changes) == line


def test_no_rows_at_all(tmp_path):
    assert line_of(tmp_path, table([])) == (
        "the file has no rows. Check the structure and target columns."
    )


def test_integer_index_of_an_official_task(tmp_path):
    prepare(tmp_path, table([GOOD, GOOD], index=[0, 635]), task="matbench_jdft2d")
    targets = pd.read_parquet(tmp_path / "out" / "targets.parquet")
    assert targets["id"].tolist() == ["mb-jdft2d-001", "mb-jdft2d-636"]


def test_program_ends_with_code_2_and_one_line(tmp_path):
    flags = "--task t --source file --path nowhere.json.gz --unit eV --target-name t"
    done = run_script(
        "jobs/prepare_dataset.py", *flags.split(), "--no-intensive", "--out", tmp_path / "out"
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: nowhere.json.gz: the file does not exist. Check the path of the dataset.\n"
    )


def test_larger_cells_are_no_part_of_the_task(tmp_path):
    single = structure(site("Cu", 0, 0, 0), a=3.0)
    content = table([cesium_chloride(), single, cesium_chloride("Rb")], [1.0, 2.0, 3.0])
    card, failures = prepare(tmp_path, content, max_atoms=1)
    targets = pd.read_parquet(tmp_path / "out" / "targets.parquet")
    assert targets[["id", "target"]].to_numpy().tolist() == [["own_task-000002", 2.0]]
    assert (card["n_source"], card["n_accepted"], card["max_atoms"]) == (1, 1, 1)
    assert card["source"] == "file: own.json.gz, cells of at most 1 atoms"
    assert failures.empty


def test_a_bound_below_every_cell(tmp_path):
    assert line_of(tmp_path, table([GOOD]), max_atoms=1) == (
        "every cell has more than 1 atoms. Raise max_atoms, or leave it out."
    )


def test_a_missing_class_is_one_failure(tmp_path):
    cells = [[GOOD, at % 2 == 0] for at in range(6)]
    cells[4][1] = None
    crystals, targets = zip(*cells, strict=True)
    card, failures = prepare(tmp_path, table(list(crystals), list(targets)))
    assert (card["n_accepted"], len(failures)) == (5, 1)
    assert card["target_max"] == 1.0


@pytest.mark.parametrize("placeholder", [1.7976931348623157e308, -1e31, 10**400])
def test_a_placeholder_beyond_all_values_fails_in_its_row(tmp_path, placeholder):
    card, failures = prepare(tmp_path, table([GOOD] * 3, [0.5, placeholder, 1.0]))
    assert card["target_std"] == 0.25
    assert failures["reason"].tolist() == [BAD_TARGET]
    assert failures["detail"][0][:1] in "1-"
