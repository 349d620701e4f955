"""A built Ko-LAMBADA on disk: the rows, their card, and some of them for a person to read."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import file_sha256, write_json, write_text
from foldwise.mlm.samples.lambada_building import PassageRules, Passages
from foldwise.mlm.texts.tagging import tagger_version
from foldwise.mlm.texts.text import Text

READABLE = 20
"""Passages of the sample for a person."""


def write_lambada(
    path: Path, found: Passages, texts: Sequence[Text], rules: PassageRules, origin: str
) -> dict[str, Any]:
    """Write `{set}.jsonl`, `{set}.card.json` and `{set}.sample.txt`; returns the card.

    Args:
        path: The rows' file.
        found: The passages.
        texts: The texts that they come from.
        rules: The rules that found them.
        origin: Where the texts come from, for the card.

    Raises:
        FoldwiseError: There is no passage.
    """
    if not found.passages:
        most = ", ".join(f"{count} {reason}" for reason, count in list(found.filters.items())[:2])
        raise FoldwiseError(
            f"none of {found.n_texts} texts gives a passage ({most})",
            where=str(path),
            hint="Give longer texts, in which nouns are repeated.",
        )
    rows = [passage.as_row(index) for index, passage in enumerate(found.passages)]
    write_text(path, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
    content = "\x1e".join(f"{text.id}\x1f{text.text}" for text in texts)
    card = {
        "set": path.stem,
        "sha256": file_sha256(path),
        "what": "a Ko-LAMBADA built from these texts; not the benchmark of that name",
        "origin": origin,
        "texts_sha256": hashlib.sha256(content.encode()).hexdigest(),
        "licenses": sorted({passage.license for passage in found.passages}),
        "tagger": tagger_version(),
        "rules": asdict(rules),
        "n_texts": found.n_texts,
        "n_sentences": found.n_sentences,
        "n_passages": len(rows),
        "n_passage_texts": len({passage.text_id for passage in found.passages}),
        "n_answers": len({passage.answer for passage in found.passages}),
        "passages_by_source": dict(
            sorted(Counter(passage.source for passage in found.passages).items())
        ),
        "floor": _floor(found),
        "filters": [{"reason": key, "count": count} for key, count in found.filters.items()],
    }
    write_json(path.with_suffix(".card.json"), card)
    write_text(path.with_suffix(".sample.txt"), _readable(found, card))
    return card


def _floor(found: Passages) -> float:
    """Share that a guess without a model hits: the noun that the passage mentions most often."""
    hits = 0
    for passage in found.passages:
        names = (passage.answer, *passage.candidate)
        counts = {name: passage.text.count(name) for name in names}
        hits += max(names, key=lambda name: (counts[name], names.index(name))) == passage.answer
    return hits / len(found.passages)


def _readable(found: Passages, card: dict[str, Any]) -> str:
    """Some passages spread evenly over the set, as a reader sees them."""
    stride = max(1, len(found.passages) // READABLE)
    chosen = found.passages[::stride][:READABLE]
    parts = [
        f"{len(chosen)} of {len(found.passages)} passages of {card['set']}, evenly spread. "
        "Can you name the noun at _ from the passage? And from its last sentence alone?"
    ]
    parts += [
        f"[{number}] {passage.text_id}\n{passage.text}\nanswer: {passage.answer} "
        f"(last mentioned {passage.first_sentence} sentence(s) before)"
        for number, passage in enumerate(chosen, start=1)
    ]
    return "\n\n".join(parts) + "\n"
