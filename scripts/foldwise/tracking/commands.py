"""What `scripts/runs.py` does: each command returns the text for the terminal.

Every command first ends the runs of killed calls, so that what it shows is true.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.tracking.calls.session import reap
from foldwise.tracking.exports.archive import export_run
from foldwise.tracking.exports.mlflow import export_safely
from foldwise.tracking.questions.compare import compare_runs
from foldwise.tracking.questions.prune import find_waste, remove
from foldwise.tracking.questions.stability import (
    LOG,
    STATUSES,
    append_entry,
    log_entry,
    read_log,
)
from foldwise.tracking.questions.tables import (
    comparison_markdown,
    list_table,
    run_text,
    stability_table,
)
from foldwise.tracking.record import lifecycle
from foldwise.tracking.record.artifacts import differing
from foldwise.tracking.record.entries import RANKED_BY, Entry, attempts_of
from foldwise.tracking.record.events import artifacts_of, known_events
from foldwise.tracking.record.leaderboard import ranked, worst_first
from foldwise.tracking.record.registry import Registry


def list_runs(results: Path, status: str | None, metric: str | None) -> str:
    """A line per run, those without the metric first, then the worst.

    Without a metric, runs that are ranked by the same one stand in one table.
    """
    entries = [
        entry
        for entry in _registry(results).entries().values()
        if status in (None, entry["status"])
    ]
    if not entries:
        return f"no runs in {results}"
    if metric is None:
        # A run without a result names no metric: it goes to the runs of its task.
        of_task = {one["task"]: one["ranked_by"] for one in entries if one["ranked_by"]}
        by_metric: dict[str, list[Entry]] = {}
        for entry in entries:
            by_metric.setdefault(of_task.get(entry["task"], RANKED_BY), []).append(entry)
        return "\n\n".join(
            list_table(worst_first(own), name) for name, own in sorted(by_metric.items())
        )
    having = ranked(entries, metric)
    return list_table([*(one for one in entries if one not in having), *having[::-1]], metric)


def show(results: Path, run: str, form: str, attempt: int | None = None) -> str:
    """Everything about one run, or about one of its attempts.

    Raises:
        FoldwiseError: No such run, or it has no such attempt.
    """
    registry = _registry(results)
    entry = find_run(registry, run)
    folder = registry.folder(entry["identity"])
    if attempt is not None:
        if not 1 <= attempt <= entry["attempts"]:
            raise FoldwiseError(
                f"the run has no attempt {attempt}",
                where=entry["identity"],
                hint=f"Choose from 1 to {entry['attempts']}.",
            )
        entry = attempts_of(entry["identity"], known_events(folder))[attempt - 1]
    if form == "json":
        return json.dumps(entry, indent=2, ensure_ascii=False)
    artifacts = artifacts_of(folder, entry["attempt"])
    return run_text(entry, artifacts, dict(differing(folder, artifacts)))


def compare(results: Path, first: str, second: str, form: str) -> str:
    """What differs between two runs."""
    registry = _registry(results)
    identities = [find_run(registry, run)["identity"] for run in (first, second)]
    found = compare_runs(registry, *identities)
    return comparison_markdown(found) if form == "md" else json.dumps(found, indent=2)


def rank(results: Path, metric: str, direction: str | None) -> str:
    """Complete runs, the best first."""
    entries = list(_registry(results).entries().values())
    return list_table(ranked(entries, metric, direction), metric)


def decide(results: Path, run: str, verdict: str, reason: str) -> str:
    """Record a person's decision."""
    registry = _registry(results)
    identity = find_run(registry, run)["identity"]
    lifecycle.decide(registry, identity, verdict, reason)
    return f"{identity}: {verdict}, {reason}"


def add_metric(results: Path, run: str, name: str, value: float) -> str:
    """Add a number to a complete run."""
    registry = _registry(results)
    identity = find_run(registry, run)["identity"]
    lifecycle.add_metric(registry, identity, name, value)
    return f"{identity}: {name} {value:g}"


def rebuild(results: Path) -> str:
    """Make the registry anew."""
    registry = _registry(results)
    return f"{registry.path}: {len(registry.rebuild())} run(s)"


def reap_runs(results: Path) -> str:
    """End the runs of killed calls."""
    messages = reap(results)
    return "\n".join(messages) if messages else "no run has ended without a word"


def prune(results: Path, *, delete: bool) -> str:
    """Show, or delete, what discarded runs have left."""
    waste = find_waste(_registry(results))
    lines = [f"{each.size / 1e6:9.2f} MB  {each.path}  ({each.why})" for each in waste]
    total = sum(each.size for each in waste) / 1e6
    if delete:
        remove(waste)
    end = "deleted" if delete else "to delete; nothing is deleted without --delete"
    return "\n".join([*lines, f"{total:9.2f} MB in {len(waste)} place(s) {end}"])


def export(results: Path, run: str, out: Path | None, include: Sequence[str] = ()) -> str:
    """Write a run as a zip."""
    registry = _registry(results)
    identity = find_run(registry, run)["identity"]
    path = export_run(registry, identity, out or Path(f"foldwise_{identity}.zip"), include)
    return f"{path}: {path.stat().st_size / 1e6:.2f} MB"


def export_mlflow(results: Path, store: Path | None) -> str:
    """Copy complete runs to an MLflow store."""
    folder = store or results / "mlflow"
    copied = export_safely(_registry(results), folder)
    return f"{copied} new run(s) in sqlite:///{folder}/mlflow.db"


def list_stability(log: Path | None) -> str:
    """The stability log, the latest judgement first."""
    path = log or LOG
    entries = read_log(path)
    return stability_table(entries[::-1]) if entries else f"{path}: no run has been judged"


def judge_stability(
    results: Path, run: str, status: str | None, notes: str, log: Path | None
) -> str:
    """Add a run to the stability log.

    Raises:
        FoldwiseError: No status is given, no such run is known, or no commit holds its code.
    """
    if status is None:
        raise FoldwiseError(
            "no status is given",
            where=f"stability {run}",
            hint=f"Add one of {', '.join(STATUSES)}; without a run the log is shown.",
        )
    registry = _registry(results)
    entry = find_run(registry, run)
    if entry["git_commit"] is None or entry["git_dirty"]:
        raise FoldwiseError(
            "it ran on files that no commit holds",
            where=entry["identity"],
            hint="Commit them, and run it again: the log names the commit.",
        )
    path = log or LOG
    append_entry(log_entry(registry, entry, status, notes), path)
    return f"{path.name}: {entry['identity']} is {status}"


def find_run(registry: Registry, name: str) -> Entry:
    """The run of an identity, of its beginning, or the latest one of an experiment.

    Raises:
        FoldwiseError: No run or several runs fit.
    """
    entries = registry.entries()
    if name in entries:
        return entries[name]
    of_experiment = [entry for entry in entries.values() if entry["experiment"] == name]
    if of_experiment:
        return max(of_experiment, key=lambda entry: (entry["started"], entry["identity"]))
    found = [entry for identity, entry in entries.items() if identity.startswith(name)]
    if len(found) != 1:
        names = ", ".join(entry["identity"] for entry in found) or ", ".join(entries) or "none"
        raise FoldwiseError(
            "several runs begin so" if found else "no such run",
            where=repr(name),
            hint=f"Choose among: {names}.",
        )
    return found[0]


def _registry(results: Path) -> Registry:
    for message in reap(results):
        print(message, file=sys.stderr)
    return Registry(results)
