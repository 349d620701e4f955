"""Small models in the tests of the masked-LM part."""

import torch
from transformers import BertConfig, DebertaV2Config, DebertaV2ForMaskedLM

from foldwise.mlm.declaration import BertSize
from foldwise.mlm.training.masking import MaskingRules
from foldwise.mlm.training.trainer import TrainingPlan

LENGTH = 96


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


SIZE = BertSize(hidden=16, layers=1, heads=2, vocabulary=3000)
PLAN = TrainingPlan(MaskingRules(), passes=100, steps=8, batch_size=4, warmup=0.125, save_every=4,
                    max_length=LENGTH)  # fmt: skip


def small_deberta(size, **changes):
    """A DeBERTa-v2 as the users' are: distances in buckets, no absolute positions."""
    options = {
        "vocab_size": size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": LENGTH,
        "relative_attention": True,
        "position_biased_input": False,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "pos_att_type": "p2c|c2p",
        "share_att_key": True,
        "pad_token_id": 0,
        "initializer_range": 0.3,
    }
    return DebertaV2Config(**{**options, **changes})


def lengthened_deberta(folder, tokenizer, length, **changes):
    """A folder whose `rel_embeddings` have `length` rows; the model that wrote it, whole."""
    torch.manual_seed(1)
    config = small_deberta(len(tokenizer), max_position_embeddings=length, **changes)
    model = DebertaV2ForMaskedLM(config).eval()
    grown = torch.nn.Embedding(length, config.hidden_size)
    kept = model.deberta.encoder.rel_embeddings.weight.data
    grown.weight.data[: len(kept)] = kept
    model.deberta.encoder.rel_embeddings = grown
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
