"""Small models in the tests of the masked-LM part."""

from transformers import BertConfig

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
PLAN = TrainingPlan(MaskingRules(), passes=100, steps=8, batch_size=4, warmup=1, save_every=4,
                    max_length=LENGTH)  # fmt: skip
