"""Predictions for ASE atoms or pymatgen structures, with the chgnet package and NumPy only.

    from predict import Model

    answer = Model(".").predict(atoms)
    print(answer.prediction, answer.low, answer.high)

One crystal at a time; for many, scripts/predict_structures.py of Foldwise is faster and warns of
crystals that are unlike the training data.
"""

import csv
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from chgnet.model import CHGNet
from pymatgen.core import Structure
from safetensors import safe_open
from safetensors.torch import load_file


class Answer(NamedTuple):
    """A prediction in the unit that config.json names, and the ends of its interval (NaN: none)."""

    prediction: float
    low: float
    high: float
    std: float


def load_chgnet(path: str | Path) -> CHGNet:
    """A member as a CHGNet. Nothing is unpickled: the file holds numbers and JSON only."""
    with safe_open(str(path), framework="pt") as archive:
        arguments = json.loads(archive.metadata()["model_args"])
    return CHGNet.from_dict({"model_args": arguments, "state_dict": load_file(path)}).eval()


class Model:
    """The models of this folder, whose answers are averaged."""

    def __init__(self, folder: str | Path = ".") -> None:
        torch.set_flush_denormal(True)  # some processors handle numbers below 1e-38 in microcode
        place = Path(folder)
        self.config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        self.members = [load_chgnet(place / member["chgnet"]) for member in self.config["members"]]
        self.scores: dict[str, list[float]] = {}
        with (place / "calibration.csv").open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table):
                self.scores.setdefault(row["member"], []).append(float(row["score"]))

    def predict(self, atoms: Any) -> Answer:
        """Answer for one crystal: ASE atoms with a cell, or a pymatgen structure."""
        structure = atoms
        if not isinstance(atoms, Structure):
            structure = Structure(atoms.cell[:], atoms.numbers, atoms.get_scaled_positions())
        answers = [
            float(member.predict_structure(structure, task="e")["e"]) for member in self.members
        ]
        return Answer(float(np.mean(answers)), *self._interval(answers), float(np.std(answers)))

    def _interval(self, answers: list[float]) -> tuple[float, float]:
        facts = self.config["interval"]
        if facts is None:
            return math.nan, math.nan
        centres, scale = answers, 1.0
        if facts["kind"] == "disagreement":
            centres, scale = [np.mean(answers)], np.hypot(np.std(answers), facts["floor"])
        parts = list(zip(centres, self.scores.values(), strict=True))
        highs = np.sort(np.concatenate([c + scale * np.array(s) for c, s in parts]))
        lows = np.sort(np.concatenate([c - scale * np.array(s) for c, s in parts]))[::-1]
        rank = math.ceil((len(highs) + 1) * facts["confidence"] - 1e-9)
        if rank > len(highs):
            return math.nan, math.nan
        middle = float(np.mean(answers))
        return min(float(lows[rank - 1]), middle), max(float(highs[rank - 1]), middle)
