"""A recipe says how one model is trained; every default of the study's training stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from foldwise.errors import FoldwiseError

INITS = ("pretrained", "scratch")
MODEL_NAMES = ("chgnet", "chgnet_lite")
LOSSES = ("huber", "l1", "mse")
SOFT_TARGETS = ("crossfit", "in_sample", "augmented", "recorded")
WEIGHTINGS = ("uniform", "disagreement")


@dataclass(frozen=True)
class Teacher:
    """Soft targets of a student.

    Attributes:
        ensemble: Experiment whose models are averaged.
        targets: `crossfit` asks a teacher only about rows that it held out; `in_sample` asks all
            teachers about all rows; `augmented` asks them about perturbed copies; `recorded` takes
            what public submissions predicted for rows of other folds.
        soft_weight: Share of the soft targets in the loss of a row that has one, 0 to 1.
        weighting: `disagreement` weighs a soft target down where its teachers disagree.
    """

    ensemble: str
    targets: str = "crossfit"
    soft_weight: float = 0.5
    weighting: str = "uniform"


@dataclass(frozen=True)
class Recipe:
    """How one model is trained. Learning-rate steps and epochs count passes over hard rows.

    Attributes:
        model: Network size, one of `foldwise.chgnet.MODELS`.
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
    return recipe


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
