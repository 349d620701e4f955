"""Fine-tuning by transformers' Trainer, judged by answers to held-out crystals.

At every evaluation held-out crystals are asked as test crystals will be. Their MAE, not a loss,
decides when training stops and which checkpoint is kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import pandas as pd
import torch
from peft import LoraConfig
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, read_json, write_json
from foldwise.common.progress import ProgressLog
from foldwise.study.outside.text import TextRecipe
from foldwise.text.model import LanguageModel, weights_sha256

WARMUP = 0.1
Row = dict[str, Any]
Judge = Callable[[], tuple[float, float]]
"""MAE of the held-out answers, and the share of them that could be parsed."""


class Texts(Protocol):
    """What is fitted: rows with the tokens of a text, and what a batch makes of them."""

    @property
    def rows(self) -> Sequence[Row]:
        """All of them."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Row: ...

    def batch(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """The network's inputs."""


@dataclass(frozen=True)
class Tuned:
    """What a fine-tuning leaves beside the network.

    Attributes:
        history: One row per evaluation: epoch, train_loss, train_mae (empty: fitted rows are not
            asked), val_mae, parse_rate.
        best_epoch: Whose adapters are kept.
        epochs_run: Passes that were made.
        early_stopped: Whether patience ended them.
        parameters: Numbers that were trained.
    """

    history: pd.DataFrame
    best_epoch: int
    epochs_run: int
    early_stopped: bool
    parameters: int

    def facts(self) -> dict[str, Any]:
        """For the record."""
        return {
            "best_epoch": self.best_epoch,
            "epochs_run": self.epochs_run,
            "early_stopped": self.early_stopped,
            "trained_parameters": self.parameters,
        }


class _JudgingTrainer(Trainer):
    """Evaluates by asking, in place of a loss."""

    def __init__(self, *args: Any, judge: Judge, **options: Any) -> None:
        super().__init__(*args, **options)
        self._judge = judge

    def evaluate(self, *_args: Any, **_options: Any) -> dict[str, float]:
        network = cast("torch.nn.Module", self.model)
        network.eval()
        mae, parsed = self._judge()
        network.train()
        metrics = {
            "eval_mae": mae,
            "eval_parse_rate": parsed,
            "epoch": float(self.state.epoch or 0),
        }
        self.log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class _Lines(TrainerCallback):
    """Steps and evaluations as lines of the log."""

    def __init__(self, log: ProgressLog) -> None:
        self._lines = log

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        if state.global_step:
            self._lines.resume(state.global_step)
            self._lines.line(f"goes on behind step {state.global_step}")

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        said: dict[str, float] = kwargs.get("logs") or {}
        if "loss" in said:
            self._lines.step(
                state.global_step,
                f"epoch {state.epoch:.2f}  loss {float(said['loss']):.4f}  "
                f"lr {float(said.get('learning_rate', 0)):.2e}",
            )
        elif "eval_mae" in said:
            self._lines.line(
                f"epoch {state.epoch:.2f}  held-out MAE {said['eval_mae']:.4f}  "
                f"parsed {said['eval_parse_rate']:.1%}"
            )


def tune(
    network: torch.nn.Module,
    model: LanguageModel,
    settings: TextRecipe,
    texts: Texts,
    *,
    judge: Judge,
    seed: int,
    folder: Path,
    log: Callable[[int], ProgressLog],
) -> Tuned:
    """Train a network with adapters; it ends with those of the best epoch.

    Args:
        network: As peft made it; its forward returns a loss.
        model: The language model inside of it.
        settings: The recipe.
        texts: What is fitted.
        judge: Asks the held-out crystals.
        seed: Of the order of rows.
        folder: Of checkpoints while it trains: a killed training goes on from the last one.
        log: Makes the progress for a number of steps.

    Raises:
        FoldwiseError: A text is longer than the model takes.
    """
    longest = max(len(row["input_ids"]) for row in texts.rows)
    check_text_length(longest, model)
    trained = sum(one.numel() for one in network.parameters() if one.requires_grad)
    effective = settings.batch_size * settings.accumulate
    progress = log(-(-len(texts) // effective) * settings.num_train_epochs)
    progress.line(
        f"{len(texts)} texts, the longest of {longest} tokens, nothing is cut; effective "
        f"batch size {effective} ({settings.batch_size} x {settings.accumulate}); {trained:,} of "
        f"{sum(one.numel() for one in network.parameters()):,} parameters are trained on "
        f"{model.device}; pad token {model.tokenizer.pad_token!r}, end token "
        f"{model.tokenizer.eos_token!r}"
    )
    trainer = _JudgingTrainer(
        model=network,
        args=_arguments(settings, folder, model.device, seed),
        train_dataset=cast("Dataset[Row]", texts),
        eval_dataset=cast("Dataset[Row]", texts),  # asked for by the Trainer, and not looked at
        data_collator=texts.batch,
        callbacks=[
            EarlyStoppingCallback(early_stopping_patience=settings.patience),
            _Lines(progress),
        ],
        judge=judge,
    )
    trainer.remove_callback(PrinterCallback)
    start = weights_sha256(network, frozen_only=True)
    key = canonical_sha256([list(texts.rows), repr(settings), seed, start])
    trainer.train(resume_from_checkpoint=_last_of(folder, key))
    network.eval()
    history = _history(trainer.state.log_history)
    best = int(history["val_mae"].to_numpy().argmin())
    return Tuned(
        history=history,
        best_epoch=int(history["epoch"].iloc[best]),
        epochs_run=len(history),
        early_stopped=len(history) < settings.num_train_epochs,
        parameters=trained,
    )


def check_text_length(longest: int, model: LanguageModel) -> None:
    """Check that a text of so many tokens fits into the model.

    Raises:
        FoldwiseError: It does not: nothing is cut silently.
    """
    if longest > model.longest:
        raise FoldwiseError(
            f"a text of {longest} tokens is more than the {model.longest} that {model.name} takes",
            where="detail",
            hint="Take less detail, or a model that takes more.",
        )


def adapters(model: LanguageModel, settings: TextRecipe, last: int, **more: Any) -> LoraConfig:
    """Adapters (Hu et al. 2021) at every linear map of some layers, as in Dettmers et al. 2023.

    Args:
        model: The language model.
        settings: The recipe: how many layers, which rank.
        last: Layer behind which nothing is read; adapters stand in those before it.
        more: For peft.
    """
    used = last if settings.lora_layers == 0 else min(settings.lora_layers, last)
    output = model.network.get_output_embeddings()  # type: ignore[no-untyped-call]
    names = {
        name.rpartition(".")[2]
        for name, module in model.network.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not output
    }
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        lora_dropout=0.0,
        target_modules=sorted(names),
        layers_to_transform=list(range(last - used, last)),
        **more,
    )


def padded(rows: Sequence[Sequence[int]], filling: int) -> Tensor:
    """Rows of tokens as one table, filled up behind."""
    width = max(map(len, rows))
    table = torch.full((len(rows), width), filling)
    for number, row in enumerate(rows):
        table[number, : len(row)] = torch.tensor(row)
    return table


def _last_of(folder: Path, key: str) -> str | None:
    """The last checkpoint of the same training; those of another one are removed."""
    mark = folder / "key.json"
    if folder.is_dir() and not (mark.is_file() and read_json(mark) == {"key": key}):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(mark, {"key": key})
    last: str | None = get_last_checkpoint(str(folder))  # type: ignore[no-untyped-call]
    return last


def _arguments(
    settings: TextRecipe, folder: Path, device: torch.device, seed: int
) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.num_train_epochs,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.lr,
        warmup_steps=WARMUP,
        lr_scheduler_type="cosine",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_mae",
        greater_is_better=False,
        logging_steps=1,
        logging_first_step=True,
        seed=seed,
        use_cpu=device.type == "cpu",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
    )


def _history(entries: Sequence[dict[str, float]]) -> pd.DataFrame:
    """One row per evaluation, with the mean training loss since the one before."""
    rows: list[list[float | int | None]] = []
    losses: list[float] = []
    for entry in entries:
        if "loss" in entry:
            losses.append(float(entry["loss"]))
        elif "eval_mae" in entry:
            loss = sum(losses) / len(losses) if losses else None
            rows.append([len(rows) + 1, loss, None, entry["eval_mae"], entry["eval_parse_rate"]])
            losses = []
    return pd.DataFrame(rows, columns=["epoch", "train_loss", "train_mae", "val_mae", "parse_rate"])
