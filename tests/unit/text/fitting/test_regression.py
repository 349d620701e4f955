"""A head and the network below it: they start where the frozen head stands, and learn."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from foldwise.common.errors import FoldwiseError
from foldwise.common.progress import ProgressLog
from foldwise.study.outside.text import TextRecipe
from foldwise.text.fitting.features import fit_head, length_batches, text_features
from foldwise.text.fitting.regression import FineTunedHead, Regressor, tune_head
from foldwise.text.model import LanguageModel, load_language_model

WORDS = ["Na", "Mg", "K", "Ca", "Fe", "Zn"]


def texts(model: LanguageModel, count: int) -> tuple[list[tuple[int, ...]], np.ndarray]:
    """Texts of different lengths, and targets that their words decide."""
    random = np.random.default_rng(2)
    chosen = [random.integers(0, len(WORDS), size=1 + row % 3) for row in range(count)]
    tokens = [model.tokens(" ".join(WORDS[word] for word in row)) for row in chosen]
    return tokens, np.array([row.mean() - 2.0 for row in chosen])


def frozen(model: LanguageModel, count: int = 40):
    tokens, targets = texts(model, count)
    features = text_features(
        model, tokens, batch_tokens=64, log=ProgressLog(io.StringIO(), len(tokens))
    )
    fitted = np.arange(count) < count - 10
    head, _ = fit_head(features, targets, fitted, ~fitted)
    return tokens, targets, fitted, features, head


def test_it_starts_from_the_head_of_the_frozen_states(tiny: LanguageModel) -> None:
    """Two ways to the same answers: scikit-learn's ridge on kept states, and the whole network."""
    tokens, _, _, features, head = frozen(tiny)
    regressor = Regressor(tiny.network.base_model, head)
    with torch.inference_mode():
        for row, one in enumerate(tokens):
            ids = torch.tensor([one])
            answer = regressor(ids, torch.ones_like(ids))["answers"].item()
            assert answer == pytest.approx(head.answer(features)[row], abs=1e-4)


def tuned(tiny_folder: Path, folder: Path) -> tuple[FineTunedHead, float, str]:
    """A fine-tuning from a head that knows the mean alone; its held-out MAE, and its log."""
    model = load_language_model(str(tiny_folder), torch.device("cpu"))
    tokens, targets, fitted, _, head = frozen(model)
    ignorant = replace(head, weights=0.0 * head.weights, intercept=float(targets[fitted].mean()))
    asked = [tokens[row] for row in np.flatnonzero(~fitted)]
    said = io.StringIO()
    made = tune_head(
        model,
        TextRecipe(model="text", method="head", lr=5e-3, num_train_epochs=3, lora_layers=2),
        ignorant,
        ([tokens[row] for row in np.flatnonzero(fitted)], targets[fitted].tolist()),
        (asked, targets[~fitted]),
        seed=1,
        folder=folder,
        log=partial(ProgressLog, said),
    )
    mae = float(np.abs(made.answer(model, asked, 64) - targets[~fitted]).mean())
    return made, mae, said.getvalue()


def test_fine_tuning_learns_ends_with_its_best_and_goes_on_after_a_kill(
    tiny_folder: Path, tmp_path: Path
) -> None:
    whole, mae, said = tuned(tiny_folder, tmp_path / "whole")
    history = whole.tuned.history
    assert history["val_mae"].iloc[-1] < 0.8 * history["val_mae"].iloc[0]
    assert mae == pytest.approx(history["val_mae"].min(), rel=1e-4)
    assert "effective batch size 8 (8 x 1)" in said
    # What a kill behind the second epoch leaves: its checkpoint, and no later one.
    (tmp_path / "resumed").mkdir()
    shutil.copy(tmp_path / "whole" / "key.json", tmp_path / "resumed")
    second = tmp_path / "whole" / "checkpoint-8"
    shutil.copytree(second, tmp_path / "resumed" / second.name)
    resumed, mae_again, said = tuned(tiny_folder, tmp_path / "resumed")
    assert "goes on behind step 8" in said
    assert resumed.tuned.history["val_mae"].tolist() == history["val_mae"].tolist()
    assert mae_again == mae


def test_texts_are_batched_by_length_within_the_budget() -> None:
    tokens = [[0] * length for length in (5, 1, 9, 3, 3, 40)]
    batches = length_batches(tokens, 12)
    assert sorted(row for batch in batches for row in batch) == list(range(6))
    for batch in batches:
        assert len(batch) * max(len(tokens[row]) for row in batch) <= 12 or len(batch) == 1
    assert batches[0] == [1, 3, 4]


def test_a_text_that_does_not_fit_is_refused(tiny: LanguageModel) -> None:
    with pytest.raises(FoldwiseError, match="is more than the 1024"):
        text_features(tiny, [[1] * 1025], batch_tokens=64, log=ProgressLog(io.StringIO(), 1))
