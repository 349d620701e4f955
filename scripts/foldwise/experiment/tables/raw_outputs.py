"""What language models were asked and what they wrote: all of it, what failed, and some to read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from foldwise.common.files import write_csv, write_parquet, write_text
from foldwise.common.names import safe_name
from foldwise.experiment.inputs.raw_outputs import OK
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.statistics.wording import value_text

FAILURE_COLUMNS = ("id", "fold", "seed", "parse_status", "output_text", "ground_truth")


def write_raw_outputs(folder: Path, raw: pd.DataFrame, inputs: ExperimentInputs) -> None:
    """Write `raw_outputs.parquet`, `diagnostics/parse_failures.csv` and `calls/{id}.txt`.

    Calls stand there as text for the largest errors, for outputs without a number, and evenly
    through all others: `worst_n` of each.

    Args:
        folder: Folder of the experiment.
        raw: As `read_raw_outputs` has it.
        inputs: The experiment's inputs.
    """
    write_parquet(folder / "raw_outputs.parquet", raw)
    failed = raw[raw["parse_status"] != OK]
    write_csv(folder / "diagnostics" / "parse_failures.csv", failed[list(FAILURE_COLUMNS)])
    errors = (raw["prediction"] - raw["ground_truth"]).abs().sort_values(ascending=False)
    if not inputs.worst_n:
        return
    step = max(1, len(raw) // inputs.worst_n)
    chosen = [
        *errors.index[: inputs.worst_n], *failed.index[: inputs.worst_n], *raw.index[::step]
    ]  # fmt: skip
    for row in dict.fromkeys(chosen):
        call = raw.loc[row]
        low, high = inputs.training_ranges[int(call["fold"])]
        name = safe_name(f"{call['id']}_seed_{call['seed']}") + ".txt"
        write_text(folder / "calls" / name, call_text(call, low, high))


def call_text(call: pd.Series, low: float, high: float) -> str:
    """One call as text: INPUT, OUTPUT, METADATA.

    Args:
        call: A row of the raw outputs.
        low: Lowest fitted target.
        high: Highest fitted target.
    """
    error = float(call["prediction"] - call["ground_truth"])
    facts = {
        "sample_id": call["id"],
        "fold": call["fold"],
        "seed": call["seed"],
        "ground_truth": value_text(float(call["ground_truth"])),
        "predicted": value_text(float(call["prediction"])),
        "error": value_text(error),
        "valid_range": f"[{value_text(low)}, {value_text(high)}]",
        "parse_status": call["parse_status"],
    }
    lines = "\n".join(f"{key}: {value}" for key, value in facts.items())
    return (
        f"=== INPUT ===\n{call['input_text']}\n\n=== OUTPUT ===\n{call['output_text']}\n\n"
        f"=== METADATA ===\n{lines}\n"
    )
