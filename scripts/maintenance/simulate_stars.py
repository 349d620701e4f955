"""Measure how often a star is wrong, and how often it finds a true difference, in simulations.

Each simulated study has test crystals in formulas whose sizes have a heavy tail, an experiment, and
eleven others that are compared with it. Absolute errors vary with the formula, the crystal and the
training seed; either the formulas or the seeds make up most of the difference of two experiments.
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from foldwise.statistics import LEVEL
from foldwise.statistics.intervals import clustered_means

FAMILY = 11
EFFECT = 0.1
REGIMES = {"formulas": (0.4, 0.01), "seeds": (0.02, 0.05)}
"""Relative spread of an experiment's error over formulas, and over seeds."""


def errors(
    generator: np.random.Generator, formulas: int, replicates: int, regime: str, effect: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Absolute errors `[rows, (1 + FAMILY) * replicates]`, and the formula of each row."""
    sizes = np.minimum(generator.zipf(2.2, formulas), max(2, formulas // 5))
    names = np.repeat(np.arange(formulas), sizes)
    crystal = generator.lognormal(0, 0.5, formulas)[names] * generator.exponential(1, len(names))
    over_formulas, over_seeds = REGIMES[regime]
    columns = []
    for number in range(1 + FAMILY):
        level = (1 - effect if number else 1.0) * (
            1 + generator.normal(0, over_formulas, formulas)[names]
        )
        for luck in generator.normal(0, over_seeds, replicates):
            noise = generator.normal(0, 0.05, len(names))
            columns.append(crystal * (level * (1 + luck) + noise))
    return np.column_stack(columns), names


def p_values(
    generator: np.random.Generator, formulas: int, replicates: int, regime: str, effect: float
) -> npt.NDArray[np.float64]:
    """P-value of each comparison with the first experiment `[FAMILY]`."""
    table, names = errors(generator, formulas, replicates, regime, effect)
    means = clustered_means(table, names)
    first = range(replicates)
    return np.array(
        [
            means.interval(range(at * replicates, (at + 1) * replicates), first).p_value
            for at in range(1, 1 + FAMILY)
        ]
    )


def main() -> None:
    """Print the table of docs/configuration.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000, help="simulated studies per row")
    studies = parser.parse_args().studies
    print(f"| most variance from | formulas | replicates | type I error | a false star in a study "
          f"of {FAMILY} | power, {EFFECT:.0%} effect |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|")
    for regime, formulas, replicates in product(REGIMES, (200, 2_000), (2, 3, 5)):
        generator = np.random.default_rng(0)
        null = np.array(
            [p_values(generator, formulas, replicates, regime, 0.0) for _ in range(studies)]
        )
        true = np.array(
            [p_values(generator, formulas, replicates, regime, EFFECT) for _ in range(studies // 4)]
        )
        print(f"| {regime} | {formulas:,} | {replicates} | {(null < LEVEL).mean():.3f} "
              f"| {(null.min(axis=1) * FAMILY < LEVEL).mean():.3f} "
              f"| {(true < LEVEL).mean():.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
