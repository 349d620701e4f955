"""Training a masked language model with the Hugging Face Trainer, on tagged texts.

Both programs use it: pretraining (random masks) and entity fine-tuning (later mentions of nouns,
stopped early by a held-out set).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, write_csv, write_json
from foldwise.common.progress import ProgressLog
from foldwise.mlm.texts.tagged_texts import TaggedText
from foldwise.mlm.training.checkpoints import (
    RECORD,
    finished_record,
    keep_best,
    last_intact,
    mark,
    remove_resume_files,
)
from foldwise.mlm.training.masking import (
    IGNORED,
    ExampleMaker,
    FixedExamples,
    MaskedExamples,
    MaskingRules,
    collate,
)
from foldwise.network.devices import use_threads

LONGEST = 512  # tokens of a training sequence, where neither plan nor model names a length


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes:
        rules: What is masked.
        passes: Passes through the training texts.
        steps: Steps at most; `None` for all of `passes`.
        batch_size: Sequences per step.
        lr: Peak learning rate; it rises over the first steps and falls linearly.
        warmup: Share of the steps in which it rises.
        save_every: Steps between two checkpoints (and held-out measurements).
        patience: Held-out measurements without a gain until the training stops; 0 never stops.
        max_length: Longest sequence in tokens; `None` for what the model allows.
        threads: CPU threads.
    """

    rules: MaskingRules
    passes: int
    steps: int | None
    batch_size: int = 32
    lr: float = 5e-4
    warmup: float = 0.1
    save_every: int = 100
    patience: int = 0
    max_length: int | None = None
    threads: int = 1

    def fitted(self, limit: int | None) -> TrainingPlan:
        """The plan with a length that a model of at most `limit` positions can take."""
        return replace(self, max_length=self.max_length or limit or LONGEST)


