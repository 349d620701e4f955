"""Where the errors are: a folder per group with a text file per crystal, and an index of groups."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.files import finite_or_none, write_csv, write_json, write_text
from foldwise.common.names import safe_name
from foldwise.experiment.inputs.rows import GROUP_COLUMNS, TestRows
from foldwise.experiment.inputs.types import ExperimentInputs
from foldwise.statistics.intervals import mean_interval
from foldwise.statistics.metrics import fold_metrics
from foldwise.statistics.wording import signed_text, value_text

_QUINTILES = {1: "lowest fifth", 2: "second fifth", 3: "middle fifth", 4: "fourth fifth",
              5: "highest fifth"}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Some test rows that have something in common.

    Attributes:
        kind: What they share, e.g. "anion_family".
        value: Its value, e.g. "oxide".
        description: The same in words.
        rows: Their test rows, worst first.
    """

    kind: str
    value: str
    description: str
    rows: pd.DataFrame

    @property
    def folder(self) -> str:
        """Name of the group and of its folder, e.g. `anion_family=oxide`."""
        return safe_name(f"{self.kind}={self.value}")


def build_groups(inputs: ExperimentInputs, rows: TestRows) -> list[Group]:
    """All groups by anion family, crystal system, number of elements and target quintile."""
    return [
        Group(kind, str(value), _description(kind, str(value), rows, inputs.unit), table)
        for kind in GROUP_COLUMNS
        if kind != "crystal_system" or inputs.has_structures
        for value, table in rows.table.groupby(kind, sort=True)
    ]


def _description(kind: str, value: str, rows: TestRows, unit: str) -> str:
    if kind == "n_elements":
        return f"crystals of {value} element{'' if value == '1' else 's'}"
    if kind == "crystal_system":
        return f"{value} crystals"
    if kind == "anion_family":
        return f"anion family: {value}"
    number = int(value)
    low, high = value_text(rows.edges[number - 1]), value_text(rows.edges[number])
    return f"{_QUINTILES[number]} of the targets, {low} to {high} {unit}"


def index_table(groups: list[Group]) -> pd.DataFrame:
    """One row per group, worst MAE first.

    `mae_low` and `mae_high` are the 95 % interval over formulas (empty for a group of one
    row), and `error_share` is the group's part of the sum of all absolute errors: groups of one
    kind add up to 1.
    """
    total = sum(group.rows["abs_error"].sum() for group in groups if group.kind == groups[0].kind)
    lines = [_index_line(group, float(total)) for group in groups]
    table = pd.DataFrame(lines)
    return table.sort_values(["mae", "group"], ascending=[False, True], ignore_index=True)


def _index_line(group: Group, total: float) -> dict[str, object]:
    error = group.rows["abs_error"].to_numpy()
    numbers = fold_metrics(group.rows["target"].to_numpy(), group.rows["prediction"].to_numpy())
    low = high = float("nan")
    if len(error) > 1:
        interval = mean_interval(error, group.rows["formula"].to_numpy())
        low, high = interval.low, interval.high
    return {
        "group": group.folder,
        "kind": group.kind,
        "value": group.value,
        "description": group.description,
        "n": numbers["n"],
        "mae": numbers["mae"],
        "mae_low": low,
        "mae_high": high,
        "error_share": float(error.sum()) / total if total > 0 else 0.0,
        "rmse": numbers["rmse"],
        "max_abs_error": numbers["max_abs_error"],
        "residual_mean": numbers["residual_mean"],
    }


def write_groups(
    folder: Path, inputs: ExperimentInputs, rows: TestRows, groups: list[Group], index: pd.DataFrame
) -> None:
    """Write `groups/_index.csv` and the folder of each group below `folder`."""
    write_csv(folder / "_index.csv", index)
    lines = {str(entry["group"]): entry for entry in index.to_dict("records")}
    for group in groups:
        place, entry = folder / group.folder, lines[group.folder]
        numbers = fold_metrics(group.rows["target"].to_numpy(), group.rows["prediction"].to_numpy())
        interval = [finite_or_none(entry[end]) for end in ("mae_low", "mae_high")]
        write_json(
            place / "metrics.json",
            {
                "group": group.folder,
                "description": group.description,
                "unit": inputs.unit,
                **numbers,
                "mae_interval": None if interval[0] is None else interval,
                "error_share": entry["error_share"],
            },
        )
        write_csv(place / "predictions.csv", _predictions_table(inputs, group, rows))
        write_csv(place / "per_sample.csv", _sample_table(inputs, group))
        write_samples(place / "samples", inputs, rows, group.rows, group.description)


def _predictions_table(inputs: ExperimentInputs, group: Group, rows: TestRows) -> pd.DataFrame:
    """What every member predicted for every crystal of the group, worst first."""
    table = group.rows[["id", "formula", "fold", "target", "prediction"]].reset_index(drop=True)
    members = rows.members.loc[table["id"]].reset_index(drop=True)
    members.columns = pd.Index(
        [f"prediction_{inputs.label_text(label).replace(' ', '_')}" for label in members.columns]
    )
    return pd.concat([table, members], axis=1)


def _sample_table(inputs: ExperimentInputs, group: Group) -> pd.DataFrame:
    """One line per crystal with its error and where its summary lies, worst first."""
    rows = group.rows
    facts = inputs.targets.loc[rows["id"]]
    shown = [f"samples/{safe_name(row)}/summary.txt" for row in rows["id"][: inputs.worst_n]]
    table = pd.DataFrame(
        {
            "rank": range(1, len(rows) + 1),
            "id": rows["id"].to_numpy(),
            "formula": rows["formula"].to_numpy(),
            "abs_error": rows["abs_error"].to_numpy(),
            "residual": (rows["prediction"] - rows["target"]).to_numpy(),
            "target": rows["target"].to_numpy(),
            "prediction": rows["prediction"].to_numpy(),
            "std": rows["std"].to_numpy(),
            "n_atoms": facts["n_atoms"].to_numpy(),
            "spacegroup": facts["spacegroup"].to_numpy(),
            "fold": rows["fold"].to_numpy(),
            "summary": shown + [""] * (len(rows) - len(shown)),
        }
    )
    return table if inputs.has_structures else table.drop(columns="spacegroup")


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
