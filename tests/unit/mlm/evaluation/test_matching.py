"""The reference matching against a count of its own, from transformers' fill-mask pipeline."""

import json

import numpy as np
import pytest
from kiwipiepy import Kiwi
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from foldwise.mlm.evaluation.job import EvaluationSettings, blank_table, evaluate, sample_table
from foldwise.mlm.report.scores import metrics_of
from foldwise.mlm.samples.lambada import read_lambada
from mlm_models import LENGTH, lengthened_deberta

ANSWERS = ("국민", "법률", "대통령")


@pytest.fixture(scope="module")
def passages(tmp_path_factory):
    """Rows of each kind: the answer before the gap, a gap alone, the answer at the end."""
    path = tmp_path_factory.mktemp("lambada") / "ko.jsonl"
    rows = [{"text": f"모든 {noun}은 _의 의무를 진다.", "answer": noun} for noun in ANSWERS]
    rows += [{"text": "모든 _은 의무를 진다.", "answer": noun} for noun in ANSWERS]
    rows += [{"text": f"의무를 지는 것은 {noun}", "answer": noun} for noun in ANSWERS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cut(text, start, end, length):
    """The text around a mask, as the notes on the reference say: 200 characters to each side."""
    side = int(200 * max(1, length / 512))
    return text[max(0, start - side) : start] + "[MASK]" + text[end : end + side]


def counted(fill, kiwi, masked, answer):
    """Hits @1 and @5 by the pipeline's own 50 most probable tokens."""
    nouns = []
    for guess in fill(masked, top_k=50):
        token = guess["token_str"].strip().replace("##", "")
        if token and any(one.tag in ("NNG", "NNP") for one in kiwi.tokenize(token)):
            nouns.append(token)
    hits = [answer == noun or answer in noun or noun in answer for noun in nouns[:5]]
    return any(hits[:1]), any(hits)


def lambada_text(blank):
    text = blank.before + (blank.answer if blank.last_word else "_") + blank.after
    if text.endswith(blank.answer):
        return text[: -len(blank.answer)] + "[MASK]"
    return text.replace(blank.answer, "[MASK]", 1) if blank.answer in text else text + " [MASK]"


@pytest.mark.parametrize("kind", ["bert", "lengthened deberta"])
def test_both_matchings_beside_an_independent_count(
    model_folder, tokenizer, sample_file, passages, tmp_path, kind
):
    folder, length = model_folder, LENGTH
    if kind == "lengthened deberta":
        folder, length = tmp_path / "checkpoint-655", 1536
        lengthened_deberta(folder, tokenizer, length)
    settings = EvaluationSettings(limit=60, device="cpu", seq_len=length)
    found = evaluate(str(folder), sample_file, passages, settings, tmp_path / "cache")
    table, blanks = sample_table(found).set_index("id"), blank_table(found).set_index("id")
    # The model as the guide loads it: whole matrix or not, from the folder's own weights.
    model = found_model(folder)
    fill = pipeline("fill-mask", model=model, tokenizer=AutoTokenizer.from_pretrained(folder))
    kiwi = Kiwi()
    whole = [one for one in found.samples if len(found.questions[one.id].ids) < length - 8]
    assert len(whole) > 20
    rates = []
    for sample in whole:
        masked = cut(sample.text, sample.start, sample.end, length)
        hits = counted(fill, kiwi, masked, sample.noun)
        assert tuple(table.loc[sample.id, ["reference_hit1", "reference_hit5"]]) == hits
        rates.append(hits)
    for blank in read_lambada(passages).blanks:
        expected, _ = counted(fill, kiwi, lambada_text(blank), blank.answer)
        assert blanks.loc[blank.id, "reference_hit1"] == expected
    asked = table.loc[[one.id for one in whole]].reset_index()
    own = metrics_of(asked, blanks.reset_index(), 100)["reference"]
    assert (own["real1"]["value"], own["real5"]["value"]) == pytest.approx(np.mean(rates, axis=0))
    assert (table["reference_hit5"] >= table["hit5"]).all()


def found_model(folder):
    from safetensors.torch import load_file  # noqa: PLC0415
    from torch import nn  # noqa: PLC0415

    model = AutoModelForMaskedLM.from_pretrained(folder, ignore_mismatched_sizes=True).eval()
    if model.config.model_type == "deberta-v2":
        rows = load_file(folder / "model.safetensors")["deberta.encoder.rel_embeddings.weight"]
        model.deberta.encoder.rel_embeddings = nn.Embedding.from_pretrained(rows)
    return model


def test_few_passages_are_reported_but_no_part_of_the_score(model_folder, sample_file, tmp_path):
    def metrics(rows):
        path = tmp_path / f"{rows}.jsonl"
        line = json.dumps({"text": "모든 _은 의무를 진다.", "answer": "국민"})
        path.write_text(f"{line}\n" * rows)
        settings = EvaluationSettings(device="cpu")
        found = evaluate(str(model_folder), sample_file, path, settings, tmp_path / "cache")
        return metrics_of(sample_table(found), blank_table(found), 100)

    few, enough = metrics(199), metrics(200)
    assert few["lambada_top1"]["interval"] is not None
    assert few["score"] is few["score_interval"] is few["reference"]["score"] is None
    assert enough["score"] is not None
    assert enough["score_interval"][0] <= enough["score"] <= enough["score_interval"][1]
