"""A small exported model: networks with random weights, scores, and a training range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from foldwise.network.checkpoint import TrainedModel, new_network, save_model
from foldwise.network.transform import TargetTransform
from foldwise.prediction.exported.domain import Domain
from foldwise.prediction.exported.writing import Export, write_model
from foldwise.statistics.answer_intervals import MEMBERS, AnswerIntervals
from foldwise.statistics.conformal import Conformal

DOMAIN = Domain(("CsCl", "MgO", "NaCl", "Si"), 2, 8, 0.3)
SEEDS = (3, 5)


def trained(name: str, transform: str, init: str = "scratch", seed: int = 0) -> TrainedModel:
    """A network with a transform of every part that it may have."""
    torch.manual_seed(seed)
    if transform == "standardize":
        made = TargetTransform(transform, np.zeros(94), -1.5, 2.5, -1.5, 2.5)
    else:
        made = TargetTransform(transform, np.linspace(-3, 2, 94), 0.0, 1.0, -1.0, 1.0)
    return TrainedModel(name, new_network(name, init), made)


def exported_model(folder: Path, n_scores: int = 30) -> Path:
    """A model folder of two small members."""
    checkpoints = {seed: folder / f"checkpoint_{seed}.safetensors" for seed in SEEDS}
    for seed, path in checkpoints.items():
        save_model(path, trained("chgnet_lite", "element_reference", seed=seed))
    scores = [np.linspace(0.01, 1 + member, n_scores) for member in range(len(SEEDS))]
    facts = {"experiment": "e3", "config_id": "e3_0", "title": "t", "task": "t", "target_name": "y",
             "unit": "eV/atom", "intensive": True}  # fmt: skip
    intervals = AnswerIntervals(Conformal.of(scores), MEMBERS)
    place = folder / "model"
    assert write_model(place, Export(facts, 0, checkpoints, intervals, DOMAIN, None)) is None
    return place
