"""What a rehearsal takes from an official task, where it comes from, and what is refused."""

import gzip
import json
import subprocess
import sys

import pytest
from pymatgen.core import Structure

from crystal_files import SHARED_DATA, cesium_chloride, needs_shared_data, write_table
from foldwise.common.errors import FoldwiseError
from foldwise.tasks.official import official_task
from maintenance.rehearsal import job
from maintenance.rehearsal.dataset import OfficialRows, official_rows, write_rehearsal
from maintenance.rehearsal.job import Rehearsal, rehearse
from paths import REPOSITORY

TASK = "matbench_jdft2d"


def targets_of(task, folder, rows=None):
    formulas = ["Hf2 Si2 Te2", "As4", "Ti2 Br2 O2"]
    lines = [
        f"{task.crystal_id(row)},{formulas[row % 3]},{row / 7}"
        for row in range(rows or task.n_samples)
    ]
    table = folder / "jdft2d.csv"
    table.write_text("\n".join([f"mbid,composition,{task.target}", *lines]))
    return table


def refused(task_name, targets):
    with pytest.raises(FoldwiseError) as caught:
        official_rows(task_name, targets)
    return str(caught.value)


def test_the_file_has_the_official_ids_targets_and_compositions(tmp_path):
    task = official_task(TASK)
    out = tmp_path / "rehearsal.json.gz"
    line = write_rehearsal(official_rows(TASK, targets_of(task, tmp_path)), out)
    assert line.startswith(f"{out}: 636 rows with ids, compositions and targets of {TASK}")
    assert "stand-in crystals" in line
    content = json.loads(gzip.decompress(out.read_bytes()))
    assert content["columns"] == ["structure", task.target]
    assert content["index"][:2] == ["mb-jdft2d-001", "mb-jdft2d-002"]
    structure = Structure.from_dict(content["data"][1][0])
    assert structure.formula == "As4"
    assert content["data"][1][1] == pytest.approx(1 / 7)


@needs_shared_data
def test_the_compositions_of_the_real_task_are_read():
    rows = official_rows(TASK, SHARED_DATA / "targets" / f"{TASK}.csv.gz")
    assert len(rows.ids) == len(rows.cells) == len(rows.values) == 636
    assert rows.cells[0].formula == "Hf2 Si2 Te2"


def test_a_task_that_is_none_is_answered_with_all_that_are():
    names = (
        "matbench_dielectric, matbench_jdft2d, matbench_log_gvrh, matbench_log_kvrh, "
        "matbench_mp_e_form, matbench_mp_gap, matbench_perovskites, matbench_phonons"
    )
    for name in ("nonsense", "matbench_nonsense", "matbench_steels"):
        assert refused(name, None) == (
            f"--task: {name!r} is no official task with structures and a numeric target. "
            f"Name one of {names}."
        )


def test_a_given_table_is_the_only_source(tmp_path, monkeypatch):
    task = official_task(TASK)
    columns = f"mbid, composition and {task.target}"
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    write_table(tmp_path / f"{TASK}.json.gz", {})
    assert refused(TASK, "nowhere.csv") == (
        f"nowhere.csv: there is no such file. Give --targets a CSV with {columns}."
    )
    assert refused(TASK, tmp_path).startswith(f"{tmp_path}: there is no such file")
    few = targets_of(task, tmp_path, rows=9)
    assert refused(TASK, few) == f"{few}: 9 rows instead of 636. Give all rows."
    few.write_text("mbid,formula\n1,As4\n")
    assert refused(TASK, few).endswith(f"It needs {columns}.")
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"mbid,composition\n" * 99)[:-9])
    assert refused(TASK, cut).startswith(f"{cut}: no table of {TASK}")


def test_without_a_table_there_is_the_official_download_and_nothing_else(tmp_path, monkeypatch):
    task = official_task(TASK)
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    file = tmp_path / f"{TASK}.json.gz"
    assert refused(TASK, None) == (
        f"{file}: the official file of {TASK} is not there. Give --targets (to make: TARGETS=…) a "
        f"CSV with mbid, composition and {task.target}, or download {task.url} and put it at "
        "this path."
    )
    content = {
        "index": [0], "columns": ["structure", task.target], "data": [[cesium_chloride(), 0.5]]
    }  # fmt: skip
    write_table(file, content)
    rows = official_rows(TASK, None)
    assert (rows.ids, rows.values) == (["mb-jdft2d-001"], [0.5])
    assert rows.cells[0].reduced_formula == "CsCl"


def test_a_folder_is_no_dataset(tmp_path):
    with pytest.raises(FoldwiseError, match="it is a folder"):
        write_rehearsal(OfficialRows(official_task(TASK), [], [], []), tmp_path)


def test_a_mistyped_path_leaves_an_earlier_rehearsal_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(job, "REPOSITORY", tmp_path)
    earlier = tmp_path / "results" / f"rehearsal_{TASK}" / "stages.csv"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("hours of work")
    plan = Rehearsal(TASK, targets="nowhere.csv", cores=1, model="chgnet_lite")
    with pytest.raises(FoldwiseError, match="there is no such file"):
        rehearse(plan, print)
    assert earlier.read_text() == "hours of work"


def test_the_program_says_what_it_has_written(tmp_path):
    out = tmp_path / "out.json.gz"
    table = targets_of(official_task(TASK), tmp_path)
    command = [
        sys.executable, "scripts/maintenance/make_rehearsal.py", "--task", TASK, "--dataset-only",
        str(out), "--targets",
    ]  # fmt: skip
    done = subprocess.run(
        [*command, str(table)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{out}: 636 rows with ")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize("given", ["", "TARGETS=my targets.csv"])
def test_make_hands_the_table_over(given):
    command = ["make", "--dry-run", "rehearsal", f"TASK={TASK}", *([given] if given else [])]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert f"make_rehearsal.py --task {TASK}" in done.stdout
    assert ('--targets "my targets.csv"' in done.stdout) == bool(given)
