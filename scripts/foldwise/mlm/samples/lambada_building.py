"""Ko-LAMBADA from own texts, in the way of the benchmark.

LAMBADA (Paperno et al. 2016, The LAMBADA dataset: word prediction requiring a broad discourse
context) asks for the last word of a passage, chosen so that people name it from the whole passage
and not from its last sentence alone. Korean sentences end in predicates, so Ko-LAMBADA blanks a
noun; here it is the last one of the passage's last sentence that stands as a word of its own, at
the start of an eojeol and without suffix or compound. People are replaced by two rules
that anyone can check:

- answerable from the passage: the noun stands in an earlier sentence of it;
- not from the last sentence alone: it stands nowhere else in that sentence, and the words beside
  the blank do not give it away: counted over all texts but the passage's own, it is neither the
  most frequent noun behind the word before it, nor the most frequent one before the word behind it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from foldwise.mlm.samples.building import setting_of
from foldwise.mlm.samples.lambada import BLANK
from foldwise.mlm.texts.tagging import NOUN_TAGS, Morpheme, tag_texts
from foldwise.mlm.texts.text import Text

# A full stop behind a digit numbers a list.
_SENTENCE = re.compile(r"(?:[^.!?。\n]|(?<=\d)\.)+[.!?。]*[\"'”’)」』]*")
_NOUN = re.compile(r"[가-힣]{2,}")


@dataclass(frozen=True)
class PassageRules:
    """Which passages are taken.

    Attributes:
        context_sentences: Sentences before the last one at most.
        min_context_chars: Characters of them at least.
        per_text: Passages of one text at most.
        per_noun: Passages with one answer at most.
        seed: Decides which stay where a cap is exceeded.
    """

    context_sentences: int = 4
    min_context_chars: int = 50
    per_text: int = 2
    per_noun: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Passage:
    """One question: which noun stands at `_`?

    Attributes:
        id: Hash of the passage and its place.
        text_id: The text that it comes from.
        source: The text's source.
        license: The text's licence.
        text: The passage with `_` in place of the noun.
        answer: The noun.
        candidate: Other nouns of the passage, in the order of their first mention.
        first_sentence: Sentences between the noun's last mention before and the blank.
    """

    id: str
    text_id: str
    source: str
    license: str
    text: str
    answer: str
    candidate: tuple[str, ...]
    first_sentence: int

    def as_row(self, index: int) -> dict[str, Any]:
        """The row of a Ko-LAMBADA file, with its origin behind the benchmark's own keys."""
        row = asdict(self)
        own = {"index": index, "text": self.text, "answer": self.answer,
               "candidate": "|".join(self.candidate)}  # fmt: skip
        return own | {key: row[key] for key in ("id", "text_id", "source", "license")}


@dataclass(frozen=True)
class Passages:
    """What was found, and how many last sentences each filter has rejected."""

    passages: list[Passage]
    filters: dict[str, int]
    n_texts: int
    n_sentences: int


@dataclass(frozen=True)
class _Sentence:
    """A sentence: its nouns, and the last that is a word, `(noun, start, end)` in the text."""

    start: int
    end: int
    nouns: tuple[tuple[str, int, int], ...]
    last_word: tuple[str, int, int] | None


def build_passages(texts: Sequence[Text], rules: PassageRules, workers: int = 1) -> Passages:
    """Find the passages of `texts`.

    Args:
        texts: The texts.
        rules: Lengths and caps.
        workers: Threads of the tagger; the result does not depend on it.
    """
    tagged = tag_texts([text.text for text in texts], workers)
    cut = [_sentences(text.text, morphemes) for text, morphemes in zip(texts, tagged, strict=True)]
    beside = _neighbours(texts, cut)
    filters: Counter[str] = Counter()
    found: list[Passage] = []
    for text, sentences in zip(texts, cut, strict=True):
        for outcome in _judged(text, sentences, beside, rules):
            if isinstance(outcome, Passage):
                found.append(outcome)
            else:
                filters[outcome] += 1
    kept, dropped = _capped(found, rules)
    filters.update(dropped)
    counts = dict(sorted(filters.items(), key=lambda item: (-item[1], item[0])))
    return Passages(kept, counts, len(texts), sum(map(len, cut)))


def _sentences(text: str, morphemes: Sequence[Morpheme]) -> list[_Sentence]:
    nouns = [
        (index, (one.form, one.start, one.end))
        for index, one in enumerate(morphemes)
        if one.tag in NOUN_TAGS
        and _NOUN.fullmatch(one.form)
        and text[one.start : one.end] == one.form
    ]
    words = {noun for index, noun in nouns if setting_of(text, morphemes, index)[0]}
    found = []
    for match in _SENTENCE.finditer(text):
        start, end = match.span()
        own = tuple(noun for _, noun in nouns if start <= noun[1] and noun[2] <= end)
        last = next((noun for noun in reversed(own) if noun in words), None)
        if match[0].strip():
            found.append(_Sentence(start, end, own, last))
    return found


