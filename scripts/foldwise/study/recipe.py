"""A recipe says how one model is trained; every default of the study's training stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from foldwise.common.errors import FoldwiseError

INITS = ("pretrained", "scratch")
MODEL_NAMES = ("chgnet", "chgnet_lite")
LOSSES = ("huber", "l1", "mse")
SOFT_TARGETS = ("crossfit", "in_sample", "augmented", "recorded")
WEIGHTINGS = ("uniform", "disagreement")
VIEW_LABELS = ("unchanged", "shifted")
MAX_DISPLACEMENT = 0.1  # Å; half the narrower skin
MAX_STRAIN = 0.02  # beyond, most strains would be cut at the bound of foldwise.graphs.views


@dataclass(frozen=True)
class Teacher:
    """Soft targets of a student.

    Attributes:
        ensemble: Experiment whose models are averaged.
        targets: `crossfit` asks a teacher only about rows that it held out; `in_sample` asks all
            teachers about all rows; `augmented` asks them about copies; `recorded` takes
            what public submissions predicted for rows of other folds.
        soft_weight: Share of the soft targets in the loss of a row that has one, 0 to 1.
        weighting: `disagreement` weighs a soft target down where its teachers disagree.
    """

    ensemble: str
    targets: str = "crossfit"
    soft_weight: float = 0.5
    weighting: str = "uniform"


@dataclass(frozen=True)
class Augment:
    """Views of the training crystals in place of the crystals themselves.

    Attributes:
        displacement: Standard deviation of each Cartesian coordinate, Å.
        strain: Standard deviation of each strain component.
    """

    displacement: float = 0.02
    strain: float = 0.005


@dataclass(frozen=True)
class Pretrain:
    """A joint training of several tasks, each with a head of its own, before the recipe's own.

    Attributes:
        tasks: Tasks of the study, the one that the experiments are about among them.
        epochs: Passes over all rows that may be fitted.
    """

    tasks: tuple[str, ...]
    epochs: int = 4


@dataclass(frozen=True)
class Recipe:
    """How one model is trained. Learning-rate steps and epochs count passes over hard rows.

    Attributes:
        model: Network size, one of `foldwise.network.chgnet.MODELS`.
        init: CHGNet 0.3.0's weights, or random ones.
        epochs: Passes over the training rows at most.
        batch_size: Crystals per step.
        lr: Peak learning rate of AdamW.
        weight_decay: Decoupled weight decay.
        warmup: Share of all steps in which the rate rises linearly; a cosine to zero follows.
        loss: `huber` is quadratic below `huber_delta` and linear beyond.
        huber_delta: eV/atom, or standard deviations for standardised targets.
        ema_decay: Limit of the decay of the exponential moving average that is validated and kept.
        clip_norm: Largest norm of the gradient.
        patience: Epochs without a better validation MAE after which training stops.
        bootstrap: Draw the training rows with replacement, by seed.
        teacher: Soft targets, for a student.
        augment: Fit displaced and strained views; every epoch draws new ones.
        consistency: Weight of the squared (Huber) difference of two views' outputs in the loss.
        labels: Target of a view: `unchanged`, or `shifted` by the difference of the pretrained
            network's energy of the view and of the crystal.
        pretrain: Joint training of several tasks before this one.
    """

    model: str = "chgnet"
    init: str = "pretrained"
    epochs: int = 20
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    loss: str = "huber"
    huber_delta: float = 0.1
    ema_decay: float = 0.99
    clip_norm: float = 1.0
    patience: int = 10
    bootstrap: bool = False
    teacher: Teacher | None = None
    augment: Augment | None = None
    consistency: float = 0.0
    labels: str = "unchanged"
    pretrain: Pretrain | None = None

    @property
    def trains_together(self) -> bool:
        """Whether several seeds may take their steps at the same time."""
        return self.augment is None and self.pretrain is None

    def as_dict(self) -> dict[str, Any]:
        """Plain nested dictionary, for JSON."""
        return asdict(self)


def parse_recipe(values: Mapping[str, Any], where: str) -> Recipe:
    """A checked recipe from plain values; what is absent takes its default.

    Raises:
        FoldwiseError: An unknown key, a wrong type or a value out of range.
    """
    options = dict(_mapping(values, where))
    teacher = options.pop("teacher", None)
    if teacher is not None:
        options["teacher"] = _checked(Teacher, teacher, f"{where}.teacher", required=("ensemble",))
    augment = options.pop("augment", None)
    if augment is not None:
        options["augment"] = _checked(Augment, augment, f"{where}.augment")
    pretrain = options.pop("pretrain", None)
    if pretrain is not None:
        options["pretrain"] = _pretrain(pretrain, f"{where}.pretrain")
    recipe: Recipe = _checked(Recipe, options, where)
    _one_of(recipe.model, MODEL_NAMES, f"{where}.model")
    _one_of(recipe.init, INITS, f"{where}.init")
    _one_of(recipe.loss, LOSSES, f"{where}.loss")
    if recipe.init == "pretrained" and recipe.model != "chgnet":
        raise FoldwiseError(
            f"pretrained weights exist for chgnet, not for {recipe.model}",
            where=f"{where}.init",
            hint="Set init: scratch or model: chgnet.",
        )
    for key in ("epochs", "batch_size", "patience"):
        _at_least(getattr(recipe, key), 1, f"{where}.{key}")
    _at_least(recipe.weight_decay, 0, f"{where}.weight_decay")
    for key in ("lr", "huber_delta", "clip_norm"):
        _above_zero(getattr(recipe, key), f"{where}.{key}")
    for key in ("warmup", "ema_decay"):
        _unit_interval(getattr(recipe, key), f"{where}.{key}")
    if recipe.teacher is not None:
        _one_of(recipe.teacher.targets, SOFT_TARGETS, f"{where}.teacher.targets")
        _one_of(recipe.teacher.weighting, WEIGHTINGS, f"{where}.teacher.weighting")
        _unit_interval(recipe.teacher.soft_weight, f"{where}.teacher.soft_weight")
    _check_views(recipe, where)
    return recipe


def _pretrain(values: Any, where: str) -> Pretrain:
    pretrain: Pretrain = _checked(Pretrain, values, where, required=("tasks",))
    tasks = pretrain.tasks
    if not isinstance(tasks, list | tuple) or len(set(map(str, tasks))) < max(2, len(tasks)):
        raise FoldwiseError(
            f"{tasks!r} is no list of at least two different tasks",
            where=f"{where}.tasks",
            hint="Name the study's task and others of `datasets`.",
        )
    _at_least(pretrain.epochs, 1, f"{where}.epochs")
    return replace(pretrain, tasks=tuple(str(task) for task in tasks))


def _check_views(recipe: Recipe, where: str) -> None:
    _one_of(recipe.labels, VIEW_LABELS, f"{where}.labels")
    _at_least(recipe.consistency, 0, f"{where}.consistency")
    if recipe.augment is None:
        for key, default in (("consistency", 0.0), ("labels", "unchanged")):
            if getattr(recipe, key) != default:
                raise FoldwiseError(
                    "it speaks of views, and the recipe has none",
                    where=f"{where}.{key}",
                    hint="Add augment: {displacement: 0.02, strain: 0.005}.",
                )
        return
    for key, most in (("displacement", MAX_DISPLACEMENT), ("strain", MAX_STRAIN)):
        value = getattr(recipe.augment, key)
        if not 0 <= value <= most:
            raise FoldwiseError(
                f"{value} is outside 0 to {most}",
                where=f"{where}.augment.{key}",
                hint="Views must stay inside the skin of the stored graphs.",
            )
    if recipe.labels == "shifted" and recipe.init != "pretrained":
        raise FoldwiseError(
            "the shift is the pretrained network's word",
            where=f"{where}.labels",
            hint="A training from scratch keeps its labels: labels: unchanged.",
        )


def _checked(kind: type[Any], values: Any, where: str, required: tuple[str, ...] = ()) -> Any:
    _mapping(values, where)
    known = {field.name: field for field in fields(kind)}
    for key in values:
        if key not in known:
            raise FoldwiseError(
                f"unknown key {key!r}", where=where, hint=f"Allowed: {', '.join(known)}."
            )
    for key in required:
        if key not in values:
            raise FoldwiseError(f"key {key!r} is missing", where=where, hint="Add it.")
    return kind(
        **{key: _typed(value, known[key].type, f"{where}.{key}") for key, value in values.items()}
    )


def _mapping(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise FoldwiseError("a mapping is needed here", where=where, hint="Write key: value pairs.")
    return values


def _typed(value: Any, annotation: Any, where: str) -> Any:
    if annotation == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    wanted = {"float": float, "int": int, "str": str, "bool": bool}.get(annotation)
    if wanted is None or type(value) is wanted:
        return value
    raise FoldwiseError(
        f"{value!r} is not of type {annotation}", where=where, hint=f"Give one {annotation}."
    )


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise FoldwiseError(
            f"unknown value {value!r}", where=where, hint=f"Allowed: {', '.join(allowed)}."
        )


def _at_least(value: float, least: int, where: str) -> None:
    if not value >= least:
        raise FoldwiseError(f"{value} is below {least}", where=where, hint="Give a larger number.")


def _above_zero(value: float, where: str) -> None:
    if not value > 0:
        raise FoldwiseError(f"{value} is not positive", where=where, hint="Give a larger number.")


def _unit_interval(value: float, where: str) -> None:
    if not 0 <= value <= 1:
        raise FoldwiseError(f"{value} is outside 0 to 1", where=where, hint="Give a share.")
