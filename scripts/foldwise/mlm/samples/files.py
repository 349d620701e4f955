"""Frozen sample files: JSON lines beside a card with their hash, and a table of rejections."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import atomic_path, file_sha256, read_json, write_csv, write_json
from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import Sample, SampleSet
from foldwise.mlm.texts.tagging import tagger_version
from foldwise.mlm.texts.text import Text, json_lines


@dataclass(frozen=True)
class FrozenSamples:
    """A sample file that agrees with its card.

    Attributes:
        name: Name of the set.
        samples: The samples.
        sha256: Hash of the file.
        card: The card.
    """

    name: str
    samples: list[Sample]
    sha256: str
    card: dict[str, Any]


def write_samples(
    path: str | Path, found: SampleSet, texts: Sequence[Text], rules: SampleRules, origin: str
) -> dict[str, Any]:
    """Write `{set}.jsonl`, `{set}.card.json` and `{set}.rejections.csv`; the card last.

    Args:
        path: The file of samples, ending in `.jsonl`.
        found: Samples and rejections.
        texts: The texts that they come from.
        rules: The rules they follow.
        origin: Where the texts come from, for the card.

    Returns:
        The card.

    Raises:
        FoldwiseError: There is no sample, or the path does not end in `.jsonl`.
    """
    place = _checked(Path(path))
    if not found.samples:
        raise FoldwiseError(
            f"none of {found.n_texts} texts gives a sample ({_reasons(found)})",
            where=str(path),
            hint="Give longer texts, in which nouns are repeated.",
        )
    lines = [json.dumps(sample.as_dict(), ensure_ascii=False) for sample in found.samples]
    with atomic_path(place) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = pd.DataFrame([asdict(one) for one in found.rejections], columns=_REJECTION_COLUMNS)
    write_csv(rejections_path(place), table.sort_values(_REJECTION_COLUMNS, kind="stable"))
    card = _card(place, found, texts, rules, origin)
    write_json(card_path(place), card)
    return card


def read_samples(path: str | Path) -> FrozenSamples:
    """Read a sample file and check it against its card.

    Raises:
        FoldwiseError: The file or its card is missing or broken, or the hash does not match.
    """
    place = _checked(Path(path))
    lines = list(json_lines(place))
    card = read_json(card_path(place))
    digest = file_sha256(place)
    if not isinstance(card, dict) or card.get("sha256") != digest:
        raise FoldwiseError(
            f"its hash {digest[:12]}… is not the one of its card",
            where=str(path),
            hint="Copy both files again, or build the samples again: they were changed by hand.",
        )
    samples = [_sample(value, place, number) for number, value in lines if value is not None]
    return FrozenSamples(str(card["set"]), samples, digest, card)


def card_path(path: Path) -> Path:
    """Card of a sample file."""
    return path.with_suffix(".card.json")


def rejections_path(path: Path) -> Path:
    """Rejections of a sample file."""
    return path.with_suffix(".rejections.csv")


def floor_rates(samples: Sequence[Sample]) -> dict[str, float]:
    """Real@1 and Real@5 of the most frequent visible nouns."""
    first = sum(sample.noun in sample.floor[:1] for sample in samples)
    five = sum(sample.noun in sample.floor for sample in samples)
    return {"real1": first / len(samples), "real5": five / len(samples)}


_REJECTION_COLUMNS = ["text_id", "noun", "reason"]


def _checked(path: Path) -> Path:
    if path.suffix != ".jsonl":
        raise FoldwiseError(
            "a sample file ends in .jsonl", where=str(path), hint="Name it {set}.jsonl."
        )
    return path


def _reasons(found: SampleSet) -> str:
    return ", ".join(f"{count} {reason}" for _, reason, count in found.rejection_counts()[:3])


def _sample(value: Any, path: Path, number: int) -> Sample:
    try:
        sample = Sample(**{**value, "floor": tuple(value["floor"])})
        intact = sample.text[sample.start : sample.end] == sample.noun
    except (TypeError, KeyError):
        intact = False
    if not intact:
        raise FoldwiseError(
            f"line {number} is no sample", where=str(path), hint="Build the samples again."
        )
    return sample


def _card(
    path: Path, found: SampleSet, texts: Sequence[Text], rules: SampleRules, origin: str
) -> dict[str, Any]:
    samples = found.samples
    content = "\x1e".join(f"{text.id}\x1f{text.text}" for text in texts)
    return {
        "set": path.stem,
        "sha256": file_sha256(path),
        "origin": origin,
        "texts_sha256": hashlib.sha256(content.encode()).hexdigest(),
        "licenses": sorted({text.license for text in texts}),
        "tagger": tagger_version(),
        "rules": asdict(rules),
        "n_texts": found.n_texts,
        "n_windows": found.n_windows,
        "n_candidates": found.n_candidates,
        "n_samples": len(samples),
        "n_sample_texts": len({sample.text_id for sample in samples}),
        "n_nouns": len({sample.noun for sample in samples}),
        "samples_by_source": dict(sorted(Counter(sample.source for sample in samples).items())),
        "third_mention_share": sum(sample.mentions_after > 0 for sample in samples) / len(samples),
        "floor": floor_rates(samples),
        "rejections": [
            {"what": what, "reason": reason, "count": count}
            for what, reason, count in found.rejection_counts()
        ],
    }
