"""What a study asks of every recipe, answered for a model that is not this project's network."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.settings import CLOSED


@dataclass(frozen=True, config=CLOSED, kw_only=True)
class OutsideRecipe:
    """Base of all recipes without a network of this project: no epochs, no soft targets, no views.

    Its models leave what every model leaves (`foldwise.prediction.outside`): answers for test rows
    and for rows that they held out, and what that cost; but no checkpoint.
    """

    kind: ClassVar[str]
    teacher: ClassVar[None] = None
    augment: ClassVar[None] = None
    pretrain: ClassVar[None] = None
    labels: ClassVar[str] = "unchanged"
    epochs: ClassVar[int] = 0
    is_flat_between_targets: ClassVar[bool] = False

    pretrained_on: str | None = Field(
        default=None,
        description="data that the model's weights have seen before; without it the model knows "
        "nothing but the fold's training rows",
    )

    @property
    def init(self) -> str:
        """`pretrained` or `scratch`, as of a network."""
        return "scratch" if self.pretrained_on is None else "pretrained"

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, for JSON, without absent values."""
        return {"model": self.kind} | {
            key: value for key, value in asdict(self).items() if value is not None
        }
