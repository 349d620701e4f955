"""A recipe says how one model is trained; every default of the study's training stands here."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from foldwise.common.errors import FoldwiseError
from foldwise.common.settings import CLOSED, DIFFERENT, Number, Share, Switch, Whole, checked

ModelName = Literal["chgnet", "chgnet_lite"]
Loss = Literal["huber", "l1", "mse", "logistic"]
SoftTargets = Literal["crossfit", "in_sample", "augmented", "recorded"]
OPTIMISER, SCHEDULER = "AdamW", "linear warm-up, then cosine to zero, per step"
"""Of every training; `training.optimisation.learning_rate` is the schedule."""


@dataclass(frozen=True, config=CLOSED)
class Teacher:
    """Soft targets of a student."""

    ensemble: str = Field(description="experiment whose models are averaged")
    targets: SoftTargets = Field(
        default="crossfit",
        description="`crossfit` asks a teacher only about rows that it held out; `in_sample` asks "
        "all teachers about all rows; `augmented` asks them about copies; `recorded` takes what "
        "public submissions predicted for rows of other folds",
    )
    soft_weight: Share = Field(
        default=0.5, description="share of the soft target in the loss of a row that has one"
    )
    weighting: Literal["uniform", "disagreement"] = Field(
        default="uniform",
        description="`disagreement` weighs a soft target down where its teachers disagree",
    )


@dataclass(frozen=True, config=CLOSED)
class Augment:
    """Views of crystals in place of the crystals themselves, inside the skin of stored graphs."""

    displacement: Number = Field(
        default=0.02,
        ge=0,
        le=0.1,  # Half the narrower skin.
        description="standard deviation of each Cartesian coordinate, Å",
    )
    strain: Number = Field(
        default=0.005,
        ge=0,
        le=0.02,  # Beyond, most strains would be cut at the bound of foldwise.graphs.views.
        description="standard deviation of each strain component",
    )


@dataclass(frozen=True, config=CLOSED)
class Pretrain:
    """A joint training of several tasks, each with a head of its own, before the recipe's own."""

    tasks: Annotated[tuple[str, ...], Field(min_length=2), *DIFFERENT] = Field(
        description="tasks of `datasets`, the study's own among them"
    )
    epochs: Whole = Field(default=4, ge=1, description="passes over all rows that may be fitted")


