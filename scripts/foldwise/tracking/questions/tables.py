"""Runs as text: tables for the terminal and Markdown for a paper's notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from foldwise.tracking.record.entries import RANKED_BY, Entry
from foldwise.tracking.record.leaderboard import cell

LIST_COLUMNS = (
    "identity",
    "experiment",
    "status",
    "decision",
    "is_best",
    "n",
    "ranked_by",
    "ended",
)
MAX_CELL = 60


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    texts = [[text_of(value) for value in row] for row in rows]
    return tabulate(texts, header, tablefmt="github", disable_numparse=True)


def text_of(value: object) -> str:
    """A value in a table: six significant digits, cut at `MAX_CELL`; `–` where there is none."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def list_table(entries: Sequence[Entry], metric: str = RANKED_BY) -> str:
    """One line per run."""
    columns = [metric if name == "ranked_by" else name for name in LIST_COLUMNS]
    table = markdown_table(
        columns, [[cell(entry, column) for column in columns] for entry in entries]
    )
    notes = [
        f"{entry['identity']} ({entry['experiment']}): {entry['failure']['reason']}"
        for entry in entries
        if entry["failure"]
    ]
    return "\n".join([table, *([""] if notes else []), *notes])


def stability_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Entries of the stability log, a line each."""
    rows = [
        [
            entry["config"], entry["status"], entry["id"], entry["date"][:10],
            entry["env"].get("gpu") or entry["env"].get("cpu"),
            ", ".join(f"{name} {text_of(value)}" for name, value in entry["metrics"].items()),
            entry["notes"],
        ]
        for entry in entries
    ]  # fmt: skip
    return markdown_table(
        ("config", "status", "run", "judged", "hardware", "metrics", "notes"), rows
    )


def run_text(entry: Entry, artifacts: Mapping[str, Any], differing: Mapping[str, str]) -> str:
    """Everything about one run, for the terminal.

    Args:
        entry: The run.
        artifacts: Files of its last attempt.
        differing: Those that are no longer what was recorded, with `changed` or `gone`.
    """
    decision, failure = entry["decision"], entry["failure"]
    lines = [
        f"{entry['identity']}  {entry['experiment']}: {entry['title']}",
        f"run          {entry['run_id']}",
        f"status       {entry['status']}, attempt {entry['attempt']} of {entry['attempts']}",
        f"time         {entry['started']} to {entry['ended'] or 'now'} on {entry['host']}",
        f"task         {entry['task']}, recipe {entry['recipe']}, seeds {entry['seeds']}",
        f"code         {_code(entry)}",
        f"dataset      {entry['dataset_sha256'] or 'not known before the end'}",
        f"command      {entry['command'] or 'not known'}",
        f"decision     {decision['verdict'] or 'none'}"
        + (f" by {decision['by']}: {decision['reason']}" if decision["verdict"] else "")
        + (" (best of its task)" if entry["is_best"] else ""),
    ]
    lines += _artifact_lines(artifacts, differing)
    lines += [f"{name:<28} {text_of(value)}" for name, value in entry["metrics"].items()]
    if failure:
        lines += [f"failure      {failure['kind']}: {failure['reason']}",
                  f"             on {failure['host']}, log {failure['log'] or 'none'}",
                  *(f"  | {line}" for line in failure["log_tail"])]  # fmt: skip
    return "\n".join(lines)


def _artifact_lines(artifacts: Mapping[str, Any], differing: Mapping[str, str]) -> list[str]:
    if not artifacts:
        return ["artifacts    none with a checksum"]
    kinds = [one["stored"] for one in artifacts.values()]
    size = sum(one["bytes"] for one in artifacts.values()) / 1e6
    state = "all as recorded" if not differing else f"{len(differing)} no longer as recorded"
    return [
        f"artifacts    {kinds.count('copy')} copied, {kinds.count('reference')} by reference, "
        f"{size:.1f} MB: {state}",
        *(f"  ! {problem}: {artifacts[name]['path']}" for name, problem in differing.items()),
    ]


def comparison_markdown(comparison: Mapping[str, Any]) -> str:
    """A comparison of two runs as Markdown."""
    first, second = comparison["runs"]
    names = [f"{run['identity']} ({run['experiment']})" for run in (first, second)]
    parts = [
        f"# {names[0]} → {names[1]}",
        f"First: {first['title']}. Second: {second['title']}. Differences are second minus first; "
        "a negative difference of an error, or a positive one of a rate of hits, means that the "
        "second is better.",
        "## Config",
        _differences(comparison["config"], "The configs are equal."),
        *_paired_parts(comparison["paired"], first["unit"], formulas=first["direction"] == "min"),
        "## All recorded numbers",
        markdown_table(
            ("metric", "first", "second", "difference"),
            [
                [row[key] for key in ("name", "first", "second", "delta")]
                for row in comparison["metrics"]
            ],
        ),
        "## Code",
        _code_difference(comparison["code"]),
        "## Environment",
        _differences(comparison["environment"], "The environments are equal."),
    ]
    return "\n\n".join(parts)


def _paired_parts(paired: Mapping[str, Any] | None, unit: str, *, formulas: bool) -> list[str]:
    if paired is None:
        return ["At least one of the two runs, as a training, has no predictions to pair."]
    left_out = paired["rows_left_out"]
    drawn = ("formulas", "test crystals") if formulas else ("texts", "texts")
    return [
        f"## Metrics on the same {paired['rows']} test rows ({unit})",
        f"Left out because only one run has them: {left_out[0]} and {left_out[1]} rows."
        if any(left_out)
        else "All test rows of both runs.",
        markdown_table(
            ("metric", "difference", "low", "high", "interval excludes zero"),
            [
                [row[key] for key in ("name", "delta", "low", "high", "excludes_zero")]
                for row in paired["differences"]
            ],
        ),
        f"{paired['differences'][0]['confidence']:.0%} intervals of a paired bootstrap that draws "
        f"whole {drawn[0]}: they cover other {drawn[1]}, but no other training seed.",
    ]


def _differences(rows: Sequence[Mapping[str, Any]], none: str) -> str:
    if not rows:
        return none
    table = [[row[key] for key in ("key", "first", "second")] for row in rows]
    return markdown_table(("key", "first", "second"), table)


def _code(entry: Entry) -> str:
    if entry["git_commit"] is None:
        return "outside of git"
    changed = f", with changes {entry['dirty_hash'][:8]}" if entry["git_dirty"] else ", clean"
    return f"{entry['git_commit'][:12]} on {entry['git_branch']}{changed}"


def _code_difference(code: Mapping[str, Any]) -> str:
    if not all(code["commits"]):
        return "At least one run was made outside of git."
    lines = []
    if code["commits"][0] == code["commits"][1]:
        lines.append(f"Both at commit {code['commits'][0][:12]}.")
    else:
        for side, name in (("only_first", "first"), ("only_second", "second")):
            commits = code[side]
            if commits is None:
                lines.append(f"The commits of the {name} run are not in this repository.")
            elif commits:
                lines += [
                    f"Commits that only the {name} run has:",
                    *(f"- {one}" for one in commits),
                ]
    if any(code["dirty"]):
        same = "the same" if code["same_changes"] else "different"
        lines.append(f"At least one tree had uncommitted changes; they were {same}.")
    return "\n".join(lines)
