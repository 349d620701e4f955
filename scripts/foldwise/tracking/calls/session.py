"""One call of Snakemake: which runs it began, and what became of each of them.

`begin` is called when the jobs are known and before the first one starts, `end` after the last one.
A call that is killed leaves its file in `runs/.sessions`, and the reaper ends it.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError, is_full_disk
from foldwise.common.files import read_json, write_json, write_text
from foldwise.tracking.calls.process import has_ended, this_process
from foldwise.tracking.calls.reasons import Failure, call_failure, job_failure, oom_kills, tail
from foldwise.tracking.calls.snakemake_log import CallLog, Job, failed_job, parse_log
from foldwise.tracking.record.artifacts import keep
from foldwise.tracking.record.code_state import code_state
from foldwise.tracking.record.decision import NEEDS_REVIEW
from foldwise.tracking.record.events import now
from foldwise.tracking.record.identity import config_hash
from foldwise.tracking.record.lifecycle import Prepared, complete, fail, prepare, start, stop
from foldwise.tracking.record.registry import Change, Registry

PlannedJob = dict[str, Any]

LOG = "log.txt"
_KEYS = ("log", "workdir", "started", "oom_kills", "runs")


def begin(
    root: str,
    *,
    study: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    jobs: Mapping[str, Sequence[PlannedJob]],
    log: str,
) -> None:
    """Record the runs that a call of Snakemake begins; first end those that an older call left.

    What there is to say about runs that are known already goes to stderr.

    Args:
        root: Folder of the results.
        study: The study's whole config.
        configs: Resolved config of each experiment.
        jobs: Rule, outputs and logs of the jobs of this call for each experiment that it is asked
            for; none for one that is up to date.
        log: Snakemake's own log of this call.

    """
    registry = Registry(root)
    messages = reap(root)
    code = code_state()
    runs = {}
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    process = this_process()
    with registry.change() as change:
        for name, planned in jobs.items():
            run = prepare(change.entries, configs[name], code)
            if planned:
                before = change.entries.get(run.identity, {}).get("attempts", 0)
                runs[name] = {
                    "identity": run.identity, "jobs": list(planned), "attempt": before + 1
                }  # fmt: skip
            messages += _remarks(run, again=bool(planned))
        content = {
            "process": process, "log": str(Path(log).resolve()), "workdir": str(Path.cwd()),
            "started": now(), "oom_kills": oom_kills(), "runs": runs,
        }  # fmt: skip
        if runs:
            # Before any run begins: a kill in between leaves no run that nobody ends.
            write_json(session_file(root, f"{process['host']}_{process['pid']}"), content)
        for name, run_facts in runs.items():
            folder = registry.folder(run_facts["identity"])
            start(change, folder, configs[name], code=code, study=study, command=command)
    _say(messages)


def end(root: str) -> None:
    """Record what became of the runs of this process's own call, and say it on stderr.

    Where the disk is full, the next call records it.
    """
    process = this_process()
    path = session_file(root, f"{process['host']}_{process['pid']}")
    if not path.exists():
        return
    try:
        _say(_end_session(Registry(root), path, vanished=False))
    except OSError as error:
        if not is_full_disk(error):
            raise
        _say(
            [
                f"error: {error.filename or root}: {error.strerror}. Make room: the next call "
                "records how the runs of this one ended."
            ]
        )


def session_file(root: str | Path, name: str) -> Path:
    """Where a call writes down which runs it works on, until it ends."""
    return _folder(root) / f"{name}.json"


def reap(root: str | Path) -> list[str]:
    """End the runs of calls that were killed; runs on other machines are left alone.

    Returns:
        One line per run that was ended.
    """
    messages = []
    folder = _folder(root)
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            session = read_json(path)
            gone = has_ended(session["process"])
            _ = (
                [session[key] for key in _KEYS],
                [(run["identity"], run["jobs"]) for run in session["runs"].values()],
            )
        except (FoldwiseError, AttributeError, KeyError, OSError, TypeError, ValueError) as error:
            # It may be another program's file: it stays, and nothing is ended on its word.
            messages.append(f"warning: {path} is not a session of a call ({error}): left out")
            continue
        if gone:
            messages += _end_session(Registry(root), path, vanished=True)
    return messages


def _remarks(run: Prepared, *, again: bool) -> list[str]:
    """What to say of a run that is asked for, where the registry knows it already."""
    if run.status == "new" or (run.status != "complete" and not again):
        return []
    return [run.message if not again else run.message.replace("skipped, see", "made again in")]


def _say(messages: Sequence[str]) -> None:
    for message in messages:
        print(message, file=sys.stderr)


def _end_session(registry: Registry, path: Path, *, vanished: bool) -> list[str]:
    session = read_json(path)
    workdir = Path(session["workdir"])
    log = Path(session["log"])
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    call = parse_log(text)
    messages = []
    with registry.change() as change:
        for name, run in session["runs"].items():
            entry = change.entries.get(run["identity"])
            if entry is None or entry["status"] != "running":
                continue
            ending = _ending(call, session, run, workdir, vanished=vanished)
            messages.append(_record(change, registry, name, run["identity"], ending))
        for run in session["runs"].values():
            entry = change.entries.get(run["identity"])
            if entry is not None and entry["attempts"] >= run.get("attempt", 1):
                _keep_log(change, registry, session, run, text)
        made = (change.entries.get(run["identity"]) for run in session["runs"].values())
        messages += [
            f"run {entry['identity']}: {entry['decision']['reason']}"
            for entry in made
            if entry is not None and entry["decision"]["verdict"] == NEEDS_REVIEW
        ]
    path.unlink(missing_ok=True)
    return messages


def _keep_log(
    change: Change, registry: Registry, session: dict[str, Any], run: dict[str, Any], text: str
) -> None:
    """One file with all that was said about an attempt: by Snakemake, and by each of its jobs."""
    entry = change.entries[run["identity"]]
    folder = registry.folder(run["identity"])
    place = folder / f"attempt_{entry['attempts']}" / LOG
    if "own_log" not in session:
        workdir, since = Path(session["workdir"]), _seconds(session["started"])
        names = dict.fromkeys(name for job in run["jobs"] for name in job["logs"])
        parts = [f"==> {session['log']} <==\n{text}"]
        for name in names:
            log = workdir / name
            if log.is_file() and log.stat().st_mtime >= since:
                said = log.read_text(encoding="utf-8", errors="replace")
                parts.append(f"==> {name} <==\n{said}")
        write_text(place, "\n".join(parts))
    kept = keep(folder, entry["attempts"], {LOG: place})
    change.append(run["identity"], "artifact", {"artifacts": kept})


def _record(
    change: Change, registry: Registry, name: str, identity: str, ending: tuple[str, Failure]
) -> str:
    """End one running run: complete where its folder is there, else as `ending` says."""
    results = registry.root / name
    if _is_result_of(results, change.entries[identity]):
        complete(change, registry.folder(identity), results)
        return f"run {identity} ({name}): complete"
    status, failure = ending
    (fail if status == "failed" else stop)(change, identity, failure)
    return f"run {identity} ({name}): {status}: {failure['reason']}"


def _is_result_of(results: Path, entry: dict[str, Any]) -> bool:
    """Whether `results` was written for the run, after its start."""
    record = results / "results.json"
    if not record.exists():
        return False
    config = read_json(results / "config.json")
    written = record.stat().st_mtime
    return config_hash(config) == entry["config_hash"] and written >= _seconds(entry["started"])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _ending(
    call: CallLog, session: dict[str, Any], run: dict[str, Any], workdir: Path, *, vanished: bool
) -> tuple[str, Failure]:
    """Whether an unfinished run failed or was stopped, and why."""
    planned = [Job(one["rule"], tuple(one["outputs"]), tuple(one["logs"])) for one in run["jobs"]]
    for job in planned:
        failed = failed_job(call, job)
        if failed is not None:
            failure = job_failure(failed, call, session["oom_kills"], workdir)
            by_user = failure["kind"] == "interrupted" or (
                call.interrupted and failure["kind"] == "killed"
            )
            return "stopped" if by_user else "failed", failure
    running = (job for job in planned if _was_cut_short(job, workdir, session["started"]))
    cut_short = next(running, None)
    if call.any_failed:
        reason = "not reached: Snakemake stopped after a job of another run failed"
        return "stopped", call_failure("not_reached", reason, call, cut_short, workdir)
    if call.interrupted:
        reason = "stopped by the user"
        return "stopped", call_failure("interrupted", reason, call, cut_short, workdir)
    if vanished:
        pid = session["process"]["pid"]
        reason = (
            f"{session.get('program', 'Snakemake itself')} (process {pid}) ended without a word: "
            "killed, or the machine stopped"
        )
        failure = call_failure("vanished", reason, call, cut_short, workdir)
        if "own_log" in session:
            said = Path(session["log"]).read_text(encoding="utf-8", errors="replace")
            failure |= {"log": session["log"], "log_tail": tail(said)}
        return "failed", failure
    if cut_short is not None:  # `--quiet all` hides the exit status
        return "failed", job_failure(cut_short, call, session["oom_kills"], workdir)
    reason = "Snakemake ended with an error of its own"
    return "failed", call_failure("unknown", reason, call, None, workdir)


def _was_cut_short(job: Job, workdir: Path, started: str) -> bool:
    """Whether a job began and did not end, to judge by its files."""
    logs = [workdir / path for path in job.logs]
    begun = any(log.exists() and log.stat().st_mtime >= _seconds(started) for log in logs)
    return begun and not all((workdir / path).exists() for path in job.outputs)


def _folder(root: str | Path) -> Path:
    return Path(root) / "runs" / ".sessions"
