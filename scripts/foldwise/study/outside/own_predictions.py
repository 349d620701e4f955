"""A recipe whose answers were made anywhere else: a table of ids and predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED
from foldwise.study.outside.recipe import OutsideRecipe

PREDICTIONS = "predictions"


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class PredictionsRecipe(OutsideRecipe):
    """A CSV of ids and predictions per fold; nothing is trained here."""

    kind: ClassVar[str] = PREDICTIONS

    model: Literal["predictions"] = Field(description="predictions of yours, made anywhere")
    path: Annotated[str, Field(min_length=1)] = Field(
        description="CSV with `id` and `prediction`; `{fold}` and `{seed}` in it stand for their "
        "numbers, or a column `fold` says them. Training rows that the model did not fit, with "
        "`held_out` true, are what intervals and fitted rules are made from"
    )

    def file(self, fold: int, seed: int) -> str:
        """Path of the table of one model."""
        return self.path.replace("{fold}", str(fold)).replace("{seed}", str(seed))


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenPredictions(PredictionsRecipe):
    """A recipe of own predictions as a study writes it."""

    extends: str | None = Field(default=None, description="recipe whose keys this one takes over")


def check_predictions(
    recipe: PredictionsRecipe, folds: list[int], seeds: list[int], where: str
) -> None:
    """Check that the tables of all models are there.

    Raises:
        FoldwiseError: One is not.
    """
    for fold in folds:
        for seed in seeds:
            path = recipe.file(fold, seed)
            if not Path(path).is_file():
                raise FoldwiseError(
                    f"there is no file {path!r}",
                    where=f"{where}.path",
                    hint="Give the path of a CSV with id and prediction, seen from the repository.",
                )