@dataclass(frozen=True, config=CLOSED)
class Recipe:
    """How one model is trained. Learning-rate steps and epochs count passes over hard rows."""

    kind: ClassVar[str] = "network"

    model: ModelName = Field(
        default="chgnet", description="network size; pretrained weights exist for `chgnet` alone"
    )
    init: Literal["pretrained", "scratch"] = Field(
        default="pretrained", description="CHGNet 0.3.0's weights, or random ones"
    )
    epochs: Whole = Field(default=20, ge=1, description="passes over the training rows at most")
    steps: Annotated[Whole, Field(ge=1)] | None = Field(
        default=None,
        description="optimiser steps over the training rows at most, whichever of `epochs` and "
        "this comes first; rounded up to whole epochs. The schedule ends with it",
    )
    batch_size: Whole = Field(default=32, ge=1, description="crystals per step")
    lr: Number = Field(default=1e-3, gt=0, description="peak learning rate of AdamW")
    weight_decay: Number = Field(default=1e-2, ge=0, description="decoupled weight decay")
    warmup: Share = Field(
        default=0.1,
        description="share of all steps in which the rate rises linearly; a cosine to zero follows",
    )
    loss: Loss = Field(
        default="huber",
        description="`huber` is quadratic below `huber_delta` and linear beyond; classes are "
        "fitted by `logistic` (cross-entropy) whatever stands here",
    )
    huber_delta: Number = Field(
        default=0.1,
        gt=0,
        description="eV/atom, or standard deviations for standardised targets",
    )
    ema_decay: Share = Field(
        default=0.99,
        description="limit of the decay of the exponential moving average of the weights, which "
        "is validated and kept",
    )
    clip_norm: Number = Field(default=1.0, gt=0, description="largest norm of the gradient")
    patience: Whole = Field(
        default=10,
        ge=1,
        description="epochs without a better validation MAE after which training stops",
    )
    bootstrap: Switch = Field(
        default=False, description="draw the training rows with replacement, by seed"
    )
    teacher: Teacher | None = Field(default=None, description="soft targets, for a student")
    augment: Augment | None = Field(
        default=None, description="fit displaced and strained views; every epoch draws new ones"
    )
    consistency: Number = Field(
        default=0.0,
        ge=0,
        description="weight in the loss of the Huber difference of two views' outputs",
    )
    labels: Literal["unchanged", "shifted"] = Field(
        default="unchanged",
        description="target of a view: the crystal's, or shifted by the difference of the "
        "pretrained network's energy of the view and of the crystal",
    )
    pretrain: Pretrain | None = Field(
        default=None, description="joint training of several tasks before this one"
    )

    @property
    def is_flat_between_targets(self) -> bool:
        """Whether no gradient tells a student its soft targets.

        For a row with both targets the loss is `(1 - w)|x - hard| + w|x - soft|`; between them its
        slope is `±(1 - 2w)`: zero for w = 0.5. Soft targets of copies stand alone and are fitted.
        """
        return (
            self.loss == "l1"
            and self.teacher is not None
            and self.teacher.soft_weight == 0.5
            and self.teacher.weighting == "uniform"
            and self.teacher.targets != "augmented"
        )

    @property
    def views_per_row(self) -> int:
        """How often a step passes each of its rows: a consistency compares two views."""
        return 2 if self.consistency else 1

    def bounded(self, rows: int) -> Recipe:
        """The recipe with the epochs that `steps` leaves of `epochs`.

        Args:
            rows: Labelled rows to fit; copies that a student fits beside them do not count.
        """
        if self.steps is None:
            return self
        per_epoch = math.ceil(rows / self.batch_size)
        return replace(self, epochs=min(self.epochs, math.ceil(self.steps / per_epoch)))

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, for JSON; `steps` only where there is such a bound."""
        plain = asdict(self)
        return {key: value for key, value in plain.items() if key != "steps" or value is not None}


@dataclass(frozen=True, config=CLOSED)
class WrittenRecipe(Recipe):
    """A recipe as a study writes it; keys that only decide others are for here."""

    extends: str | None = Field(default=None, description="recipe whose keys this one takes over")
    passes_of: str | tuple[str, ...] | None = Field(
        default=None,
        description="experiment, or several, whose models of a fold fit as many crystals together "
        "as a model of this recipe shall; in place of `epochs`, and `patience` keeps its share. "
        "Where the last named is a student's, hold-outs are the student's",
    )
    tuned: str | None = Field(
        default=None,
        description="file of a search's choice (`results/{run}/tuning/{recipe}.json`), whose keys "
        "take the place of this recipe's own",
    )
    soft_weights: Annotated[tuple[Share, ...], Field(min_length=2), *DIFFERENT] | None = Field(
        default=None,
        description="values of `teacher.soft_weight` to try: on each fold the one with the "
        "smallest error on the hold-out is taken, by one training per value with the first seed",
    )


def parse_recipe(values: Any, where: str) -> Recipe:
    """A checked recipe from plain values; what is absent takes its default.

    Raises:
        FoldwiseError: An unknown key, a wrong type, a value out of range, or keys that contradict
            each other.
    """
    recipe = checked(Recipe, values, where)
    if recipe.init == "pretrained" and recipe.model != "chgnet":
        raise FoldwiseError(
            f"pretrained weights exist for chgnet, not for {recipe.model}",
            where=f"{where}.init",
            hint="Set init: scratch or model: chgnet.",
        )
    if recipe.augment is None:
        for key, default in (("consistency", 0.0), ("labels", "unchanged")):
            if getattr(recipe, key) != default:
                raise FoldwiseError(
                    "it speaks of views, and the recipe has none",
                    where=f"{where}.{key}",
                    hint="Add augment: {displacement: 0.02, strain: 0.005}.",
                )
    if recipe.labels == "shifted" and recipe.init != "pretrained":
        raise FoldwiseError(
            "the shift is the pretrained network's word",
            where=f"{where}.labels",
            hint="A training from scratch keeps its labels: labels: unchanged.",
        )
    return recipe
