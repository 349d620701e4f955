"""Training: what is hidden, that a killed training goes on alike, early stopping, the search."""

import filecmp
import json
import random
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch
from transformers import DataCollatorForTokenClassification, TrainerCallback

from foldwise.common.errors import FoldwiseError
from foldwise.mlm.declaration import BertSize, SampleRules
from foldwise.mlm.evaluation.job import EvaluationSettings
from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.job import SingleRun, evaluate_one
from foldwise.mlm.report.folder import folder_of
from foldwise.mlm.report.summary import read_results, write_summary
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import write_samples
from foldwise.mlm.texts.tagged_texts import TaggedText, read_tagged_texts
from foldwise.mlm.texts.text import read_texts
from foldwise.mlm.training import trainer as training_module
from foldwise.mlm.training.job import finetune_entities, pretrain
from foldwise.mlm.training.masking import (
    IGNORED,
    ExampleMaker,
    MaskedExamples,
    MaskingRules,
    collate,
)
from foldwise.mlm.training.trainer import TrainingPlan
from foldwise.mlm.training.tuning import (
    Search,
    SearchSpace,
    eval_real_coref_top1,
    eval_real_coref_top5,
    search,
)
from foldwise.mlm.training.vocabulary import SPECIAL_TOKENS, learn_vocabulary
from mlm_models import LENGTH

SIZE = BertSize(hidden=16, layers=1, heads=2, vocabulary=3000)
PLAN = TrainingPlan(MaskingRules(), passes=100, steps=8, batch_size=4, warmup=1, save_every=4,
                    max_length=LENGTH)  # fmt: skip


@pytest.fixture(scope="module")
def texts(corpus):
    return read_tagged_texts(corpus / "training.jsonl")


@pytest.fixture(scope="module")
def maker(tokenizer, texts):
    return ExampleMaker(tokenizer, texts, LENGTH)


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "mlm"
    return out, pretrain(corpus / "training.jsonl", SIZE, None, PLAN, out)


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


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
    batch = collate([first[0], first[7]], padding=0)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape


def test_a_batch_is_that_of_the_collator_of_transformers(maker, texts, tokenizer):
    examples = [MaskedExamples(maker, texts, MaskingRules(seed=1), passes=1)[at] for at in range(5)]
    features = [{"input_ids": one.ids, "labels": one.labels} for one in examples]
    expected = DataCollatorForTokenClassification(tokenizer)(features)
    found = collate(examples, padding=tokenizer.pad_token_id)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)


def test_the_vocabulary_holds_nouns_alone(texts):
    vocabulary = learn_vocabulary(texts, 3000)
    assert tuple(vocabulary[:5]) == SPECIAL_TOKENS
    assert len(vocabulary) == len(set(vocabulary)) <= 3000
    assert {"국회", "대통령", "법률", "##는", "##에"} < set(vocabulary)
    assert not any(piece.endswith("국회는") for piece in vocabulary)


def test_a_training_leaves_checkpoints_without_pickles(trained):
    out, record = trained
    assert (record["steps"], record["early_stopped"], record["start"]) == (
        8,
        False,
        "random weights",
    )
    assert sorted(path.name for path in out.glob("checkpoint-*")) == [
        "checkpoint-4",
        "checkpoint-8",
    ]
    kinds = {path.suffix for path in out.rglob("*") if path.is_file()}
    assert kinds == {".json", ".csv", ".safetensors"}
    history = pd.read_csv(out / "history.csv")
    assert history["loss"].notna().all()
    assert load_masked_model(out / "checkpoint-8").max_length == LENGTH


def test_a_killed_training_goes_on_to_the_same_weights(trained, corpus, tmp_path, monkeypatch):
    out, _ = trained

    class Killer(TrainerCallback):
        def __init__(self, log):
            self.log = log

        def on_step_end(self, args, state, control, **_):
            if state.global_step == 6:
                raise KeyboardInterrupt

    again = tmp_path / "mlm"
    with monkeypatch.context() as patch:
        patch.setattr(training_module, "_Reporter", Killer)
        with pytest.raises(KeyboardInterrupt):
            pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    assert not (again / "training.json").exists()
    cut = again / "checkpoint-5"
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    pretrain(corpus / "training.jsonl", SIZE, None, PLAN, again)
    assert weights(again / "checkpoint-8") == weights(out / "checkpoint-8")
    assert not cut.exists()


def test_other_work_does_not_go_on_from_it(trained, corpus, tmp_path):
    out, _ = trained
    copy = tmp_path / "mlm"
    shutil.copytree(out, copy)
    (copy / "training.json").unlink()
    other = replace(PLAN, rules=MaskingRules(seed=5), steps=4)
    record = pretrain(corpus / "training.jsonl", SIZE, None, other, copy)
    assert record["steps"] == 4
    assert [path.name for path in copy.glob("checkpoint-*")] == ["checkpoint-4"]
    assert weights(copy / "checkpoint-4") != weights(out / "checkpoint-4")


