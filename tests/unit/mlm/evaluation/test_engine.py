"""The engine against transformers itself, with every shortcut: windows, batches, masks only."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.benchmark import measure
from foldwise.mlm.evaluation.engine import Engine, answer_of, plan_batches
from foldwise.mlm.evaluation.model_folder import load_masked_model, max_positions
from foldwise.mlm.evaluation.questions import Question, QuestionMaker, _window, make_questions
from foldwise.mlm.evaluation.surfaces import read_surfaces
from foldwise.mlm.texts.text import read_texts
from mlm_models import LENGTH, small_bert

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
         "intermediate_size": 64, "initializer_range": 0.3, "pad_token_id": 0}  # fmt: skip


def configs(size):
    positions = {"max_position_embeddings": LENGTH, "vocab_size": size}
    shared = {**SIZES, **positions}
    return {
        "bert": small_bert(size),
        "roberta": RobertaConfig(**{**shared, "max_position_embeddings": LENGTH + 1}),
        "electra": ElectraConfig(**shared, embedding_size=16),
        "distilbert": DistilBertConfig(
            vocab_size=size, dim=32, n_layers=2, n_heads=2, hidden_dim=64, pad_token_id=0,
            max_position_embeddings=LENGTH, initializer_range=0.3,
        ),
        "deberta-v2": DebertaV2Config(**shared, relative_attention=True, pos_att_type=["p2c"]),
        "modernbert": ModernBertConfig(
            **shared, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def maker(tokenizer):
    return QuestionMaker(tokenizer, read_surfaces(tokenizer), LENGTH)


@pytest.fixture(scope="module")
def questions(maker, samples):
    return make_questions(maker, samples, ())


def engine(model, **options):
    return Engine(model, 0, torch.device("cpu"), "float32", **options)


def test_top_five_equal_a_direct_unbatched_call(model_folder, questions):
    """The oracle: 100 samples, each alone through transformers, nothing of this project between."""
    model = AutoModelForMaskedLM.from_pretrained(model_folder).eval()
    own = engine(load_masked_model(model_folder).model)
    asked = questions[:100]
    assert len(asked) == 100
    answers = {}
    for batch in plan_batches(asked, 2000):
        answers.update({answer.id: answer for answer in own.ask(batch)})
    assert len({answer.top for answer in answers.values()}) > 50
    for question in asked:
        with torch.no_grad():
            logits = model(torch.tensor([question.ids])).logits[0, question.mask]
        expected = logits.softmax(-1).topk(5)
        assert list(answers[question.id].top) == expected.indices.tolist()
        assert answers[question.id].probabilities == pytest.approx(
            expected.values.tolist(), abs=1.5e-5
        )


@pytest.mark.parametrize(
    "kind", ["bert", "roberta", "electra", "distilbert", "deberta-v2", "modernbert"]
)
def test_masks_only_gives_every_architecture_the_full_logits(kind, tokenizer, questions):
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(configs(len(tokenizer))[kind]).eval()
    said = []
    own = engine(model, log=said.append)
    answers = [answer for batch in plan_batches(questions[:12], 900) for answer in own.ask(batch)]
    assert not said
    assert own._masks_only is True
    by_id = {question.id: question for question in questions}
    for answer in answers:
        question = by_id[answer.id]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([question.ids])).logits[0, question.mask]
        assert list(answer.top) == logits.topk(5).indices.tolist()


def test_a_head_that_needs_whole_sequences_gets_them(tokenizer, questions):
    class Mixing(torch.nn.Module):
        def __init__(self, head):
            super().__init__()
            self.head = head

        def forward(self, hidden):
            return self.head(hidden + hidden.mean(dim=1, keepdim=True))

    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(small_bert(len(tokenizer))).eval()
    model.cls = Mixing(model.cls)
    said = []
    question = questions[0]
    (answer,) = engine(model, log=said.append).ask([question])
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([question.ids])).logits[0, question.mask]
    assert list(answer.top) == logits.topk(5).indices.tolist()
    assert "whole sequences" in said[0]


class Hungry:
    """A model that runs out of memory with more than so many rows."""

    def __init__(self, model, rows, error):
        self.model, self.rows, self.error, self.calls = model, rows, error, []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def to(self, **options):
        self.model.to(**options)
        return self

    def __call__(self, input_ids, attention_mask):
        self.calls.append(len(input_ids))
        if len(input_ids) > self.rows:
            raise self.error
        return self.model(input_ids=input_ids, attention_mask=attention_mask)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory")]
)
def test_batches_are_halved_when_memory_runs_out(model_folder, questions, error):
    model = load_masked_model(model_folder).model
    batch = plan_batches(questions[:20], 4000)[0][:16]
    whole = engine(model).ask(batch)
    hungry = Hungry(model, 3, error)
    said = []
    limited = engine(hungry, log=said.append)
    halved = limited.ask(batch)
    assert [(one.id, one.top, one.rank) for one in halved] == [
        (one.id, one.top, one.rank) for one in whole
    ]
    assert len(said) == 3
    before = len(hungry.calls)
    limited.ask(batch)
    assert max(hungry.calls[before:]) <= 3
    with pytest.raises(FoldwiseError, match="does not suffice for one sequence"):
        engine(Hungry(model, 0, error)).ask(batch[:1])


def test_other_errors_are_not_taken_for_a_lack_of_memory(model_folder, questions):
    model = load_masked_model(model_folder).model
    with pytest.raises(RuntimeError, match="shape"):
        engine(Hungry(model, 0, RuntimeError("shape mismatch"))).ask(questions[:2])


def test_nan_answers_stop_the_evaluation(tokenizer, questions):
    model = AutoModelForMaskedLM.from_config(small_bert(len(tokenizer))).eval()
    model.bert.encoder.layer[0].output.dense.weight.data[0, 0] = float("nan")
    with pytest.raises(FoldwiseError, match="NaN"):
        engine(model).ask(questions[:1])


def test_batches_hold_every_question_once_and_keep_the_budget(questions):
    batches = plan_batches(questions, 700)
    assert sorted(one.id for batch in batches for one in batch) == sorted(
        one.id for one in questions
    )
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(len(one.ids) for one in batch) <= 700
    widths = [len(one.ids) for batch in batches for one in batch]
    assert widths == sorted(widths, reverse=True)
    random.Random(0).shuffle(questions)
    assert plan_batches(questions, 700) == batches


def test_ties_go_to_the_lower_entry():
    question = Question("a", (1,), 0, "가", (3, 5), 3, "tokens", lost_mention=False, cut=False)
    logits = torch.tensor([1.0, 2.0, 2.0, 2.0, 0.0, 3.0, 0.0])
    answer = answer_of(logits, question)
    assert answer.top == (5, 1, 2, 3, 0)
    assert answer.rank == 1
    assert answer.answer_probability == pytest.approx(float(logits.softmax(0)[5]), abs=1e-5)


def test_the_mask_replaces_exactly_the_noun(maker, tokenizer, samples):
    for sample in samples:
        question = maker.of_sample(sample)
        assert question.ids[question.mask] == tokenizer.mask_token_id
        assert question.ids.count(tokenizer.mask_token_id) == 1
        assert len(question.ids) <= LENGTH
        if question.masking == "tokens" and not question.cut:
            whole = tokenizer.encode(sample.text)
            pieces = len(whole) - len(question.ids) + 1
            restored = tokenizer.decode(whole[question.mask : question.mask + pieces])
            assert restored.replace(" ", "") == sample.noun


def test_only_whole_words_are_right(maker, tokenizer, samples):
    surfaces = read_surfaces(tokenizer)
    continued = [entry for entry, starts in enumerate(surfaces.initial) if not starts]
    assert all(tokenizer.convert_ids_to_tokens(entry).startswith("##") for entry in continued)
    for sample in samples:
        question = maker.of_sample(sample)
        entries = [tokenizer.convert_ids_to_tokens(entry) for entry in question.answer_ids]
        assert entries == ([sample.noun] if sample.noun in tokenizer.get_vocab() else [])


@given(
    length=st.integers(1, 400), room=st.integers(3, 200), data=st.data()
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_windows_hold_the_mask_and_both_mentions_where_they_fit(length, room, data):
    mask = data.draw(st.integers(0, length - 1))
    mention = data.draw(st.integers(0, mask))
    low, high = _window(length, mask, mention, room)
    assert high - low == min(length, room)
    assert 0 <= low <= mask < high <= length
    if mask - mention < room:
        assert low <= mention
        margins = (mention - low, high - 1 - mask)
        if low > 0 and high < length:
            assert abs(margins[0] - margins[1]) <= 1


def test_positions_of_roberta_start_behind_the_padding():
    assert max_positions(RobertaConfig(max_position_embeddings=514, pad_token_id=1)) == 512
    assert max_positions(small_bert(10)) == LENGTH


def test_the_engine_is_faster_than_asking_naively(model_folder, questions):
    """The measured claim (8 times on two cores) is scripts/bench_mlm.py's; this only guards it."""
    loaded = load_masked_model(model_folder)
    result = measure(loaded.model, questions[:60], width=LENGTH, padding=0, token_budget=4000)
    assert result["same_top1"] == result["same_top5"] == 60
    assert result["speedup"] > 2


