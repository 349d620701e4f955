"""The metrics of an evaluation with their intervals, and the composite score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from foldwise.mlm.report.statistics import difference_interval, rate_interval
from foldwise.statistics.bootstrap import Interval

WEIGHTS = {"real1": 0.4, "real5": 0.3, "lambada_top1": 0.3}


def composite(real1: float, real5: float, lambada_top1: float | None) -> float | None:
    """`0.4 × Real@1 + 0.3 × Real@5 + 0.3 × LAMBADA@1`; `None` where LAMBADA@1 is absent.

    Without LAMBADA@1 nothing is reweighted: such a score could not be compared with any other.
    """
    if lambada_top1 is None:
        return None
    return (
        WEIGHTS["real1"] * real1 + WEIGHTS["real5"] * real5 + WEIGHTS["lambada_top1"] * lambada_top1
    )


def metrics_of(table: pd.DataFrame, blanks: pd.DataFrame, resamples: int) -> dict[str, Any]:
    """All metrics of an evaluation.

    Args:
        table: One row per coreference sample.
        blanks: One row per Ko-LAMBADA row; may be empty.
        resamples: Bootstrap resamples of each interval.
    """
    texts = table["text_id"].tolist()
    known = table[table["in_vocabulary"]]
    rates = {
        name: interval_entry(rate_interval(table[column], texts, resamples=resamples))
        for name, column in (("real1", "hit1"), ("real5", "hit5"))
    }
    lambada = None
    if len(blanks):
        lambada = interval_entry(
            rate_interval(blanks["hit1"], blanks["id"].tolist(), resamples=resamples)
        )
    real1, real5 = rates["real1"]["value"], rates["real5"]["value"]
    top1 = lambada["value"] if lambada else None
    return {
        **rates,
        "lambada_top1": lambada,
        "score": composite(real1, real5, top1),
        "coverage": float(table["in_vocabulary"].mean()),
        "real1_single_token": float(known["hit1"].mean()) if len(known) else None,
        "real5_single_token": float(known["hit5"].mean()) if len(known) else None,
        "first_piece1": float(table["first_piece1"].mean()),
        "first_piece5": float(table["first_piece5"].mean()),
        "lambada_coverage": float(blanks["in_vocabulary"].mean()) if len(blanks) else None,
        "floor": _floor(table, texts, resamples),
    }


def interval_entry(interval: Interval) -> dict[str, Any]:
    """An interval for JSON."""
    return {
        "value": interval.estimate,
        "interval": [interval.low, interval.high],
        "method": interval.method,
    }


def difference_entry(interval: Interval) -> dict[str, Any]:
    """A paired difference for JSON."""
    return {**interval_entry(interval), "excludes_zero": interval.excludes_zero}


def flat_results(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics by the names of `{checkpoint}_eval_results.json`, values only."""
    lambada = metrics["lambada_top1"]
    return {
        "real1": metrics["real1"]["value"],
        "real5": metrics["real5"]["value"],
        "lambada_top1": lambada["value"] if lambada else None,
        "score": metrics["score"],
        "real1_interval": metrics["real1"]["interval"],
        "real5_interval": metrics["real5"]["interval"],
        "lambada_top1_interval": lambada["interval"] if lambada else None,
        "floor_real1": metrics["floor"]["real1"],
        "floor_real5": metrics["floor"]["real5"],
        "coverage": metrics["coverage"],
        "real1_single_token": metrics["real1_single_token"],
    }


def _floor(table: pd.DataFrame, texts: list[str], resamples: int) -> dict[str, Any]:
    """What the most frequent visible nouns score, and how far the model is above them."""
    return {
        "real1": float(table["floor_hit1"].mean()),
        "real5": float(table["floor_hit5"].mean()),
        "real1_above": difference_entry(
            difference_interval(table["hit1"], table["floor_hit1"], texts, resamples=resamples)
        ),
        "real5_above": difference_entry(
            difference_interval(table["hit5"], table["floor_hit5"], texts, resamples=resamples)
        ),
    }
