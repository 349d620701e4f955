"""Locks of killed calls go, all others stay: with real processes in a real folder."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from foldwise.tracking.calls.locks import enter
from paths import REPOSITORY

CALL = """
import sys, time
from pathlib import Path
from foldwise.tracking.calls.locks import enter
enter(Path(".snakemake"))
for lock in sys.argv[2:]:
    Path(".snakemake/locks", lock).write_text("results/e0/results.json")
print("ready", flush=True)
time.sleep(float(sys.argv[1]))
"""
SLEEP = "import time; print('ready', flush=True); time.sleep(100)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake" / "locks").mkdir(parents=True)
    return tmp_path / ".snakemake"


@pytest.fixture
def running(folder):
    """Starts programs in the folder; those that still live at the end of the test are ended."""
    started = []

    def start(program, *arguments, **variables):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            cwd=folder.parent,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts"), **variables},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def killed(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def locks(folder):
    return sorted(path.name for path in (folder / "locks").iterdir())


def records(folder):
    return sorted((folder / "foldwise_calls").glob("*.json"))


def back_in_time(folder, seconds):
    """As if everything that is there had been written earlier."""
    when = time.time() - seconds
    for lock in (folder / "locks").iterdir():
        os.utime(lock, (when, when))
    for path in records(folder):
        record = json.loads(path.read_text())
        record["started"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
        path.write_text(json.dumps(record))


def test_locks_of_a_killed_call_go(folder, running):
    killed(running(CALL, 100, "0.input.lock", "0.output.lock"))
    assert len(records(folder)) == 1
    assert enter(folder) == ["locks of a Snakemake that was killed: taken away"]
    assert locks(folder) == []
    assert [json.loads(path.read_text())["process"]["pid"] for path in records(folder)] == [
        os.getpid()
    ]


def test_locks_of_a_living_call_stay(folder, running):
    call = running(CALL, 100, "0.input.lock")
    (said,) = enter(folder)
    assert said.startswith(f"this folder is locked, perhaps by process {call.pid} ")
    assert locks(folder) == ["0.input.lock"]


def test_a_call_that_ends_leaves_no_record(folder, running):
    assert running(CALL, 0).wait() == 0
    assert records(folder) == []


def test_a_later_call_s_own_locks_stay_where_older_ones_go(folder, running):
    dead = running(CALL, 100, "0.input.lock")
    killed(dead)
    back_in_time(folder, 60)
    record = records(folder)[0].read_text()
    later = running(CALL, 100, "1.input.lock")
    # Both are there at once, as where the later call has not looked.
    path = folder / "foldwise_calls" / f"x_{dead.pid}.json"
    path.write_text(record)
    old = folder / "locks" / "0.input.lock"
    old.write_text("results/e0/results.json")
    os.utime(old, (time.time() - 60, time.time() - 60))
    gone, kept = enter(folder)
    assert "taken away" in gone
    assert f"process {later.pid} on" in kept
    assert locks(folder) == ["1.input.lock"]


def test_locks_that_nobody_has_signed_stay(folder):
    (folder / "locks" / "0.input.lock").write_text("a")
    assert enter(folder) == []
    assert locks(folder) == ["0.input.lock"]


@pytest.mark.parametrize(("key", "value"), [("host", "elsewhere"), ("pid_namespace", "pid:[1]")])
def test_calls_that_this_machine_cannot_see_keep_their_locks(folder, running, key, value):
    killed(running(CALL, 100, "0.input.lock"))
    (path,) = records(folder)
    record = json.loads(path.read_text())
    record["process"][key] = value
    path.write_text(json.dumps(record))
    (said,) = enter(folder)
    assert "if it no longer lives: snakemake --unlock" in said
    assert locks(folder) == ["0.input.lock"]


def test_a_snakemake_without_a_record_keeps_its_locks(folder, running):
    other = running(SLEEP, "snakemake")
    killed(running(CALL, 100, "0.input.lock"))
    (said,) = enter(folder)
    assert f"process {other.pid} (" in said
    assert locks(folder) == ["0.input.lock"]


def test_a_job_that_outlived_its_snakemake_keeps_the_locks(folder, running):
    job = running(SLEEP, FOLDWISE_CALL="snakemake --cores 2")
    killed(running(CALL, 100, "0.input.lock"))
    (said,) = enter(folder)
    assert f"process {job.pid} (" in said
    killed(job)
    assert enter(folder) == ["locks of a Snakemake that was killed: taken away"]
