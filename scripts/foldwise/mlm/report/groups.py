"""Where a checkpoint fails: rates by group, a folder per group, and texts of the worst samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from foldwise.common.files import write_csv, write_json, write_text
from foldwise.common.names import safe_name
from foldwise.mlm.report.statistics import rate_interval

if TYPE_CHECKING:  # a summary of results needs no model library, and no seconds to import it
    from foldwise.mlm.evaluation.job import Evaluation

KINDS = {
    "source": "texts of {}",
    "noun_frequency": "nouns with {} mentions in the set's texts",
    "follows": "noun followed by: {}",
    "distance": "{} eojeols after the first mention",
    "third_mention": "third mention after the mask: {}",
    "masking": "masked by {}",
}
_PREDICTION_COLUMNS = ["id", "noun", "prediction", "top5", "hit1", "hit5", "answer_probability"]


def index_table(table: pd.DataFrame, resamples: int) -> pd.DataFrame:
    """One row per group, the lowest Real@1 first (ties: lower Real@5, then larger group)."""
    lines = [
        _index_line(kind, str(value), rows, resamples)
        for kind in KINDS
        for value, rows in table.groupby(kind, sort=True)
    ]
    index = pd.DataFrame(lines)
    return index.sort_values(
        ["real1", "real5", "n", "group"], ascending=[True, True, False, True], ignore_index=True
    )


def _index_line(kind: str, value: str, rows: pd.DataFrame, resamples: int) -> dict[str, Any]:
    texts = rows["text_id"].tolist()
    first = rate_interval(rows["hit1"], texts, resamples=resamples)
    five = rate_interval(rows["hit5"], texts, resamples=resamples)
    return {
        "group": f"{kind}={value}",
        "kind": kind,
        "value": value,
        "description": KINDS[kind].format(value),
        "n": len(rows),
        "n_texts": len(set(texts)),
        "real1": first.estimate,
        "real1_low": first.low,
        "real1_high": first.high,
        "real5": five.estimate,
        "real5_low": five.low,
        "real5_high": five.high,
        "coverage": float(rows["in_vocabulary"].mean()),
        "floor_real1": float(rows["floor_hit1"].mean()),
        "floor_real5": float(rows["floor_hit5"].mean()),
    }


def write_groups(
    folder: Path, evaluation: Evaluation, table: pd.DataFrame, index: pd.DataFrame, worst_n: int
) -> None:
    """Write `_index.csv` and the folder of each group below `folder`.

    Args:
        folder: The `groups` folder.
        evaluation: The evaluation.
        table: Its samples, worst first.
        index: The groups.
        worst_n: Samples of each group that get a text file.
    """
    write_csv(folder / "_index.csv", index)
    for line in index.to_dict("records"):
        rows = table[table[str(line["kind"])] == line["value"]]
        place = folder / safe_name(str(line["group"]))
        write_json(place / "metrics.json", line)
        write_csv(place / "predictions.csv", rows[_PREDICTION_COLUMNS])
        shown = [f"samples/{safe_name(str(name))}/summary.txt" for name in rows["id"][:worst_n]]
        listed = rows.assign(summary=shown + [""] * (len(rows) - len(shown)))
        write_csv(place / "per_sample.csv", listed)
        for rank, name in enumerate(rows["id"][:worst_n], start=1):
            text = sample_text(evaluation, table, str(name))
            note = f"rank_in_group: {rank} of {len(rows)} ({line['description']}), worst first\n"
            write_text(place / "samples" / safe_name(str(name)) / "summary.txt", text + note)


def sample_text(evaluation: Evaluation, table: pd.DataFrame, name: str) -> str:
    """One sample: the tokens that the model saw, its five answers, and what is known about it."""
    question, answer = evaluation.questions[name], evaluation.answers[name]
    sample = next(one for one in evaluation.samples if one.id == name)
    row = table[table["id"] == name].iloc[0]
    guesses = [
        f"{rank}. {evaluation.surfaces.shown(entry)}  {probability:.5f}"
        f"{'  <- correct' if entry in question.answer_ids else ''}"
        for rank, (entry, probability) in enumerate(
            zip(answer.top, answer.probabilities, strict=True), start=1
        )
    ]
    known = "yes" if question.answer_ids else "no (several tokens: it counts as a miss)"
    lines = [
        "=== INPUT ===",
        window_text(evaluation, name),
        "",
        "=== OUTPUT ===",
        *guesses,
        "",
        "=== METADATA ===",
        f"sample_id: {name}",
        f"text_id: {sample.text_id}",
        f"source: {sample.source}",
        f"ground_truth: {sample.noun}",
        f"predicted: {row['prediction']}",
        f"correct_at_1: {'yes' if row['hit1'] else 'no'}",
        f"correct_at_5: {'yes' if row['hit5'] else 'no'}",
        f"probability_of_ground_truth: {answer.answer_probability:.5f}",
        f"rank_of_ground_truth: {answer.rank or 'none'}"
        f" of {len(evaluation.surfaces.text)} vocabulary entries",
        f"ground_truth_in_vocabulary: {known}",
        f"most_frequent_visible_nouns: {', '.join(sample.floor)}",
        f"followed_by: {sample.follows}",
        f"first_mention: {sample.distance} eojeols before"
        f"{' (outside of the window)' if question.lost_mention else ''}",
        f"mentions_after_the_mask: {sample.mentions_after}",
        f"noun_count_in_set: {sample.noun_count}",
        f"masking: {question.masking}",
        f"tokens: {len(question.ids)} of at most {evaluation.seq_len}",
    ]
    return "\n".join(lines) + "\n"


def window_text(evaluation: Evaluation, name: str) -> str:
    """The sequence as the model saw it, special tokens and mask included."""
    ids = list(evaluation.questions[name].ids)
    return str(evaluation.tokenizer.decode(ids, clean_up_tokenization_spaces=False))
