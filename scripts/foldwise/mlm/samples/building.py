"""Coreference samples: the second mention of a noun in a text without pronouns.

The definition (a mention is a morpheme, not a substring):

- noun: a common or proper noun (NNG, NNP) of at least two Hangul syllables;
- text: no pronoun (NP) in it, and no text that was seen before;
- sample: the second mention of a noun, at the start of an eojeol, followed by a particle, nothing,
  punctuation or the copula. Compound and suffixed uses are rejected, not moved to a later mention.

What is taken where there are more than the caps allow is decided by hashes, so that it depends
neither on the order of the files nor on the place in the text.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.texts.tagging import NOUN_TAGS, PRONOUN_TAG, Morpheme, tag_texts
from foldwise.mlm.texts.text import Text, windows

FLOOR_GUESSES = 5
_NOUN = re.compile(r"[가-힣]{2,}")
_FOREIGN = frozenset({"SL", "SH", "SN"})


@dataclass(frozen=True)
class Sample:
    """One question to a model: which noun stands at characters `start` to `end` of `text`?

    Attributes:
        id: Hash of text and place: the same sample has the same id in every set.
        text_id: The text that it comes from; results are clustered by it.
        source: The text's source.
        text: The text or the window of it, unmasked.
        noun: The answer.
        start: First character of the second mention, which is masked.
        end: One past its last character.
        first_start: First character of the first mention.
        first_end: One past its last character.
        follows: `particle`, `nothing`, `punctuation` or `copula`.
        mentions_after: Mentions of the noun that stay visible after the masked one.
        distance: Eojeols from the first to the second mention.
        floor: The five nouns that stand most often in the text outside the mask, in that order
            (ties: the earlier one first). A guess that needs no model.
        noun_count: Mentions of the noun in all texts of the set.
    """

    id: str
    text_id: str
    source: str
    text: str
    noun: str
    start: int
    end: int
    first_start: int
    first_end: int
    follows: str
    mentions_after: int
    distance: int
    floor: tuple[str, ...]
    noun_count: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The sample as a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Rejection:
    """A text, or a noun of a text, that gave no sample, and why.

    Attributes:
        text_id: The text.
        noun: The noun; empty where the whole text is rejected.
        reason: A reason of a few words.
    """

    text_id: str
    noun: str
    reason: str


@dataclass(frozen=True)
class SampleSet:
    """Samples in the order of the texts, and everything that was rejected.

    Attributes:
        samples: The samples.
        rejections: Rejected texts and nouns.
        n_texts: Texts read.
        n_windows: Texts, or windows of long ones, that were tagged.
        n_candidates: Nouns with a second mention in a text without pronouns.
    """

    samples: list[Sample]
    rejections: list[Rejection]
    n_texts: int
    n_windows: int
    n_candidates: int

    def rejection_counts(self) -> list[tuple[str, str, int]]:
        """`(what, reason, count)` with `what` being `text` or `noun`, most frequent first."""
        counts = Counter(
            ("noun" if rejection.noun else "text", rejection.reason)
            for rejection in self.rejections
        )
        ordered = sorted(counts.items(), key=lambda item: (item[0][0] == "noun", -item[1], item[0]))
        return [(what, reason, count) for (what, reason), count in ordered]


def build_samples(texts: Sequence[Text], rules: SampleRules, workers: int = 1) -> SampleSet:
    """Find the samples of `texts`.

    Args:
        texts: The texts.
        rules: Caps and lengths.
        workers: Threads of the tagger; the result does not depend on it.
    """
    pieces, rejections = _pieces(texts, rules)
    frequency: Counter[str] = Counter()
    found: list[Sample] = []
    candidates = 0
    tagged = tag_texts([piece for _, piece in pieces], workers)
    for (text, piece), morphemes in zip(pieces, tagged, strict=True):
        nouns = _nouns(morphemes)
        frequency.update({noun: len(places) for noun, places in nouns.items()})
        repeated = {noun: places for noun, places in nouns.items() if len(places) > 1}
        if any(morpheme.tag == PRONOUN_TAG for morpheme in morphemes):
            rejections.append(Rejection(text.id, "", "it has a pronoun"))
        elif not repeated:
            rejections.append(Rejection(text.id, "", "no noun of two syllables is repeated"))
        else:
            candidates += len(repeated)
            for outcome in _judged(text, piece, morphemes, nouns):
                if isinstance(outcome, Sample):
                    found.append(outcome)
                else:
                    rejections.append(outcome)
    kept, dropped = _capped(found, rules)
    samples = [Sample(**{**asdict(one), "noun_count": frequency[one.noun]}) for one in kept]
    return SampleSet(samples, rejections + dropped, len(texts), len(pieces), candidates)


def _pieces(
    texts: Sequence[Text], rules: SampleRules
) -> tuple[list[tuple[Text, str]], list[Rejection]]:
    """Windows to tag, and the texts that are too short or known already."""
    pieces: list[tuple[Text, str]] = []
    rejections: list[Rejection] = []
    seen: set[str] = set()
    for text in texts:
        for piece in windows(text.text, rules.max_chars):
            key = " ".join(piece.split())
            if len(key) < rules.min_chars:
                rejections.append(
                    Rejection(text.id, "", f"shorter than {rules.min_chars} characters")
                )
            elif key in seen:
                rejections.append(Rejection(text.id, "", "the same text was seen before"))
            else:
                pieces.append((text, piece))
            seen.add(key)
    return pieces, rejections


def _nouns(morphemes: Sequence[Morpheme]) -> dict[str, list[int]]:
    """Indices of the morphemes of each noun of two or more syllables."""
    nouns: defaultdict[str, list[int]] = defaultdict(list)
    for index, morpheme in enumerate(morphemes):
        if morpheme.tag in NOUN_TAGS and _NOUN.fullmatch(morpheme.form):
            nouns[morpheme.form].append(index)
    return nouns


def _judged(
    text: Text, piece: str, morphemes: Sequence[Morpheme], nouns: dict[str, list[int]]
) -> Iterator[Sample | Rejection]:
    for noun, places in nouns.items():
        if len(places) < 2:
            continue
        first, second = morphemes[places[0]], morphemes[places[1]]
        follows, reason = setting_of(piece, morphemes, places[1])
        if piece[first.start : first.end] != noun or piece[second.start : second.end] != noun:
            yield Rejection(text.id, noun, "it is written otherwise than its morpheme")
        elif reason:
            yield Rejection(text.id, noun, reason)
        else:
            yield Sample(
                id=_digest(piece, second.start)[:12],
                text_id=text.id,
                source=text.source,
                text=piece,
                noun=noun,
                start=second.start,
                end=second.end,
                first_start=first.start,
                first_end=first.end,
                follows=follows,
                mentions_after=len(places) - 2,
                distance=len(piece[first.start : second.start].split()),
                floor=_most_frequent(nouns, noun),
            )


def _most_frequent(nouns: dict[str, list[int]], masked: str) -> tuple[str, ...]:
    visible = {noun: len(places) - (noun == masked) for noun, places in nouns.items()}
    # Nouns stand in the order of their first mention, and sorting keeps that order in ties.
    return tuple(sorted(visible, key=lambda noun: -visible[noun])[:FLOOR_GUESSES])


def setting_of(piece: str, morphemes: Sequence[Morpheme], index: int) -> tuple[str, str]:
    """What follows a mention, and the reason to reject it (empty where it is accepted)."""
    mention = morphemes[index]
    following = morphemes[index + 1] if index + 1 < len(morphemes) else None
    if mention.start and not piece[mention.start - 1].isspace():
        return "", "the second mention is not at the start of an eojeol"
    if following is None or following.start > mention.end or piece[mention.end].isspace():
        return "nothing", ""
    return _following(following.tag)


def _following(tag: str) -> tuple[str, str]:
    if tag.startswith("J"):
        return "particle", ""
    if tag == "VCP":
        return "copula", ""
    if tag.startswith("S") and tag not in _FOREIGN:
        return "punctuation", ""
    suffixed = tag.startswith("XS")
    return "", f"the second mention {'has a suffix' if suffixed else 'is part of a compound'}"


def _capped(found: Sequence[Sample], rules: SampleRules) -> tuple[list[Sample], list[Rejection]]:
    """Apply the caps in the order of the samples' hashes; return the rest in the texts' order."""
    order = sorted(found, key=lambda sample: _digest(sample.id, rules.seed))
    by_source: Counter[str] = Counter()
    most = rules.max_samples if rules.sources == "equal" else None
    of_source = most and -(-most // max(1, len({sample.source for sample in found})))
    by_text: Counter[str] = Counter()
    by_noun: Counter[str] = Counter()
    kept: set[str] = set()
    rejections: list[Rejection] = []
    for sample in order:
        reason = ""
        if by_text[sample.text_id] >= rules.per_text:
            reason = f"the text has {rules.per_text} samples already"
        elif by_noun[sample.noun] >= rules.per_noun:
            reason = f"the noun has {rules.per_noun} samples already"
        elif rules.max_samples is not None and len(kept) >= rules.max_samples:
            reason = f"the set has {rules.max_samples} samples already"
        elif of_source is not None and by_source[sample.source] >= of_source:
            reason = f"the source has {of_source} samples already"
        if reason:
            rejections.append(Rejection(sample.text_id, sample.noun, reason))
            continue
        by_text[sample.text_id] += 1
        by_noun[sample.noun] += 1
        by_source[sample.source] += 1
        kept.add(sample.id)
    return [sample for sample in found if sample.id in kept], rejections


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
