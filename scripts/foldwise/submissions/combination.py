"""Combining recorded teachers: one rule, fitted on the other folds, applied to one fold.

For fold k, weights and boosters see the members' test predictions and the labels of the *other*
folds' rows. No label of fold k's rows enters, so poisoning them changes nothing. What remains is
that the members which predicted the other folds were themselves trained on fold k's labels: the
combination is cross-fold, and `CROSS_FOLD` says so wherever its numbers stand.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.statistics.metrics import Floats
from foldwise.submissions.rules import Combiner, fitted_rule, weights_of
from foldwise.submissions.scoring import CROSS_FOLD
from foldwise.submissions.settings import FITTED_RULES, BoosterOptions
from foldwise.submissions.stacking import SOLVER


@dataclass(frozen=True)
class Members:
    """Recorded predictions of several teachers for the same rows, in dataset order.

    Attributes:
        names: Submissions `[m]`.
        ids: Row ids `[n]`.
        formulas: Reduced formulas `[n]`.
        fold: In which fold a row is a test row `[n]`.
        values: Predictions `[n, m]`.
        target: True values `[n]`.
    """

    names: tuple[str, ...]
    ids: npt.NDArray[np.str_]
    formulas: npt.NDArray[np.str_]
    fold: npt.NDArray[np.int32]
    values: Floats
    target: Floats

    def rows(self, chosen: npt.NDArray[np.bool_]) -> Members:
        """The rows where `chosen` `[n]` is true."""
        return Members(
            self.names,
            self.ids[chosen],
            self.formulas[chosen],
            self.fold[chosen],
            self.values[chosen],
            self.target[chosen],
        )

    def table(self, combined: Floats) -> pd.DataFrame:
        """An ensemble file: id, the combined prediction as `mean`, members' `std` and `n`."""
        return pd.DataFrame(
            {
                "id": self.ids,
                "mean": combined,
                "std": self.values.std(axis=1),
                "n": np.full(len(self.ids), len(self.names)),
            }
        )


def read_members(
    targets_path: str | os.PathLike[str], paths: Mapping[str, str | os.PathLike[str]]
) -> Members:
    """Read `targets.parquet` and the recorded predictions of each submission.

    Args:
        targets_path: Table with id, formula and target.
        paths: By submission, a table with id, fold and prediction for the same rows.

    Raises:
        FoldwiseError: The files speak of different rows or folds.
    """
    targets = read_parquet(targets_path, ("id", "formula", "target"))
    ids = targets["id"].to_numpy(dtype=np.str_)
    folds: list[npt.NDArray[np.int32]] = []
    values: list[Floats] = []
    for path in paths.values():
        table = read_parquet(path, ("id", "fold", "prediction"))
        fold = table["fold"].to_numpy(dtype=np.int32)
        rows = table["id"].to_numpy(dtype=np.str_)
        if not np.array_equal(rows, ids) or (folds and not np.array_equal(fold, folds[0])):
            raise FoldwiseError(
                "it holds other rows or folds than the targets or the first submission",
                where=str(path),
                hint="Read the submission again with the targets of this study.",
            )
        folds.append(fold)
        values.append(table["prediction"].to_numpy(dtype=np.float64))
    return Members(
        names=tuple(paths),
        ids=ids,
        formulas=targets["formula"].to_numpy(dtype=np.str_),
        fold=folds[0],
        values=np.stack(values, axis=1),
        target=targets["target"].to_numpy(dtype=np.float64),
    )


def combine_fold(
    members: Members, fold: int, rule: str, options: BoosterOptions
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Answer the test rows of a fold with a rule that was fitted on the other folds.

    Args:
        members: Recorded predictions of all rows.
        fold: The fold to answer.
        rule: One of `settings.RULES`.
        options: Settings of a booster.

    Returns:
        The ensemble table (id, mean, std, n), and what was done, for `combination.json`.

    Raises:
        FoldwiseError: The fold, or what is left for fitting, has no rows.
    """
    asked = members.rows(members.fold == fold)
    others = sorted(set(members.fold.tolist()) - {fold})
    if not len(asked.ids) or not others:
        raise FoldwiseError(
            f"fold {fold} has {len(asked.ids)} rows, the others {len(members.ids)}",
            where="the recorded predictions",
            hint="Use a dataset with rows in every fold.",
        )
    started = time.perf_counter()
    combiner = _fitted(members, others, rule, options)
    fitted = time.perf_counter()
    combined = combiner.predict(asked.values, asked.formulas.tolist())
    predicted = time.perf_counter()
    fits = rule in FITTED_RULES
    return asked.table(combined), {
        "rule": rule,
        "fold": fold,
        "members": list(members.names),
        "weights": weights_of(combiner),
        "solver": SOLVER if rule == "stacked" else None,
        "options": asdict(options) if rule == "boosted" else {},
        "fitted_on_folds": others if fits else [],
        "fitted_on_rows": int((members.fold != fold).sum()) if fits else 0,
        "rows": len(asked.ids),
        "fit_seconds": fitted - started,
        "predict_seconds": predicted - fitted,
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count(),
    }


def soft_targets(
    members: Members, fold: int, rule: str, options: BoosterOptions
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Soft targets for the training rows of a fold: what the recorded teachers say of them.

    A row of another fold j is answered by members that did not train on it, and by a rule that was
    fitted on neither fold j nor `fold`. The members of fold j were trained on the labels of `fold`,
    though: a student of these soft targets has indirectly seen the labels of its test rows.

    Returns:
        The ensemble table of all rows outside of `fold`, in dataset order, and what was done.
    """
    folds = sorted(set(members.fold.tolist()))
    combined = np.full(len(members.ids), np.nan)
    for other in folds:
        if other == fold:
            continue
        chosen = members.fold == other
        rest = [number for number in folds if number not in {fold, other}]
        rows = members.rows(chosen)
        combiner = _fitted(members, rest, rule, options)
        combined[chosen] = combiner.predict(rows.values, rows.formulas.tolist())
    training = members.fold != fold
    done = {"rule": rule, "fold": fold, "members": list(members.names), "warning": CROSS_FOLD}
    return members.rows(training).table(combined[training]), done


def _fitted(
    members: Members, folds: Collection[int], rule: str, options: BoosterOptions
) -> Combiner:
    """The rule, fitted on the rows of `folds` where it is one that is fitted."""
    known = members.rows(np.isin(members.fold, list(folds)))
    return fitted_rule(rule, options, known.values, known.formulas.tolist(), known.target)
