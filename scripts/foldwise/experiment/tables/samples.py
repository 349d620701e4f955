"""One crystal at a glance: everything that was predicted for it, in a text file."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.files import write_text
from foldwise.common.names import safe_name
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.statistics.wording import signed_text, value_text


def write_samples(
    folder: Path, inputs: ExperimentInputs, rows: TestRows, worst: pd.DataFrame, group: str
) -> None:
    """Write `{id}/summary.txt` below `folder` for the first `worst_n` rows of `worst`.

    Args:
        folder: The `samples` folder of a group.
        inputs: The experiment's inputs.
        rows: All test rows.
        worst: The group's rows, worst first.
        group: The group in words.
    """
    head = worst.head(inputs.worst_n)
    for rank, row in enumerate(head.to_dict("records"), start=1):
        text = sample_text(inputs, rows, row)
        place = f"rank in the group ({group}): {rank} of {len(worst)}, worst first\n"
        write_text(folder / safe_name(str(row["id"])) / "summary.txt", text + place)


def sample_text(inputs: ExperimentInputs, rows: TestRows, row: dict[Hashable, Any]) -> str:
    """The summary of one crystal: input, outputs, and what is needed to judge them."""
    row_id = str(row["id"])
    facts: dict[Hashable, Any] = inputs.targets.loc[row_id].to_dict()
    unit, fold = inputs.unit, int(row["fold"])
    low, high = inputs.training_ranges[fold]
    lines = [
        "=== INPUT ===",
        f"id: {row_id}",
        f"formula: {row['formula']}",
        f"atoms in the cell: {facts['n_atoms']}",
        f"elements: {facts['n_elements']}",
        *_symmetry_lines(inputs, facts),
        f"anion family: {facts['anion_family']}",
        "",
        "=== OUTPUT ===",
        f"prediction of {inputs.name}: {value_text(row['prediction'])} {unit}",
        *_member_lines(inputs, rows, row),
        *_parent_lines(inputs, row_id),
        "",
        "=== METADATA ===",
        f"target: {value_text(row['target'])} {unit}",
        f"error (prediction minus target): {signed_text(row['prediction'] - row['target'])} {unit}",
        f"fold: {fold}",
        f"lowest training target: {value_text(low)} {unit}",
        f"highest training target: {value_text(high)} {unit}",
    ]
    return "\n".join(lines) + "\n"


def _symmetry_lines(inputs: ExperimentInputs, facts: dict[Hashable, Any]) -> list[str]:
    if not inputs.has_structures:
        return []
    return [f"space group: {facts['spacegroup']} ({facts['crystal_system']})"]


def _member_lines(inputs: ExperimentInputs, rows: TestRows, row: dict[Hashable, Any]) -> list[str]:
    if len(inputs.labels) == 1:
        return []
    members: dict[Hashable, Any] = rows.members.loc[str(row["id"])].to_dict()
    return [
        *(
            f"  {inputs.label_text(label)}: {value_text(members[label])} {inputs.unit}"
            for label in inputs.labels
        ),
        f"  standard deviation over the {'members' if inputs.combined else 'seeds'}: "
        f"{value_text(row['std'])} {inputs.unit}",
    ]


def _parent_lines(inputs: ExperimentInputs, row_id: str) -> list[str]:
    answers = {
        parent.experiment.upper(): float(parent.rows["prediction"].loc[row_id])
        for parent in inputs.parents
    }
    return [
        f"prediction of {name}: {value_text(answer)} {inputs.unit}"
        for name, answer in answers.items()
    ]
