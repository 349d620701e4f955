"""Programs that record themselves: how each way to end is written down."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import write_parquet
from foldwise.tracking import commands
from foldwise.tracking.calls import program as calls_program
from foldwise.tracking.calls.program import Outcome, tracked
from foldwise.tracking.record.events import artifacts_of
from foldwise.tracking.record.registry import Registry
from paths import REPOSITORY
from tracking_files import CLEAN


def config(name="runs/mine/checkpoint-100", **recipe):
    return {"experiment": name, "title": "Evaluation", "task": "masked_lm_law_0123abcd",
            "recipe": recipe, "recipe_name": "evaluation", "seeds": None}  # fmt: skip


def outcome(folder, real1, hits):
    table = pd.DataFrame(
        {"id": [f"s{row}" for row in range(40)], "text_id": [f"t{row // 2}" for row in range(40)],
         "noun": "법률", "hit1": hits, "hit5": True}
    )  # fmt: skip
    write_parquet(folder / "predictions.parquet", table)
    return Outcome(
        results=str(folder), results_id="law_1", unit="share of questions",
        dataset_sha256="d" * 64, metrics={"real1": real1, "real5": 1.0, "n": 40},
        ranked_by="real1", direction="max", verdict="keep", reason="the first",
        copied={"predictions.parquet": folder / "predictions.parquet"},
    )  # fmt: skip


def entry(root):
    (only,) = Registry(root).entries().values()
    return only


def test_two_evaluations_are_listed_ranked_and_compared_the_larger_rate_first(tmp_path):
    root = tmp_path / "results"
    for step, hit in ((100, 0.25), (200, 0.5)):
        hits = [row % round(1 / hit) == 0 for row in range(40)]
        with tracked(root, config(f"runs/mine/checkpoint-{step}")) as run:
            print("asking", file=sys.stderr)
            run.outcome = outcome(tmp_path / str(step), hit, hits)
    rows = commands.list_runs(root, None, None).splitlines()[2:]
    assert [row.split("|")[2].strip()[-3:] for row in rows] == ["100", "200"]  # worst first
    rows = commands.rank(root, "real1", None).splitlines()[2:]
    assert [row.split("|")[2].strip()[-3:] for row in rows] == ["200", "100"]
    shown = commands.show(root, "runs/mine/checkpoint-200", "text")
    assert "(best of its task)" in shown
    text = commands.compare(root, "runs/mine/checkpoint-100", "runs/mine/checkpoint-200", "md")
    assert "| real1    | 0.25 " in text.replace("    0.25", "    0.25")
    assert "whole texts" in text
    board = pd.read_csv(root / "leaderboard.csv")
    assert board["real1"].tolist() == [0.25, 0.5]
    assert board["ranked_by"].tolist() == ["real1", "real1"]
    identity = next(iter(Registry(root).entries()))
    log = Registry(root).folder(identity) / "attempt_1" / "log.txt"
    assert log.read_text() == "asking\n"
    assert "log.txt" in artifacts_of(Registry(root).folder(identity), 1)


@pytest.mark.parametrize(
    ("error", "status", "kind", "reason"),
    [
        (FoldwiseError("no tokenizer", where="x", hint="Copy it."), "failed", "error",
         "x: no tokenizer. Copy it."),
        (ZeroDivisionError("no gradient"), "failed", "exception", "ZeroDivisionError: no gradient"),
        (KeyboardInterrupt(), "stopped", "interrupted", "stopped by the user (SIGINT)"),
        (MemoryError("12 GB"), "failed", "out_of_memory", "out of memory: 12 GB"),
    ],
)  # fmt: skip
def test_an_error_ends_the_run_with_its_reason_and_the_log(tmp_path, error, status, kind, reason):
    def work():
        with tracked(tmp_path, config()):
            print("step 1/9", file=sys.stderr)
            raise error

    with pytest.raises(type(error)):
        work()
    found = entry(tmp_path)
    assert (found["status"], found["failure"]["kind"]) == (status, kind)
    assert found["failure"]["reason"] == reason
    assert found["failure"]["log_tail"] == ["step 1/9"]


def test_a_killed_program_is_recorded_by_the_next_look(tmp_path, monkeypatch):
    # The tree may change while the tests run, and its state is part of the identity.
    monkeypatch.setattr(calls_program, "code_state", lambda: CLEAN)
    program = (
        "import sys, time; from foldwise.tracking.calls import program\n"
        "from foldwise.tracking.record.code_state import CodeState\n"
        "program.code_state = lambda: CodeState('a' * 40, 'main', False, None)\n"
        "from foldwise.tracking.calls.program import tracked\n"
        f"with tracked({str(tmp_path)!r}, {config()!r}):\n"
        "    print('step 1/9', file=sys.stderr); time.sleep(600)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": "scripts"},
        cwd=REPOSITORY, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 300
    while not any("step" in log.read_text() for log in tmp_path.rglob("log.txt")):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert entry(tmp_path)["status"] == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    commands.list_runs(tmp_path, None, None)
    found = entry(tmp_path)
    assert (found["status"], found["failure"]["kind"]) == ("failed", "vanished")
    assert "ended without a word" in found["failure"]["reason"]
    assert found["failure"]["log_tail"] == ["step 1/9"]
    with tracked(tmp_path, config()) as run:
        run.outcome = outcome(tmp_path / "out", 0.5, [True] * 40)
    assert (entry(tmp_path)["status"], entry(tmp_path)["attempts"]) == ("complete", 2)
