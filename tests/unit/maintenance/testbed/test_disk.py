"""A disk that is filled on purpose, and what was there before."""

import errno
import subprocess

import pytest

from maintenance.testbed.disk import full_disk, own_disk


@pytest.fixture
def folder(tmp_path):
    """A folder with a file, where disks may be mounted."""
    study = tmp_path / "study"
    study.mkdir()
    (study / "data").write_text("kept")
    try:
        with own_disk(study):
            pass
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("no right to mount a disk")
    return study


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_fits_on_a_full_disk_until_there_is_room_again(folder):
    with own_disk(folder):
        assert (folder / "data").read_text() == "kept"
        with full_disk(folder), pytest.raises(OSError, match="No space left") as caught:
            (folder / "more").write_bytes(bytes(2**16))
        assert caught.value.errno == errno.ENOSPC
        (folder / "more").write_bytes(bytes(2**16))
        assert names(folder) == ["data", "more"]
    assert names(folder) == ["data"]
    assert names(folder.parent) == ["study"]
