"""The masked-LM config, checked before the first job: paths, runs and checkpoints that follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_yaml
from foldwise.common.settings import checked
from foldwise.mlm.declaration import MlmFile

DEFAULT_CONFIG = REPOSITORY / "config" / "mlm.yaml"
ROOT = "results/mlm"
# The workflow knows two trainings of a model, by the names of their folders.
TRAINED_PHASES = ("mlm", "entity")
# Folders beside those of the runs.
RESERVED = ("cache", "corpora", "lambada", "logs", "benchmarks", "models", "samples")
_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint of a run.

    Attributes:
        phase: Phase of the training.
        folder: Folder of the model.
        model: Name of the training that makes it; empty for a user's own.
    """

    phase: str
    folder: str
    model: str

    @property
    def name(self) -> str:
        """Its place below the run's folder, e.g. `mlm/checkpoint-300`."""
        return f"{self.phase}/{Path(self.folder).name}"


@dataclass(frozen=True)
class MlmStudy:
    """A checked config."""

    config: Mapping[str, Any]

    def run_checkpoints(self, run: str) -> list[Checkpoint]:
        """Checkpoints of a run, in the order of their training.

        Raises:
            FoldwiseError: A user's folder has no checkpoint in the range of steps.
        """
        return [one for phase in self.config["runs"][run]["phases"] for one in _of_phase(phase)]

    def checkpoint(self, run: str, name: str) -> Checkpoint:
        """The checkpoint of a run by its name."""
        return next(one for one in self.run_checkpoints(run) if one.name == name)


def read_study(path: str | Path = DEFAULT_CONFIG) -> MlmStudy:
    """Read and check a config file.

    Raises:
        FoldwiseError: The file is missing or no YAML, or as `parse_study`.
    """
    raw = read_yaml(path, absent="Check mlm_config or --config.")
    return parse_study(raw)


def parse_study(config: Any) -> MlmStudy:
    """Check a config: its keys and values, and that every name it uses is defined.

    Raises:
        FoldwiseError: The first thing that is wrong.
    """
    checked(MlmFile, config)
    for name, corpus in config["corpora"].items():
        shares = corpus.get("shares")
        if shares and abs(sum(shares.values()) - 1.0) > 1e-9:
            raise FoldwiseError(
                f"{shares} do not add up to 1",
                where=f"corpora.{name}.shares",
                hint="Mend the shares.",
            )
    for name, entry in config["samples"].items():
        _check_known(entry["corpus"], config["corpora"], f"samples.{name}.corpus")
    for name, entry in config["models"].items():
        _check_known(entry["corpus"], config["corpora"], f"models.{name}.corpus")
    _check_known(config["default_run"], config["runs"], "default_run")
    for name, entry in config["runs"].items():
        _check_run(name, entry, config)
    return MlmStudy(config)


def _check_run(name: str, run: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    if name in RESERVED:
        raise FoldwiseError(
            f"the name {name!r} is that of another folder of {ROOT}",
            where="runs",
            hint=f"Take another than {', '.join(RESERVED)}.",
        )
    _check_known(run["samples"], config["samples"], f"runs.{name}.samples")
    phases = [phase["name"] for phase in run["phases"]]
    if len(set(phases)) < len(phases):
        raise FoldwiseError(
            "a phase is named twice", where=f"runs.{name}.phases", hint="Name each phase once."
        )
    for phase in run["phases"]:
        _check_phase(phase, f"runs.{name}.phases.{phase['name']}", config)
    own = all("model" in phase for phase in run["phases"])
    # A user's folders are listed only when the run is asked for: they may lie elsewhere.
    if own:
        known = {one.name: one for phase in run["phases"] for one in _of_phase(phase)}
        for compared in run.get("compare", ()):
            _check_known(compared, known, f"runs.{name}.compare")


def _check_phase(phase: Mapping[str, Any], where: str, config: Mapping[str, Any]) -> None:
    if ("model" in phase) == ("folder" in phase) or ("model" in phase) != ("steps" in phase):
        raise FoldwiseError(
            "it names neither or both of model (with steps) and folder",
            where=where,
            hint="Give model and steps for a training of this config, else folder.",
        )
    if "model" not in phase:
        return
    _check_known(phase["model"], config["models"], f"{where}.model")
    model = config["models"][phase["model"]]
    _check_known(phase["name"], [one for one in TRAINED_PHASES if one in model], f"{where}.name")
    if phase["name"] == "mlm":
        every, last = model["mlm"]["save_every"], model["mlm"]["steps"]
        made = sorted({*range(every, last + 1, every), last})
        for step in phase["steps"]:
            _check_known(step, made, f"{where}.steps")
    elif phase["steps"] != ["best"]:
        raise FoldwiseError(
            "early stopping decides which steps there are",
            where=f"{where}.steps",
            hint="Write steps: [best].",
        )


def _of_phase(phase: Mapping[str, Any]) -> list[Checkpoint]:
    name = phase["name"]
    if "model" in phase:
        folder = f"{ROOT}/models/{phase['model']}/{name}"
        return [
            Checkpoint(name, f"{folder}/checkpoint-{step}", phase["model"])
            for step in phase["steps"]
        ]
    low, high = phase.get("from_step", 0), phase.get("to_step", float("inf"))
    found = sorted(
        (int(match[1]), str(path))
        for path in Path(phase["folder"]).glob("checkpoint-*")
        if (match := _CHECKPOINT.fullmatch(path.name)) and path.is_dir()
    )
    chosen = [path for step, path in found if low <= step <= high]
    if not chosen:
        raise FoldwiseError(
            f"there is no checkpoint-N folder with N from {low} to {high}",
            where=phase["folder"],
            hint="Check folder, from_step and to_step.",
        )
    return [Checkpoint(name, path, "") for path in chosen]


def _check_known(name: Any, known: Any, where: str) -> None:
    if name not in known:
        allowed = ", ".join(map(str, known)) or "none"
        raise FoldwiseError(f"unknown name {name!r}", where=where, hint=f"Allowed: {allowed}.")
