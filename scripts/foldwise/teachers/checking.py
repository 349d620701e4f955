"""The check of what a program left: every asked row once, finite, in a plausible range."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.common.frames import read_csv, read_parquet
from foldwise.prediction.outside import HISTORY_COLUMNS
from foldwise.statistics.classification import are_classes

ANSWERS = ("predictions.parquet", "predictions.csv")
PLAUSIBLE_RANGES = 3.0
"""An answer may lie beyond the training targets by this many of their ranges; further it is a
mistake of units or a training that diverged."""
_MOST_SAID = 100_000  # bytes of a program's own fit.json


class BadTeacherError(FoldwiseError):
    """What a program left cannot be used; `what` is the reason for the record."""


@dataclass(frozen=True)
class Left:
    """What a program left.

    Attributes:
        answers: Prediction by id, in the unit of the target.
        history: Its epochs, where it left them.
        said: Its own `fit.json`; empty without one.
    """

    answers: pd.Series[float]
    history: pd.DataFrame | None
    said: dict[str, Any]


def read_left(
    folder: str | os.PathLike[str],
    outcome: str | os.PathLike[str],
    asked: Collection[str],
    known: pd.Series[float],
) -> Left:
    """Read and check what a program left.

    Args:
        folder: What was kept of its folder.
        outcome: The runner's `outcome.json`.
        asked: Ids that it had to answer.
        known: Targets of the training rows, for the plausible range.

    Raises:
        BadTeacherError: The program failed, or left what cannot be used.
    """
    failed = read_json(outcome)["failed"]
    if failed is not None:
        raise _bad(str(failed))
    place = Path(folder)
    table = _table(place)
    missing = {"id", "prediction"} - set(table.columns)
    if missing:
        raise _bad(f"its predictions have no column {min(missing)!r}")
    ids = table["id"].astype(str)
    twice = ids[ids.duplicated()]
    if len(twice):
        raise _bad(f"it answers {twice.iloc[0]!r} twice")
    lost, extra = set(asked) - set(ids), set(ids) - set(asked)
    if lost:
        found = len(asked) - len(lost)
        raise _bad(f"it answers {found:,} of {len(asked):,} rows and forgets {min(lost)!r}")
    if extra:
        raise _bad(f"it answers {min(extra)!r}, which nobody asked about")
    values = pd.to_numeric(table["prediction"], errors="coerce").to_numpy(dtype=np.float64)
    answers = pd.Series(values, index=ids.to_numpy())
    _check_values(answers, known)
    return Left(answers, _history(place), _said(place))


def _bad(what: str) -> BadTeacherError:
    return BadTeacherError(what, where="program", hint="Mend it, and call again.")


def _table(folder: Path) -> pd.DataFrame:
    for name in ANSWERS:
        path = folder / name
        if not path.is_file():
            continue
        try:
            table = read_parquet(path) if path.suffix == ".parquet" else _csv(path)
        except FoldwiseError as error:
            raise _bad(f"its {name} cannot be read ({error.what[:120]})") from None
        return table
    raise _bad(f"it left no {' or '.join(ANSWERS)} in its folder")


def _csv(path: Path) -> pd.DataFrame:
    """Ids as they are written: `007` is no number, and `NA` is not missing."""
    return read_csv(path, dtype={"id": str}, keep_default_na=False)


def _check_values(answers: pd.Series[float], known: pd.Series[float]) -> None:
    bad = answers[~np.isfinite(answers.to_numpy())]
    if len(bad):
        raise _bad(f"{len(bad):,} of its answers are not finite, that for {bad.index[0]!r} first")
    if are_classes(known) and not answers.between(0.0, 1.0).all():
        wrong = answers[~answers.between(0.0, 1.0)]
        raise _bad(f"it answers {wrong.iloc[0]:g} for {wrong.index[0]!r}, which is no probability")
    low, high = float(known.min()), float(known.max())
    reach = PLAUSIBLE_RANGES * ((high - low) or max(abs(high), 1.0))
    far = answers[(answers < low - reach) | (answers > high + reach)]
    if len(far):
        raise _bad(
            f"{len(far):,} of its answers are far outside of the training targets' {low:g} to "
            f"{high:g}: {far.iloc[0]:g} for {far.index[0]!r}"
        )


def _history(folder: Path) -> pd.DataFrame | None:
    path = folder / "history.csv"
    if not path.is_file():
        return None
    try:
        kept = read_csv(path)[list(HISTORY_COLUMNS)].astype(np.float64)
    except (FoldwiseError, ValueError, KeyError):
        raise _bad(
            f"its history.csv is no table of numbers with {', '.join(HISTORY_COLUMNS)}"
        ) from None
    return kept


def _said(folder: Path) -> dict[str, Any]:
    path = folder / "fit.json"
    if not path.is_file():
        return {}
    if path.stat().st_size > _MOST_SAID:
        raise _bad(f"its fit.json has more than {_MOST_SAID:,} bytes")
    try:
        said = read_json(path)
    except FoldwiseError:
        said = None
    if not isinstance(said, dict):
        raise _bad("its fit.json is no JSON object")
    try:
        json.dumps(said, allow_nan=False)
    except ValueError:
        raise _bad("its fit.json holds NaN or an infinity") from None
    return said
