"""Paths that programs write: refused before any work, and kept from a second call."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path, write_text
from foldwise.common.output import checked_output
from paths import REPOSITORY

OTHER_USER = 65534  # "nobody", whom permissions bind even if root runs the tests


def refused(path, **options):
    with pytest.raises(FoldwiseError) as caught:
        checked_output(path, **options)
    assert caught.value.hint
    return str(caught.value)


def test_a_path_that_can_be_written_is_taken_and_nothing_is_made(tmp_path):
    (tmp_path / "there").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("there")
    for name in ("new", "there", "deep/er/new", "link", "n" * 255):
        assert checked_output(tmp_path / name) == tmp_path / name
    for name in ("new", "folder", "deep/er"):
        assert checked_output(tmp_path / name, folder=True) == tmp_path / name
    assert sorted(each.name for each in tmp_path.iterdir()) == ["folder", "link", "there"]


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    bad = ["folder", "file/x", "file/x/y", "pipe", "loop/x", "n" * 256, f"{'n' * 256}/x",
           "x/" * 3000, "a\0b", "ö" * 128]  # fmt: skip
    for path in (*(f"{tmp_path}/{name}" for name in bad), "", ".", "/dev/full", "/dev/null"):
        refused(path)
    for name in ("file", "pipe", "file/x", "n" * 256):
        refused(tmp_path / name, folder=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_with_foreign_content_is_refused_by_name(tmp_path):
    for name in ("a.npy", "meta.json", ".snakemake_timestamp"):
        (tmp_path / name).touch()
    checked_output(tmp_path, folder=True, ours=("a.npy", "meta.json"))
    (tmp_path / "thesis.doc").touch()
    assert "thesis.doc" in refused(tmp_path, folder=True, ours=("a.npy", "meta.json"))


@pytest.mark.parametrize("name", ["new", "file", "deep/new"])
def test_a_read_only_place_is_refused(name):
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "file").write_text("mine")
        place.chmod(0o555)
        program = (
            "import os\n"
            "from foldwise.common.output import checked_output\n"
            "from foldwise.common.errors import run_program\n"
            f"if os.getuid() == 0:\n    os.setuid({OTHER_USER})\n"
            f"run_program(lambda: checked_output({str(place / name)!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=False,
        )  # fmt: skip
        place.chmod(0o755)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert str(place) in done.stderr


WRITER = """
import sys, time
from pathlib import Path
from foldwise.common.errors import run_program
from foldwise.common.output import output_file
def main():
    path = output_file(sys.argv[1])
    print("has it", flush=True)
    sys.stdin.read()
    path.write_text(sys.argv[2])
run_program(main)
"""


def writer(path, text, **env):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), text], cwd=REPOSITORY / "scripts", text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**{k: v for k, v in os.environ.items() if k != "FOLDWISE_CALL"}, **env},
    )  # fmt: skip


def test_a_second_call_is_refused_and_a_killed_one_leaves_no_lock(tmp_path):
    path = tmp_path / "deep" / "a.csv"
    with writer(path, "first") as first:
        assert first.stdout.readline() == "has it\n"
        with writer(path, "second") as second:
            _, said = second.communicate()
        assert second.returncode == 2
        assert len(said.splitlines()) == 1
        assert str(path) in said
        assert str(first.pid) in said
        first.kill()
    with writer(path, "third") as third:
        third.communicate()
    assert third.returncode == 0
    assert path.read_text() == "third"
    assert [each.name for each in path.parent.iterdir()] == ["a.csv"]


def test_a_job_of_the_workflow_waits_for_the_one_before(tmp_path):
    path = tmp_path / "a.csv"
    with writer(path, "first") as first:
        assert first.stdout.readline() == "has it\n"
        with writer(path, "second", FOLDWISE_CALL="snakemake") as second:
            time.sleep(0.1)
            first.communicate()
            assert path.read_text() == "first"
            second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert path.read_text() == "second"
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_a_refused_call_leaves_no_folder(tmp_path):
    body = (
        "from foldwise.common.errors import FoldwiseError, run_program\n"
        "from foldwise.common.output import output_file\n"
        "def main():\n"
        f"    output_file({str(tmp_path / 'deep' / 'er' / 'a.csv')!r})\n"
        "    raise FoldwiseError('no', where='x', hint='y')\n"
        "run_program(main)"
    )
    done = subprocess.run(
        [sys.executable, "-c", body], cwd=REPOSITORY / "scripts", check=False, capture_output=True
    )
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_links_devices_and_modes_stay_what_they_are(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "new", "a")
    finally:
        os.umask(old)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o664)
    (tmp_path / "link").symlink_to("new")
    write_text(tmp_path / "link", "b")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").read_text() == "b"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o664
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", tmp_path / "pipe", tmp_path):
        with pytest.raises(FoldwiseError):
            write_text(path, "c")
    assert Path("/dev/null").is_char_device()
    assert (tmp_path / "pipe").is_fifo()


def test_a_writer_that_replaces_its_file_keeps_the_mode(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        temporary.unlink()
        temporary.touch(0o600)
    assert (tmp_path / "a").stat().st_mode & 0o077


FAILING = """
import resource, sys
from foldwise.common.errors import run_program
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
def main():
{body}
run_program(main)
"""
WRITERS = {
    "text": "write_text(path, 'x' * 10_000)",
    "parquet": "write_parquet(path, pd.DataFrame({'x': np.random.default_rng(0).random(5000)}))",
    "csv": "write_csv(path, pd.DataFrame({'x': np.random.default_rng(0).random(5000)}))",
    "torch": "with atomic_path(path) as t: torch.save(torch.rand(5000), t)",
    "safetensors": "with atomic_path(path) as t: save_file({'a': torch.rand(5000)}, t)",
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_limited_disk_is_one_line_and_the_old_file_stays(tmp_path, kind):
    path = tmp_path / "a"
    path.write_text("old")
    imports = ["from foldwise.common.files import *", "import numpy as np, pandas as pd"]
    if kind in ("torch", "safetensors"):
        imports += ["import torch", "from safetensors.torch import save_file"]
    body = "\n".join([f"path = {str(path)!r}", WRITERS[kind]])
    program = "\n".join(imports) + FAILING.format(body="    " + body.replace("\n", "\n    "))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY / "scripts", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert str(path) in done.stderr
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
