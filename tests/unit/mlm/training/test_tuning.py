"""The search over trainings."""

import json
import runpy
from dataclasses import replace

import pandas as pd
import pytest

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import write_samples
from foldwise.mlm.texts.text import read_texts
from foldwise.mlm.training.tuning import (
    Search,
    SearchSpace,
    eval_real_coref_top1,
    eval_real_coref_top5,
    search,
)
from mlm_models import PLAN
from paths import REPOSITORY


@pytest.fixture(scope="module")
def heldout_samples(corpus, tmp_path_factory):
    texts = read_texts(corpus / "heldout.jsonl")
    path = tmp_path_factory.mktemp("heldout") / "heldout.jsonl"
    write_samples(path, build_samples(texts, SampleRules()), texts, SampleRules(), "konlpy")
    return path


@pytest.mark.slow  # buys: a search that was stopped goes on, with real trainings
def test_the_search_goes_on_where_it_stopped(
    trained, corpus, heldout_samples, sample_file, tmp_path
):
    out, _ = trained
    plan = replace(PLAN, passes=1, steps=None, batch_size=60, save_every=1, patience=1)
    space = SearchSpace(lr=(1e-4, 1e-2), epochs=(1, 2))
    task = Search(out / "checkpoint-8", corpus, heldout_samples, space, plan, tmp_path / "search")
    first = search(task, "real5", trials=1, seed=0)
    again = search(task, "real5", trials=2, seed=0)
    assert (first["trials"], again["trials"]) == (1, 2)
    trials = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert {"lr", "mask_rate", "entity_fraction", "epochs", "real5"} < set(trials)
    assert trials["lr"].nunique() == 2
    assert trials["real5"].is_monotonic_increasing
    best = json.loads((tmp_path / "search" / "best.json").read_text())
    arguments = (best["checkpoint"], heldout_samples, tmp_path / "cache")
    assert eval_real_coref_top5(*arguments) == pytest.approx(best["value"])
    assert eval_real_coref_top1(*arguments) <= eval_real_coref_top5(*arguments)
    whole = search(replace(task, out=tmp_path / "whole"), "real5", trials=2, seed=0)
    assert whole["parameters"] == again["parameters"]
    assert pd.read_csv(tmp_path / "whole" / "trials.csv").equals(trials)
    for other in (replace(task, space=SearchSpace(lr=(2e-4, 1e-3))), replace(task, plan=PLAN)):
        with pytest.raises(FoldwiseError, match="search: it holds"):
            search(other, "real5", trials=2, seed=0)
    assert json.loads((tmp_path / "search" / "best.json").read_text()) == again
    with pytest.raises(FoldwiseError, match="is no range"):
        search(replace(task, space=SearchSpace(lr=(1.0, 0.1))), "real1", trials=1, seed=0)
    shared = tmp_path / "training.jsonl"
    texts = read_texts(corpus / "training.jsonl")
    write_samples(shared, build_samples(texts, SampleRules()), texts, SampleRules(), "konlpy")
    with pytest.raises(FoldwiseError, match="are training texts"):
        search(replace(task, samples=shared), "real1", trials=1, seed=0)


def test_the_file_that_users_of_mlm_v2_know_has_the_same_functions():
    names = runpy.run_path(str(REPOSITORY / "coref_automl" / "tune.py"))
    assert names["eval_real_coref_top1"] is eval_real_coref_top1
    assert names["eval_real_coref_top5"] is eval_real_coref_top5
