"""A recipe whose models are trained by a program of anyone's, in an environment of its own."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, Number, Switch
from foldwise.study.outside.recipe import OutsideRecipe

PROGRAM = "program"


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class ProgramRecipe(OutsideRecipe):
    """A program that is called once for each fold and seed; docs/teachers.md is its contract."""

    kind: ClassVar[str] = PROGRAM

    model: Literal["program"] = Field(description="a program of yours trains and answers")
    command: Annotated[str, Field(min_length=1)] = Field(
        description="how it is called, in a folder with its rows; words that are files of the "
        "repository are found from there"
    )
    environment: str | None = Field(
        default=None,
        description="conda environment file in which it runs; without conda a virtual environment "
        "is made of its pip part, where the current one has other versions. By default the current "
        "environment",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="what it is told beside its rows, as it understands it"
    )
    cif: Switch = Field(default=False, description="give it a CIF file of every crystal too")
    gpu: Switch = Field(
        default=False, description="whether it computes on a GPU where there is one"
    )
    minutes: Number = Field(default=60, gt=0, description="time after which it is ended")
    on_failure: Literal["stop", "leave_out"] = Field(
        default="stop",
        description="what becomes of a mixed ensemble without it: `stop`, or go on and `leave_out` "
        "this member on all folds, which the record says",
    )

    @property
    def files(self) -> list[str]:
        """Files of the repository that the command names, and the environment file."""
        words = [word for word in self.words if Path(word).is_file()]
        return [*words, *([self.environment] if self.environment else [])]

    @property
    def words(self) -> list[str]:
        """The command as the shell splits it."""
        return shlex.split(self.command)


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class WrittenProgram(ProgramRecipe):
    """A program's recipe as a study writes it."""

    extends: str | None = Field(default=None, description="recipe whose keys this one takes over")


def check_program(recipe: ProgramRecipe, where: str) -> None:
    """Check that a recipe's command and files can be meant.

    Raises:
        FoldwiseError: The command cannot be split, or a file that it surely names is not there.
    """
    try:
        words = recipe.words
    except ValueError as error:
        raise FoldwiseError(
            f"it cannot be split into words ({error})",
            where=f"{where}.command",
            hint="Close its quotes.",
        ) from None
    scripts = [word for word in words if word.endswith((".py", ".sh", ".R", ".jl"))]
    absent = [word for word in scripts if not Path(word).is_file()]
    if absent:
        raise FoldwiseError(
            f"there is no file {absent[0]!r}",
            where=f"{where}.command",
            hint="Give the path of the program, seen from the repository.",
        )
    if recipe.environment is not None and not Path(recipe.environment).is_file():
        raise FoldwiseError(
            f"there is no file {recipe.environment!r}",
            where=f"{where}.environment",
            hint="Give the path of a conda environment file, or take the key out.",
        )
