"""Layout of a model folder, and reading it.

* `README.md`: model card
* `config.json`: what the other files are, unit, intervals, training range
* `fold_{k}_seed_{s}.safetensors`: weights and target transform of each member
* `calibration.csv`: scores of the rows that the members held out, for the intervals
* `training_compositions.csv`: reduced formulas of the training crystals
* `chgnet/`: the members as the chgnet package loads them, where it can
* `predict.py`: `predict(atoms)` with the chgnet package alone, where it can load them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256, read_json
from foldwise.common.frames import read_csv
from foldwise.common.reading import said_by
from foldwise.network.checkpoint import TrainedModel, load_model
from foldwise.prediction.exported.domain import Domain
from foldwise.statistics.answer_intervals import AnswerIntervals
from foldwise.statistics.conformal import Conformal

FORMAT = "foldwise-model-1"
CONFIG, CARD = "config.json", "README.md"
CALIBRATION, COMPOSITIONS = "calibration.csv", "training_compositions.csv"
STOCK, SCRIPT = "chgnet", "predict.py"
_AGAIN = "Make the experiment's results again."


@dataclass(frozen=True)
class ExportedViews:
    """Views that each member is asked about in place of the crystal itself.

    Attributes:
        count: Views per crystal.
        displacement: Standard deviation of each Cartesian coordinate, Å.
        strain: Standard deviation of each strain component.
        biases: Mean shift of each member's answers that they cause, target units.
    """

    count: int
    displacement: float
    strain: float
    biases: tuple[float, ...]


@dataclass(frozen=True)
class ExportedModel:
    """A model folder, read.

    Attributes:
        folder: Where it is.
        config: The whole `config.json`.
        members: Networks with their transforms.
        seeds: Their seeds.
        intervals: How the intervals are made; `None` where no rows were held out.
        domain: What it was trained on.
        views: Views that the members are asked about; `None` for the crystals themselves.
    """

    folder: Path
    config: dict[str, Any]
    members: tuple[TrainedModel, ...]
    seeds: tuple[int, ...]
    intervals: AnswerIntervals | None
    domain: Domain
    views: ExportedViews | None

    @property
    def intensive(self) -> bool:
        """Whether the target does not grow with the cell."""
        return bool(self.config["intensive"])

    @property
    def sha256(self) -> str:
        """Identity of everything that decides an answer."""
        names = [CONFIG, CALIBRATION, COMPOSITIONS]
        names += [str(member["file"]) for member in self.config["members"]]
        return canonical_sha256({name: file_sha256(self.folder / name) for name in names})


def open_model(path: str | Path) -> ExportedModel:
    """Read a model folder, or the one inside of an experiment's folder.

    Raises:
        FoldwiseError: There is none, or a file of it is missing or damaged.
    """
    folder = _model_folder(Path(path))
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise FoldwiseError(
            "this is no model folder of this project", where=str(folder / CONFIG), hint=_AGAIN
        )
    held = _table(folder / CALIBRATION, ("member", "score"))
    known = _table(folder / COMPOSITIONS, ("formula",))["formula"]
    try:
        return _model(folder, config, held, known)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FoldwiseError(
            f"it is damaged: {type(error).__name__}, {said_by(error)}",
            where=str(folder / CONFIG),
            hint=_AGAIN,
        ) from error


def _model(
    folder: Path, config: dict[str, Any], held: pd.DataFrame, known: pd.Series[str]
) -> ExportedModel:
    """The model of a config.

    Raises:
        FoldwiseError: A member's weights or the scores are missing or damaged.
        LookupError: A key is missing; as `TypeError` and `ValueError`, a value is damaged.
    """
    files = [str(member["file"]) for member in config["members"]]
    if not files or any(Path(name).name != name for name in files):
        raise ValueError("members are files of the folder itself")
    seeds = tuple(int(member["seed"]) for member in config["members"])
    members = tuple(load_model(folder / name) for name in files)
    training, views = config["training"], config["views"]
    bool(config["intensive"])
    return ExportedModel(
        folder=folder,
        config=config,
        members=members,
        seeds=seeds,
        intervals=_intervals(config["interval"], held, folder / CALIBRATION),
        domain=Domain(
            tuple(known.astype(str)),
            int(training["min_atoms"]),
            int(training["max_atoms"]),
            float(training["composition_distance_far"]),
        ),
        views=None if views is None else ExportedViews(
            int(views["count"]),
            float(views["displacement"]),
            float(views["strain"]),
            tuple(map(float, views["biases"])),
        ),
    )  # fmt: skip


def _model_folder(path: Path) -> Path:
    for folder in (path / "model", path):
        if (folder / CONFIG).is_file() and (folder / CALIBRATION).is_file():
            return folder
    if not path.is_dir():
        raise FoldwiseError(
            "the folder does not exist",
            where=str(path),
            hint="Give the folder of an experiment, such as results/e4, or its model/.",
        )
    raise FoldwiseError(
        "it holds no model/",
        where=str(path),
        hint="Give the folder of an experiment of trained models; make one that is older than "
        f"this: snakemake --cores 2 -- {path / 'results.json'}",
    )


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_csv(path, absent=_AGAIN, broken=_AGAIN, keep_default_na=False)
    missing = [column for column in columns if column not in table]
    if missing:
        raise FoldwiseError(f"column {missing[0]!r} is missing", where=str(path), hint=_AGAIN)
    return table


def _intervals(
    facts: dict[str, Any] | None, held: pd.DataFrame, path: Path
) -> AnswerIntervals | None:
    if facts is None:
        return None
    numbers = pd.to_numeric(held["score"], errors="coerce")
    groups = [part.to_numpy() for _, part in numbers.groupby(held["member"], sort=True)]
    scores = [np.asarray(part, dtype=np.float64) for part in groups]
    if [len(part) for part in scores] != [n for n in facts["n_scores"] if n] or not np.isfinite(
        numbers
    ).all():
        raise FoldwiseError(
            "its scores are not those that config.json counts", where=str(path), hint=_AGAIN
        )
    return AnswerIntervals(Conformal.of(scores), str(facts["kind"]), float(facts["floor"]))
