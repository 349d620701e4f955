"""The end of a call that cannot be recorded at once."""

import errno
import os
from contextlib import contextmanager

import pytest

from foldwise.common.files import read_json, write_json
from foldwise.tracking.calls import session
from foldwise.tracking.calls.process import this_process


@pytest.fixture
def own_session(tmp_path):
    """The file of a call of this process, with one run that nobody has registered."""
    process = this_process()
    path = session.session_file(tmp_path, f"{process['host']}_{process['pid']}")
    run = {"identity": "0" * 8, "jobs": []}
    log = str(tmp_path / "log.txt")
    write_json(
        path,
        {"process": process, "log": log, "workdir": str(tmp_path), "started": "", "oom_kills": 0,
         "runs": {"e0": run}},
    )  # fmt: skip
    return path


def test_on_a_full_disk_the_end_is_left_to_the_next_call(
    own_session, tmp_path, capsys, monkeypatch
):
    @contextmanager
    def full(registry):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(registry.root / "registry.json"))
        yield

    with monkeypatch.context() as patch:
        patch.setattr(session.Registry, "change", full)
        session.end(str(tmp_path))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert "registry.json: No space left on device. Make room" in said
    assert read_json(own_session)["runs"]
    session.end(str(tmp_path))
    assert not own_session.exists()
    assert not capsys.readouterr().err


def test_other_errors_of_the_end_are_no_full_disk(own_session, tmp_path, monkeypatch):
    def refused(_registry):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(session.Registry, "change", refused)
    with pytest.raises(PermissionError):
        session.end(str(tmp_path))
    assert own_session.exists()
