import json
import shutil
import urllib.error

import pytest

from crystal_files import cesium_chloride, table, write_table
from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256
from foldwise.tasks.official import official_task
from foldwise.tasks.sources import EMBEDDED_FILE, locate_source

JDFT = "matbench_jdft2d"


@pytest.fixture
def own_file(tmp_path):
    return write_table(tmp_path / "own.json.gz", table([cesium_chloride()]))


def line_of(*arguments):
    with pytest.raises(FoldwiseError) as caught:
        locate_source(*arguments)
    return str(caught.value)


def test_embedded_file_is_the_one_of_the_card():
    found = locate_source("embedded", "demo_e_hull", None, None)
    assert found.path == EMBEDDED_FILE
    assert found.target == "e_hull"
    assert found.licence == "CC BY 4.0"
    assert found.sha256 == file_sha256(EMBEDDED_FILE)


def test_changed_embedded_file(tmp_path):
    path = tmp_path / "demo.json.gz"
    shutil.copy(EMBEDDED_FILE.with_name("demo.card.json"), tmp_path)
    path.write_bytes(b"changed")
    expected = json.loads((tmp_path / "demo.card.json").read_text())["sha256"][:12]
    assert line_of("embedded", "demo_e_form", str(path), None) == (
        f"{path}: sha256 is {file_sha256(path)[:12]}…, expected {expected}…. "
        "Restore it from the repository (git checkout data/)."
    )


def test_own_file_and_its_checksum(own_file):
    actual = file_sha256(own_file)
    found = locate_source("file", "own", str(own_file), actual.upper())
    assert (found.sha256, found.licence, found.notes) == (actual, "not stated", "")
    assert line_of("file", "own", str(own_file), "0" * 64) == (
        f"{own_file}: sha256 is {actual[:12]}…, expected 000000000000…. "
        "Correct the sha256 in the config, or restore the file it describes."
    )


def test_own_file_of_an_official_task_is_called_a_copy(own_file):
    found = locate_source("file", JDFT, str(own_file), None)
    assert found.licence.startswith("MIT (Matbench)")
    assert found.notes == "Not the official file: a subset or another copy."


def test_missing_and_unnamed_files(tmp_path):
    path = tmp_path / "none.json.gz"
    assert line_of("file", "own", str(path), None) == (
        f"{path}: the file does not exist. Check the path of the dataset."
    )
    assert line_of("file", "own", None, None) == (
        "path: source 'file' needs a path. Name a Matbench-format json.gz file."
    )


def test_wrong_requests():
    assert line_of("web", "own", None, None) == (
        "source: unknown source 'web'. Use one of embedded, matbench, file."
    )
    assert line_of("matbench", "mp_e_form", None, None) == (
        "task: 'mp_e_form' is no official Matbench task. "
        "Official names begin with 'matbench_', as in 'matbench_mp_e_form'."
    )
    assert line_of("matbench", JDFT, "x.json.gz", None) == (
        "path: source 'matbench' takes no path. Remove the path, or use source 'file'."
    )
    assert line_of("matbench", "matbench_steels", None, None).startswith(
        "task: 'matbench_steels' is no official Matbench task with structures"
    )


def test_offline_error_names_the_place(monkeypatch, tmp_path):
    def refuse(*_arguments, **_keywords):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", refuse)
    path = tmp_path / f"{JDFT}.json.gz"
    assert line_of("matbench", JDFT, None, None) == (
        f"{path}: the official file is not there and could not be downloaded "
        "(<urlopen error no network>). "
        f"Download https://ml.materialsproject.org/projects/{JDFT}.json.gz elsewhere and put it at "
        "exactly this path, or set MATMINER_DATA to the folder that holds it."
    )
    assert list(tmp_path.iterdir()) == []


def test_official_file_that_is_there_needs_no_network(monkeypatch, tmp_path, own_file):
    monkeypatch.setenv("MATMINER_DATA", str(tmp_path))
    shutil.copy(own_file, tmp_path / f"{JDFT}.json.gz")
    task = official_task(JDFT)
    monkeypatch.setattr("foldwise.tasks.sources.file_sha256", lambda _path: task.sha256)
    found = locate_source("matbench", JDFT, None, None)
    assert found.path == tmp_path / f"{JDFT}.json.gz"
    assert (found.sha256, found.notes) == (task.sha256, "")
