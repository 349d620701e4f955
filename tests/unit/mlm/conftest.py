"""Real Korean texts, and small models with random weights in the Hugging Face layout."""

import pytest
import torch
from transformers import BertForMaskedLM

from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import read_samples, write_samples
from foldwise.mlm.texts.corpus import write_corpus
from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.texts.text import read_texts
from foldwise.mlm.training.job import pretrain
from foldwise.mlm.training.vocabulary import learn_vocabulary, make_tokenizer
from mlm_models import LENGTH, PLAN, SIZE, small_bert


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """The embedded texts, cut into parts."""
    folder = tmp_path_factory.mktemp("corpus") / "law"
    shares = {"evaluation": 0.45, "heldout": 0.12, "training": 0.43}
    write_corpus(folder, ["embedded"], shares, seed=0, max_texts=None, workers=1)
    return folder


@pytest.fixture(scope="session")
def sample_file(corpus, tmp_path_factory):
    """Frozen samples of the evaluation part."""
    texts = read_texts(corpus / "evaluation.jsonl")
    path = tmp_path_factory.mktemp("samples") / "law.jsonl"
    write_samples(path, build_samples(texts, SampleRules()), texts, SampleRules(), "konlpy")
    return path


@pytest.fixture(scope="session")
def samples(sample_file):
    return read_samples(sample_file).samples


@pytest.fixture(scope="session")
def tokenizer(corpus):
    texts = read_tagged_texts(corpus / "training.jsonl")
    return make_tokenizer(learn_vocabulary(texts, 3000), LENGTH)


@pytest.fixture(scope="session")
def model_folder(tokenizer, tmp_path_factory):
    """A random BERT: its answers are wrong, but they are answers."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "checkpoint-7"
    BertForMaskedLM(small_bert(len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def trained(corpus, tmp_path_factory):
    """Folder and record of a short training with two checkpoints; not to be changed."""
    out = tmp_path_factory.mktemp("trained") / "mlm"
    return out, pretrain(corpus / "training.jsonl", SIZE, None, PLAN, out)
