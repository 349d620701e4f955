"""A corpus: texts from anywhere, cut into evaluation, held-out and training texts once and for all.

The part of a text follows from a hash of its id, so it depends on nothing else. A training text
that shares a phrase of eight eojeols with a text of another part is left out: bills quote one
another, and news are copied.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path, file_sha256, write_json
from foldwise.mlm.texts.embedded import SOURCES, embedded_texts, embedded_version
from foldwise.mlm.texts.hub import PREFIX, hub_texts
from foldwise.mlm.texts.overlap import all_phrases, phrases
from foldwise.mlm.texts.tagging import Morpheme, noun_places, tag_texts, tagger_version
from foldwise.mlm.texts.text import Text, read_texts

EMBEDDED = "embedded"
# In this order: a text of a later part makes way for one of an earlier part.
PARTS = ("evaluation", "heldout", "training")


def read_corpus(names: Sequence[str]) -> list[Text]:
    """Texts of all `names`: `embedded`, `hf://…`, or paths of JSON-lines files.

    Raises:
        FoldwiseError: One of them cannot be read, or an id stands in two of them.
    """
    texts = [text for name in names for text in _read(name)]
    ids = {text.id for text in texts}
    if len(ids) < len(texts):
        raise FoldwiseError(
            f"{len(texts) - len(ids)} ids stand in two of the files",
            where=", ".join(names),
            hint="Name each file once, and make ids unique.",
        )
    return texts


def _read(name: str) -> list[Text]:
    if name == EMBEDDED:
        return [text for source in SOURCES for text in embedded_texts(source)]
    return hub_texts(name) if name.startswith(PREFIX) else read_texts(name)


def origin_of(names: Sequence[str]) -> str:
    """Where a corpus comes from, for its card; files by name, never by path."""
    shown = [
        embedded_version()
        if name == EMBEDDED
        else name
        if name.startswith(PREFIX)
        else Path(name).name
        for name in names
    ]
    return ", ".join(shown)


def split_corpus(
    texts: Sequence[Text], shares: Mapping[str, float], seed: int, max_texts: int | None = None
) -> tuple[dict[str, list[Text]], dict[str, int]]:
    """Texts of each part, and how many were left out for which reason.

    Args:
        texts: All texts.
        shares: Share of each of `PARTS`; they add up to 1.
        seed: Decides which text goes where.
        max_texts: Take only so many texts, chosen by hash.

    Raises:
        FoldwiseError: A part that has a share gets no text.
    """
    ranked = sorted(texts, key=lambda text: _place(text.id, seed + 1))
    chosen = {text.id for text in ranked[:max_texts]}
    parts: dict[str, list[Text]] = {part: [] for part in PARTS}
    left_out = {"the same text was seen before": 0, "shares a phrase with an earlier part": 0}
    seen: set[str] = set()
    for text in texts:
        key = " ".join(text.text.split())
        if text.id not in chosen or not key:
            continue
        if key in seen:
            left_out["the same text was seen before"] += 1
            continue
        seen.add(key)
        parts[_part(_place(text.id, seed), shares)].append(text)
    known: set[tuple[str, ...]] = set()
    for part in PARTS:
        kept = [text for text in parts[part] if known.isdisjoint(phrases(text.text))]
        left_out["shares a phrase with an earlier part"] += len(parts[part]) - len(kept)
        known |= all_phrases(kept)
        parts[part] = kept
        if shares[part] > 0 and not kept:
            raise FoldwiseError(
                f"no text is left for the {part} part",
                where="shares",
                hint="Give more texts, or a larger share.",
            )
    return parts, left_out


def _place(name: str, seed: int) -> float:
    """A number between 0 and 1 that follows from the name."""
    digest = hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _part(place: float, shares: Mapping[str, float]) -> str:
    edge = 0.0
    for part in PARTS:
        edge += shares[part]
        if place < edge:
            return part
    return next(part for part in reversed(PARTS) if shares[part] > 0)


def write_corpus(
    folder: str | Path,
    names: Sequence[str],
    shares: Mapping[str, float],
    *,
    seed: int,
    max_texts: int | None,
    workers: int,
) -> dict[str, Any]:
    """Write `{part}.jsonl` with the texts and their nouns, and `card.json`, to `folder`.

    Args:
        folder: Folder of the corpus.
        names: As in `read_corpus`.
        shares: Share of each part.
        seed: Decides the parts.
        max_texts: Take only so many texts.
        workers: Threads of the tagger.

    Returns:
        The card.
    """
    texts = read_corpus(names)
    parts, left_out = split_corpus(texts, shares, seed, max_texts)
    place = Path(folder)
    for part, own in parts.items():
        tagged = tag_texts([text.text for text in own], workers)
        lines = [_line(text, morphemes) for text, morphemes in zip(own, tagged, strict=True)]
        with atomic_path(place / f"{part}.jsonl") as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    card = {
        "origin": origin_of(names),
        "licenses": sorted({text.license for text in texts}),
        "tagger": tagger_version(),
        "shares": dict(shares),
        "seed": seed,
        "n_texts": len(texts),
        "parts": {
            part: {
                "texts": len(own),
                "characters": sum(len(text.text) for text in own),
                "sha256": file_sha256(place / f"{part}.jsonl"),
            }
            for part, own in parts.items()
        },
        "left_out": left_out,
    }
    write_json(place / "card.json", card)
    return card


def _line(text: Text, morphemes: Sequence[Morpheme]) -> str:
    pieces = [[one.start, one.end] for one in morphemes]
    value = {
        "id": text.id,
        "source": text.source,
        "license": text.license,
        "text": text.text,
        "nouns": noun_places(text.text, morphemes),
        "morphemes": pieces,
    }
    return json.dumps(value, ensure_ascii=False) + "\n"
