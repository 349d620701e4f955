"""What a search for a recipe has chosen, as a study adopts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json

SEARCHED = ("init", "lr", "loss", "warmup")
"""Keys of a recipe that a search decides. None of them changes how much a training costs, so that
controls with as many passes stay controls."""


def tuned_options(path: str, where: str) -> dict[str, Any]:
    """Keys of a recipe that a search has chosen.

    Args:
        path: The search's file, seen from the repository.
        where: Place of the path in the config, for the message.

    Raises:
        FoldwiseError: There is no such file, or it is no search's.
    """
    if not Path(path).is_file():
        raise FoldwiseError(
            f"there is no file {path}",
            where=where,
            hint="Take the line out, run python scripts/search_recipe.py, and put it back.",
        )
    chosen = read_json(path).get("chosen")
    if not isinstance(chosen, dict) or not set(chosen) <= set(SEARCHED):
        raise FoldwiseError(
            "it is not what scripts/search_recipe.py writes",
            where=path,
            hint="Run the search again.",
        )
    return chosen
