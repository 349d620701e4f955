"""The engine against transformers itself, with every shortcut: windows, batches, masks only."""

import copy
import random

import pytest
import torch
from transformers import (
    AutoModelForMaskedLM,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    RobertaConfig,
)

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.evaluation.engine import Engine, answer_of, plan_batches
from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.evaluation.questions import Question, QuestionMaker, make_questions
from foldwise.mlm.evaluation.surfaces import read_surfaces
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


def test_padding_of_the_vocabulary_is_not_an_answer(tokenizer, questions):
    """A padded model answers as the model whose vocabulary ends with the tokenizer's."""
    torch.manual_seed(0)
    padded = AutoModelForMaskedLM.from_config(small_bert(len(tokenizer) + 40)).eval()
    with torch.no_grad():
        padded.cls.predictions.bias[len(tokenizer) :] = 50.0  # each padding entry would be first
    plain = copy.deepcopy(padded)
    plain.resize_token_embeddings(len(tokenizer))
    entries = len(tokenizer)
    assert engine(padded, entries=entries).ask(questions[:8]) == engine(plain).ask(questions[:8])
    answers = engine(copy.deepcopy(padded)).ask(questions[:8])
    assert all(answer.nearest[0] >= entries for answer in answers)


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
    assert answer.nearest == (5, 1, 2, 3, 0, 4, 6)
    assert answer.top == (5, 1, 2, 3, 0)
    assert answer.rank == 1
    assert answer.answer_probability == pytest.approx(float(logits.softmax(0)[5]), abs=1e-5)


def test_head_and_softmax_stay_in_float32_whatever_the_precision(tokenizer, questions):
    """Oracle: the same model by hand, its body under autocast, its head outside of it."""
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(small_bert(len(tokenizer))).eval()
    lower = copy.deepcopy(model)
    own = Engine(lower, 0, torch.device("cpu"), "bfloat16")
    for question in questions[:5]:
        ids = torch.tensor([question.ids])
        with torch.inference_mode():
            with torch.autocast("cpu", torch.bfloat16):
                hidden = model.bert(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            logits = model.cls(hidden.float())[0, question.mask]
        (answer,) = own.ask([question])
        assert list(answer.nearest) == logits.topk(50).indices.tolist()
        assert answer.probabilities[0] == pytest.approx(float(logits.softmax(0).max()), abs=1e-5)
        assert not torch.equal(logits, logits.bfloat16().float())
