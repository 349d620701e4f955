import gzip
import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Structure

from crystal_files import SHARED_DATA, needs_shared_data
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, read_json
from foldwise.crystals.neighbors import CrystalArrays
from maintenance.embedded.selection import (
    CSV_MEMBER,
    Candidate,
    _shares,
    candidates,
    encode,
    read_source,
    select,
)
from paths import REPOSITORY

DATA = REPOSITORY / "data"
CARD = read_json(DATA / "demo.card.json")


@pytest.fixture(scope="module")
def content():
    return json.loads(gzip.decompress((DATA / "demo.json.gz").read_bytes()))


def test_card_describes_the_file(content):
    assert CARD["sha256"] == file_sha256(DATA / "demo.json.gz")
    assert CARD["n_crystals"] == len(content["index"]) == len(set(content["index"])) >= 400
    assert (DATA / "demo.json.gz").stat().st_size < 1_000_000
    sizes = [len(row[0]["sites"]) for row in content["data"]]
    assert CARD["atoms"]["mean"] == pytest.approx(np.mean(sizes), abs=0.005)
    assert CARD["atoms"]["mean"] <= 8
    for facts in CARD["tasks"].values():
        values = [row[content["columns"].index(facts["column"])] for row in content["data"]]
        assert facts["min"] == pytest.approx(min(values), abs=1e-6)
        assert facts["max"] == pytest.approx(max(values), abs=1e-6)
        assert facts["mean"] == pytest.approx(np.mean(values), abs=1e-6)
        assert facts["std"] == pytest.approx(np.std(values), abs=1e-6)


def test_readme_says_the_same():
    text = (DATA / "README.md").read_text()
    for fact in (
        CARD["sha256"],
        "CC BY 4.0",
        "10.1002/qua.24917",
        *CARD["commands"],
        *CARD["tasks"],
    ):
        assert fact in text
    for family, counts in CARD["strata"].items():
        assert f"| {family} | {counts['source']} | {counts['chosen']} |" in text


def test_families_are_in_proportion():
    source = sum(counts["source"] for counts in CARD["strata"].values())
    for counts in CARD["strata"].values():
        share = CARD["n_crystals"] * counts["source"] / source
        assert abs(counts["chosen"] - share) < 1


def test_pymatgen_loads_every_structure_and_none_has_an_isolated_atom(content):
    for cell, _, _ in content["data"][::5]:
        loaded = Structure.from_dict(cell)
        assert loaded.is_ordered
        assert all(loaded.get_all_neighbors(6.0))


@needs_shared_data
def test_energies_agree_with_matbench(content):
    path = SHARED_DATA / "matbench" / "matbench_mp_e_form.json.gz"
    official = json.loads(gzip.decompress(path.read_bytes()))
    known = {
        (
            json.dumps([s["abc"] for s in cell["sites"]]),
            round(cell["lattice"]["matrix"][0][0], 6),
        ): e
        for cell, e in official["data"]
    }
    pairs = [
        (e_form, known[key])
        for cell, e_form, _ in content["data"]
        if (
            key := (
                json.dumps([s["abc"] for s in cell["sites"]]),
                round(cell["lattice"]["matrix"][0][0], 6),
            )
        )
        in known
    ]
    # The two are snapshots of one database of different years, so energies agree but roughly.
    assert len(pairs) > 200
    assert np.median([abs(ours - theirs) for ours, theirs in pairs]) < 0.02


@given(sizes=st.dictionaries(st.text(max_size=3), st.integers(0, 900), min_size=1, max_size=9))
def test_shares(sizes):
    total = sum(sizes.values())
    count = total // 2
    if total:
        shares = _shares(sizes, count)
        assert sum(shares.values()) == count
        assert all(abs(shares[name] - count * sizes[name] / total) < 1 for name in sizes)


def candidate(number, n_atoms, family="oxide"):
    crystal = CrystalArrays(
        np.full(n_atoms, 8, np.int32), np.linspace(0, 0.5, 3 * n_atoms).reshape(-1, 3), np.eye(3)
    )
    return Candidate(f"mp-{number}", crystal, family, -1.0, 0.0)


def test_small_cells_first_then_the_number():
    rows = [candidate(10, 2), candidate(9, 3), candidate(7, 1), candidate(100, 2), candidate(8, 1)]
    assert [c.id for c in select(rows, 4)] == ["mp-7", "mp-8", "mp-10", "mp-100"]
    assert select(rows[::-1], 4) == select(rows, 4)
    assert encode(select(rows, 4)) == encode(select(rows[::-1], 4))


def test_source_rows_with_isolated_atoms_are_left_out():
    def row(a):
        return {
            "lattice": {"matrix": [[a, 0, 0], [0, a, 0], [0, 0, a]]},
            "sites": [{"species": [{"element": "Ne", "occu": 1}], "abc": [0, 0, 0]}],
        }

    table = pd.DataFrame(
        {
            "material_id": ["mp-1", "mp-2", "mp-3"],
            "structure": [repr(row(5.9)), repr(row(6.1)), repr(row(30.0))],
            "formation_energy_per_atom": 0.0,
            "e_above_hull": 0.0,
        }
    )
    usable, excluded = candidates(table)
    assert [c.id for c in usable] == ["mp-1"]
    assert excluded == {"isolated atom": 1, "absurd cell": 1}


@pytest.mark.parametrize(
    ("member", "what"),
    [
        ("other.csv", "flla_2015.csv cannot be read from the archive ("),
        (CSV_MEMBER, "flla_2015.csv has another checksum than that of matminer 0.4.2"),
    ],
)
def test_other_archives(tmp_path, member, what):
    path = tmp_path / "matminer.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"a,b"))
    with pytest.raises(FoldwiseError) as caught:
        read_source(path)
    assert str(caught.value).startswith(f"{path}: {what}")
    assert str(caught.value).endswith("pip download --no-deps --no-binary :all: matminer==0.4.2")


def test_missing_archive(tmp_path):
    with pytest.raises(FoldwiseError, match=r"none: flla_2015\.csv cannot be read"):
        read_source(tmp_path / "none")
