"""The result folder of one checkpoint, and `{checkpoint}_eval_results.json` beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.files import read_json, write_csv, write_json, write_parquet, write_text
from foldwise.common.folder import experiment_folder
from foldwise.mlm.evaluation.job import Evaluation, blank_table, sample_table
from foldwise.mlm.report.diagnostics import write_diagnostics
from foldwise.mlm.report.figures import write_group_figure
from foldwise.mlm.report.groups import index_table, window_text, write_groups
from foldwise.mlm.report.places import SUFFIX, results_path
from foldwise.mlm.report.record import ReportSettings, build_record, check_mlm_record
from foldwise.mlm.report.scores import LEAST_PASSAGES, flat_results, metrics_of
from foldwise.mlm.report.templates import render
from foldwise.mlm.texts.text import Text

WORST_GROUPS = 6


def write_result(
    evaluation: Evaluation,
    folder: Path,
    settings: ReportSettings,
    training: Sequence[Text] | None,
    baseline: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the folder, `results.json` last, and the short file beside it.

    Args:
        evaluation: The evaluation.
        folder: Folder to write; an older one is replaced.
        settings: Depth of the report.
        training: Texts that the model was trained on, if known.
        baseline: Row of the config to compare with, if there is one.

    Returns:
        The content of `{checkpoint}_eval_results.json`.
    """
    table, blanks = sample_table(evaluation), blank_table(evaluation)
    metrics = metrics_of(table, blanks, settings.resamples)
    index = index_table(table, settings.resamples)
    record = build_record(evaluation, table, metrics, settings)
    check_mlm_record(record, str(folder / "results.json"))
    results = _short(evaluation, table, flat_results(metrics, settings.matching))
    with experiment_folder(folder) as new:
        write_json(new / "config.json", record["hyperparams"])
        write_json(new / "metrics.json", metrics)
        inputs = [window_text(evaluation, str(name)) for name in table["id"]]
        write_parquet(new / "predictions.parquet", table.assign(input_text=inputs))
        write_groups(new / "groups", evaluation, table, index, settings.worst_n)
        write_group_figure(
            new / "figures" / "groups", index, metrics, folder.name.removesuffix(SUFFIX)
        )
        review = write_diagnostics(new / "diagnostics", evaluation, table, training)
        if len(blanks):
            write_csv(new / "diagnostics" / "lambada_predictions.csv", blanks)
        context = {
            "record": record,
            "metrics": metrics,
            "card": evaluation.frozen.card,
            "review": review,
            "worst": index.head(WORST_GROUPS).to_dict("records"),
            "baseline": baseline,
            "least": LEAST_PASSAGES,
            "name": evaluation.checkpoint,
            "folder": folder.name,
            "rejections": lambda what: _rejections(evaluation.frozen.card, what),
        }
        write_text(new / "README.txt", render("mlm_README.txt.j2", context))
        write_json(new / "results.json", record)
    write_json(results_path(folder), results)
    return results


def _short(evaluation: Evaluation, table: pd.DataFrame, rates: dict[str, Any]) -> dict[str, Any]:
    return {
        "checkpoint": evaluation.checkpoint,
        "seq_len": evaluation.seq_len,
        **rates,
        "coref_samples": len(table),
        "coref_texts": int(table["text_id"].nunique()),
        "lambada_samples": len(evaluation.blanks),
        "partial": evaluation.partial,
        "samples": evaluation.frozen.name,
        "samples_sha256": evaluation.frozen.sha256,
        "precision": evaluation.precision,
    }


def add_to_table(path: Path, results: dict[str, Any]) -> None:
    """Append a checkpoint to a CSV file of many, which gets its header with the first.

    Args:
        path: The file; columns `checkpoint, seq_len, lambada_top1, real1, real5, score, epoch`.
        results: Content of `{checkpoint}_eval_results.json`.
    """
    state = Path(results["checkpoint"]) / "trainer_state.json"
    epoch = read_json(state).get("epoch") if state.is_file() else None
    names = ("checkpoint", "seq_len", "lambada_top1", "real1", "real5", "score")
    table = pd.DataFrame([{**{name: results[name] for name in names}, "epoch": epoch}])
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, mode="a", header=not path.exists(), index=False, lineterminator="\n")


def _rejections(card: dict[str, Any], what: str) -> str:
    """The rejections of texts or nouns as a clause."""
    own = [entry for entry in card["rejections"] if entry["what"] == what]
    return "; ".join(f"{entry['count']} because {entry['reason']}" for entry in own) or "none"
