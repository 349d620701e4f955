"""A job of `method: head`: a linear head on frozen states, and both fine-tuned from there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foldwise.common.progress import ProgressLog
from foldwise.text.fitting.features import fit_head, text_features
from foldwise.text.fitting.regression import tune_head
from foldwise.text.model import LanguageModel
from foldwise.text.numbers import OK
from foldwise.text.rows import Rows, TextJob


def answer_by_head(
    rows: Rows, job: TextJob, model: LanguageModel
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Fit a head on the frozen states, fine-tune both, and keep what errs less on the hold-out.

    Returns:
        Answers about held-out and test rows in the columns of `answer_prompts`; one row per
        evaluation; facts for the record, the test error of the frozen states' head among them.

    Raises:
        FoldwiseError: A text is longer than the model takes.
    """
    settings, table = job.settings, rows.table
    tokens = [model.tokens(text) for text in table["text"]]
    name = f"{job.recipe} fold {rows.fold}"
    features = text_features(
        model,
        tokens,
        batch_tokens=settings.batch_tokens,
        log=ProgressLog(sys.stderr, len(tokens), name=name),
    )
    subset, targets = table["subset"].to_numpy(), table["target"].to_numpy(np.float64)
    head, history = fit_head(features, targets, subset == "fit", subset == "held_out")
    frozen = answers = head.answer(features)
    facts: dict[str, Any] = {
        "backbone": "frozen", "layer": head.layer, "width": len(head.weights),
        "penalty": head.penalty, "val_mae_frozen": head.val_mae,
    }  # fmt: skip
    if settings.backbone == "adapted":
        places = {part: np.flatnonzero(subset == part) for part in ("fit", "held_out")}
        asked = places["held_out"][: settings.evaluate_rows]
        start = float(np.abs(frozen - targets)[asked].mean())
        tuned = tune_head(
            model,
            settings,
            head,
            ([tokens[row] for row in places["fit"]], targets[places["fit"]].tolist()),
            ([tokens[row] for row in asked], targets[asked]),
            seed=job.seed,
            folder=job.model / "checkpoints",
            log=partial(ProgressLog, sys.stderr, name=name),
        )
        history = _with_start(tuned.tuned.history, head.train_mae, start)
        facts |= tuned.tuned.facts()
        facts["val_mae_adapted"] = float(tuned.tuned.history["val_mae"].min())
        if facts["val_mae_adapted"] < start:
            facts["backbone"] = "adapted"
            answers = tuned.answer(model, tokens, settings.batch_tokens)
    raw = _read_off(rows, tokens, answers)
    facts["test_mae_frozen"] = float(np.abs(frozen - targets)[subset == "test"].mean())
    return raw, history, {"head": facts}


def _with_start(history: pd.DataFrame, train_mae: float, val_mae: float) -> pd.DataFrame:
    """Evaluations of a fine-tuning behind what it started from, epoch 0."""
    start = {"epoch": 0, "train_mae": train_mae, "val_mae": val_mae, "parse_rate": 1.0}
    return pd.concat([pd.DataFrame([start]), history.astype({"train_mae": float})])[
        list(history.columns)
    ]


def _read_off(
    rows: Rows, tokens: Sequence[Sequence[int]], answers: NDArray[np.float64]
) -> pd.DataFrame:
    """The answers of a head in the columns of `answer_prompts`."""
    asked = rows.table["subset"].to_numpy() != "fit"
    said = [f"{value:.6f}" for value in answers[asked]]
    return pd.DataFrame(
        {
            "id": rows.table.index[asked],
            "input_text": rows.table["text"].to_numpy()[asked],
            "output_text": said,
            "plain_text": said,
            "input_tokens": np.array([len(one) for one in tokens])[asked],
            "output_tokens": 0,
            "finish_reason": "head",
            "number_share": np.nan,
            "parse_status": OK,
            "value": answers[asked],
            "plain_value": np.nan,
        }
    )
