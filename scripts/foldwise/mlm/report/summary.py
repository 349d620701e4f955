"""All checkpoints of a run on one page: table, learning curve, the best, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, read_parquet, write_csv, write_text
from foldwise.mlm.report.figures import write_learning_curve
from foldwise.mlm.report.places import SUFFIX, results_path
from foldwise.mlm.report.record import check_mlm_record
from foldwise.mlm.report.scores import LEAST_PASSAGES, difference_entry, score_parts
from foldwise.mlm.report.statistics import difference_interval, sum_interval
from foldwise.mlm.report.templates import render

METRICS = {
    "real1": "Real@1",
    "real5": "Real@5",
    "lambada_top1": "LAMBADA@1",
    "score": "composite score",
}


@dataclass(frozen=True)
class Result:
    """One evaluated checkpoint.

    Attributes:
        name: Phase and checkpoint, e.g. `mlm/checkpoint-300`.
        phase: Phase of the training.
        step: Training step; empty where it is not known.
        results: Content of `{checkpoint}_eval_results.json`.
        record: Content of `results.json`.
        rows: Its samples by id.
        blanks: Its Ko-LAMBADA rows by id; empty where there is no such set.
    """

    name: str
    phase: str
    step: str
    results: dict[str, Any]
    record: dict[str, Any]
    rows: pd.DataFrame
    blanks: pd.DataFrame


def read_results(folders: Sequence[str | Path]) -> list[Result]:
    """Result folders in the order given, all on the same samples.

    Raises:
        FoldwiseError: A folder is incomplete, or two folders are about different samples.
    """
    found = [_read(Path(folder)) for folder in folders]
    first = found[0]
    for other in found[1:]:
        if set(other.rows.index) != set(first.rows.index):
            raise FoldwiseError(
                f"{other.name} and {first.name} were asked about different samples",
                where=str(folders[found.index(other)]),
                hint="Evaluate both on one sample file, with the same --limit.",
            )
    return found


def _read(folder: Path) -> Result:
    record = read_json(folder / "results.json")
    check_mlm_record(record, str(folder / "results.json"))
    columns = ("id", "text_id", "hit1", "hit5", "reference_hit1", "reference_hit5")
    rows = read_parquet(folder / "predictions.parquet", columns).set_index("id").sort_index()
    blanks = pd.DataFrame({"hit1": [], "reference_hit1": []})
    predictions = folder / "diagnostics" / "lambada_predictions.csv"
    if predictions.exists():
        blanks = pd.read_csv(predictions, index_col="id").sort_index()
    name = folder.name.removesuffix(SUFFIX)
    phase = folder.parent.name
    results = read_json(results_path(folder))
    return Result(
        f"{phase}/{name}", phase, _step(name, results["checkpoint"]), results, record, rows, blanks
    )


def _step(name: str, checkpoint: str) -> str:
    step = name.rsplit("-", 1)[-1]
    training = Path(checkpoint).parent / "training.json"
    if step == "best" and training.exists():
        return f"{read_json(training)['best_step']} (best)"
    return step


def summary_table(results: Sequence[Result]) -> pd.DataFrame:
    """One row per checkpoint, in the order given."""
    return pd.DataFrame([_line(result) for result in results])


def _line(result: Result) -> dict[str, Any]:
    values = result.results
    line: dict[str, Any] = {
        "name": result.name,
        "phase": result.phase,
        "step": result.step,
        "checkpoint": values["checkpoint"],
        "seq_len": values["seq_len"],
        "n": values["coref_samples"],
        "partial": values["partial"],
    }
    for metric in METRICS:
        low, high = values[f"{metric}_interval"] or (None, None)
        line |= {metric: values[metric], f"{metric}_low": low, f"{metric}_high": high}
    for matching in ("exact", "reference"):
        line |= {f"{metric}_{matching}": values[matching][metric] for metric in METRICS}
    return line | {key: values[key] for key in ("coverage", "pll1", "floor_real1", "floor_real5")}


def comparison(before: Result, after: Result, resamples: int) -> list[dict[str, Any]]:
    """Paired differences of two checkpoints, metric by metric, clustered by text."""
    kind = "reference_" if after.results["matching"] == "reference" else ""
    texts = before.rows["text_id"].tolist()
    pairs = [(metric, before.rows[f"{kind}{hit}"], after.rows[f"{kind}{hit}"], texts)
             for metric, hit in (("real1", "hit1"), ("real5", "hit5"))]  # fmt: skip
    if len(before.blanks) and before.blanks.index.equals(after.blanks.index):
        rows = [str(name) for name in before.blanks.index]
        hit = f"{kind}hit1"
        pairs.append(("lambada_top1", before.blanks[hit], after.blanks[hit], rows))
    differences = [
        (metric, float(first.mean()), float(second.mean()),
         difference_interval(second, first, clusters, resamples=resamples))
        for metric, first, second, clusters in pairs
    ]  # fmt: skip
    if len(pairs) == len(METRICS) - 1 and len(before.blanks) >= LEAST_PASSAGES:
        first, five, last = (second * 1.0 - one * 1.0 for _, one, second, _ in pairs)
        parts = score_parts((first, five, texts), (last, rows), least=-1.0)
        differences.append(("score", before.results["score"], after.results["score"],
                            sum_interval(parts, resamples=resamples)))  # fmt: skip
    return [
        {
            "metric": METRICS[metric],
            "before_name": before.name,
            "after_name": after.name,
            "before": first,
            "after": second,
            **difference_entry(interval),
        }
        for metric, first, second, interval in differences
    ]


def best_lines(table: pd.DataFrame) -> list[str]:
    """The best checkpoint by each metric; all of them where several are equal."""
    absent = {
        "lambada_top1": "no Ko-LAMBADA file",
        "score": f"it needs {LEAST_PASSAGES} Ko-LAMBADA rows; rank by Real@1",
    }
    lines = []
    for metric, label in METRICS.items():
        values = table[metric].dropna().astype(float)
        if values.empty:
            lines.append(f"{label}: not measured ({absent[metric]})")
            continue
        names = table.loc[values.index[values == values.max()], "name"]
        lines.append(f"{label}: {', '.join(f'`{name}`' for name in names)} ({values.max():.4f})")
    return lines


def write_summary(
    run: str,
    folders: Sequence[str | Path],
    *,
    compare: Sequence[str],
    resamples: int,
    out: str | Path,
    command: str,
) -> None:
    """Write `summary.md`, `summary.csv` and the learning curve to the folder of a run.

    Args:
        run: Name of the run.
        folders: Result folders, in the order of the training.
        compare: Names of two checkpoints, before and after; may be empty.
        resamples: Bootstrap resamples of each difference.
        out: `summary.md`.
        command: The command that makes it again.
    """
    place = Path(out)
    results = read_results(folders)
    table = summary_table(results)
    by_name = {result.name: result for result in results}
    unknown = next((name for name in compare if name not in by_name), None)
    if unknown is not None:
        raise FoldwiseError(
            f"unknown checkpoint {unknown!r}",
            where="--compare",
            hint=f"Allowed: {', '.join(by_name)}.",
        )
    neighbours = [
        line for first, second in pairwise(results) for line in comparison(first, second, resamples)
    ]
    pair = [by_name[name] for name in compare]
    card = results[0].record["data"]
    best = max(results, key=lambda one: float(one.results["real1"]))
    title = (
        f"Highest Real@1 of {len(results)}: {best.name}\n"
        f"({100 * best.results['real1']:.1f} % of {len(best.rows)} samples, "
        f"Real@5 {100 * best.results['real5']:.1f} %)"
    )
    write_learning_curve(place.parent / "figures" / "learning_curve", table, title)
    text = render(
        "mlm_summary.md.j2",
        {
            "run": run,
            "rows": table.astype(object).where(table.notna(), None).to_dict("records"),
            "results": results[0].results,
            "data": card,
            "best": best_lines(table),
            "neighbours": neighbours,
            "compared": comparison(pair[0], pair[1], resamples) if pair else [],
            "floors": [(one.name, one.record["metrics"]["floor"]) for one in pair],
            "resamples": resamples,
            "least": LEAST_PASSAGES,
            "command": command,
        },
    )
    write_csv(place.with_suffix(".csv"), table.sort_values(["score", "real1", "real5", "name"],
                                                           na_position="first"))  # fmt: skip
    write_text(place, text)
