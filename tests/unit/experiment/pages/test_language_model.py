"""README.txt says how a language model answers, and what became of its outputs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from foldwise.experiment.pages.readme import language_model_paragraph, output_lines
from foldwise.study.outside.text import METHODS, TextRecipe


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("decoding", ["median", "free"])
def test_every_method_is_told_in_its_own_words(method: str, decoding: str) -> None:
    recipe = TextRecipe(model="text", method=method, decoding=decoding, shots=7, detail="sites")  # type: ignore[arg-type]
    text = language_model_paragraph({"kind": "text", "hyperparams": recipe.as_dict()})
    assert text is not None
    assert "told formula, space group, cell, sites and bond lengths" in text
    assert ("7 fitted crystals" in text) == (method == "few_shot")
    assert ("median of its distribution" in text) == (method != "head" and decoding == "median")


def test_another_model_has_no_such_paragraph() -> None:
    assert language_model_paragraph({"recipe": "baseline"}) is None


def test_the_error_stands_with_and_without_what_could_not_be_parsed() -> None:
    raw = pd.DataFrame(
        {
            "parse_status": ["ok", "ok", "no number"],
            "prediction": [1.0, 2.0, 0.0],
            "plain_value": [1.5, 2.0, np.nan],
            "ground_truth": [0.0, 2.0, 5.0],
        }
    )
    lines = dict(output_lines(raw))
    assert lines["outputs without a number"] == "1 of 3"
    assert lines["MAE with them"].startswith("2.0000")
    assert lines["MAE without them"] == "0.5000"
    assert lines["MAE of plain decoding"].startswith("0.7500")
    assert dict(output_lines(raw.iloc[2:]))["MAE without them"] == "unknown"
    assert output_lines(None) == []
