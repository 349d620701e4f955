"""Real Korean texts, and small models with random weights in the Hugging Face layout."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from foldwise.mlm.corpus import write_corpus
from foldwise.mlm.sample_files import read_samples, write_samples
from foldwise.mlm.samples import SampleRules, build_samples
from foldwise.mlm.tagged_texts import read_tagged_texts
from foldwise.mlm.texts import read_texts
from foldwise.mlm.vocabulary import learn_vocabulary, make_tokenizer, save_tokenizer

LENGTH = 96


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


def small_bert(size, **changes):
    options = {
        "vocab_size": size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": LENGTH,
        "pad_token_id": 0,
        # Wide weights: the answers of different samples then differ.
        "initializer_range": 0.3,
    }
    return BertConfig(**{**options, **changes})


@pytest.fixture(scope="session")
def model_folder(tokenizer, tmp_path_factory):
    """A random BERT: its answers are wrong, but they are answers."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "checkpoint-7"
    BertForMaskedLM(small_bert(len(tokenizer))).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return folder
