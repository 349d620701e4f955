"""Write an experiment's whole folder, `results.json` last."""

from __future__ import annotations

from pathlib import Path

from foldwise.common.files import write_json, write_parquet, write_text
from foldwise.common.folder import experiment_folder
from foldwise.experiment.figures.experiment import write_figures
from foldwise.experiment.inputs.rows import build_rows
from foldwise.experiment.inputs.schema import check_record
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.experiment.pages.readme import readme_text
from foldwise.experiment.record.matbench_files import write_matbench
from foldwise.experiment.record.results import build_record
from foldwise.experiment.review.checks import Reviewed, review
from foldwise.experiment.review.verdict import reviewed_decision
from foldwise.experiment.tables.diagnostics import outlier_table, write_diagnostics
from foldwise.experiment.tables.groups import build_groups, index_table, write_groups
from foldwise.experiment.tables.raw_outputs import write_raw_outputs


def write_experiment(inputs: ExperimentInputs, out: str | Path, command: str | None = None) -> Json:
    """Make the folder `out` from an experiment's inputs, replacing an older one only when complete.

    Args:
        inputs: The experiment's inputs.
        out: The experiment's folder, e.g. `results/e4`.
        command: The command that makes the experiment again, if known.

    Returns:
        The review, as in `diagnostics/review.json`.

    Raises:
        FoldwiseError: The record does not follow its schema, or `out` holds other things.
    """
    rows = build_rows(inputs)
    record = build_record(inputs, rows, command)
    check_record(record, f"results.json of {inputs.name}")
    groups = build_groups(inputs, rows)
    index = index_table(groups)
    with experiment_folder(out) as folder:
        write_json(folder / "config.json", inputs.config)
        write_json(folder / "metrics.json", record["metrics"])
        write_parquet(folder / "predictions.parquet", rows.table)
        write_groups(folder / "groups", inputs, rows, groups, index)
        write_diagnostics(folder / "diagnostics", inputs, rows, groups)
        if inputs.raw_outputs is not None:
            write_raw_outputs(folder, inputs.raw_outputs, inputs)
        write_figures(folder / "figures", inputs, rows, groups, index)
        if record["matbench"]["written"]:
            write_matbench(folder / "matbench", inputs, rows, record)
        if any(model.checkpoint is not None for model in inputs.models):
            # Only models need PyTorch, which takes seconds to import; recorded answers do not.
            from foldwise.experiment.export.model_folder import write_model_folder  # noqa: PLC0415

            write_model_folder(folder / "model", inputs, rows, record)
        outliers = outlier_table(inputs, rows)
        result = review(inputs, Reviewed(folder, rows, record, groups, index, outliers))
        write_json(folder / "diagnostics" / "review.json", result)
        record["decision"] = reviewed_decision(inputs.name, record["decision"], result)
        check_record(record, f"results.json of {inputs.name}")
        write_text(folder / "README.txt", readme_text(inputs, rows, record, index, result))
        write_json(folder / "results.json", record)
    return result