def test_byte_level_and_sentencepiece_words_are_told_from_their_pieces(corpus, tmp_path):
    texts = [text.text for text in read_texts(corpus / "training.jsonl")]
    special = ["<pad>", "<mask>"]
    byte_level = Tokenizer(models.BPE())
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    byte_level.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=1500,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    unigram = Tokenizer(models.Unigram())
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    unigram.train_from_iterator(
        texts,
        trainers.UnigramTrainer(vocab_size=1500, special_tokens=special, unk_token="<pad>"),
    )
    for name, raw, mark in (("bpe", byte_level, "Ġ"), ("unigram", unigram, "▁")):
        PreTrainedTokenizerFast(
            tokenizer_object=raw, mask_token="<mask>", pad_token="<pad>"
        ).save_pretrained(tmp_path / name)
        loaded = AutoTokenizer.from_pretrained(tmp_path / name)
        surfaces = read_surfaces(loaded)
        words = [at for at, begins in enumerate(surfaces.initial) if begins]
        marked = [
            at for at in range(len(loaded)) if loaded.convert_ids_to_tokens(at).startswith(mark)
        ]
        assert set(words) == set(marked)
        (entry,) = surfaces.ids_of("국회", initial=True)
        assert loaded.convert_ids_to_tokens(entry).startswith(mark)
