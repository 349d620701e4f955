"""How much of a study's time on a cluster nobody computes in: queue, start and end of its jobs."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

TRAINING, PREDICTION = "train_model", "predict"


def job_seconds(benchmarks: Path) -> dict[str, dict[str, float]]:
    """Seconds of every job's program, by rule and name, as Snakemake has measured them.

    Args:
        benchmarks: The study's folder `benchmarks/`.
    """
    return {
        folder.name: {
            str(path.relative_to(folder)): float(pd.read_csv(path, sep="\t")["s"].sum())
            for path in sorted(folder.rglob("*.tsv"))
        }
        for folder in sorted(benchmarks.iterdir())
    }


def ideal_seconds(seconds: dict[str, dict[str, float]], slots: int) -> float:
    """Seconds of the study were its programs all that takes time.

    Models are trained and asked in the order of their names, each in the first slot that is free;
    all other jobs follow one after the other.

    Args:
        seconds: As `job_seconds` returns them.
        slots: Trainings that run at once.
    """
    answers = seconds.get(PREDICTION, {})
    chains = [own + answers.get(name, 0.0) for name, own in seconds[TRAINING].items()]
    rest = [own for rule, jobs in seconds.items() for own in jobs.values()
            if rule not in (TRAINING, PREDICTION)]  # fmt: skip
    return _makespan(chains, slots) + sum(rest)


def _makespan(durations: Sequence[float], slots: int) -> float:
    free_at = [0.0] * slots
    for duration in durations:
        heapq.heappush(free_at, heapq.heappop(free_at) + duration)
    return max(free_at)


def throughput(benchmarks: Path, slots: int, wall: float) -> dict[str, object]:
    """A row of figures: trainings, their mean seconds, and the share of waiting.

    Args:
        benchmarks: The study's folder `benchmarks/`.
        slots: Trainings that run at once.
        wall: Seconds from the call to its end.
    """
    seconds = job_seconds(benchmarks)
    trainings = seconds[TRAINING].values()
    ideal = ideal_seconds(seconds, slots)
    return {
        "trainings": len(trainings),
        "at once": slots,
        "seconds of a training": round(sum(trainings) / len(trainings), 1),
        "seconds of the study": round(wall, 1),
        "of which programs ran": round(ideal, 1),
        "waiting, %": round(100 * (1 - ideal / wall), 1),
    }
