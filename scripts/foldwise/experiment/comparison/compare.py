"""An experiment beside those it is compared with: accuracy with a paired interval, and cost."""

from __future__ import annotations

from statistics import mean
from typing import Any

from foldwise.experiment.comparison.decisions import Compared, adopt, drop, headline
from foldwise.experiment.comparison.leaderboard import read_leaderboard
from foldwise.experiment.comparison.leakage import starts_pretrained
from foldwise.experiment.comparison.paired import (
    Paired,
    has_star,
    interval_entry,
    paired_differences,
    read_interval,
)
from foldwise.experiment.inputs.rows import TestRows
from foldwise.experiment.inputs.types import ExperimentInputs, Json
from foldwise.statistics.wording import claim_text, listing, plural, verdict_text

EQUAL_SPEED = 0.15
"""Measured speeds that differ by less are called the same."""


def decision_block(
    inputs: ExperimentInputs, rows: TestRows, compute: Json, *, complete: bool
) -> Json:
    """The `decision` block of `results.json`: comparisons, the study's rule, a verdict in words.

    Args:
        inputs: The experiment's inputs.
        rows: Its test rows.
        compute: Its `compute` block.
        complete: Whether every row of an official task was predicted.
    """
    pairs = paired_differences(inputs, rows)
    comparisons = [_comparison(inputs, compute, paired) for paired in pairs]
    sentences = [str(entry["verdict"]) for entry in comparisons]
    return {
        "comparisons": comparisons,
        "rule": _rule(inputs, rows, comparisons, complete=complete),
        "review": None,
        "verdict": " ".join(sentences)
        if sentences
        else f"{inputs.name} is not compared with another experiment.",
    }


def _rule(
    inputs: ExperimentInputs, rows: TestRows, comparisons: list[Json], *, complete: bool
) -> Json | None:
    """What the config's decision about this experiment comes to; `None` without one."""
    rule = inputs.config.get("decision")
    if rule is None:
        return None
    maes = [float(rows.fold(fold)["abs_error"].mean()) for fold in sorted(inputs.splits)]
    if rule["rule"] == "headline":
        return headline(
            rule["makes"],
            rule["reach"],
            mean(maes),
            read_leaderboard(inputs.task),
            pretrained=starts_pretrained(inputs),
            complete=complete,
        )
    against = rule["against"]
    parent = next(parent for parent in inputs.parents if parent.experiment == against)
    entry = next(entry for entry in comparisons if entry["against"] == against)
    compared = Compared(
        maes=maes,
        maes_against=[float(fold["mae"]) for fold in parent.record["metrics"]["folds"]],
        difference=read_interval(entry),
        unit=inputs.unit,
    )
    return (adopt if rule["rule"] == "adopt" else drop)(against, compared)


def _comparison(inputs: ExperimentInputs, compute: Json, paired: Paired) -> Json:
    parent, difference = paired.parent, paired.difference
    cost = _cost(compute["inference"], parent.record["compute"]["inference"])
    name = parent.experiment.upper()
    return {
        "against": parent.experiment,
        "against_config_id": parent.record["config_id"],
        "against_title": parent.record["title"],
        "against_pretrained": parent.record["leakage"]["pretrained"],
        "mae": paired.mae,
        "mae_against": paired.mae - difference.estimate,
        "delta_mae": difference.estimate,
        **interval_entry(difference),
        "replicates": list(difference.replicates),
        "p_value": difference.p_value,
        "p_adjusted": paired.adjusted,
        "star": has_star(difference, paired.adjusted),
        "cost": cost,
        "verdict": " ".join(
            [
                verdict_text(inputs.name, name, difference, inputs.unit),
                claim_text(difference, paired.adjusted, inputs.star_comparisons),
                cost_text(inputs.name, name, cost),
            ]
        ),
    }


