"""What an exported model says about crystals that have graphs: answer, interval, warning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from foldwise.common.errors import FoldwiseError
from foldwise.graphs.sources import BatchSource, open_batches
from foldwise.graphs.store import GraphStore
from foldwise.graphs.views import Strength, Views
from foldwise.network.checkpoint import TrainedModel
from foldwise.network.output import predict
from foldwise.network.transform import compositions
from foldwise.prediction.exported.contents import ExportedModel
from foldwise.prediction.views import view_answers
from foldwise.statistics.answer_intervals import CONFIDENCE


@dataclass(frozen=True)
class Answers:
    """About n crystals, in the unit of the target.

    Attributes:
        prediction: Mean of the members, [n].
        std: Their standard deviation (`ddof=0`), [n].
        low: Lower end of the interval, NaN where there is none, [n].
        high: Upper end, [n].
        warnings: What is unlike the training crystals, empty where nothing is.
    """

    prediction: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    warnings: list[str]


class Answerer:
    """A model on its device.

    Args:
        model: What answers.
        device: What `foldwise.network.engine.set_up_engine` returned.
        confidence: Nominal coverage of the intervals.
    """

    def __init__(
        self, model: ExportedModel, device: torch.device, confidence: float = CONFIDENCE
    ) -> None:
        self._model, self._device, self._confidence = model, device, confidence
        for member in model.members:
            member.network.to(device)

    def answer(self, store: GraphStore) -> Answers:
        """Answers for every crystal of a store, in its order.

        Raises:
            FoldwiseError: An answer is not finite.
        """
        fractions = compositions(store)
        atoms = np.diff(store.offsets[:, 0])
        members = self._members(store, fractions)
        if not np.isfinite(members).all():
            bad = store.ids[int(np.flatnonzero(~np.isfinite(members).all(axis=0))[0])]
            raise FoldwiseError(
                f"the answer for {bad!r} is not finite",
                where=str(self._model.folder),
                hint="Take the crystal out, or train the model again with a lower lr.",
            )
        low = high = np.full(len(store), np.nan)
        if self._model.intervals is not None:
            size = np.ones(len(store)) if self._model.intensive else atoms.astype(np.float64)
            low, high = self._model.intervals.ends(members, size, self._confidence)
        return Answers(
            members.mean(axis=0),
            members.std(axis=0),
            low,
            high,
            self._model.domain.warnings(atoms, fractions),
        )

    def _members(self, store: GraphStore, fractions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Answers of the members, [members, n]."""
        source, rows = open_batches(store, self._device), np.arange(len(store))
        views = self._model.views
        answers = []
        for number, member in enumerate(self._model.members):
            ask = partial(_ask, member, fractions)
            if views is None:
                answers.append(ask(source, rows))
                continue
            strength = Strength(views.displacement, views.strain)
            seen = Views(source, store.ids, strength, self._model.seeds[number])
            mean = view_answers(ask, seen, rows, views.count).mean(axis=0)
            answers.append(mean - views.biases[number])
        return np.stack(answers)


def _ask(
    member: TrainedModel,
    fractions: NDArray[np.float64],
    source: BatchSource,
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    return predict(member.network, member.transform, source, fractions, rows)
