"""Fine-tuning a language model to write the number: adapters, transformers' Trainer.

The loss counts the answer alone. At every evaluation held-out crystals are asked as test crystals
will be, and the training stops, and keeps a checkpoint, by the MAE of these answers.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    PreTrainedModel,
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
from foldwise.text.decoding import character_tokens
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import DecimalFormat
from foldwise.text.prompts import Prompt

IGNORED = -100  # label that PyTorch's cross-entropy leaves out
WARMUP = 0.1
Judge = Callable[[LanguageModel], tuple[float, float]]
"""MAE of the held-out answers, and the share of them that could be parsed."""


@dataclass(frozen=True)
class Written:
    """A fine-tuned model.

    Attributes:
        model: The language model with its adapters.
        history: One row per evaluation: epoch, train_loss, train_mae (empty: fitted rows are not
            asked), val_mae, parse_rate.
        best_epoch: Whose adapters are kept.
        epochs_run: Passes that were made.
        early_stopped: Whether patience ended them.
        parameters: Numbers that were trained.
    """

    model: LanguageModel
    history: pd.DataFrame
    best_epoch: int
    epochs_run: int
    early_stopped: bool
    parameters: int


class _Texts(Dataset[dict[str, list[int]]]):
    """Prompts with their answers; only the answer is a label."""

    def __init__(
        self,
        prompts: Sequence[Prompt],
        targets: Sequence[float],
        number_format: DecimalFormat,
        model: LanguageModel,
    ) -> None:
        token = character_tokens(model)
        end = model.tokenizer.eos_token_id
        self.rows = []
        for prompt, target in zip(prompts, targets, strict=True):
            answer = [*(token[character] for character in number_format.text(target)), end]
            ids = [*prompt.tokens, *answer]
            labels = [*[IGNORED] * len(prompt.tokens), *answer]
            self.rows.append({"input_ids": ids, "labels": labels})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict[str, list[int]]:
        return self.rows[row]

    @property
    def longest(self) -> int:
        return max(len(row["input_ids"]) for row in self.rows)


def padded(rows: Sequence[dict[str, list[int]]], pad_token: int) -> dict[str, Tensor]:
    """A batch of texts, filled up behind; the mask hides what is filled in."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), width), pad_token)
    labels = torch.full((len(rows), width), IGNORED)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[number, :length] = torch.tensor(row["input_ids"])
        labels[number, :length] = torch.tensor(row["labels"])
        mask[number, :length] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


class _JudgingTrainer(Trainer):
    """Evaluates by asking, in place of a loss."""

    def __init__(
        self, *args: Any, judge: Callable[[], tuple[float, float]], **options: Any
    ) -> None:
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


def write_numbers(
    model: LanguageModel,
    settings: TextRecipe,
    number_format: DecimalFormat,
    prompts: Sequence[Prompt],
    targets: Sequence[float],
    *,
    judge: Judge,
    seed: int,
    folder: Path,
    log: Callable[[int], ProgressLog],
) -> Written:
    """Fine-tune a model on prompts and the numbers that answer them.

    Args:
        model: The language model; it gets adapters and is changed.
        settings: The recipe.
        number_format: How targets are written.
        prompts: About the fitted rows.
        targets: Of these rows.
        judge: Asks the held-out crystals.
        seed: Decides adapters' start and the order of rows.
        folder: Of checkpoints while it trains: a killed training goes on from the last one.
        log: Makes the progress for a number of steps.

    Raises:
        FoldwiseError: A text with its answer is longer than the model takes.
    """
    texts = _Texts(prompts, targets, number_format, model)
    if texts.longest > model.longest:
        raise FoldwiseError(
            f"a text of {texts.longest} tokens is more than the {model.longest} that {model.name} "
            "takes",
            where="detail",
            hint="Take less detail, or a model that takes more.",
        )
    torch.manual_seed(seed)
    adapted = get_peft_model(model.network, _adapters(model, settings))
    trained = sum(one.numel() for one in adapted.parameters() if one.requires_grad)
    with_adapters = replace(model, network=cast("PreTrainedModel", adapted.get_base_model()))
    arguments = _arguments(settings, folder, model.device, seed)
    effective = settings.batch_size * settings.accumulate
    steps = -(-len(texts) // effective) * settings.num_train_epochs
    progress = log(steps)
    progress.line(
        f"{len(texts)} texts, the longest of {texts.longest} tokens, nothing is cut; effective "
        f"batch size {effective} ({settings.batch_size} x {settings.accumulate}); {trained:,} of "
        f"{sum(one.numel() for one in adapted.parameters()):,} parameters are trained on "
        f"{model.device}; pad token {model.tokenizer.pad_token!r}, end token "
        f"{model.tokenizer.eos_token!r}"
    )
    stopping = EarlyStoppingCallback(early_stopping_patience=settings.patience)
    trainer = _JudgingTrainer(
        model=adapted,
        args=arguments,
        train_dataset=texts,
        eval_dataset=texts,  # asked for by the Trainer, and not looked at
        data_collator=lambda rows: padded(rows, int(model.tokenizer.pad_token_id)),
        callbacks=[stopping, _Lines(progress)],
        judge=lambda: judge(with_adapters),
    )
    trainer.remove_callback(PrinterCallback)
    key = canonical_sha256([texts.rows, repr(settings), seed])
    trainer.train(resume_from_checkpoint=_last_of(folder, key))
    network = cast("PreTrainedModel", adapted.get_base_model().eval())
    history = _history(trainer.state.log_history)
    best = int(history["val_mae"].to_numpy().argmin())
    return Written(
        model=replace(model, network=network),
        history=history,
        best_epoch=int(history["epoch"].iloc[best]),
        epochs_run=len(history),
        early_stopped=len(history) < settings.num_train_epochs,
        parameters=trained,
    )


def _last_of(folder: Path, key: str) -> str | None:
    """The last checkpoint of the same training; those of another one are removed."""
    mark = folder / "key.json"
    if folder.is_dir() and not (mark.is_file() and read_json(mark) == {"key": key}):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(mark, {"key": key})
    last: str | None = get_last_checkpoint(str(folder))  # type: ignore[no-untyped-call]
    return last


def _adapters(model: LanguageModel, settings: TextRecipe) -> LoraConfig:
    """Adapters (Hu et al. 2021) at every linear map of the chosen layers, as in Dettmers 2023."""
    layers = int(model.network.config.num_hidden_layers)
    used = layers if settings.lora_layers == 0 else min(settings.lora_layers, layers)
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
        layers_to_transform=list(range(layers - used, layers)),
        task_type="CAUSAL_LM",
    )


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