def _cost(own: Json, other: Json) -> Json:
    speeds = own["structures_per_s"], other["structures_per_s"]
    return {
        "passes_per_prediction": own["passes_per_prediction"],
        "passes_against": other["passes_per_prediction"],
        "parameters": own["parameters"],
        "parameters_against": other["parameters"],
        "structures_per_s": speeds[0],
        "structures_per_s_against": speeds[1],
        "speed_ratio": speeds[0] / speeds[1] if all(speeds) else None,
        "same_hardware": all(own[key] == other[key] for key in ("device", "threads")),
    }


def cost_text(name: str, other: str, cost: Json) -> str:
    """What one prediction costs in passes through a network, beside another experiment."""
    if cost["parameters"] is None or cost["parameters_against"] is None:
        return _recorded_cost_text(name, other, cost)
    passes = [int(cost[key]) for key in ("passes_per_prediction", "passes_against")]
    parameters = [int(cost[key]) for key in ("parameters", "parameters_against")]
    if passes[0] == passes[1] and parameters[0] == parameters[1]:
        return f"Both need {_passes(passes[0])} and {parameters[0]:,} parameters per prediction."
    return (
        f"One prediction takes {name} {_passes(passes[0])} through {parameters[0]:,} parameters, "
        f"{other} {_passes(passes[1])} through {parameters[1]:,}."
    )


def _recorded_cost_text(name: str, other: str, cost: Json) -> str:
    """As `cost_text`, where a side asks models from outside, whose size no file tells."""
    if cost["parameters"] is None and cost["parameters_against"] is None:
        counts = [int(cost[key]) for key in ("passes_per_prediction", "passes_against")]
        if counts[0] == counts[1]:
            return f"Both need the answers of {plural(counts[0], 'model')} of unknown size."
    sides = (
        (name, "parameters", "passes_per_prediction"), (other, "parameters_against",
                                                        "passes_against"),
    )  # fmt: skip
    texts = [
        f"{who} needs {_passes(int(cost[passes]))} through {cost[size]:,} parameters"
        if cost[size] is not None
        else f"{who} needs the answers of {plural(int(cost[passes]), 'model')} of unknown size"
        for who, size, passes in sides
    ]
    return f"For one prediction {texts[0]}, {texts[1]}."


def speed_text(name: str, other: str, cost: Json) -> str:
    """The measured speeds of two experiments, with the warning where they cannot be compared."""
    if cost["structures_per_s"] is None and cost["structures_per_s_against"] is None:
        return "How fast they answer was not measured of either."
    if cost["speed_ratio"] is None:
        return "The speed of one of the two was not measured."
    sentence = (
        f"Measured: {cost['structures_per_s']:,.1f} structures/s against "
        f"{cost['structures_per_s_against']:,.1f} of {other}"
    )
    if not cost["same_hardware"]:
        return f"{sentence}, on different hardware, so the two rates say nothing about the models."
    ratio = float(cost["speed_ratio"])
    if abs(ratio - 1.0) < EQUAL_SPEED:
        return f"{sentence}: about the same."
    faster, slower, factor = (name, other, ratio) if ratio > 1 else (other, name, 1 / ratio)
    return f"{sentence}: {faster} is {factor:.1f} times as fast as {slower}."


def _passes(count: int) -> str:
    return f"{count} forward pass" if count == 1 else f"{count} forward passes"


def teacher_text(teacher: dict[str, Any]) -> str:
    """Who taught a student, in words."""
    seeds = list(teacher.get("seeds") or [])
    members = [str(name) for name in teacher.get("members") or []]
    if members:
        return f"{str(teacher['ensemble']).upper()} ({listing(members)})"
    if not seeds:
        return f"the recorded teachers of {str(teacher['ensemble']).upper()}"
    who = f"the {plural(len(seeds), 'teacher')} of {str(teacher['ensemble']).upper()}"
    named = f" (seeds {listing([str(seed) for seed in seeds])})" if seeds else ""
    return who + named
