"""One recipe of `model: text` on one fold: read, fit where it is fitted, ask, keep everything."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from foldwise.common.files import canonical_sha256, write_parquet
from foldwise.common.progress import ProgressLog
from foldwise.network.devices import set_up_device
from foldwise.prediction.outside import OutsideAnswers, OutsideFit, write_outside_model
from foldwise.text.answering import Engine, answer_prompts
from foldwise.text.batches import check_lengths
from foldwise.text.decoding import NumberDecoder
from foldwise.text.fitting.heads import answer_by_head
from foldwise.text.fitting.writing import write_numbers
from foldwise.text.model import LanguageModel, load_language_model, weights_sha256
from foldwise.text.numbers import OK, DecimalFormat
from foldwise.text.prompts import Prompt, PromptMaker
from foldwise.text.rows import Rows, TextFiles, TextJob, prompts_of, read_rows
from foldwise.text.vllm_engine import vllm_engine

FREE_TOKENS = 16
"""Of an answer in the model's own words: a number, a unit, and a few words around them."""


@dataclass
class Outcome:
    """What a method leaves.

    Attributes:
        raw: One row per asked crystal, as `answer_prompts` has it.
        history: One row per evaluation; empty where nothing was trained.
        facts: For the record.
    """

    raw: pd.DataFrame
    history: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["epoch", "train_mae", "val_mae"])
    )
    facts: dict[str, Any] = field(default_factory=dict)


def run_text_job(files: TextFiles, job: TextJob) -> pd.DataFrame:
    """Fit what the recipe fits, ask about held-out and test crystals, and write the answers.

    They stand in the files of every model from outside (`foldwise.prediction.outside`), and whole
    in `raw_outputs.parquet` beside them. A killed job goes on with the next batch of prompts, a
    killed fine-tuning behind its last checkpoint.

    Returns:
        The content of `raw_outputs.parquet`.

    Raises:
        FoldwiseError: An input is missing or broken, there is no such language model or engine, or
            a prompt is too long for it.
    """
    started, cpu = time.perf_counter(), time.process_time()
    rows, model, maker = prepare(files, job)
    method = {"head": _head, "written": _written}.get(job.settings.method, _prompted)
    outcome = method(rows, job, model, maker)
    raw = filled_up(outcome.raw, rows).assign(seed=np.int32(job.seed))
    write_parquet(job.predictions / "raw_outputs.parquet", raw)
    answers = {subset: part.set_index("id")["prediction"] for subset, part in raw.groupby("subset")}
    facts = {
        "language_model": job.settings.language_model,
        "parameters": sum(one.numel() for one in model.network.parameters()),
        "number_format": asdict(maker.format),
        "longest_prompt_tokens": int(raw["input_tokens"].max()),
        "mean_prompt_tokens": float(raw["input_tokens"].mean()),
        "test": scores(raw[raw["subset"] == "test"]),
        "held_out": scores(raw[raw["subset"] == "held_out"]),
        **outcome.facts,
    }
    write_outside_model(
        job.model,
        job.predictions,
        OutsideFit(
            recipe=job.recipe,
            task=rows.task,
            fold=rows.fold,
            seed=job.seed,
            kind=job.settings.kind,
            hyperparams=job.settings.as_dict(),
            n_train=len(rows.of("fit")),
            n_validation=len(rows.of("held_out")),
            seconds=time.perf_counter() - started,
            cpu_seconds=time.process_time() - cpu,
            peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            device=model.device.type,
            threads=job.machine.threads,
            more={"text": facts},
        ),
        OutsideAnswers(test=answers["test"], held_out=answers["held_out"]),
        targets=rows.table["target"],
        history=outcome.history,
    )
    (job.predictions / "journal.jsonl").unlink(missing_ok=True)
    return raw


def prepare(files: TextFiles, job: TextJob) -> tuple[Rows, LanguageModel, PromptMaker]:
    """What a job begins with: rows of its fold, the model, and what makes prompts of both.

    Raises:
        FoldwiseError: An input is missing or broken, or there is no such language model.
    """
    rows, settings = read_rows(files, job), job.settings
    model = load_language_model(
        settings.language_model, set_up_device(job.machine), pad_token=settings.pad_token
    )
    targets = rows.of("fit")["target"].tolist()
    number_format = DecimalFormat.of_targets(targets, settings.decimals)
    return rows, model, PromptMaker(model, settings, number_format, rows.target_name, rows.unit)


