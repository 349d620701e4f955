"""Before a long masked-LM run: short trials by the real programs, and the time of all its jobs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY
from foldwise.estimate.masked_lm_trials import (
    EvaluationTrial,
    Files,
    TrainingTrial,
    count_lines,
    questions,
    try_evaluation,
    try_finetuning,
    try_training,
)
from foldwise.estimate.plan import PlannedJob, call_snakemake, dry_run
from foldwise.estimate.report import (
    HEADROOM,
    PER_JOB,
    Asked,
    Check,
    expected_time,
    place_checks,
    usual_seconds,
)
from foldwise.mlm.declaration import EntityTraining
from foldwise.mlm.settings import ROOT, MlmStudy
from foldwise.mlm.texts.hub import is_hub
from foldwise.tracking.questions.stability import stability_of
from foldwise.tracking.record.code_state import code_state

TRAIN, FINETUNE, EVALUATE = "train_mlm", "finetune_mlm_entities", "evaluate_mlm_checkpoint"


@dataclass(frozen=True)
class MlmFlight:
    """What is about to be run.

    Attributes:
        study: The checked config.
        config: Its file.
        run: The run that is asked for.
        machine: Options of Snakemake: cores and profile.
        cores: Cores.
        gpus: Graphics cards; 0 on a machine without.
        trial_seconds: Longest time of one trial.
    """

    study: MlmStudy
    config: Path
    run: str
    machine: Sequence[str]
    cores: int
    gpus: int
    trial_seconds: float

    @property
    def target(self) -> str:
        """The file that is asked for."""
        return f"{ROOT}/{self.run}/summary.md"

    def call(self, *targets: str) -> list[str]:
        """Arguments of Snakemake that make `targets`."""
        return [*self.machine, "--config", f"mlm_config={self.config}", "--", *targets]


@dataclass(frozen=True)
class _Trials:
    """Trials and numbers of texts by model; evaluations of folders by phase."""

    training: dict[str, TrainingTrial]
    finetuning: dict[str, TrainingTrial]
    evaluation: dict[str, EvaluationTrial]
    texts: dict[str, int]
    questions: int


def mlm_preflight(flight: MlmFlight, max_hours: float) -> list[Check]:
    """All checks; texts and samples are made first if they are not there.

    Raises:
        FoldwiseError: The run is unknown, a trial fails, or the run would take longer than
            `max_hours`.
    """
    runs = flight.study.config["runs"]
    if flight.run not in runs:
        raise FoldwiseError(
            f"unknown run {flight.run!r}", where="--mlm-run", hint=f"Allowed: {', '.join(runs)}."
        )
    jobs = dry_run(flight.call(flight.target))
    checks = [*_stability(flight), *place_checks(Path(ROOT))]
    trials = None
    if any(job.rule in (TRAIN, FINETUNE, EVALUATE) for job in jobs):
        with tempfile.TemporaryDirectory() as scratch:
            trials = _try(flight, Path(scratch))
        checks += [_speed(trials), _memory(trials)]
    seconds = [_seconds(flight, job, trials) for job in jobs]
    asked = Asked(
        target=flight.target,
        cores=flight.cores,
        gpus=flight.gpus,
        max_hours=max_hours,
    )
    return [*checks, expected_time(asked, jobs, seconds)]


def _stability(flight: MlmFlight) -> list[Check]:
    commit = code_state().git_commit
    checks = []
    for name in _models(flight):
        model = flight.study.config["models"][name]
        for phase in ("mlm", "entity"):
            if phase in model:
                text = stability_of(f"default/{ROOT}/models/{name}/{phase}", None, commit)
                checks.append(Check("stability", " was stable on this hardware" in text, text))
    return checks


def _models(flight: MlmFlight) -> list[str]:
    """Trainings whose checkpoints the run asks."""
    phases = flight.study.config["runs"][flight.run]["phases"]
    return list(dict.fromkeys(phase["model"] for phase in phases if "model" in phase))


def _try(flight: MlmFlight, scratch: Path) -> _Trials:
    """Trials of every model of the run, and of a checkpoint of every folder of a user's own."""
    config = flight.study.config
    run, depth = config["runs"][flight.run], config["evaluation"]
    models = {name: config["models"][name] for name in _models(flight)}
    files = Files(
        corpus=REPOSITORY / ROOT / "corpora",
        samples=REPOSITORY / ROOT / "samples" / f"{run['samples']}.jsonl",
        lambada=(
            REPOSITORY / config["lambada"]
            if config["lambada"] and not is_hub(config["lambada"])
            else None
        ),
        scratch=scratch,
        threads=depth["threads"],
        limit=flight.trial_seconds,
    )
    _make(flight, files, [model["corpus"] for model in models.values()])
    trials = _Trials({}, {}, {}, {}, questions(files, run.get("limit")))
    for name, model in models.items():
        own = replace(files, corpus=files.corpus / model["corpus"], scratch=scratch / name)
        own.scratch.mkdir()
        training = replace(own, threads=model["threads"])
        trials.training[name], checkpoint = try_training(training, model)
        if "entity" in model:
            trials.finetuning[name] = try_finetuning(training, model, checkpoint)
        texts = own.corpus / "training.jsonl"
        trials.evaluation[name] = try_evaluation(own, checkpoint, run, depth, texts)
        trials.texts[name] = count_lines(texts)
    for one in flight.study.run_checkpoints(flight.run):
        if not one.model and one.phase not in trials.evaluation:
            folder = Path(one.folder)
            trials.evaluation[one.phase] = try_evaluation(files, folder, run, depth, None)
    return trials


