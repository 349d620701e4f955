"""Pseudo-log-likelihood of words of several tokens, against a count by hand on a tiny model."""

import pytest
import torch
from transformers import AutoModelForMaskedLM, AutoTokenizer, BertForMaskedLM

from foldwise.mlm.evaluation.job import EvaluationSettings, blank_table, evaluate, sample_table
from foldwise.mlm.report.scores import metrics_of
from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.training.vocabulary import learn_vocabulary, make_tokenizer
from mlm_models import LENGTH, small_bert


@pytest.fixture(scope="module")
def few_words(corpus, tmp_path_factory):
    """A model with a small vocabulary: most nouns are several tokens."""
    texts = read_tagged_texts(corpus / "training.jsonl")
    tokenizer = make_tokenizer(learn_vocabulary(texts, 1300), LENGTH)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("few") / "checkpoint-7"
    BertForMaskedLM(small_bert(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def counted(model, tokenizer, left, word, right):
    """Each token of the word, with itself and the later ones masked: one call a token."""
    total = 0.0
    for at, entry in enumerate(word):
        masks = [tokenizer.mask_token_id] * (len(word) - at)
        ids = [*left, *word[:at], *masks, *right]
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids])).logits[0, len(left) + at]
        total += float(logits.log_softmax(0)[entry])
    return total


def test_scores_equal_a_count_by_hand(few_words, sample_file, tmp_path):
    settings = EvaluationSettings(limit=30, device="cpu", multi_token="pll")
    found = evaluate(str(few_words), sample_file, None, settings, tmp_path / "cache")
    model = AutoModelForMaskedLM.from_pretrained(few_words).eval()
    tokenizer = AutoTokenizer.from_pretrained(few_words)
    counts, compared = [], 0
    for sample in found.samples:
        question = found.questions[sample.id]
        if question.cut or len(question.ids) > LENGTH - 8 or question.masking != "tokens":
            continue
        left = tokenizer(sample.text[: sample.start], add_special_tokens=False)["input_ids"]
        right = list(question.ids[question.mask + 1 :])
        left = [tokenizer.cls_token_id, *left]
        scores = {}
        for word in list(found.words[sample.id])[:6]:
            pieces = tokenizer(word, add_special_tokens=False)["input_ids"]
            scores[word] = counted(model, tokenizer, left, pieces, right)
            counts.append(len(pieces))
            assert found.words[sample.id][word] == pytest.approx(scores[word], abs=2e-3)
        compared += 1
    assert compared >= 5
    assert max(counts) > 1
    assert min(counts) == 1


def test_it_is_a_metric_of_its_own(few_words, sample_file, tmp_path):
    def metrics(**options):
        settings = EvaluationSettings(limit=30, device="cpu", **options)
        found = evaluate(str(few_words), sample_file, None, settings, tmp_path / "cache")
        table = sample_table(found)
        return found, table, metrics_of(table, blank_table(found), 100)

    plain, _, without = metrics()
    found, table, both = metrics(multi_token="pll")
    assert without["pll"] is None
    own = both.pop("pll")
    assert both == {key: value for key, value in without.items() if key != "pll"}
    assert own["real1"]["value"] == table["pll_hit"].mean()
    for sample in found.samples:
        words = found.words[sample.id]
        best = max(words, key=words.get)
        row = table[table["id"] == sample.id].iloc[0]
        assert row["pll_hit"] == (best == sample.noun)
        assert row["pll_candidates"] == len(words)
    assert plain.words == {}
    assert max(len(question.ids) for question in found.questions.values()) <= LENGTH
