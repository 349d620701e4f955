"""From measured rates by cell size to the hours of a study that nobody has run: a projection."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pymatgen.core.composition import Composition
from scipy.optimize import nnls

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json, write_json, write_text

MIN_CLASSES = 2


@dataclass(frozen=True)
class SizeClass:
    """Measured training speed of crystals of like size.

    Attributes:
        engine: What trained.
        device: `cpu` or `cuda`.
        device_name: The processor's or GPU's own name.
        batch_size: Structures per step.
        mean_atoms: Of the class.
        mean_edges: Undirected edges within 6 Å.
        mean_angles: Angles between bonds within 3 Å.
        structures_per_s: Median over the rounds.
    """

    engine: str
    device: str
    device_name: str
    batch_size: int
    mean_atoms: float
    mean_edges: float
    mean_angles: float
    structures_per_s: float

    @property
    def size(self) -> float:
        """Mean edges plus angles."""
        return self.mean_edges + self.mean_angles

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class StudyPlan:
    """Trainings of a study.

    Attributes:
        folds: Folds of the protocol; each trains on the others.
        models: Trainings per fold: teachers and student.
        epochs: Passes of each over its training rows.
    """

    folds: int
    models: int
    epochs: int

    def passes(self, structures: int) -> int:
        """Structures trained on, each counted as often as it comes."""
        return structures * (self.folds - 1) * self.models * self.epochs

    def waves(self, nodes: int) -> int:
        """Trainings one after the other where `nodes` train at once.

        The last model of a fold is the student, which waits for the fold's teachers; all trainings
        are taken to be equally long.
        """
        teachers = math.ceil(self.folds * (self.models - 1) / nodes)
        return teachers + math.ceil(self.folds / nodes)


def read_classes(path: str | os.PathLike[str]) -> list[SizeClass]:
    """The classes of a benchmark.

    Raises:
        FoldwiseError: No such file, or too few classes to tell how time grows with size.
    """
    try:
        classes = [SizeClass(**entry) for entry in read_json(path)["classes"]]
    except (KeyError, TypeError) as error:
        raise FoldwiseError(
            f"it holds no size classes ({error})",
            where=str(path),
            hint="Give the …_sizes.json that scripts/maintenance/bench_engine.py writes.",
        ) from error
    if len(classes) < MIN_CLASSES:
        raise FoldwiseError(
            f"it has {len(classes)} size class(es)",
            where=str(path),
            hint="Run scripts/maintenance/bench_engine.py on crystals of different sizes.",
        )
    return classes


def atoms_of(compositions: str | os.PathLike[str]) -> NDArray[np.float64]:
    """Atoms per cell of every row of a table with a `composition` of whole cells, [n].

    Raises:
        FoldwiseError: The table or the column is missing, or a composition is unreadable.
    """
    where = str(compositions)
    try:
        column = pd.read_csv(compositions)["composition"]
        return np.array([float(Composition(text).num_atoms) for text in column])
    except (OSError, KeyError, ValueError) as error:
        raise FoldwiseError(
            f"no table with compositions ({error})", where=where, hint="Give id, composition."
        ) from error


def seconds_by_size(classes: Sequence[SizeClass]) -> tuple[float, float]:
    """Seconds per structure as `constant + slope * size`, neither below zero, by least squares.

    The size is edges plus angles, which the network's work grows with.
    """
    sizes = np.array([each.size for each in classes])
    seconds = np.array([1 / each.structures_per_s for each in classes])
    # Relative errors count alike: the smallest crystals are as well measured as the largest.
    columns = np.stack([1 / seconds, sizes / seconds], axis=1)
    (constant, slope), _ = nnls(columns, np.ones(len(classes)))
    return float(constant), float(slope)


def stage_hours(stages: str | os.PathLike[str], plan: StudyPlan) -> float:
    """Hours of a study's jobs that train nothing, one after the other.

    Args:
        stages: `stages.csv` of a rehearsal of the same task: seconds of one job of each stage.
        plan: The study; splits are made once per fold, predictions once per model.

    Raises:
        FoldwiseError: No such table.
    """
    try:
        seconds = pd.read_csv(stages).set_index("stage")["seconds"]
    except (OSError, KeyError, ValueError) as error:
        raise FoldwiseError(
            f"no table of stages ({error})",
            where=str(stages),
            hint="Give the stages.csv that scripts/maintenance/make_rehearsal.py writes.",
        ) from error
    times = {"make_splits": plan.folds, "predict": plan.folds * plan.models}
    trainings = seconds.index.str.startswith(("train_model", "pretrain_model"))
    others = seconds[~trainings]
    return sum(float(own) * times.get(str(stage), 1) for stage, own in others.items()) / 3600


def project(
    classes_path: str | os.PathLike[str],
    compositions: str | os.PathLike[str],
    plan: StudyPlan,
    out: str | os.PathLike[str],
    *,
    nodes: int = 1,
    price: float | None = None,
    stages: str | os.PathLike[str] | None = None,
) -> None:
    """Write the projection as JSON to `out` and as a page beside it.

    Args:
        classes_path: Measured speeds.
        compositions: Table of compositions.
        plan: Trainings.
        out: The JSON file.
        nodes: Nodes like the measured machine that train at once.
        price: Of a node and hour, in any currency.
        stages: `stages.csv` of a rehearsal, for the hours beside the trainings.

    Raises:
        FoldwiseError: An input is missing or unreadable.
    """
    classes, atoms = read_classes(classes_path), atoms_of(compositions)
    constant, slope = seconds_by_size(classes)
    per_atom = sum(each.size for each in classes) / sum(each.mean_atoms for each in classes)
    mean_seconds = constant + slope * per_atom * float(atoms.mean())
    passes = plan.passes(len(atoms))
    largest = max(each.mean_atoms for each in classes)
    record = {
        "projection": True,
        "device": classes[0].device_name,
        "engine": classes[0].engine,
        "structures": len(atoms),
        "mean_atoms": float(atoms.mean()),
        "share_beyond_measured_size": float((atoms > largest).mean()),
        "seconds_per_structure": {
            "constant": constant,
            "per_edge_or_angle": slope,
            "mean": mean_seconds,
        },
        "edges_and_angles_per_atom": per_atom,
        "passes": passes,
        "hours": passes * mean_seconds / 3600,
        "hours_beside_training": None if stages is None else stage_hours(stages, plan),
        "nodes": nodes,
        "hours_on_nodes": plan.waves(nodes)
        * (passes * mean_seconds / 3600 / (plan.folds * plan.models)),
        "cost": None if price is None else price * passes * mean_seconds / 3600,
        **asdict(plan),
    }
    write_json(out, record)
    write_text(Path(out).with_suffix(".md"), _page(classes, record))


def _of_nodes(record: dict[str, object]) -> list[str]:
    lines = []
    if record["nodes"] != 1:
        lines = [
            f"{record['nodes']} such nodes, one training on each, would take about "
            f"**{record['hours_on_nodes']:,.0f} hours**: students wait for their fold's teachers.",
            "",
        ]
    if record["cost"] is not None:
        lines += [
            f"At the given price of a node and hour all trainings cost {record['cost']:,.0f}.",
            "",
        ]
    return lines


def _beside(record: dict[str, object]) -> str:
    if record["hours_beside_training"] is None:
        return "Conversion, validation and predictions are not in it."
    return (
        "Validation is not in it; data, predictions and result folder take "
        f"{record['hours_beside_training']:,.1f} hours more, as a rehearsal has measured them."
    )


def _page(classes: Sequence[SizeClass], record: dict[str, object]) -> str:
    lines = [
        "# A projection, not a measurement",
        "",
        f"{record['folds']} folds of {record['structures']:,} structures (mean "
        f"{record['mean_atoms']:.1f} atoms), {record['models']} models per fold, "
        f"{record['epochs']} epochs: {record['passes']:.3g} passes, about "
        f"**{record['hours']:,.0f} hours** of training on {record['device']} "
        f"(`{record['engine']}`).",
        "",
        *_of_nodes(record),
        "Measured rates of training by cell size, and what a straight line through the times "
        "(constant + slope × edges and angles) makes of them:",
        "",
        "| mean atoms | mean edges | mean angles | batch | structures/s | on the line |",
        "|---|---|---|---|---|---|",
    ]
    constant, slope = seconds_by_size(classes)
    lines += [
        f"| {each.mean_atoms:.1f} | {each.mean_edges:,.0f} | {each.mean_angles:,.0f} | "
        f"{each.batch_size} | {each.structures_per_s:,.0f} | "
        f"{1 / (constant + slope * each.size):,.0f} |"
        for each in classes
    ]
    beyond = float(str(record["share_beyond_measured_size"]))
    lines += [
        "",
        f"The whole task is taken to have {record['edges_and_angles_per_atom']:.0f} edges and "
        f"angles per atom, as measured here. {beyond:.0%} of its structures have more atoms than "
        "the largest class: there the line is extrapolated. " + _beside(record),
    ]
    return "\n".join(lines) + "\n"