def test_entity_fine_tuning_keeps_the_best(trained, corpus, tmp_path):
    out, _ = trained
    rules = MaskingRules(entity_fraction=0.8, substitute=0.5)
    plan = replace(PLAN, rules=rules, passes=1, steps=None, batch_size=40, save_every=1, patience=1)
    record = finetune_entities(
        out / "checkpoint-8", corpus, replace(plan, passes=6), tmp_path / "e"
    )
    assert record["n_heldout_questions"] > 20
    best = tmp_path / "e" / f"checkpoint-{record['best_step']}"
    assert weights(best) == weights(tmp_path / "e" / "checkpoint-best")
    measured = [
        row["heldout_real1"] for row in record["history"] if row["heldout_real1"] is not None
    ]
    assert record["early_stopped"] or len(measured) == 6
    ids = {text.id for text in read_tagged_texts(corpus / "heldout.jsonl")}
    assert not ids & {text.id for text in read_tagged_texts(corpus / "training.jsonl")}


def test_without_a_length_a_training_takes_what_its_model_allows(trained, corpus, tmp_path):
    out, _ = trained
    plan = replace(PLAN, max_length=None, passes=1, steps=2)
    finetune_entities(out / "checkpoint-8", corpus, plan, tmp_path / "e")
    record = json.loads((tmp_path / "e" / "training.json").read_text())
    assert record["plan"]["max_length"] == LENGTH
    assert plan.fitted(None).max_length == plan.fitted(4096).max_length == 512


def test_what_training_refuses(trained, corpus, tmp_path):
    out, _ = trained
    with pytest.raises(FoldwiseError, match=r"training\.jsonl is missing"):
        finetune_entities(out / "checkpoint-8", tmp_path, PLAN, tmp_path / "e")
    with pytest.raises(FoldwiseError, match="above the model's"):
        finetune_entities(
            out / "checkpoint-8", corpus, replace(PLAN, max_length=500), tmp_path / "e"
        )
    with pytest.raises(FoldwiseError, match="heads do not divide"):
        pretrain(corpus / "training.jsonl", replace(SIZE, heads=3), None, PLAN, tmp_path / "m")
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"text": "경찰이 왔다."}\n')
    with pytest.raises(FoldwiseError, match="line 1 is no tagged text"):
        read_tagged_texts(plain)
    wild = replace(PLAN, lr=1e30, steps=30, save_every=30)
    with pytest.raises(FoldwiseError, match="the loss is"):
        pretrain(corpus / "training.jsonl", SIZE, None, wild, tmp_path / "m")
    lone = TaggedText("a", "비가 온다.", (), ((0, 1),))
    assert (
        ExampleMaker(load_masked_model(out / "checkpoint-8").tokenizer, [lone], 9).second_mentions(
            lone
        )
        == []
    )


@pytest.fixture(scope="module")
def heldout_samples(corpus, tmp_path_factory):
    texts = read_texts(corpus / "heldout.jsonl")
    path = tmp_path_factory.mktemp("heldout") / "heldout.jsonl"
    write_samples(path, build_samples(texts, SampleRules()), texts, SampleRules(), "konlpy")
    return path


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
    with pytest.raises(FoldwiseError, match="is no range"):
        search(replace(task, space=SearchSpace(lr=(1.0, 0.1))), "real1", trials=1, seed=0)
    shared = tmp_path / "training.jsonl"
    texts = read_texts(corpus / "training.jsonl")
    write_samples(shared, build_samples(texts, SampleRules()), texts, SampleRules(), "konlpy")
    with pytest.raises(FoldwiseError, match="are training texts"):
        search(replace(task, samples=shared), "real1", trials=1, seed=0)


def test_a_run_on_one_page(trained, sample_file, tmp_path):
    out, _ = trained
    folders = []
    depth = (None, None, (), 1, 200, tmp_path / "cache")
    for step in (4, 8):
        checkpoint = str(out / f"checkpoint-{step}")
        run = SingleRun(checkpoint, tmp_path / "mlm", sample_file, *depth)
        evaluate_one(run, EvaluationSettings(device="cpu"))
        folders.append(folder_of(checkpoint, tmp_path / "mlm"))
    names = ["mlm/checkpoint-4", "mlm/checkpoint-8"]

    def summarise(place):
        write_summary("t", folders, compare=names, resamples=200, out=place / "summary.md",
                      command="snakemake")  # fmt: skip

    summarise(tmp_path)
    text = (tmp_path / "summary.md").read_text()
    assert "## Before and after: mlm/checkpoint-4 and mlm/checkpoint-8" in text
    assert "composite score: not measured" in text
    assert "None" not in text
    assert "nan" not in text
    table = pd.read_csv(tmp_path / "summary.csv")
    assert set(table["name"]) == set(names)
    assert (tmp_path / "figures" / "learning_curve.svg").exists()
    summarise(tmp_path / "again")
    for name in ("summary.md", "summary.csv", "figures/learning_curve.png"):
        assert filecmp.cmp(tmp_path / name, tmp_path / "again" / name, shallow=False)
    with pytest.raises(FoldwiseError, match="unknown checkpoint"):
        write_summary(
            "t", folders, compare=["a", "b"], resamples=200, out=tmp_path / "x.md", command=""
        )
    limited = SingleRun(str(out / "checkpoint-4"), tmp_path / "few", sample_file, *depth)
    evaluate_one(limited, EvaluationSettings(limit=30, device="cpu"))
    with pytest.raises(FoldwiseError, match="different samples"):
        read_results([folders[1], tmp_path / "few" / "checkpoint-4_eval"])
