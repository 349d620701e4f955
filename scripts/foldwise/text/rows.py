"""The rows of one fold for a language model: read, described, and made into prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, read_parquet
from foldwise.crystals.files import read_structures
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.network.machine import Machine
from foldwise.study.outside.text import TextRecipe, Told
from foldwise.tasks.splits import FoldSplit
from foldwise.text.description import crystal_text
from foldwise.text.examples import Candidate, ExampleSets, element_shares
from foldwise.text.prompts import Prompt, PromptMaker


@dataclass(frozen=True)
class TextFiles:
    """What a job reads.

    Attributes:
        targets: targets.parquet of the task.
        structures: Its structures.npz.
        card: Its card.json, which names target and unit.
        split: Split file of the fold.
        graph_failures: CSV of crystals that no model of the study answers, if there are any.
    """

    targets: Path
    structures: Path
    card: Path
    split: Path
    graph_failures: Path | None = None


@dataclass(frozen=True)
class TextJob:
    """One model of a recipe.

    Attributes:
        recipe: Name of the recipe.
        settings: What it says.
        seed: Of the fine-tuning.
        holdout: The hold-out that no example and no fit sees.
        machine: What it computes on.
        model: Folder of the model.
        predictions: Folder of its answers.
    """

    recipe: str
    settings: TextRecipe
    seed: int
    holdout: int
    machine: Machine
    model: Path
    predictions: Path


@dataclass(frozen=True)
class Rows:
    """The rows of one fold, and what is told of their crystals.

    Attributes:
        table: Indexed by id: target, formula, text, subset (`fit`, `held_out` or `test`).
        crystals: By id.
        target_name: Name of the target.
        unit: Its unit.
        task: Name of the task.
        fold: Number of the fold.
    """

    table: pd.DataFrame
    crystals: Mapping[str, CrystalArrays]
    target_name: str
    unit: str
    task: str
    fold: int

    def of(self, *subsets: str) -> pd.DataFrame:
        """Rows of some subsets, in the order of the split."""
        return self.table[self.table["subset"].isin(subsets)]


def read_rows(files: TextFiles, job: TextJob) -> Rows:
    """The rows of the fold, described as the recipe wants them.

    Raises:
        FoldwiseError: A file is missing or broken, or an id has no structure or no target.
    """
    split = FoldSplit.read(files.split)
    card = read_json(files.card)
    targets = read_parquet(files.targets, ("id", "target", "formula")).set_index("id")
    ids, structures = read_structures(files.structures)
    crystals = dict(zip(ids, structures, strict=True))
    failures = files.graph_failures
    left_out = set(pd.read_csv(failures, dtype=str)["id"]) if failures is not None else set()
    fit, held_out = split.fit_and_validation(job.holdout)
    named = [(name, subset) for subset, part in
             (("fit", fit), ("held_out", held_out), ("test", split.test)) for name in part
             if name not in left_out]  # fmt: skip
    absent = [name for name, _ in named if name not in crystals or name not in targets.index]
    if absent:
        raise FoldwiseError(
            f"{len(absent)} id(s) of the split have no structure or no target, the first is "
            f"{absent[0]!r}",
            where=str(files.split),
            hint="Make targets, structures and splits from the same dataset.",
        )
    names = [name for name, _ in named]
    table = targets.loc[names, ["target", "formula"]].assign(
        subset=[subset for _, subset in named],
        text=[
            _text(name, str(targets.loc[name, "formula"]), crystals[name], job.settings.detail)
            for name in names
        ],
    )
    return Rows(
        table, crystals, str(card["target_name"]), str(card["unit"]), split.task, split.fold
    )


def _text(name: str, formula: str, crystal: CrystalArrays, detail: Told) -> str:
    if detail == "id":
        return name
    return formula if detail == "formula" else crystal_text(crystal, detail)


def example_sets(rows: Rows, settings: TextRecipe) -> ExampleSets:
    """Examples from the fitted rows of a fold."""
    fitted = rows.of("fit")
    return ExampleSets(
        [
            Candidate(name, formula, element_shares(rows.crystals[name]))
            for name, formula in zip(fitted.index, fitted["formula"], strict=True)
        ],
        settings.shots,
        settings.example_sets,
    )


def prompts_of(rows: Rows, asked: pd.DataFrame, maker: PromptMaker) -> list[Prompt]:
    """The prompts about some rows; with examples where the recipe shows them."""
    sets = example_sets(rows, maker.settings) if maker.settings.method == "few_shot" else None
    texts = dict(zip(rows.table.index, rows.table["text"], strict=True))
    targets = dict(zip(rows.table.index, rows.table["target"], strict=True))
    made = []
    for name, formula, text in zip(asked.index, asked["formula"], asked["text"], strict=True):
        shown = sets.of(formula, element_shares(rows.crystals[name])) if sets else []
        examples = [(texts[one], targets[one]) for one in shown]
        made.append(maker.prompt(str(name), text, examples))
    return made
