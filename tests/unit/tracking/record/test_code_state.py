import os
import subprocess
from dataclasses import replace

import psutil
import pytest

from foldwise.common.files import write_text
from foldwise.tracking import commands
from foldwise.tracking.calls.process import has_ended, this_process
from foldwise.tracking.exports import archive
from foldwise.tracking.questions import compare
from foldwise.tracking.record.code_state import CodeState, code_state
from foldwise.tracking.record.registry import Registry
from tracking_files import CLEAN, finished_run, make_config


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    write_text(folder / "model.py", "one\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "First model")
    return folder


def state(folder):
    return code_state.__wrapped__(folder)


def test_a_clean_tree_has_a_commit_and_no_changes(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert state(repository) == CodeState(commit, "main", False, None)


def test_every_change_has_its_own_hash_and_undoing_it_gives_none(repository):
    hashes = set()
    for name, text in (("model.py", "two\n"), ("model.py", "three\n"), ("new.py", "one\n")):
        write_text(repository / name, text)
        found = state(repository)
        assert found.git_dirty
        hashes.add(found.dirty_hash)
    assert len(hashes) == 3
    (repository / "new.py").unlink()
    write_text(repository / "model.py", "one\n")
    assert state(repository).dirty_hash is None


def test_a_link_to_a_folder_is_told_by_where_it_points(repository, tmp_path):
    hashes = set()
    for target in (tmp_path, tmp_path / "absent"):
        (repository / "environment").symlink_to(target)
        hashes.add(state(repository).dirty_hash)
        (repository / "environment").unlink()
    assert len(hashes) == 2


def test_outside_of_git_nothing_is_known(tmp_path):
    assert state(tmp_path) == CodeState(None, None, None, None)


def test_commits_between_two_runs_are_listed(repository, tmp_path, monkeypatch):
    first = git(repository, "rev-parse", "HEAD")
    write_text(repository / "model.py", "two\n")
    git(repository, "commit", "-qam", "Second model")
    second = git(repository, "rev-parse", "HEAD")
    monkeypatch.setattr(compare, "REPOSITORY", repository)
    registry = Registry(tmp_path / "results")
    runs = [
        finished_run(registry, make_config(), 0.05, code=replace(CLEAN, git_commit=commit))
        for commit in (first, second)
    ]
    text = commands.compare(registry.root, *(run["identity"] for run in runs), "md")
    assert "Commits that only the second run has:\n- " in text
    assert "Second model" in text
    assert "First model" not in text


def test_an_export_holds_the_code_of_its_commit_and_not_of_today(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "REPOSITORY", repository)
    commit = git(repository, "rev-parse", "HEAD")
    write_text(repository / "model.py", "two\n")
    registry = Registry(tmp_path / "results")
    clean = finished_run(registry, make_config(), code=replace(CLEAN, git_commit=commit))
    assert archive._code(clean)[0] == {"model.py": b"one\n"}
    lost = {**clean, "git_dirty": True, "dirty_hash": "0" * 64}
    files, note = archive._code(lost)
    assert files == {"model.py": b"one\n"}
    assert "WITHOUT the uncommitted changes" in note


def test_a_process_is_told_from_a_later_one_with_its_number():
    own = this_process()
    assert has_ended(own) is False
    assert has_ended({**own, "begun": own["begun"] - 1}) is True
    assert has_ended({**own, "boot_id": "another"}) is True
    assert has_ended({**own, "host": "another"}) is None
    child = subprocess.Popen(["sleep", "0"])
    child.wait()
    assert has_ended({**own, "pid": child.pid}) is True


def test_a_process_that_nobody_has_waited_for_has_ended():
    child = subprocess.Popen(["sleep", "0.2"])
    begun = psutil.Process(child.pid).create_time() - psutil.boot_time()
    name = {**this_process(), "pid": child.pid, "begun": begun}
    assert has_ended(name) is False
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert has_ended(name) is True
    child.wait()
