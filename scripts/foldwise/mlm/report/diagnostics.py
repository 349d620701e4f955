"""What may be wrong with a result: looked at before its numbers are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.files import write_csv, write_json
from foldwise.mlm.evaluation.job import Evaluation
from foldwise.mlm.texts.overlap import overlap_table
from foldwise.mlm.texts.text import Text

MOST_OF_ALL = 0.5


def write_diagnostics(
    folder: Path,
    evaluation: Evaluation,
    table: pd.DataFrame,
    training: Sequence[Text] | None,
) -> dict[str, Any]:
    """Write the `diagnostics` folder.

    Args:
        folder: The folder.
        evaluation: The evaluation.
        table: Its samples, worst first.
        training: What the model was trained on, if that is known.

    Returns:
        The review: checks with `passed`, `look` or `failed` and a sentence each.
    """
    outside = table[~table["in_vocabulary"]]
    lost = table[table["lost_mention"]]
    duplicates = _duplicates(evaluation)
    overlap = overlap_table(_asked(evaluation), training or [])
    write_csv(
        folder / "untokenizable.csv",
        outside.groupby("noun").agg(samples=("id", "size"), first_sample=("id", "first"))
        .reset_index().sort_values(["samples", "noun"], ascending=[False, True]),
    )  # fmt: skip
    write_csv(
        folder / "lost_mentions.csv", lost[["id", "text_id", "noun", "distance_eojeols", "tokens"]]
    )
    write_csv(folder / "duplicates.csv", duplicates)
    write_csv(folder / "train_overlap.csv", overlap)
    write_csv(folder / "actual_vs_predicted.csv", table[_SHOWN])
    write_json(folder / "value_ranges.json", _value_ranges(table))
    shared = None if training is None else int(overlap["text_id"].nunique())
    checks = _checks(evaluation, table, len(duplicates), shared)
    counts = {state: sum(check["state"] == state for check in checks) for state in _STATES}
    review = {**counts, "checks": checks}
    write_json(folder / "review.json", review)
    return review


_SHOWN = ["id", "source", "noun", "prediction", "hit1", "hit5", "rank", "answer_probability"]
_STATES = ("failed", "look", "passed")


def _asked(evaluation: Evaluation) -> list[tuple[str, str]]:
    return sorted({(sample.text_id, sample.text) for sample in evaluation.samples})


def _duplicates(evaluation: Evaluation) -> pd.DataFrame:
    """Samples whose masked text was asked before under another id."""
    first: dict[str, str] = {}
    rows = []
    for sample in evaluation.samples:
        masked = " ".join(f"{sample.text[: sample.start]}\0{sample.text[sample.end :]}".split())
        if masked in first:
            rows.append((sample.id, first[masked], sample.noun))
        first.setdefault(masked, sample.id)
    return pd.DataFrame(rows, columns=["id", "same_as", "noun"])


def _value_ranges(table: pd.DataFrame) -> dict[str, Any]:
    columns = ("tokens", "top_probability", "answer_probability", "distance_eojeols", "noun_count")
    return {
        name: {
            "min": float(table[name].min()),
            "median": float(table[name].median()),
            "max": float(table[name].max()),
        }
        for name in columns
    }


def _checks(
    evaluation: Evaluation,
    table: pd.DataFrame,
    duplicates: int,
    shared_texts: int | None,
) -> list[dict[str, str]]:
    favourite = table["prediction"].value_counts()
    share = float(favourite.iloc[0]) / len(table)
    outside, lost = int((~table["in_vocabulary"]).sum()), int(table["lost_mention"].sum())
    overlap_state = "look" if shared_texts is None else "failed" if shared_texts else "passed"
    overlap_text = (
        "the training texts were not named (--training-texts), so an overlap is possible"
        if shared_texts is None
        else f"{shared_texts} evaluation texts share a phrase of eight eojeols with the training"
    )
    return [
        _check("answers", "passed" if len(table) == len(evaluation.samples) else "failed",
               f"{len(table)} answers to {len(evaluation.samples)} samples"),
        _check("partial", "look" if evaluation.partial else "passed",
               f"{len(table)} of {len(evaluation.frozen.samples)} samples were asked"),
        _check("same_answer", "look" if share > MOST_OF_ALL else "passed",
               f"the most frequent answer, {favourite.index[0]!r}, is {100 * share:.1f} % of all"),
        _check("untokenizable", "look" if outside > MOST_OF_ALL * len(table) else "passed",
               f"{outside} samples ask for a noun that is no single entry of the vocabulary"),
        _check("lost_mentions", "look" if lost else "passed",
               f"{lost} windows do not hold the first mention"),
        _check("duplicates", "look" if duplicates else "passed",
               f"{duplicates} samples repeat another one"),
        _check("train_overlap", overlap_state, overlap_text),
        _check("lambada", "passed" if evaluation.blanks else "look",
               f"{len(evaluation.blanks)} Ko-LAMBADA rows"
               + ("" if evaluation.blanks else ": LAMBADA@1 and the composite score are null")),
    ]  # fmt: skip


def _check(name: str, state: str, text: str) -> dict[str, str]:
    return {"name": name, "state": state, "text": text}