def _make(flight: MlmFlight, files: Files, corpora: Sequence[str]) -> None:
    """Make the texts, samples and passages that are not there."""
    built = REPOSITORY / ROOT / "lambada"
    needed = [files.samples, *(files.corpus / name / "training.jsonl" for name in corpora)]
    if files.lambada is not None and files.lambada.is_relative_to(built):
        needed.append(files.lambada)
    absent = [str(path.relative_to(REPOSITORY)) for path in needed if not path.exists()]
    if absent:
        call_snakemake(flight.call(*dict.fromkeys(absent)))


def _seconds(flight: MlmFlight, job: PlannedJob, trials: _Trials | None) -> float:
    """Expected seconds of a job: by a trial, by its rule's earlier jobs, or by experience."""
    if trials is None or job.rule not in (TRAIN, FINETUNE, EVALUATE):
        return usual_seconds(Path(ROOT), job)
    trial: TrainingTrial | EvaluationTrial
    if job.rule == EVALUATE:
        checkpoint = flight.study.checkpoint(
            flight.run, f"{job.wildcards['phase']}/{job.wildcards['mlm_name']}"
        )
        trial = trials.evaluation[checkpoint.model or checkpoint.phase]
        seconds = trial.seconds(trials.questions)
    else:
        name = job.wildcards["mlm_model"]
        model = flight.study.config["models"][name]
        plan = model["mlm"]
        steps, every = plan["steps"], plan["save_every"]
        trial = trials.training[name]
        if job.rule == FINETUNE:
            steps, every = finetuning_steps(model["entity"], trials.texts[name])
            trial = trials.finetuning[name]
        seconds = trial.seconds(steps, every)
    return seconds + PER_JOB


def finetuning_steps(entity: Mapping[str, Any], texts: int) -> tuple[int, int]:
    """Steps of a fine-tuning, and of those between two measurements."""
    plan = EntityTraining(**entity)
    every = max(1, round(plan.measure_every * texts / plan.batch_size))
    return -(-plan.epochs * texts // plan.batch_size), every


def _speed(trials: _Trials) -> Check:
    found = [
        f"{name}, {what}: {one.seconds_per_step:.3f} s/step, "
        f"{one.seconds_per_checkpoint:.1f} s per checkpoint, {one.overhead:.1f} s to start and end"
        for what, kind in (("training", trials.training), ("fine-tuning", trials.finetuning))
        for name, one in kind.items()
    ]
    found += [
        f"{name}, evaluation: {1000 * one.seconds_per_question:.1f} ms per question, "
        f"{one.overhead:.1f} s to start and end"
        for name, one in trials.evaluation.items()
    ]
    return Check("speed", True, "; ".join(found))


def _memory(trials: _Trials) -> Check:
    needed = max((one.host_bytes for kind in (trials.training, trials.finetuning)
                  for one in kind.values()), default=0)  # fmt: skip
    free = psutil.virtual_memory().available
    found = f"a training takes {needed / 1e9:.1f} of {free / 1e9:.1f} GB free"
    return Check("memory", needed < HEADROOM * free, found)
