"""Folds: official ones for official tasks, the same protocol or another rule elsewhere."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.tasks.cuts.kinds import cut_fold, random_cut
from foldwise.tasks.cuts.rule import Asked, Cut, SplitRule, partition
from foldwise.tasks.official import OfficialTask, any_official_task, official_folds

MATBENCH_SEED = 18012019  # random_state of the published Matbench folds (Dunn et al. 2020)
N_FOLDS = 5
_HOLDOUTS_SENTENCE = (
    "The training rows are cut into {n} hold-outs by {unit}; a model with seed s stops "
    "early on hold-out s modulo {n} and fits on the other training rows."
)
_KEYS = ("task", "fold", "n_folds", "protocol", "official", "train", "validation", "test")


@dataclass(frozen=True)
class FoldSplit:
    """One fold as explicit lists of ids.

    Attributes:
        task: Task name.
        fold: Number of the fold, from 0.
        n_folds: Folds of the task.
        protocol: How the fold was made, in a sentence or two.
        official: True for a published Matbench fold.
        complete: True where every row of the published (or the own) dataset is present.
        train: All training rows, hold-outs included, in dataset order.
        validation: The hold-outs, a partition of `train` by the unit of the split.
        test: Test rows in dataset order.
        kind: Kind of the split where one was asked for.
    """

    task: str
    fold: int
    n_folds: int
    protocol: str
    official: bool
    complete: bool
    train: tuple[str, ...]
    validation: tuple[tuple[str, ...], ...]
    test: tuple[str, ...]
    kind: str | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> FoldSplit:
        """Read a split file and check it.

        Raises:
            FoldwiseError: The file is missing, no JSON, incomplete, or its lists are empty,
                overlap, or do not partition the training rows.
        """
        where = str(path)
        content = read_json(path)
        missing = [key for key in _KEYS if not isinstance(content, dict) or key not in content]
        if missing:
            raise FoldwiseError(
                f"the key {missing[0]!r} is missing", where=where, hint="Make the split again."
            )
        split = cls(
            task=content["task"],
            fold=content["fold"],
            n_folds=content["n_folds"],
            protocol=content["protocol"],
            official=content["official"],
            complete=content.get("complete", True),
            train=tuple(content["train"]),
            validation=tuple(tuple(part) for part in content["validation"]),
            test=tuple(content["test"]),
            kind=content.get("kind"),
        )
        split.check(where)
        return split

    def fit_and_validation(self, holdout: int) -> tuple[list[str], list[str]]:
        """Rows to fit on and rows to stop early on, both in dataset order.

        Args:
            holdout: Number of the hold-out; taken modulo their number, so that a seed will do.
        """
        validation = self.validation[holdout % len(self.validation)]
        held_out = set(validation)
        return [name for name in self.train if name not in held_out], list(validation)

    def check(self, where: str) -> None:
        """Check that no part is empty and that the parts do not overlap.

        Raises:
            FoldwiseError: They are or do; `where` names the split in the message.
        """
        parts = {"train": self.train, "test": self.test}
        parts |= {f"hold-out {k}": part for k, part in enumerate(self.validation)}
        empty = [name for name, part in parts.items() if not part]
        if empty or len(self.validation) < 2:
            raise FoldwiseError(
                f"fold {self.fold} is empty ({empty[0] if empty else 'hold-outs'})",
                where=where,
                hint="Use more data, fewer folds or fewer hold-outs (at least 2).",
            )
        held_out = [name for part in self.validation for name in part]
        if Counter(held_out) != Counter(self.train) or len(set(held_out)) != len(held_out):
            raise FoldwiseError(
                f"the hold-outs of fold {self.fold} do not partition its training rows",
                where=where,
                hint="Make the split again.",
            )
        shared = set(self.train) & set(self.test)
        if shared or len(set(self.test)) != len(self.test):
            raise FoldwiseError(
                f"{len(shared)} row(s) of fold {self.fold} are in train and test, or twice in test",
                where=where,
                hint="Make the split again.",
            )

    def as_json(self) -> dict[str, Any]:
        """The content of the split file."""
        return {
            "task": self.task,
            "fold": self.fold,
            "n_folds": self.n_folds,
            "protocol": self.protocol,
            "official": self.official,
            "complete": self.complete,
            **({} if self.kind is None else {"kind": self.kind}),
            "counts": {
                "rows": len(self.train) + len(self.test),
                "train": len(self.train),
                "validation": [len(part) for part in self.validation],
                "test": len(self.test),
            },
            "train": list(self.train),
            "validation": [list(part) for part in self.validation],
            "test": list(self.test),
        }


def make_fold(
    targets: pd.DataFrame,
    task: str,
    fold: int,
    *,
    n_folds: int = N_FOLDS,
    n_holdouts: int = N_FOLDS,
    seed: int = MATBENCH_SEED,
    rule: SplitRule | None = None,
) -> FoldSplit:
    """One fold of a task.

    Args:
        targets: Table with columns `id` and `formula` (`spacegroup` for some rules), in dataset
            order.
        task: Task name; an official one gets its published folds, restricted to the ids present.
        fold: Number of the fold, from 0.
        n_folds: Folds; 5 for an official task.
        n_holdouts: Parts into which the training rows are cut, at least 2.
        seed: Seed of the shuffle (own folds) and of the hold-outs.
        rule: How folds are cut; by default an official task's are the published ones, another's
            random.

    Raises:
        FoldwiseError: The fold does not exist or one of its parts would be empty.
    """
    where = f"{task} fold {fold}"
    ids = targets["id"].astype(str).tolist()
    kind = None if rule is None else rule.kind
    official = any_official_task(task)
    if kind == "official" and official is None:
        raise FoldwiseError(
            f"{task!r} is no official task", where=where, hint="Use another kind of split."
        )
    if kind not in (None, "official"):
        official = None
    asked = Asked(fold, n_folds, seed, where)
    _check_request(official, asked, len(ids), least=1 if kind == "file" else 2)
    formulas = targets["formula"].astype(str).tolist()
    complete = official is None or len(ids) == official.n_samples
    if official is not None:
        cut = _official_cut(ids, official, fold, dict(zip(ids, formulas, strict=True)))
    elif rule is None:
        cut = random_cut(ids, formulas, asked)
    else:
        cut = cut_fold(targets, rule, asked)
    holdouts = _HOLDOUTS_SENTENCE.format(n=n_holdouts, unit=cut.unit_name)
    split = FoldSplit(
        task=task,
        fold=fold,
        n_folds=n_folds,
        protocol=f"{cut.protocol} {holdouts}",
        official=official is not None,
        complete=complete,
        train=tuple(cut.train),
        validation=partition(cut.train, [cut.unit[name] for name in cut.train], n_holdouts, seed),
        test=tuple(cut.test),
        kind=kind,
    )
    split.check(where)
    return split


def _check_request(official: OfficialTask | None, asked: Asked, n_rows: int, least: int) -> None:
    if official is not None and asked.n_folds != N_FOLDS:
        raise FoldwiseError(
            f"{asked.n_folds} folds of an official task",
            where=asked.where,
            hint=f"Use {N_FOLDS} folds.",
        )
    if not least <= asked.n_folds <= n_rows:
        raise FoldwiseError(
            f"{n_rows} rows cannot make {asked.n_folds} folds",
            where=asked.where,
            hint=f"Use at least {least} folds and no more than there are rows.",
        )
    if not 0 <= asked.fold < asked.n_folds:
        raise FoldwiseError(
            "there is no such fold", where=asked.where, hint=f"Use folds 0 to {asked.n_folds - 1}."
        )


def _official_cut(
    ids: Sequence[str], official: OfficialTask, fold: int, formula: dict[str, str]
) -> Cut:
    published = official_folds(official)[fold]
    train, test = set(published["train"]), set(published["test"])
    foreign = [name for name in ids if name not in train and name not in test]
    if foreign:
        raise FoldwiseError(
            f"{len(foreign)} id(s) are in no published fold, the first is {foreign[0]!r}",
            where=official.name,
            hint="Use the official ids, or a task name of your own.",
        )
    missing = len(ids) < official.n_samples
    return Cut(
        train=[name for name in ids if name in train],
        test=[name for name in ids if name in test],
        unit=formula,
        protocol=f"Published fold {fold} of {official.name}"
        + (f", restricted to {len(ids)} of {official.n_samples} rows." if missing else "."),
        unit_name="reduced formula",
    )
