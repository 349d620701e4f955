"""A WordPiece vocabulary of Korean morphemes, and the tokenizer folder made from it.

Korean glues particles to nouns, so pieces that ignore morphemes rarely cover a noun alone. As in
KLUE's tokenizers (Park et al. 2021, *KLUE: Korean Language Understanding Evaluation*, section 4),
the pieces are learned from morphemes and then applied to plain text, longest match first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from foldwise.mlm.texts.tagged_texts import TaggedText

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CONTINUED = "##"


def learn_vocabulary(texts: Iterable[TaggedText], size: int, min_count: int = 2) -> list[str]:
    """The special tokens, every character, then the most frequent morphemes.

    Args:
        texts: Training texts.
        size: Entries at most.
        min_count: Rarer morphemes are left to characters.
    """
    characters: set[str] = set()
    counts: Counter[str] = Counter()
    for text in texts:
        characters.update(text.text)
        counts.update(_pieces(text.text, text.morphemes))
    single = sorted(character for character in characters if not character.isspace())
    entries = [*SPECIAL_TOKENS, *single, *(f"{_CONTINUED}{character}" for character in single)]
    known = set(entries)
    frequent = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    entries += [piece for piece, count in frequent if count >= min_count and piece not in known]
    return entries[: max(size, len(known))]


def _pieces(text: str, morphemes: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Morphemes as they are written; those inside an eojeol carry the mark of a continuation."""
    end = 0
    for start, stop in morphemes:
        # Contracted morphemes share a syllable; the later one then has no place of its own.
        if start < end or stop <= start:
            continue
        end = stop
        written = text[start:stop]
        if any(character.isspace() for character in written):
            continue
        inside = start > 0 and text[start - 1].isalnum()
        yield f"{_CONTINUED}{written}" if inside else written


def make_tokenizer(vocabulary: Sequence[str], max_length: int) -> Any:
    """A tokenizer of BERT's kind over `vocabulary`.

    Args:
        vocabulary: Entries, the special tokens first.
        max_length: Longest sequence of the model.
    """
    ids = {piece: index for index, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        clean_up_tokenization_spaces=False,
        **dict(zip(names, SPECIAL_TOKENS, strict=True)),
    )
