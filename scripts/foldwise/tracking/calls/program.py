"""One run that is one program: a training, an evaluation or a search of a masked language model.

Snakemake tells the registry about studies of crystals; a program that is also called by hand tells
it by itself, with the same events.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foldwise.common.errors import EXIT_USER_ERROR, FoldwiseError
from foldwise.common.files import write_json
from foldwise.common.progress import LoggedStream
from foldwise.tracking.calls.process import this_process
from foldwise.tracking.calls.reasons import Failure, oom_kills, tail
from foldwise.tracking.calls.session import LOG, reap, session_file
from foldwise.tracking.record.artifacts import keep, pack_detail
from foldwise.tracking.record.code_state import code_state
from foldwise.tracking.record.events import now
from foldwise.tracking.record.lifecycle import fail, prepare, start, stop
from foldwise.tracking.record.registry import Registry


@dataclass
class Outcome:
    """What a program says of its finished run.

    Attributes:
        results: The folder or file to look at.
        results_id: Name of what was made.
        unit: Of the ranked metric.
        dataset_sha256: Hash of what decides the questions or the texts.
        metrics: Numbers by name.
        ranked_by: The one that decides which run is the best.
        direction: `min` or `max`.
        verdict: `keep`, `discard` or `needs review`.
        reason: Why.
        copied: Files to keep with the run, by name; large ones are kept by reference.
        referred: Files, as models, of which only place, size and checksum are kept.
        test_presumably_seen: Whether the model has presumably seen the test texts, if known.
    """

    results: str
    results_id: str
    unit: str
    dataset_sha256: str
    metrics: Mapping[str, float]
    ranked_by: str
    direction: str
    verdict: str
    reason: str
    copied: Mapping[str, Path] = field(default_factory=dict)
    referred: Mapping[str, Path] = field(default_factory=dict)
    test_presumably_seen: bool | None = None


@dataclass
class ProgramRun:
    """A run that is under way.

    Attributes:
        identity: Name of the run.
        registry: Where it stands; a rule of decision may look at earlier runs.
        outcome: To be set before the end.
    """

    identity: str
    registry: Registry
    outcome: Outcome | None = None


@contextmanager
def tracked(root: str | Path, config: Mapping[str, Any]) -> Iterator[ProgramRun]:
    """Record a run from its start to its end; what is said on stderr is kept as its log.

    An exception ends it as failed, Ctrl-C as stopped; a kill is recorded by the next call of
    anything that reads the registry.

    Args:
        root: Folder of the registry, `results`.
        config: All that decides the numbers: `experiment`, `title`, `task`, and what else there is.
    """
    registry = Registry(root)
    for message in reap(root):
        print(message, file=sys.stderr)
    code = code_state()
    command = shlex.join(["python", *sys.argv])
    with registry.change() as change:
        run = prepare(change.entries, config, code)
        folder = registry.folder(run.identity)
        attempt = change.entries.get(run.identity, {}).get("attempts", 0) + 1
        log = folder / f"attempt_{attempt}" / LOG
        # Before the run begins: a kill in between leaves no run that nobody ends.
        session = _open_session(root, config, run.identity, log, attempt)
        start(change, folder, config, code=code, command=command)
    going = ProgramRun(run.identity, registry)
    try:
        with (
            log.open("w", encoding="utf-8") as file,
            redirect_stderr(LoggedStream(sys.stderr, file)),
        ):
            yield going
    except BaseException as error:
        _end_badly(registry, run.identity, error, log)
        raise
    else:
        _complete(registry, going, attempt)
    finally:
        with registry.change() as change:
            kept = keep(folder, attempt, {LOG: log})
            change.append(run.identity, "artifact", {"artifacts": kept})
        session.unlink(missing_ok=True)


def _open_session(
    root: str | Path, config: Mapping[str, Any], identity: str, log: Path, attempt: int
) -> Path:
    """Write down who works on the run, for the reaper; and begin its log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    process = this_process()
    path = session_file(root, f"{process['host']}_{process['pid']}_{identity}")
    content = {
        "process": process, "program": Path(sys.argv[0]).name, "log": str(log.resolve()),
        "own_log": True, "workdir": str(Path.cwd()), "started": now(), "oom_kills": oom_kills(),
        "runs": {config["experiment"]: {"identity": identity, "jobs": [], "attempt": attempt}},
    }  # fmt: skip
    write_json(path, content)
    return path


def _end_badly(registry: Registry, identity: str, error: BaseException, log: Path) -> None:
    kind, reason, status = "exception", f"{type(error).__name__}: {error}", 1
    if isinstance(error, FoldwiseError):
        kind, reason, status = "error", str(error), EXIT_USER_ERROR
    elif isinstance(error, MemoryError):
        kind, reason = "out_of_memory", f"out of memory: {error}"
    elif isinstance(error, KeyboardInterrupt):
        kind, reason, status = "interrupted", "stopped by the user (SIGINT)", 130
    failure: Failure = {
        "kind": kind, "reason": " ".join(reason.split())[:300], "rule": None, "outputs": [],
        "exit_status": status, "log": str(log),
        "log_tail": tail(log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""),
        "host": this_process()["host"],
    }  # fmt: skip
    with registry.change() as change:
        (stop if kind == "interrupted" else fail)(change, identity, failure)


def _complete(registry: Registry, going: ProgramRun, attempt: int) -> None:
    outcome = going.outcome
    if outcome is None:
        raise RuntimeError("a tracked program ended without an outcome")
    folder = registry.folder(going.identity)
    artifacts = {
        **keep(folder, attempt, outcome.copied),
        **keep(folder, attempt, pack_detail(Path(outcome.results), folder, attempt)),
        **keep(folder, attempt, outcome.referred, copy=False),
    }
    payload = {
        "results_id": outcome.results_id,
        "unit": outcome.unit,
        "test_presumably_seen": outcome.test_presumably_seen,
        "dataset_sha256": outcome.dataset_sha256,
        "results": outcome.results,
        "metrics": dict(outcome.metrics),
        "ranked_by": outcome.ranked_by,
        "direction": outcome.direction,
        "artifacts": artifacts,
    }
    decision = {"verdict": outcome.verdict, "reason": outcome.reason, "by": "rule"}
    with registry.change() as change:
        change.append(going.identity, "complete", payload)
        change.append(going.identity, "decide", decision)
