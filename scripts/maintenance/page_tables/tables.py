"""The tables of the repository's pages, made from result folders: no number is typed by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.rows import replicate_predictions
from foldwise.experiment.inputs.types import Json
from foldwise.experiment.pages.ablation import training_passes_text
from foldwise.experiment.pages.readme import start_text
from foldwise.experiment.pages.summary import read_records
from foldwise.statistics.intervals import ClusteredMeans, Share, paired_means
from foldwise.statistics.wording import signed_text, value_text
from foldwise.study.config import parse_study
from foldwise.study.files import load_config
from foldwise.study.study import Study
from maintenance.page_tables.board import board_table
from maintenance.page_tables.measured import measured_table
from maintenance.page_tables.text import text_table

DEFAULT = "config/config.yaml"
_TABLE = re.compile(
    r"(?P<begin><!-- (?P<kind>study|soft targets|text models|leaderboard|measured): (?P<config>\S+)"
    r"(?P<names>(?: \w+)*) -->\n)"
    r"(?P<table>.*?)"
    r"(?P<end><!-- end -->)",
    re.DOTALL,
)
_SOFT_COLUMNS = ["id", "formula", "fold", "target", "prediction"]


def with_readme_tables(page: str, root: Path) -> str:
    """The page with its tables made again.

    A table stands between `<!-- study: CONFIG -->`, `<!-- soft targets: CONFIG -->`,
    `<!-- text models: CONFIG -->` or `<!-- leaderboard: CONFIG -->` and `<!-- end -->`; the
    results of that study must be there. Experiments named after CONFIG are the only ones of a
    `study` or `text models` table. `<!-- measured: CSV -->`
    takes the figures of a measurement.

    Args:
        page: Text of the page.
        root: The repository, below which configs and results are.

    Raises:
        FoldwiseError: A config or a result is missing, or the page has no such place.
    """
    makers: Mapping[str, Callable[[Study, Path, Sequence[str]], list[str]]] = {
        "study": study_table,
        "soft targets": soft_target_table,
        "text models": text_table,
        "leaderboard": board_table,
    }
    if not _TABLE.search(page):
        raise FoldwiseError(
            "there is no place for a table",
            where="page",
            hint="Add <!-- study: config/config.yaml --> and <!-- end -->.",
        )

    def table(match: re.Match[str]) -> str:
        if match["kind"] == "measured":
            return _between(match, measured_table(root / match["config"]))
        files = dict.fromkeys([DEFAULT, match["config"]])
        study = parse_study(load_config([root / file for file in files]))
        lines = makers[match["kind"]](study, root / study.root, match["names"].split())
        return _between(match, lines)

    return _TABLE.sub(table, page)


def _between(match: re.Match[str], lines: Sequence[str]) -> str:
    return match["begin"] + "\n".join(lines) + "\n" + match["end"]


def study_table(study: Study, results: Path, names: Sequence[str] = ()) -> list[str]:
    """Experiments beside those that they are compared with, in the config's order.

    Args:
        study: The study.
        results: Folder of its experiments.
        names: The experiments of the table; without one, all of the study.
    """
    shown = [name for name in study.names if name in (names or study.names)]
    records = read_records([results / name for name in shown])
    by_name = {str(record["experiment"]): record for record in records}
    unit = records[0]["unit"]
    lines = [
        f"| experiment | start | crystals fitted | passes | MAE [95 %], {unit} | change [95 %] "
        "| against |",
        "|---|---|---|---|---|---|---|",
    ]
    of_table = {
        name: [entry for entry in record["decision"]["comparisons"] if entry["against"] in by_name]
        for name, record in by_name.items()
    }
    for name, record in by_name.items():
        first = [
            f"`{record['experiment']}` {record['title']}",
            start_text(record),
            training_passes_text(record, by_name),
            str(record["compute"]["inference"]["passes_per_prediction"]),
            _mae(record),
        ]
        for number, entry in enumerate(of_table[name] or [None]):
            cells = [*(first if number == 0 else [""] * len(first)), *_change(entry)]
            lines.append("| " + " | ".join(cells) + " |")
    return lines


def soft_target_table(study: Study, results: Path, _names: Sequence[str] = ()) -> list[str]:
    """Every arm beside one model and beside labels alone, and its share of the ensemble's gain.

    The single model is the first experiment, the ensemble the one that teaches the students, the
    control the one that takes its passes from a student without having teachers.

    Args:
        study: The study.
        results: Folder of its experiments.

    Raises:
        FoldwiseError: The study has no students or no control.
    """
    single, ensemble, control = _roles(study)
    records = {
        str(record["experiment"]): record
        for record in read_records([results / name for name in study.names])
    }
    means, columns = arm_means(records, results)
    unit = records[single]["unit"]
    lines = [
        f"| experiment | crystals fitted | passes | MAE, {unit} (sd over seeds) "
        "| change to one model [95 %] | change to labels alone [95 %] "
        "| kept of the ensemble's gain [95 %] |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, record in records.items():
        cells = [
            f"`{name}` {record['title']}",
            training_passes_text(record, records),
            str(record["compute"]["inference"]["passes_per_prediction"]),
            _mae_over_seeds(record),
            *(_change(_against(record, other))[0] for other in (single, control)),
            ""
            if name in (single, ensemble)
            else share_text(means.share(columns[single], columns[ensemble], columns[name])),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def arm_means(
    records: Mapping[str, Json], results: Path
) -> tuple[ClusteredMeans, dict[str, range]]:
    """Mean absolute errors of all arms on the same test crystals, and each arm's columns.

    Args:
        records: `results.json` by experiment.
        results: Folder of the experiments.

    Raises:
        FoldwiseError: Experiments have different test crystals.
    """
    tables = {
        name: read_parquet(results / name / "predictions.parquet", _SOFT_COLUMNS).sort_values("id")
        for name in records
    }
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if not np.array_equal(table["id"].to_numpy(), first["id"].to_numpy()):
            raise FoldwiseError(
                "its test crystals are others",
                where=str(results / name),
                hint="Run all experiments of the study again.",
            )
    return paired_means(
        first["target"].to_numpy(),
        {name: replicate_predictions(table) for name, table in tables.items()},
        first["formula"].to_numpy(),
    )


def share_text(share: Share) -> str:
    """A share in per cent with its interval."""
    estimate = f"{100 * share.estimate:.0f} %"
    if share.low is None or share.high is None:
        return f"{estimate} [not bounded]"
    return f"{estimate} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def _roles(study: Study) -> tuple[str, str, str]:
    students = [
        entry for entry in study.experiments.values() if study.recipes[entry.recipe].teacher
    ]
    controls = [
        entry.name
        for entry in study.experiments.values()
        if entry.recipe in study.passes_of and not study.recipes[entry.recipe].teacher
    ]
    if not (students and controls):
        raise FoldwiseError(
            "the study has no student or no control on labels alone",
            where=f"run {study.run!r}",
            hint="Give a recipe without a teacher passes_of: a student's experiment.",
        )
    teacher = study.recipes[students[0].recipe].teacher
    assert teacher is not None
    return study.names[0], teacher.ensemble, controls[0]


def _mae(record: Json) -> str:
    pooled = record["metrics"]["over_replicates"] or record["metrics"]["pooled"]
    low, high = pooled["interval"]
    return f"{value_text(pooled['mae'])} [{value_text(low)}, {value_text(high)}]"


def _mae_over_seeds(record: Json) -> str:
    over: Json | None = record["metrics"]["over_replicates"]
    if over is None:
        return value_text(record["metrics"]["pooled"]["mae"])
    return f"{value_text(over['mae'])} ({value_text(over['mae_sd'])})"


def _against(record: Json, other: str) -> Json | None:
    comparisons: Sequence[Json] = record["decision"]["comparisons"]
    return next((entry for entry in comparisons if entry["against"] == other), None)


def _change(entry: Json | None) -> tuple[str, str]:
    if entry is None:
        return "", ""
    low, high = (signed_text(end) for end in entry["interval"])
    star = " ★" if entry["star"] else ""
    return f"{signed_text(entry['delta_mae'])} [{low}, {high}]{star}", f"`{entry['against']}`"
