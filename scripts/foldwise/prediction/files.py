"""What a prediction job reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SUBSETS = ("test", "train", "copies")


@dataclass(frozen=True)
class PredictionFiles:
    """A checkpoint, and what it predicts.

    Attributes:
        model: Checkpoint.
        graphs: Graph store of the task, or of its copies.
        split: Split file of the fold.
        subsets: Some of `SUBSETS`.
        holdout: The model's own hold-out.
    """

    model: Path
    graphs: Path
    split: Path
    subsets: tuple[str, ...]
    holdout: int
