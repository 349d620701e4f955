"""The kinds of recipes: this project's network, and models from outside.

A kind is a class with a `kind`; a new one stands in `_WRITTEN`, `AnyWrittenRecipe` and
`parse_any`. Rules ask `Study.of_kind` which recipes are theirs; whatever kind trained a model, its
folder and its answers have the same files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from foldwise.common.settings import checked
from foldwise.study.outside.own_predictions import (
    PREDICTIONS,
    PredictionsRecipe,
    WrittenPredictions,
)
from foldwise.study.outside.program import PROGRAM, ProgramRecipe, WrittenProgram, check_program
from foldwise.study.outside.recipe import OutsideRecipe
from foldwise.study.outside.text import TEXT, TextRecipe, WrittenText, check_templates
from foldwise.study.recipe import Recipe, WrittenRecipe, parse_recipe

AnyRecipe = Recipe | OutsideRecipe
NETWORK = Recipe.kind

_WRITTEN: dict[str, type] = {
    PROGRAM: WrittenProgram,
    PREDICTIONS: WrittenPredictions,
    TEXT: WrittenText,
}


def _kind(value: Any) -> str:
    model = value.get("model") if isinstance(value, Mapping) else getattr(value, "model", None)
    return _WRITTEN.get(str(model), WrittenRecipe).__name__


AnyWrittenRecipe = Annotated[
    Annotated[WrittenRecipe, Tag(WrittenRecipe.__name__)]
    | Annotated[WrittenProgram, Tag(WrittenProgram.__name__)]
    | Annotated[WrittenPredictions, Tag(WrittenPredictions.__name__)]
    | Annotated[WrittenText, Tag(WrittenText.__name__)],
    Discriminator(_kind),
]


def parse_any(values: Mapping[str, Any], where: str) -> AnyRecipe:
    """A checked recipe of the kind that its `model` names.

    Raises:
        FoldwiseError: As `parse_recipe`, or a file that the recipe names does not exist.
    """
    if values.get("model") == PREDICTIONS:
        return checked(PredictionsRecipe, values, where)
    if values.get("model") == TEXT:
        text = checked(TextRecipe, values, where)
        check_templates(text, where)
        return text
    if values.get("model") != PROGRAM:
        return parse_recipe(values, where)
    program = checked(ProgramRecipe, values, where)
    check_program(program, where)
    return program
