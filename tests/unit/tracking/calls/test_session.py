"""The end of a call that cannot be recorded at once."""

import errno
import os
from contextlib import contextmanager

import pytest

from foldwise.common.files import read_json, write_json
from foldwise.tracking.calls import session
from foldwise.tracking.calls.process import this_process
from foldwise.tracking.record.registry import Registry
from tracking_files import make_config


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


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"process": 1}', "folder"])
def test_a_file_that_is_not_a_session_stops_nothing_and_stays(tmp_path, text):
    place = session.session_file(tmp_path, "other")
    place.parent.mkdir(parents=True)
    if text == "folder":
        place.mkdir()
    else:
        place.write_text(text)
    (message,) = session.reap(tmp_path)
    assert place.name in message
    assert place.exists()


def killed(*_args: object, **_options: object) -> None:
    raise SystemExit


@pytest.mark.parametrize("at", ["start", "write_json"])
def test_a_call_killed_while_it_begins_leaves_nothing_running(tmp_path, monkeypatch, at):
    config = make_config()
    jobs = {"e0": [{"rule": "r", "outputs": ["o"], "logs": ["l"]}]}
    with monkeypatch.context() as patch:
        after = session.start

        def last(*args: object, **options: object) -> None:
            after(*args, **options)
            raise SystemExit

        patch.setattr(session, at, last if at == "start" else killed)
        with pytest.raises(SystemExit):
            session.begin(str(tmp_path), study={}, configs={"e0": config}, jobs=jobs, log="log")
    monkeypatch.setattr(session, "has_ended", lambda _process: True)
    session.reap(tmp_path)
    assert all(one["status"] != "running" for one in Registry(tmp_path).entries().values())