def scores(raw: pd.DataFrame) -> dict[str, Any]:
    """Errors both ways: with the training median for what could not be parsed, and without it."""
    parsed = raw[raw["parse_status"] == OK]
    plain = raw[raw["plain_value"].notna()]
    return {
        "n": len(raw),
        "parse_failures": len(raw) - len(parsed),
        "mae": _mae(raw["prediction"], raw["ground_truth"]),
        "mae_parsed": _mae(parsed["value"], parsed["ground_truth"]),
        "mae_plain": _mae(plain["plain_value"], plain["ground_truth"]),
    }


def _mae(values: pd.Series[float], truth: pd.Series[float]) -> float | None:
    return float((values - truth).abs().mean()) if len(values) else None


def filled_up(raw: pd.DataFrame, rows: Rows) -> pd.DataFrame:
    """Raw answers with fold, subset, truth and prediction: the training median where one failed."""
    table = rows.table.loc[raw["id"]]
    median = float(rows.of("fit")["target"].median())
    answered = raw["parse_status"] == OK
    return raw.assign(
        fold=np.int32(rows.fold),
        subset=table["subset"].to_numpy(),
        ground_truth=table["target"].to_numpy(),
        prediction=np.where(answered, raw["value"], median),
    )


def _engine(job: TextJob, model: LanguageModel, maker: PromptMaker, longest: int) -> Engine:
    free = job.settings.decoding == "free"
    if job.settings.engine == "vllm":
        return vllm_engine(model, job.settings, maker.format, longest + FREE_TOKENS, FREE_TOKENS)
    return NumberDecoder(model, maker.format, free=free, answer_tokens=FREE_TOKENS)


def _prompted(rows: Rows, job: TextJob, model: LanguageModel, maker: PromptMaker) -> Outcome:
    prompts = prompts_of(rows, rows.of("held_out", "test"), maker)
    return Outcome(_asked(prompts, rows, job, model, maker, identity={}))


def _asked(
    prompts: Sequence[Prompt],
    rows: Rows,
    job: TextJob,
    model: LanguageModel,
    maker: PromptMaker,
    *,
    identity: Mapping[str, Any],
) -> pd.DataFrame:
    longest = check_lengths(prompts, FREE_TOKENS, model.longest, model.name)
    log = ProgressLog(sys.stderr, len(prompts), name=f"{job.recipe} fold {rows.fold}")
    log.line(
        f"{len(prompts)} prompts for {model.name} on {model.device}, the longest of {longest} "
        f"tokens; nothing is cut"
    )
    return answer_prompts(
        prompts,
        _engine(job, model, maker, longest),
        batch_tokens=job.settings.batch_tokens,
        unit=rows.unit,
        journal=job.predictions / "journal.jsonl",
        identity={
            "settings": asdict(job.settings),
            "seed": job.seed,
            "weights": weights_sha256(model.network),
            **identity,
        },
        log=log,
    )


def _head(rows: Rows, job: TextJob, model: LanguageModel, _maker: PromptMaker) -> Outcome:
    return Outcome(*answer_by_head(rows, job, model))


def _written(rows: Rows, job: TextJob, model: LanguageModel, maker: PromptMaker) -> Outcome:
    fitted = rows.of("fit")
    held_out = rows.of("held_out").iloc[: job.settings.evaluate_rows]
    questions = prompts_of(rows, held_out, maker)

    def judge(trained: LanguageModel) -> tuple[float, float]:
        decoder = NumberDecoder(trained, maker.format)
        table = answer_prompts(
            questions,
            decoder,
            batch_tokens=job.settings.batch_tokens,
            unit=rows.unit,
            journal=job.predictions / "judging.jsonl",
            identity={"time": time.monotonic_ns()},
            log=ProgressLog(sys.stderr, len(questions), name=f"{job.recipe} held out"),
        )
        (job.predictions / "judging.jsonl").unlink()
        values = table["value"].fillna(float(fitted["target"].median()))
        error = np.abs(values.to_numpy() - held_out["target"].to_numpy()).mean()
        return float(error), float((table["parse_status"] == OK).mean())

    prompts = prompts_of(rows, fitted, maker)
    written, tuned = write_numbers(
        model,
        job.settings,
        maker.format,
        prompts,
        fitted["target"].tolist(),
        judge=judge,
        seed=job.seed,
        folder=job.model / "checkpoints",
        log=partial(ProgressLog, sys.stderr, name=f"{job.recipe} fold {rows.fold}"),
    )
    digest = canonical_sha256(json.loads(tuned.history.to_json()))
    asked = prompts_of(rows, rows.of("held_out", "test"), maker)
    raw = _asked(asked, rows, job, written, maker, identity={"history": digest})
    return Outcome(raw, tuned.history, {"written": tuned.facts()})
