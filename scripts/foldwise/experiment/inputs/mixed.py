"""What a mixed experiment was made from: how its members were combined, fold by fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_parquet
from foldwise.experiment.inputs.mixture import Json, Mixture
from foldwise.experiment.inputs.readers import check_complete, check_ids, indexed, read_object

DONE_KEYS = (
    "fold", "rule", "recipes", "members", "left_out", "weights", "solver", "options",
    "fitted_on_rows", "fit_seconds", "predict_seconds",
)  # fmt: skip
_FILES = 3  # per fold: what was done, held-out answers, answers without each recipe


def read_mixture(paths: Sequence[Any], expected: Mapping[int, set[str]]) -> Mixture | None:
    """Read the files of a mixed experiment; `None` where there are none.

    Args:
        paths: For each fold `test.json`, `held_out.parquet` and `without.parquet`, in this order.
        expected: Test ids by fold.

    Raises:
        FoldwiseError: A file is missing, damaged, or of another study.
    """
    if not paths:
        return None
    if len(paths) % _FILES:
        raise FoldwiseError(
            f"{len(paths)} files", where="--mixed", hint=f"Give {_FILES} of each fold."
        )
    done: dict[int, Json] = {}
    held_out: dict[int, pd.DataFrame] = {}
    without: dict[int, pd.DataFrame] = {}
    for at in range(0, len(paths), _FILES):
        said, held, left = paths[at : at + _FILES]
        entry = read_object(said, DONE_KEYS)
        fold = int(entry["fold"])
        done[fold] = entry
        held_out[fold] = indexed(read_parquet(held, ("id", "mean", "std")), "mean", held)
        table = read_parquet(left, ("id",)).set_index("id")
        check_ids(table.index, expected.get(fold, set()), fold, left)
        without[fold] = table
    check_complete(sorted(done), sorted(expected), "--mixed", "folds")
    return Mixture(done, held_out, without)
