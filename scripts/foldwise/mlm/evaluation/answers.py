"""Answers kept on disk by content: a batch is asked once, and an interrupted run goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foldwise.common.files import LIBRARY, canonical_sha256, file_sha256
from foldwise.mlm.evaluation.engine import Answer

# The modules that decide an answer: a change in one of them makes older answers stale.
_DECIDING = (
    "evaluation/answers.py",
    "evaluation/engine.py",
    "evaluation/matching.py",
    "evaluation/questions.py",
    "evaluation/surfaces.py",
    "evaluation/words.py",
    "samples/lambada.py",
)


def cache_key(model: str, samples: str, lambada: str | None, settings: dict[str, Any]) -> str:
    """Name of a cache file: weights, tokenizer, samples and settings, never a path.

    Args:
        model: Identity of the model folder.
        samples: Hash of the sample file.
        lambada: Hash of the Ko-LAMBADA file, if there is one.
        settings: Sequence length, precision, limit and its seed.
    """
    code = {name: file_sha256(LIBRARY / "mlm" / name) for name in _DECIDING}
    facts = {"model": model, "samples": samples, "lambada": lambada, "settings": settings}
    return canonical_sha256({**facts, "code": code})[:24]


class AnswerStore:
    """Answers of one evaluation, appended batch by batch.

    Args:
        path: JSON-lines file, one batch per line.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    def read(self) -> dict[str, Answer]:
        """Answers of the finished batches, by question; a line cut off by a kill is removed."""
        if not self._path.exists():
            return {}
        raw = self._path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            os.truncate(self._path, len(whole))
        found: dict[str, Answer] = {}
        for line in whole.decode().splitlines():
            for name, nearest, probabilities, own, rank, scores in json.loads(line):
                found[name] = Answer(
                    name, tuple(nearest), tuple(probabilities), own, rank, tuple(scores)
                )
        return found

    def append(self, answers: Sequence[Answer]) -> None:
        """Add a finished batch; it is on disk when this returns."""
        rows = [
            [one.id, one.nearest, one.probabilities, one.answer_probability, one.rank, one.scores]
            for one in answers
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(rows) + "\n")
            handle.flush()
            os.fsync(handle.fileno())
