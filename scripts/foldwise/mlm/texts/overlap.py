"""Whether texts share whole phrases: what a model was trained on must not be asked again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from foldwise.mlm.texts.text import Text

PHRASE = 8
COLUMNS = ["text_id", "training_text_id", "shared_phrases", "share"]


def phrases(text: str) -> set[tuple[str, ...]]:
    """Every run of `PHRASE` eojeols; the whole text where it is shorter."""
    words = text.split()
    if len(words) < PHRASE:
        return {tuple(words)}
    return {tuple(words[at : at + PHRASE]) for at in range(len(words) - PHRASE + 1)}


def all_phrases(texts: Iterable[Text]) -> set[tuple[str, ...]]:
    """The phrases of all texts together."""
    return {phrase for text in texts for phrase in phrases(text.text)}


def overlap_table(asked: Sequence[tuple[str, str]], training: Sequence[Text]) -> pd.DataFrame:
    """Evaluation texts that share a phrase with a training text, the largest share first.

    Args:
        asked: Id and text of the evaluation's texts.
        training: What the model was trained on.

    Returns:
        Columns `text_id`, `training_text_id`, `shared_phrases` and `share` (of the evaluation
        text's phrases); one row per pair.
    """
    owners: dict[tuple[str, ...], list[str]] = {}
    for text in training:
        for phrase in phrases(text.text):
            owners.setdefault(phrase, []).append(text.id)
    rows = []
    for name, content in asked:
        own = phrases(content)
        shared: dict[str, int] = {}
        for phrase in own:
            for owner in owners.get(phrase, ()):
                shared[owner] = shared.get(owner, 0) + 1
        rows += [(name, owner, count, count / len(own)) for owner, count in shared.items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.sort_values(
        ["share", "text_id", "training_text_id"], ascending=[False, True, True], ignore_index=True
    )
