"""The metrics of an evaluation with their intervals, and the composite score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from foldwise.mlm.report.statistics import Part, difference_interval, rate_interval, sum_interval
from foldwise.statistics.intervals import Interval

WEIGHTS = {"real1": 0.4, "real5": 0.3, "lambada_top1": 0.3}
LEAST_PASSAGES = 200
"""With fewer passages LAMBADA@1 stands with its interval, but is no part of the score."""


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
    """All metrics of an evaluation: by the exact matching, and by the `reference` one.

    Args:
        table: One row per coreference sample.
        blanks: One row per Ko-LAMBADA row; may be empty.
        resamples: Bootstrap resamples of each interval.
    """
    texts = table["text_id"].tolist()
    known = table[table["in_vocabulary"]]
    return {
        **_rates(table, blanks, "", resamples),
        "reference": _rates(table, blanks, "reference_", resamples),
        "coverage": float(table["in_vocabulary"].mean()),
        "pll": _compared(table, texts, resamples),
        "real1_single_token": float(known["hit1"].mean()) if len(known) else None,
        "real5_single_token": float(known["hit5"].mean()) if len(known) else None,
        "first_piece1": float(table["first_piece1"].mean()),
        "first_piece5": float(table["first_piece5"].mean()),
        "lambada_coverage": float(blanks["in_vocabulary"].mean()) if len(blanks) else None,
        "floor": _floor(table, texts, resamples),
    }


def _compared(table: pd.DataFrame, texts: list[str], resamples: int) -> dict[str, Any] | None:
    """How often the noun is the most probable one of its text, by pseudo-log-likelihood."""
    if "pll_hit" not in table:
        return None
    several = table.loc[~table["in_vocabulary"], "pll_hit"]
    return {
        "real1": interval_entry(rate_interval(table["pll_hit"], texts, resamples=resamples)),
        "several_tokens": float(several.mean()) if len(several) else None,
        "candidates": float(table["pll_candidates"].mean()),
    }


def _rates(
    table: pd.DataFrame, blanks: pd.DataFrame, prefix: str, resamples: int
) -> dict[str, Any]:
    """The three rates and the score of one matching, each with its interval."""
    texts, rows = table["text_id"].tolist(), blanks["id"].astype(str).tolist()
    first, five, last = table[f"{prefix}hit1"], table[f"{prefix}hit5"], blanks[f"{prefix}hit1"]
    score = None
    if len(blanks) >= LEAST_PASSAGES:
        parts = score_parts((first, five, texts), (last, rows), least=0.0)
        score = sum_interval(parts, resamples=resamples)
    return {
        "real1": interval_entry(rate_interval(first, texts, resamples=resamples)),
        "real5": interval_entry(rate_interval(five, texts, resamples=resamples)),
        "lambada_top1": interval_entry(rate_interval(last, rows, resamples=resamples))
        if len(blanks)
        else None,
        "score": score.estimate if score else None,
        "score_interval": [score.low, score.high] if score else None,
    }


def score_parts(
    samples: tuple[Any, Any, Sequence[str]], passages: tuple[Any, Sequence[str]], least: float
) -> list[Part]:
    """The two independent summands of the composite score.

    Args:
        samples: Hits @1 and @5, or differences of them, and the text of each sample.
        passages: Hits of Ko-LAMBADA, or differences, and the id of each passage.
        least: The lowest value of one hit: 0, or -1 for differences.
    """
    first, five, texts = samples
    last, rows = passages
    both, alone = WEIGHTS["real1"] + WEIGHTS["real5"], WEIGHTS["lambada_top1"]
    values = WEIGHTS["real1"] * _numbers(first) + WEIGHTS["real5"] * _numbers(five)
    return [
        Part(values, texts, (least * both, both)),
        Part(alone * _numbers(last), rows, (least * alone, alone)),
    ]


def _numbers(hits: Any) -> npt.NDArray[np.float64]:
    return np.asarray(hits, dtype=np.float64)


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


def flat_results(metrics: Mapping[str, Any], matching: str) -> dict[str, Any]:
    """The metrics by the names of `{checkpoint}_eval_results.json`.

    Args:
        metrics: As from `metrics_of`.
        matching: `exact` or `reference`: whose rates have the short names.
    """
    both = {"exact": metrics, "reference": metrics["reference"]}
    chosen = both[matching]
    names = ("real1", "real5", "lambada_top1")
    return {
        **{name: _value(chosen[name]) for name in names},
        "score": chosen["score"],
        "matching": matching,
        **{f"{name}_interval": (chosen[name] or {}).get("interval") for name in names},
        "score_interval": chosen["score_interval"],
        **{
            name: {**{key: _value(own[key]) for key in names}, "score": own["score"]}
            for name, own in both.items()
        },
        "floor_real1": metrics["floor"]["real1"],
        "floor_real5": metrics["floor"]["real5"],
        "coverage": metrics["coverage"],
        "pll1": _value(metrics["pll"]["real1"]) if metrics["pll"] else None,
        "real1_single_token": metrics["real1_single_token"],
    }


def _value(entry: Mapping[str, Any] | None) -> float | None:
    return entry["value"] if entry else None


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
