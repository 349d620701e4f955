"""A trained experiment for single crystals, as a Python object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from foldwise.common.errors import FoldwiseError
from foldwise.crystals.neighbors import CrystalArrays
from foldwise.crystals.parsing import CrystalError, check_crystal, parse_structure
from foldwise.network.engine import set_up_engine
from foldwise.network.machine import Machine
from foldwise.prediction.exported.contents import open_model
from foldwise.prediction.new_crystals.answers import Answerer
from foldwise.prediction.new_crystals.parts import graphs_of
from foldwise.statistics.answer_intervals import CONFIDENCE
from foldwise.tasks.formats.text import MAX_ATOMS, crystal_of_atoms

if TYPE_CHECKING:
    from ase import Atoms


class Prediction(NamedTuple):
    """About one crystal, in the unit of the target.

    Attributes:
        prediction: Mean of the members.
        low: Lower end of the interval, NaN where the model has none.
        high: Upper end.
        std: Standard deviation of the members.
        warning: What is unlike the training crystals, empty where nothing is.
    """

    prediction: float
    low: float
    high: float
    std: float
    warning: str


class Predictor:
    """A model folder, ready to answer.

    Args:
        experiment: Folder of an experiment, or its `model/`.
        machine: What it computes on.
        confidence: Nominal coverage of the intervals.

    Raises:
        FoldwiseError: There is no model, or a file of it is damaged.
    """

    def __init__(
        self,
        experiment: str | Path,
        machine: Machine | None = None,
        confidence: float = CONFIDENCE,
    ) -> None:
        self._answerer = Answerer(
            open_model(experiment), set_up_engine(machine or Machine()), confidence
        )

    def predict(self, atoms: Atoms | Any) -> Prediction:
        """Answer for one crystal: ASE atoms or a pymatgen structure.

        Raises:
            FoldwiseError: It is no crystal that the network takes; the message says why.
        """
        return self.predict_many([atoms])[0]

    def predict_many(self, crystals: Sequence[Atoms | Any]) -> list[Prediction]:
        """As `predict`, for several crystals in one batch.

        Raises:
            FoldwiseError: One of them is no crystal that the network takes.
        """
        names = [f"crystal {number + 1} of {len(crystals)}" for number in range(len(crystals))]
        read = [_crystal(name, crystal) for name, crystal in zip(names, crystals, strict=True)]
        part = graphs_of(names, read)
        for name, reason in zip(names, part.reasons, strict=True):
            if reason is not None:
                raise _refused(name, reason)
        if part.store is None:
            return []
        found = self._answerer.answer(part.store)
        columns = (found.prediction, found.low, found.high, found.std)
        numbers = [column.tolist() for column in columns]
        return list(map(Prediction._make, zip(*numbers, found.warnings, strict=True)))


def _crystal(name: str, value: Atoms | Any) -> CrystalArrays:
    try:
        if hasattr(value, "as_dict"):
            crystal = parse_structure(value.as_dict())
        elif hasattr(value, "get_scaled_positions"):
            crystal = crystal_of_atoms(value, MAX_ATOMS)
        else:
            raise _refused(name, f"a {type(value).__name__} is no crystal")
        check_crystal(crystal)
    except CrystalError as error:
        raise _refused(name, str(error)) from error
    return crystal


def _refused(name: str, reason: str) -> FoldwiseError:
    return FoldwiseError(
        reason, where=name, hint="Give ASE atoms or pymatgen structures of ordered crystals."
    )
