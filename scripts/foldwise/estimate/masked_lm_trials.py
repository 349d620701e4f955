"""Short trainings and evaluations by the real programs, and what their logs say of the time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import step_lines
from foldwise.estimate.trial import Ran, last_line, run_programs
from foldwise.mlm.declaration import EntityTraining

STEPS = 10
"""Steps before a trial's first checkpoint; as many follow it."""
QUESTIONS = 40
"""Samples, and Ko-LAMBADA rows, that a trial evaluation asks."""

_SIZE = ("hidden", "layers", "heads", "vocabulary", "dropout")

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Files:
    """What all trials work on.

    Attributes:
        corpus: Folder of the prepared corpus.
        samples: Sample file.
        lambada: Ko-LAMBADA file, or `None`.
        scratch: Folder that is thrown away.
        threads: CPU threads.
        limit: Seconds after which a trial is stopped.
    """

    corpus: Path
    samples: Path
    lambada: Path | None
    scratch: Path
    threads: int
    limit: float


@dataclass(frozen=True)
class TrainingTrial:
    """What a trial training measured.

    Attributes:
        seconds_per_step: Of one step.
        seconds_per_checkpoint: Of writing one, with the measurement on held-out texts, if any.
        overhead: Of all else: packages, vocabulary, the last checkpoint.
        host_bytes: Peak memory of the process.
    """

    seconds_per_step: float
    seconds_per_checkpoint: float
    overhead: float
    host_bytes: int

    def seconds(self, steps: int, save_every: int) -> float:
        """Of a training of `steps` steps with a checkpoint after each `save_every`."""
        between = -(-steps // save_every) - 1
        return self.overhead + steps * self.seconds_per_step + between * self.seconds_per_checkpoint


@dataclass(frozen=True)
class EvaluationTrial:
    """What a trial evaluation measured.

    Attributes:
        seconds_per_question: Of asking.
        overhead: Of all else: packages, the model, intervals, the result folder.
    """

    seconds_per_question: float
    overhead: float

    def seconds(self, questions: int) -> float:
        """Of an evaluation of so many questions."""
        return self.overhead + questions * self.seconds_per_question


def flags(options: Options, *left_out: str) -> list[str]:
    """`--key value` for every key of a config block, as the rules give them."""
    return [
        part
        for key, value in options.items()
        if key not in left_out and value is not None
        for part in (f"--{key.replace('_', '-')}", str(value))
    ]


def try_training(files: Files, model: Mapping[str, Any]) -> tuple[TrainingTrial, Path]:
    """A training from random weights, and its last checkpoint."""
    out = files.scratch / "mlm"
    options = {**model["mlm"], "steps": 2 * STEPS, "save_every": STEPS}
    ran = _run(
        files,
        "train_mlm.py",
        ["--texts", str(files.corpus / "training.jsonl"), *flags(model["network"]),
         *flags(options), "--output-dir", str(out)],
    )  # fmt: skip
    return read_training(ran, STEPS), out / f"checkpoint-{2 * STEPS}"


def try_finetuning(files: Files, model: Mapping[str, Any], start: Path) -> TrainingTrial:
    """A fine-tuning of `start` on a part of the training texts, measured on all held-out ones."""
    entity, size = model["entity"], EntityTraining(**model["entity"]).batch_size
    lines = (files.corpus / "training.jsonl").read_text(encoding="utf-8").splitlines()
    kept = lines[:: max(1, len(lines) // (STEPS * size))]
    every = max(1, -(-STEPS * size // len(kept)))
    part = files.scratch / "part"
    part.mkdir()
    (part / "training.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    (part / "heldout.jsonl").symlink_to((files.corpus / "heldout.jsonl").resolve())
    options = {**entity, "epochs": 2 * every, "measure_every": every}
    ran = _run(
        files,
        "run_entity_coref_finetune_v2.py",
        ["--checkpoint", str(start), "--dataset", str(part),
         *flags(model["network"], *_SIZE), *flags(options),
         "--output-dir", str(files.scratch / "entity")],
    )  # fmt: skip
    return read_training(ran, max(1, round(every * len(kept) / size)))


def try_evaluation(
    files: Files, checkpoint: Path, run: Options, depth: Options, training: Path | None
) -> EvaluationTrial:
    """A part of the questions, asked of one checkpoint; all else as in a whole evaluation."""
    given = [] if files.lambada is None else ["--lambada", str(files.lambada)]
    known = [] if training is None else ["--training-texts", str(training)]
    ran = _run(
        files,
        "evaluate_checkpoint.py",
        ["--checkpoint", str(checkpoint), "--samples", str(files.samples), *given, *known,
         *flags(run, "samples", "phases", "compare", "limit"), "--limit", str(QUESTIONS),
         *flags(depth, "threads"), "--cache-dir", str(files.scratch / "cache"),
         "--output-dir", str(files.scratch / "evaluation" / checkpoint.name)],
    )  # fmt: skip
    asking = _elapsed(ran.log)
    last = max(asking)
    asked = int(re.findall(r"(\d+)/\d+ answers", ran.log)[-1])
    return EvaluationTrial(asking[last] / asked, max(0.0, ran.wall - asking[last]))


def _run(files: Files, program: str, arguments: Sequence[str]) -> Ran:
    """Run a program to its end.

    Raises:
        FoldwiseError: It fails, or takes longer than the limit.
    """
    command = [
        f"scripts/{program}", *arguments, "--threads", str(files.threads),
        "--registry", str(files.scratch / "registry"),
    ]  # fmt: skip
    (ran,) = run_programs([command], threads=files.threads, limit=files.limit)
    if ran.wall > files.limit:
        raise FoldwiseError(
            f"the trial did not end within {files.limit:g} s",
            where=program,
            hint="Give it longer with --trial-seconds.",
        )
    if ran.code:
        raise FoldwiseError(
            f"the trial failed; its log ends with: {last_line(ran.log)}",
            where=program,
            hint="Fix that first.",
        )
    return ran


def _elapsed(log: str) -> dict[int, float]:
    """Seconds since the first step began, by step."""
    return {step.done: step.done * step.seconds for step in step_lines(log)}


def read_training(ran: Ran, first: int) -> TrainingTrial:
    """What a trial's log says; it wrote a checkpoint after step `first`."""
    elapsed = _elapsed(ran.log)
    last = max(elapsed)
    steps = [elapsed[step] - elapsed[step - 1] for step in range(2, last + 1) if step != first + 1]
    per_step = sum(steps) / len(steps)
    checkpoint = elapsed[first + 1] - elapsed[first] - per_step
    return TrainingTrial(
        seconds_per_step=per_step,
        seconds_per_checkpoint=max(0.0, checkpoint),
        overhead=max(0.0, ran.wall - last * per_step - checkpoint),
        host_bytes=ran.peak_bytes,
    )


def count_lines(path: Path) -> int:
    """Rows of a file of JSON lines that hold a value."""
    with path.open(encoding="utf-8") as lines:
        return sum(bool(json.loads(line)) for line in lines if line.strip())


def questions(files: Files, limit: int | None) -> int:
    """Samples and Ko-LAMBADA rows that an evaluation asks."""
    paths = [path for path in (files.samples, files.lambada) if path is not None and path.exists()]
    counts = [count_lines(path) for path in paths]
    return sum(min(count, limit or count) for count in counts)