def _words_beside(text: str, start: int, end: int) -> tuple[str, str]:
    """The eojeol before a noun, and what follows it up to the end of the next eojeol."""
    before = text[:start].split()
    after = text[end:].split(maxsplit=2)
    behind = " ".join(after[: 1 if text[end : end + 1].isspace() else 2])
    return (before[-1] if before else ""), behind


class _Beside:
    """How often each noun stands beside a word, in all texts and in each one."""

    def __init__(self) -> None:
        self.all: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        self.own: defaultdict[tuple[int, str, str], Counter[str]] = defaultdict(Counter)

    def favourite(self, side: int, word: str, text_id: str) -> str | None:
        """The noun that stands most often there in the other texts; ties by the alphabet."""
        counts = Counter(self.all[side, word])
        counts.subtract(self.own[side, word, text_id])
        known = [(-count, noun) for noun, count in counts.items() if count > 0]
        return min(known)[1] if known and word else None


def _neighbours(texts: Sequence[Text], cut: Sequence[Sequence[_Sentence]]) -> _Beside:
    beside = _Beside()
    for text, sentences in zip(texts, cut, strict=True):
        for sentence in sentences:
            for noun, start, end in sentence.nouns:
                for side, word in enumerate(_words_beside(text.text, start, end)):
                    beside.all[side, word][noun] += 1
                    beside.own[side, word, text.id][noun] += 1
    return beside


def _judged(
    text: Text, sentences: Sequence[_Sentence], beside: _Beside, rules: PassageRules
) -> Iterator[Passage | str]:
    """Of every sentence that may end a passage: the passage, or the filter that rejects it."""
    for number, last in enumerate(sentences):
        context = sentences[max(0, number - rules.context_sentences) : number]
        low = context[0].start if context else last.start
        if last.start - low < rules.min_context_chars:
            yield f"fewer than {rules.min_context_chars} characters stand before the last sentence"
            continue
        if last.last_word is None:
            yield "the last sentence has no noun of two syllables as a word of its own"
            continue
        noun, start, end = last.last_word
        earlier = [at for at, one in enumerate(context) if noun in {name for name, *_ in one.nouns}]
        before, behind = _words_beside(text.text, start, end)
        if BLANK in text.text[low : last.end]:
            yield "the passage has a _ of its own"
        elif not earlier:
            yield "not answerable from the passage: the noun stands in no earlier sentence"
        elif text.text[last.start : last.end].count(noun) > 1:
            yield "answerable from the last sentence: the noun stands there twice"
        elif beside.favourite(0, before, text.id) == noun:
            yield "answerable from the last sentence: the word before it gives it away"
        elif beside.favourite(1, behind, text.id) == noun:
            yield "answerable from the last sentence: the word behind it gives it away"
        else:
            passage = f"{text.text[low:start]}{BLANK}{text.text[end : last.end]}"
            others = dict.fromkeys(
                name for one in (*context, last) for name, *_ in one.nouns if name != noun
            )
            yield Passage(
                id=_digest(passage, start)[:12],
                text_id=text.id,
                source=text.source,
                license=text.license,
                text=" ".join(passage.split()),
                answer=noun,
                candidate=tuple(others),
                first_sentence=len(context) - earlier[-1],
            )


def _capped(found: Sequence[Passage], rules: PassageRules) -> tuple[list[Passage], Counter[str]]:
    """Apply the caps in the order of hashes; the rest stays in the order of the texts."""
    by_text: Counter[str] = Counter()
    by_noun: Counter[str] = Counter()
    kept: set[str] = set()
    dropped: Counter[str] = Counter()
    for passage in sorted(found, key=lambda one: _digest(one.id, rules.seed)):
        if passage.id in kept:
            dropped["the same passage was seen before"] += 1
        elif by_text[passage.text_id] >= rules.per_text:
            dropped[f"the text has {rules.per_text} passages already"] += 1
        elif by_noun[passage.answer] >= rules.per_noun:
            dropped[f"the noun has {rules.per_noun} passages already"] += 1
        else:
            by_text[passage.text_id] += 1
            by_noun[passage.answer] += 1
            kept.add(passage.id)
    first = {passage.id: passage for passage in reversed(found)}
    return [one for one in found if one.id in kept and first[one.id] is one], dropped


def _digest(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()
