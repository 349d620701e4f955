"""Folds: official ones for official tasks, the same protocol elsewhere; hold-outs by formula."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.model_selection import KFold

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.tasks.official import OfficialTask, any_official_task, official_folds

MATBENCH_SEED = 18012019  # random_state of the published Matbench folds (Dunn et al. 2020)
N_FOLDS = 5
_HOLDOUTS_SENTENCE = (
    "The training rows are cut into {n} hold-outs by reduced formula; a model with seed s stops "
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
        validation: The hold-outs, a partition of `train` by reduced formula.
        test: Test rows in dataset order.
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
) -> FoldSplit:
    """One fold of a task.

    Args:
        targets: Table with columns `id` and `formula`, in dataset order.
        task: Task name; an official one gets its published folds, restricted to the ids present.
        fold: Number of the fold, from 0.
        n_folds: Folds; 5 for an official task.
        n_holdouts: Parts into which the training rows are cut, at least 2.
        seed: Seed of the shuffle (own folds) and of the hold-outs.

    Raises:
        FoldwiseError: The fold does not exist or one of its parts would be empty.
    """
    where = f"{task} fold {fold}"
    ids = targets["id"].astype(str).tolist()
    official = any_official_task(task)
    _check_request(official, fold, n_folds, len(ids), where)
    if official is None:
        train, test = _shuffled_fold(ids, fold, n_folds, seed)
        protocol = (
            f"Fold {fold} of {n_folds} shuffled folds (scikit-learn KFold, random_state {seed}, "
            "the protocol of Matbench)."
        )
        complete = True
    else:
        train, test = _official_fold(ids, official, fold)
        complete = len(ids) == official.n_samples
        protocol = f"Published fold {fold} of {official.name}" + (
            "." if complete else f", restricted to {len(ids)} of {official.n_samples} rows."
        )
    formula = dict(zip(ids, targets["formula"].astype(str), strict=True))
    split = FoldSplit(
        task=task,
        fold=fold,
        n_folds=n_folds,
        protocol=f"{protocol} {_HOLDOUTS_SENTENCE.format(n=n_holdouts)}",
        official=official is not None,
        complete=complete,
        train=tuple(train),
        validation=partition_by_formula(train, [formula[name] for name in train], n_holdouts, seed),
        test=tuple(test),
    )
    split.check(where)
    return split


def partition_by_formula(
    ids: Sequence[str], formulas: Sequence[str], n_parts: int, seed: int
) -> tuple[tuple[str, ...], ...]:
    """Cut rows into parts of nearly equal size; all rows of one formula go to the same part.

    Greedy: the formulas with most rows first, ties in the order of a hash of seed and formula,
    each to the part that is smallest so far. Part sizes then differ by at most the largest number
    of rows of one formula, and neither the row order nor a random generator decides. scikit-learn's
    GroupKFold cuts into parts of the same sizes, but knows no seed and leaves ties to its sort.

    Args:
        ids: Row ids; each part keeps their order.
        formulas: Reduced formula of each row.
        n_parts: Number of parts.
        seed: Another seed makes another partition.
    """
    counts = Counter(formulas)
    order = sorted(counts, key=lambda formula: (-counts[formula], _hash(seed, formula)))
    sizes = [0] * n_parts
    part_of: dict[str, int] = {}
    for formula in order:
        smallest = min(range(n_parts), key=sizes.__getitem__)
        part_of[formula] = smallest
        sizes[smallest] += counts[formula]
    parts: list[list[str]] = [[] for _ in range(n_parts)]
    for name, formula in zip(ids, formulas, strict=True):
        parts[part_of[formula]].append(name)
    return tuple(tuple(part) for part in parts)


def _hash(seed: int, formula: str) -> str:
    return hashlib.sha256(f"{seed}:{formula}".encode()).hexdigest()


def _check_request(
    official: OfficialTask | None, fold: int, n_folds: int, n_rows: int, where: str
) -> None:
    if official is not None and n_folds != N_FOLDS:
        raise FoldwiseError(
            f"{n_folds} folds of an official task", where=where, hint=f"Use {N_FOLDS} folds."
        )
    if not 2 <= n_folds <= n_rows:
        raise FoldwiseError(
            f"{n_rows} rows cannot make {n_folds} folds",
            where=where,
            hint="Use at least 2 folds and no more than there are rows.",
        )
    if not 0 <= fold < n_folds:
        raise FoldwiseError(
            "there is no such fold", where=where, hint=f"Use folds 0 to {n_folds - 1}."
        )


def _shuffled_fold(
    ids: Sequence[str], fold: int, n_folds: int, seed: int
) -> tuple[list[str], list[str]]:
    folds = KFold(n_folds, shuffle=True, random_state=seed).split(ids)
    train, test = list(folds)[fold]
    return [ids[row] for row in train], [ids[row] for row in test]


def _official_fold(
    ids: Sequence[str], official: OfficialTask, fold: int
) -> tuple[list[str], list[str]]:
    published = official_folds(official)[fold]
    train, test = set(published["train"]), set(published["test"])
    foreign = [name for name in ids if name not in train and name not in test]
    if foreign:
        raise FoldwiseError(
            f"{len(foreign)} id(s) are in no published fold, the first is {foreign[0]!r}",
            where=official.name,
            hint="Use the official ids, or a task name of your own.",
        )
    return [name for name in ids if name in train], [name for name in ids if name in test]
