"""Small models in the tests of the masked-LM part."""

from transformers import BertConfig

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
