"""The engine beside asking naively."""

import pytest

from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.evaluation.questions import QuestionMaker, make_questions
from foldwise.mlm.evaluation.surfaces import read_surfaces
from maintenance.bench_mlm import measure
from mlm_models import LENGTH


@pytest.fixture(scope="module")
def maker(tokenizer):
    return QuestionMaker(tokenizer, read_surfaces(tokenizer), LENGTH)


@pytest.fixture(scope="module")
def questions(maker, samples):
    return make_questions(maker, samples, ())


@pytest.mark.slow  # buys: a ratio of two ways of asking, on a real network
def test_the_engine_is_faster_than_asking_naively(model_folder, questions):
    """The measured claim (8 times on two cores) is bench_mlm.py's; this only guards it."""
    loaded = load_masked_model(model_folder)
    for _ in range(3):  # other work may fall into one of the two halves of a measurement
        result = measure(loaded.model, questions[:60], width=LENGTH, padding=0, token_budget=4000)
        assert result["same_top1"] == result["same_top5"] == 60
        if result["speedup"] > 2:
            return
    pytest.fail(f"the last speed-up was {result['speedup']:.2f}")
