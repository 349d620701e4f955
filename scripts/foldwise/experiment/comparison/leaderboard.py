"""Where a run would stand among published results of its task.

A run is placed only when every official row has a prediction. Results of models that were trained
from scratch and of models that were pretrained on other data are never put into one ranking.
"""

from __future__ import annotations

from pathlib import Path

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_yaml
from foldwise.experiment.comparison.fallback import mae_of_all_rows
from foldwise.experiment.inputs.types import Json
from foldwise.statistics.wording import value_text

FOLDER = REPOSITORY / "config" / "leaderboards"
STARTS = ("scratch", "pretrained")
CONTAMINATION = (
    "Pretrained entries may have seen the test crystals, or their labels, in other data: their "
    "errors must not be ranked beside those of models trained from scratch."
)
_KEYS = ("name", "start", "source", "date")


def read_leaderboard(task: str, folder: Path = FOLDER) -> Json | None:
    """Published results of a task, `None` where the repository has none.

    Returns:
        `task`, `unit`, `metric` ("mae" or "rocauc") and `entries` (name, the metric, start, source,
        date).

    Raises:
        FoldwiseError: The file is no such list.
    """
    path = folder / f"{task}.yaml"
    if not path.is_file():
        return None
    content = read_yaml(path)
    entries = content.get("entries") if isinstance(content, dict) else None
    if not isinstance(entries, list) or content.get("task") != task:
        raise FoldwiseError(
            f"it holds no entries of task {task!r}", where=str(path), hint="See the other files."
        )
    metric = str(content.get("metric", "mae"))
    keys = (*_KEYS, metric)
    for number, entry in enumerate(entries):
        missing = [key for key in keys if key not in entry]
        if missing or entry["start"] not in STARTS:
            raise FoldwiseError(
                f"entry {number + 1} lacks {missing[0]!r}"
                if missing
                else f"entry {number + 1} starts from {entry['start']!r}",
                where=str(path),
                hint=f"Each entry has {', '.join(keys)}; start is {' or '.join(STARTS)}.",
            )
    return {"task": task, "unit": str(content["unit"]), "metric": metric, "entries": entries}


def standing(record: Json, board: Json | None) -> Json | None:
    """Place a run among published results of models that start as it does.

    Args:
        record: A record with a complete task.
        board: The published results of its task.

    Returns:
        `rank`, `of`, `lines` (the ranking, best first) and `sentence`; or `None` where the task is
        incomplete or nothing is published.
    """
    if board is None or not record["matbench"]["written"]:
        return None
    own = str(record["experiment"]).upper()
    # Published results are over all rows of the task.
    mae = mae_of_all_rows(record)
    start = STARTS[int(bool(record["leakage"]["test_structures_presumably_seen"]))]
    peers = [entry for entry in board["entries"] if entry["start"] == start]
    others = [entry for entry in board["entries"] if entry["start"] != start]
    ranking = sorted(
        [(float(entry["mae"]), str(entry["name"])) for entry in peers]
        + [(mae, f"{own} (this run)")]
    )
    rank = 1 + sum(error < mae for error, _ in ranking)
    which = {"scratch": "trained from scratch", "pretrained": "pretrained on other data"}[start]
    return {
        "rank": rank,
        "of": len(ranking),
        "start": start,
        "lines": [f"{value_text(error)}  {name}" for error, name in ranking],
        "others": [f"{value_text(float(entry['mae']))}  {entry['name']}" for entry in others],
        "sentence": (
            f"Among the {len(peers)} published results of models {which} that "
            f"config/leaderboards/{board['task']}.yaml lists, a mean MAE of {value_text(mae)} "
            f"{board['unit']} would be number {rank}."
        ),
        "caveat": _caveat(record),
    }


def _caveat(record: Json) -> str | None:
    recorded = record["leakage"]["recorded_teachers"]
    if recorded is None:
        return None
    return (
        "It is a combination of such results, not one more model: "
        f"{', '.join(recorded['members'])}. {recorded['statement']}"
    )
