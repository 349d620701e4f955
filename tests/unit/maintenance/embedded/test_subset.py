"""The embedded subsets of official tasks: what their cards say, and what the check refuses."""

import gzip
import json
import shutil

import pandas as pd
import pytest

from crystal_files import SHARED_DATA, needs_shared_data
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, read_json
from foldwise.tasks.official import official_folds, official_task
from foldwise.tasks.sources import embedded_names, locate_source
from maintenance.embedded.subset import subset_card
from paths import REPOSITORY

DATA = REPOSITORY / "data"
ROWS = {"matbench_mp_e_form": 3_589, "matbench_mp_gap": 3_167}


@pytest.fixture(scope="module")
def contents():
    return {
        task: json.loads(gzip.decompress((DATA / f"{task}.json.gz").read_bytes())) for task in ROWS
    }


@pytest.mark.parametrize("task", ROWS)
def test_card_describes_the_file(task, contents):
    card = read_json(DATA / f"{task}.card.json")
    assert card["sha256"] == file_sha256(DATA / f"{task}.json.gz")
    assert card["n_crystals"] == len(contents[task]["index"]) == ROWS[task]
    assert card["sha256"] in (DATA / "README.md").read_text()
    found = locate_source("embedded", task, str(DATA / f"{task}.json.gz"), None)
    assert found.target == official_task(task).target == contents[task]["columns"][1]
    assert task in embedded_names()


@needs_shared_data
@pytest.mark.parametrize("task", ROWS)
def test_files_are_those_that_were_given(task):
    given = SHARED_DATA / "matbench" / f"{task}.json.gz"
    assert given.read_bytes() == (DATA / f"{task}.json.gz").read_bytes()


@pytest.mark.parametrize("task", ROWS)
def test_ids_are_official_and_every_one_is_tested_once(task, contents):
    tested = [name for fold in official_folds(official_task(task)) for name in fold["test"]]
    own = set(contents[task]["index"])
    assert len([name for name in tested if name in own]) == len(own)


def test_band_gaps_are_of_crystals_that_have_formation_energies(contents):
    cells = {
        task: {json.dumps(row[0]) for row in content["data"]} for task, content in contents.items()
    }
    assert cells["matbench_mp_gap"] < cells["matbench_mp_e_form"]


@pytest.fixture
def small(tmp_path, contents):
    """A subset of five rows, its source and its official targets."""
    task, content = "matbench_mp_gap", contents["matbench_mp_gap"]
    kept = {**content, "index": content["index"][:5], "data": content["data"][:5]}
    path = tmp_path / f"{task}.json.gz"
    path.write_bytes(gzip.compress(json.dumps(kept).encode()))
    source = pd.DataFrame({"structure": [repr(row[0]) for row in kept["data"]]})
    official = tmp_path / "official.csv.gz"
    lines = ["mbid,composition,gap pbe"] + [
        f"{name},X1,{row[1]}" for name, row in zip(kept["index"], kept["data"], strict=True)
    ]
    official.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path, source, official


def test_a_subset_that_agrees_with_its_sources(small):
    card = subset_card(*small, target_name="band gap")
    assert (card["n_crystals"], card["n_official"]) == (5, 106_113)
    assert card["tasks"]["matbench_mp_gap"]["unit"] == "eV"


def test_a_moved_atom_and_another_target_are_found(small, contents):
    path, source, official = small
    with pytest.raises(FoldwiseError) as caught:
        subset_card(path, source[1:], official, target_name="band gap")
    name = contents["matbench_mp_gap"]["index"][0]
    assert f"1 structure(s) are not of flla_2015.csv, the first is {name!r}" in str(caught.value)
    text = gzip.decompress(official.read_bytes()).decode()
    official.write_bytes(gzip.compress(text.replace(f"{name},X1,", f"{name},X1,9").encode()))
    with pytest.raises(FoldwiseError) as caught:
        subset_card(path, source, official, target_name="band gap")
    assert f"1 target(s) are not those of matbench_mp_gap, the first is {name!r}" in str(
        caught.value
    )


def test_a_name_that_is_no_official_task(small, tmp_path):
    path, source, official = small
    other = tmp_path / "mine.json.gz"
    shutil.copy(path, other)
    with pytest.raises(FoldwiseError, match="the name is no official task's"):
        subset_card(other, source, official, target_name="band gap")