def train(
    model: Any,
    tokenizer: Any,
    texts: Sequence[TaggedText],
    heldout: Sequence[TaggedText],
    plan: TrainingPlan,
    *,
    out: Path,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Train and write `checkpoint-{step}` folders, `history.csv` and `training.json` to `out`.

    An interrupted training of the same work goes on from its last intact checkpoint, and a finished
    one is not repeated. Nothing of other work in `out` is changed.

    Args:
        model: The network.
        tokenizer: Its tokenizer.
        texts: Training texts.
        heldout: Texts that only measure; may be empty where nothing is stopped early.
        plan: How to train.
        out: Folder of the checkpoints.
        facts: What else decides the result (the start, the texts' hashes), for the record.

    Returns:
        The record, as in `training.json`.

    Raises:
        FoldwiseError: The loss is no longer finite, a held-out set is needed and gives nothing, or
            `out` holds checkpoints of other work.
    """
    started = time.perf_counter()
    work = canonical_sha256({**facts, "plan": asdict(plan)})
    finished = finished_record(out, work)
    if finished is not None:
        remove_resume_files(out)
        ProgressLog(sys.stderr, 1).line(f"{out}: finished before with the same settings")
        return finished
    use_threads(plan.threads)
    maker = ExampleMaker(tokenizer, texts, plan.max_length or LONGEST)
    examples = MaskedExamples(maker, texts, plan.rules, plan.passes)
    measured = FixedExamples([one for text in heldout for one in maker.second_mentions(text)])
    if plan.patience and not len(measured):
        raise FoldwiseError(
            "no noun is repeated in the held-out texts",
            where="heldout.jsonl",
            hint="Give the held-out part a larger share.",
        )
    total = plan.steps or -(-len(examples) // plan.batch_size)
    resume = last_intact(out, work)
    log = ProgressLog(sys.stderr, total)
    lengths = maker.lengths([*texts, *heldout])
    cut = sum(length > maker.max_length for length in lengths)
    arguments = _arguments(plan, out, total, measured=len(measured) > 0)
    log.line(
        f"{len(texts)} texts, {len(measured)} held-out questions, {total} steps, effective batch "
        f"size {_effective_batch_size(arguments)}, sequences of at most {maker.max_length} tokens, "
        f"{plan.threads} thread(s)"
    )
    if cut:
        log.line(
            f"{cut} of {len(lengths)} texts are longer than {maker.max_length} tokens (the longest "
            f"has {max(lengths)}): of these a stretch around a hidden token is taken"
        )
    callbacks: list[TrainerCallback] = [_Reporter(log)]
    if plan.patience:
        callbacks.append(EarlyStoppingCallback(early_stopping_patience=plan.patience))
    trainer = _MarkingTrainer(
        model=model,
        args=arguments,
        train_dataset=examples,
        eval_dataset=measured if len(measured) else None,
        processing_class=tokenizer,
        data_collator=partial(
            collate, padding=int(tokenizer.pad_token_id or 0), mask=int(tokenizer.mask_token_id)
        ),
        compute_metrics=_heldout_rate,
        preprocess_logits_for_metrics=_most_probable,
        callbacks=callbacks,
    )
    trainer.work = work
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=resume)
    history = _history(trainer.state.log_history)
    best = None
    if plan.patience:
        best = keep_best(Path(str(trainer.state.best_model_checkpoint)), out)
    record = {
        **facts,
        "plan": asdict(plan),
        "steps": trainer.state.global_step,
        "early_stopped": trainer.state.global_step < total,
        "best_step": best,
        "n_texts": len(texts),
        "n_heldout_texts": len(heldout),
        "n_heldout_questions": len(measured),
        "n_cut_texts": cut,
        "effective_batch_size": _effective_batch_size(arguments),
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "history": history.to_dict("records"),
        "seconds": time.perf_counter() - started,
    }
    write_csv(out / "history.csv", history)
    write_json(out / RECORD, record)
    # Only now: a kill before this line must find something to go on from.
    remove_resume_files(out)
    return record


class _MarkingTrainer(Trainer):
    """A Trainer whose checkpoints say which work made them, even if a kill cuts one off."""

    work = ""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        mark(Path(output_dir or str(self.args.output_dir)), self.work)
        super()._save(output_dir, state_dict)


def _arguments(plan: TrainingPlan, out: Path, total: int, *, measured: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(out),
        max_steps=total,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        learning_rate=plan.lr,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(plan.warmup * total),
        weight_decay=0.01,
        seed=plan.rules.seed,
        data_seed=plan.rules.seed,
        train_sampling_strategy="sequential",
        bf16=torch.cuda.is_available(),
        logging_strategy="steps",
        logging_steps=1,
        logging_first_step=True,
        save_strategy="steps",
        save_steps=plan.save_every,
        eval_strategy="steps" if measured else "no",
        eval_steps=plan.save_every,
        load_best_model_at_end=plan.patience > 0,
        metric_for_best_model="eval_real1" if plan.patience else None,
        greater_is_better=True if plan.patience else None,
        remove_unused_columns=False,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        # A loss that is no number must stop the training, not be left out of the mean.
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        log_level="error",
    )


def _effective_batch_size(arguments: TrainingArguments) -> int:
    """Sequences behind one step of the optimiser: on all devices, over all accumulated batches."""
    per_pass = arguments.train_batch_size * arguments.world_size
    return int(per_pass * arguments.gradient_accumulation_steps)


class _Reporter(TrainerCallback):
    """Progress lines with loss, learning rate and ETA, and an end where the loss is no number."""

    def __init__(self, log: ProgressLog) -> None:
        self._log = log
        self._rate = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:  # noqa: ARG002
        """Remember the rate of this step: at its end the schedule has moved on."""
        self._rate = float(given["optimizer"].param_groups[0]["lr"])

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        """One progress line for each step, one for each held-out measurement."""
        values = logs or {}
        if "loss" in values:
            loss = float(values["loss"])
            if not np.isfinite(loss):
                raise FoldwiseError(
                    f"the loss is {loss} at step {state.global_step}",
                    where="training",
                    hint="Give a smaller learning rate.",
                )
            self._log.step(state.global_step, f"loss {loss:.4f}  lr {self._rate:.2e}")
        if "eval_real1" in values:
            self._log.line(
                f"step {state.global_step}: held-out loss {values['eval_loss']:.4f}, "
                f"real1 {values['eval_real1']:.4f}"
            )


def _most_probable(logits: Any, _labels: Any) -> Any:
    """Keep one id per position: the logits of a whole held-out set would fill the memory."""
    return (logits[0] if isinstance(logits, tuple) else logits).argmax(dim=-1)


def _heldout_rate(prediction: Any) -> dict[str, float]:
    labels = prediction.label_ids
    asked = labels != IGNORED
    return {"real1": float((prediction.predictions == labels)[asked].mean())}


def _history(entries: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """One row per step at which anything was logged."""
    rows: dict[int, dict[str, Any]] = {}
    names = {"loss": "loss", "learning_rate": "lr", "eval_loss": "heldout_loss",
             "eval_real1": "heldout_real1"}  # fmt: skip
    for entry in entries:
        row = rows.setdefault(int(entry["step"]), {"step": int(entry["step"])})
        row.update({names[key]: float(value) for key, value in entry.items() if key in names})
    table = pd.DataFrame(list(rows.values())).reindex(columns=["step", *names.values()])
    return table.astype(object).where(table.notna(), None)
