"""The state of an interrupted training, saved after every epoch; only the same work reads it."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from foldwise.common.code import code_of
from foldwise.common.files import REPOSITORY, atomic_path, canonical_sha256


def work_fingerprint(program: str, **facts: Any) -> str:
    """Identity of a training: the given facts, torch's version and the code that decides it.

    Args:
        program: File name of the training's program below `scripts`.
        facts: All else that decides the weights.
    """
    code = code_of(program, str(REPOSITORY / "scripts"))
    plain = {
        key: dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
        for key, value in facts.items()
    }
    return canonical_sha256({"facts": plain, "code": code, "torch": torch.__version__})


class Clock:
    """Seconds that a job has taken, in the processes that a kill has ended too.

    Attributes:
        wall: Of the processes before this one.
        cpu: As `wall`, over all threads.
    """

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self._started = time.perf_counter()

    def resume(self, saved: Mapping[str, float]) -> None:
        """Add what was read when a state was saved; of several states the latest counts."""
        self.wall, self.cpu = max(self.wall, saved["wall"]), max(self.cpu, saved["cpu"])

    def read(self) -> dict[str, float]:
        """Seconds so far: `wall` since the job began, `cpu` with the start of each process."""
        return {
            "wall": self.wall + time.perf_counter() - self._started,
            "cpu": self.cpu + time.process_time(),
        }


def save_state(path: str | os.PathLike[str], fingerprint: str, state: dict[str, Any]) -> None:
    """Write the state atomically; `state` holds tensors and plain values only."""
    with atomic_path(path) as temporary:
        torch.save({"fingerprint": fingerprint, "state": state}, temporary)


def load_state(path: str | os.PathLike[str], fingerprint: str) -> dict[str, Any] | None:
    """The saved state, or `None` where there is none, it is unreadable, or it is of other work."""
    if not Path(path).exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  The unpickler raises whatever broken bytes lead it to.
        return None
    if not isinstance(saved, dict) or saved.get("fingerprint") != fingerprint:
        return None
    state: dict[str, Any] = saved["state"]
    return state
