"""A study of a user's own crystals: the dataset, what was found, and the config, made together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, replaced_folder, write_text
from foldwise.study.config import parse_study
from foldwise.study.defaults import holdouts, recipe_lines
from foldwise.study.files import merged
from foldwise.tasks.cuts.rule import SplitRule
from foldwise.tasks.formats.reader import open_structures
from foldwise.tasks.formats.text import MAX_ATOMS
from foldwise.tasks.own.collect import COLUMNS, CRYSTALS, REJECTED, Collected, collect
from foldwise.tasks.own.kinds import TargetKind, target_kind
from foldwise.tasks.own.survey import Duplicates, find_duplicates, survey
from foldwise.tasks.own.values import Quantity, read_targets
from foldwise.tasks.splits import make_fold

SURVEY = "README.txt"
CONTENT = (CRYSTALS, COLUMNS, REJECTED, SURVEY)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FIRST_LINE = "# Study of "  # of a config that may be replaced
EXPERIMENTS = ("e0", "e3", "e4")
"""What a new study runs: one model, the mean of three, and one student of them."""


@dataclass(frozen=True)
class OwnStudy:
    """What a user gives.

    Attributes:
        structures: Folder or file of structures.
        targets: Table of targets; None where they stand beside the structures.
        quantity: Column of the target, and its unit.
        name: Of the study, its task and its files, lower snake case.
        id_column: Column of ids, where it is not one of the usual names.
        structure_column: Column of structures of a table.
        split: How folds are cut; None decides by the data.
        split_column: Column of the targets' table, for the splits `column`, `time` and `file`.
        max_atoms: Largest cell that is taken.
    """

    structures: Path
    targets: Path | None
    quantity: Quantity
    name: str
    id_column: str | None
    structure_column: str | None
    split: str | None
    split_column: str | None
    max_atoms: int


@dataclass(frozen=True)
class _Choices:
    """What was decided, and why."""

    kind: TargetKind
    rule: SplitRule
    why_split: str
    folds: int
    holdouts: int


def make_own_study(
    given: OwnStudy, defaults: Mapping[str, Any], root: Path, *, replace: bool, workers: int
) -> str:
    """Write `data/own/{name}/` and `config/{name}.yaml`, and say what was found.

    The config is written last, so that one which is there belongs to a whole dataset.

    Args:
        given: What the user gives.
        defaults: Content of `config/config.yaml`.
        root: Folder of the repository, in which Snakemake is called.
        replace: Whether files of an earlier call may be replaced.
        workers: Processes that read structures.

    Returns:
        The findings and the next command.

    Raises:
        FoldwiseError: A mistake in what was given; nothing is written then.
    """
    folder, config = root / "data" / "own" / given.name, root / "config" / f"{given.name}.yaml"
    _check_name(given.name, defaults)
    for path in (folder, config):
        if path.exists() and not replace:
            raise FoldwiseError(
                "it is there already", where=str(path), hint="Take another --name, or --replace."
            )
    if config.exists() and not config.read_text(encoding="utf-8").startswith(_FIRST_LINE):
        raise FoldwiseError(
            "this program did not write it", where=str(config), hint="Take another --name."
        )
    targets = (
        None
        if given.targets is None
        else read_targets(given.targets, given.quantity, given.id_column)
    )
    source = open_structures(
        given.structures,
        id_column=given.id_column,
        structure_column=given.structure_column,
        max_atoms=given.max_atoms,
        name=given.name,
    )
    with replaced_folder(folder, CONTENT) as new:
        found = collect(source, targets, given.quantity, new, workers=workers)
        duplicates = find_duplicates(found)
        choices = _choices(given, found, duplicates, new, defaults)
        text = survey(source, found, duplicates, given.quantity)
        write_text(new / SURVEY, f"{_call(given)}\n\n{text}")
        content = _config(given, choices, file_sha256(new / CRYSTALS), len(found.ids))
        parse_study(merged(defaults, yaml.safe_load(content)))
    write_text(config, content)
    return (
        f"{text}\n"
        f"wrote       {folder.relative_to(root)}/ (crystals, columns, rejected rows, these lines)\n"
        f"            {config.relative_to(root)} (a comment on every choice)\n"
        f"splits      {choices.why_split}\n"
        f"next        snakemake --cores 2 --configfile {config.relative_to(root)} -- "
        f"results/{given.name}/e0/results.json\n"
    )


def _check_name(name: str, defaults: Mapping[str, Any]) -> None:
    taken = {*defaults["datasets"], *defaults["experiments"], "config", "smoke", "mlm", "data"}
    if not _NAME.fullmatch(name) or name in taken or name.startswith("matbench_"):
        raise FoldwiseError(
            f"{name!r} cannot name a study",
            where="--name",
            hint="Take lower case letters, digits and _, and no name of a task or experiment.",
        )


def _choices(
    given: OwnStudy,
    found: Collected,
    duplicates: Duplicates,
    folder: Path,
    defaults: Mapping[str, Any],
) -> _Choices:
    table = found.table()
    kind = target_kind(
        given.quantity.column, given.quantity.unit, found.targets, table["n_atoms"].tolist()
    )
    rule, why = _rule(given, duplicates, folder)
    folds = _n_folds(rule, folder, int(defaults["splits"]["folds"]))
    # Of formulas there are enough for many parts; of what else is kept together perhaps not.
    by_row = rule.kind in {"random", "formula"}
    parts = holdouts(len(table), folds) if by_row else int(defaults["splits"]["holdouts"])
    try:
        for fold in range(folds):
            make_fold(
                table,
                given.name,
                fold,
                n_folds=folds,
                n_holdouts=parts,
                seed=int(defaults["splits"]["seed"]),
                rule=rule,
            )
    except FoldwiseError as error:
        # The user knows the table, not the copy that is being written.
        where = error.where.replace(str(folder / COLUMNS), str(given.targets or given.structures))
        raise FoldwiseError(error.what, where=where, hint=error.hint) from error
    return _Choices(kind, rule, why, folds, parts)


def _rule(given: OwnStudy, duplicates: Duplicates, folder: Path) -> tuple[SplitRule, str]:
    if given.split in {"column", "time", "file"}:
        if not given.split_column:
            raise FoldwiseError(
                f"--split {given.split} needs a column",
                where="--split-column",
                hint="Name a column of the targets' table.",
            )
        rule = SplitRule(given.split, str(folder / COLUMNS), given.split_column)
        return rule, f"by your column {given.split_column!r}, as --split says"
    if given.split is not None:
        return SplitRule(given.split), f"{given.split}, as --split says"
    if duplicates.same_formula:
        return (
            SplitRule("formula"),
            f"by formula: {duplicates.same_formula:,} rows share theirs with another row, and "
            "random folds would put such pairs on both sides",
        )
    return SplitRule("random"), "random, Matbench's protocol: no two rows share a formula"


def _n_folds(rule: SplitRule, folder: Path, usual: int) -> int:
    if rule.kind != "file":
        return usual
    cells = pd.read_csv(folder / COLUMNS, dtype=str, keep_default_na=False)
    if rule.column not in cells:
        return usual  # making the folds says what is wrong
    numbers = [int(cell) for cell in cells[rule.column] if cell.strip().isdecimal()]
    return max(numbers) + 1 if numbers else 1


def _call(given: OwnStudy) -> str:
    options = {
        "--structures": given.structures,
        "--targets": given.targets,
        "--target": given.quantity.column,
        "--unit": given.quantity.unit,
        "--id-column": given.id_column,
        "--structure-column": given.structure_column,
        "--split": given.split,
        "--split-column": given.split_column,
        "--max-atoms": None if given.max_atoms == MAX_ATOMS else given.max_atoms,
        "--name": given.name,
    }
    words = [f"{key} {shlex.quote(str(value))}" for key, value in options.items() if value]
    return " ".join(["python scripts/new_study.py", *words])


def _config(given: OwnStudy, choices: _Choices, sha256: str, n_rows: int) -> str:
    """The study file; values are quoted as YAML needs it."""
    column, unit = (_scalar(value) for value in given.quantity)
    folder = f"data/own/{given.name}"
    lines = [
        f"{_FIRST_LINE}{n_rows:,} crystals of your own, written by",
        f"# {_call(given)}",
        "# and laid over config/config.yaml; docs/configuration.md explains every key.",
        "",
        f"# Results go to results/{given.name}/.",
        f"run: {given.name}",
        f"task: {given.name}",
        "",
        "datasets:",
        f"  {given.name}:",
        "    source: file",
        f"    path: {folder}/{CRYSTALS}",
        "    # Another file under this name is refused.",
        f"    sha256: {sha256}",
        f"    column: {column}",
        "    # What tables and figures call it: write it out.",
        f"    target_name: {column}",
        f"    unit: {unit}",
        "    # Whether it does not grow with the cell.",
        f"    intensive: {str(choices.kind.intensive).lower()}",
        f"    # {choices.kind.why}.",
        f"    transform: {choices.kind.transform}",
        "",
        "splits:",
        *_split_lines(choices, folder),
        "  # Each row is tested in one of them.",
        f"  folds: {choices.folds}",
        "  # One part of the training rows validates, and is not fitted.",
        f"  holdouts: {choices.holdouts}",
        "",
        *recipe_lines(n_rows, choices.folds, choices.holdouts),
        "",
        "# One model, the mean of three, and one student of them. e0_scratch and e3_scratch ask",
        "# the same of random weights; each is compared with one of these.",
        f"only: [{', '.join(EXPERIMENTS)}]",
        "",
    ]
    return "\n".join(lines)


def _split_lines(choices: _Choices, folder: str) -> list[str]:
    lines = [f"  # {choices.why_split}.", f"  kind: {choices.rule.kind}"]
    if choices.rule.column is not None:
        lines += [
            "  # Every other column of your tables, by id.",
            f"  table: {folder}/{COLUMNS}",
            f"  column: {_scalar(choices.rule.column)}",
        ]
    return lines


def _scalar(text: str) -> str:
    """A text as one YAML scalar on one line."""
    return yaml.safe_dump(text, width=10_000, allow_unicode=True).splitlines()[0]
