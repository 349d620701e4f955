"""What is hidden from a model in training."""

import random

import pytest
import torch
from transformers import DataCollatorForTokenClassification

from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.training.masking import (
    IGNORED,
    ExampleMaker,
    MaskedExamples,
    MaskingRules,
    collate,
)
from mlm_models import LENGTH


@pytest.fixture(scope="module")
def texts(corpus):
    return read_tagged_texts(corpus / "training.jsonl")


@pytest.fixture(scope="module")
def maker(tokenizer, texts):
    return ExampleMaker(tokenizer, texts, LENGTH)


def restored(masked):
    return [
        token if label == IGNORED else label
        for token, label in zip(masked.ids, masked.labels, strict=True)
    ]


def test_random_masks_hide_the_share_that_is_asked(maker, tokenizer, texts):
    draw = random.Random(0)
    masked = [maker.randomly(text, 0.3, draw) for text in texts for _ in range(5)]
    pairs = [pair for one in masked for pair in zip(one.ids, one.labels, strict=True)]
    hidden = [(token, label) for token, label in pairs if label != IGNORED]
    special = set(tokenizer.all_special_ids)
    total = sum(token not in special for one in masked for token in restored(one))
    assert len(hidden) / total == pytest.approx(0.3, abs=0.02)
    masks = sum(token == tokenizer.mask_token_id for token, _ in hidden)
    assert masks / len(hidden) == pytest.approx(0.8, abs=0.03)
    assert not {label for _, label in hidden} & set(tokenizer.all_special_ids)


def test_entity_masks_hide_nouns_that_stand_earlier_too(maker, tokenizer, texts):
    seen = 0
    for text in texts:
        masked = maker.entities(text, 0.0, random.Random(1))
        if masked is None:
            continue
        seen += 1
        for at, label in enumerate(masked.labels):
            if label == IGNORED:
                continue
            assert masked.ids[at] == tokenizer.mask_token_id
            noun = tokenizer.convert_ids_to_tokens(label)
            assert text.text.count(noun) >= 2
            assert len(noun) >= 2
    assert seen > 30


def test_exchanged_nouns_stay_the_same_at_every_mention(maker, tokenizer, texts):
    changed = 0
    for text in texts:
        content, mentions = maker._exchanged(text, random.Random(2))
        before = [text.text[start:end] for start, end in sorted(text.nouns)]
        after = [content[start:end] for start, end in mentions]
        assert len(dict(zip(before, after, strict=True))) == len(set(before))
        assert all(
            after[before.index(noun)] == new for noun, new in zip(before, after, strict=True)
        )
        for old, new in zip(before, after, strict=True):
            assert ((ord(old[-1]) - 0xAC00) % 28 > 0) == ((ord(new[-1]) - 0xAC00) % 28 > 0)
        changed += content != text.text
    assert changed > len(texts) / 2


def test_an_example_follows_from_its_number(maker, texts):
    rules = MaskingRules(entity_fraction=0.5, substitute=0.5, seed=3)
    first, second = (MaskedExamples(maker, texts, rules, passes=2) for _ in range(2))
    assert len(first) == 2 * len(texts)
    some = [0, 7, len(texts) + 7]
    assert [first[at] for at in some] == [second[at] for at in reversed(some)][::-1]
    assert first[7] != first[len(texts) + 7]
    batch = collate([first[0], first[7]], padding=0, mask=4)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape


def test_a_batch_is_that_of_the_collator_of_transformers(maker, texts, tokenizer):
    examples = [MaskedExamples(maker, texts, MaskingRules(seed=1), passes=1)[at] for at in range(5)]
    features = [{"input_ids": one.ids, "labels": one.labels} for one in examples]
    expected = DataCollatorForTokenClassification(tokenizer)(features)
    found = collate(examples, padding=tokenizer.pad_token_id, mask=tokenizer.mask_token_id)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
