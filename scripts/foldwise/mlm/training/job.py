"""The two trainings: a small BERT from scratch or continued, and entity fine-tuning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM, set_seed

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import canonical_sha256, file_sha256
from foldwise.mlm.declaration import BertSize
from foldwise.mlm.evaluation.model_folder import load_masked_model
from foldwise.mlm.texts.saved_dataset import is_saved, read_saved_dataset, saved_files
from foldwise.mlm.texts.tagged_texts import read_tagged_texts
from foldwise.mlm.training.trainer import LONGEST, TrainingPlan, train
from foldwise.mlm.training.vocabulary import learn_vocabulary, make_tokenizer


def pretrain(
    texts: Path, size: BertSize, checkpoint: Path | None, plan: TrainingPlan, out: Path
) -> dict[str, Any]:
    """Train with random masks, from random weights or from a checkpoint.

    Args:
        texts: `training.jsonl` of a prepared corpus.
        size: Size of a new network; unused with `checkpoint`.
        checkpoint: Folder to go on from.
        plan: How to train.
        out: Folder of the new checkpoints.
    """
    set_seed(plan.rules.seed)
    training = read_tagged_texts(texts)
    facts: dict[str, Any] = {"phase": "mlm", "texts_sha256": file_sha256(texts)}
    if checkpoint is not None:
        model, tokenizer, identity, plan = _continued(checkpoint, plan)
        return train(
            model, tokenizer, training, (), plan, out=out, facts={**facts, "start": identity}
        )
    if size.hidden % size.heads:
        raise FoldwiseError(
            f"{size.heads} heads do not divide a width of {size.hidden}",
            where="--heads",
            hint="Choose a divisor.",
        )
    length = plan.max_length or LONGEST
    tokenizer = make_tokenizer(learn_vocabulary(training, size.vocabulary), length)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=size.hidden,
            num_hidden_layers=size.layers,
            num_attention_heads=size.heads,
            intermediate_size=4 * size.hidden,
            max_position_embeddings=length,
            pad_token_id=tokenizer.pad_token_id,
            hidden_dropout_prob=size.dropout,
            attention_probs_dropout_prob=size.dropout,
        )
    )
    return train(
        model, tokenizer, training, (), plan, out=out, facts={**facts, "start": "random weights"}
    )


def finetune_entities(
    checkpoint: Path, dataset: Path, plan: TrainingPlan, out: Path
) -> dict[str, Any]:
    """Fine-tune on later mentions of nouns; the best checkpoint by the held-out set is kept too.

    Args:
        checkpoint: Folder to start from.
        dataset: Folder of a prepared corpus, with `training.jsonl` and `heldout.jsonl`, or one that
            `datasets.save_to_disk` wrote.
        plan: How to train; `save_every` counts epochs here.
        out: Folder of the new checkpoints.

    Raises:
        FoldwiseError: The folder is no prepared corpus, or the checkpoint cannot be loaded.
    """
    saved = is_saved(dataset)
    if not saved:
        _check_parts(dataset)
    set_seed(plan.rules.seed)
    model, tokenizer, identity, plan = _continued(checkpoint, plan)
    training_hash, heldout_hash = dataset_hashes(dataset)
    facts = {
        "phase": "entity",
        "start": identity,
        "texts_sha256": training_hash,
        "heldout_sha256": heldout_hash,
    }
    if saved:
        texts, heldout = read_saved_dataset(dataset, tokenizer, plan.threads)
    else:
        texts, heldout = (read_tagged_texts(path) for path in _parts(dataset))
    every = max(1, round(plan.save_every * len(texts) / plan.batch_size))
    plan = replace(plan, save_every=every)
    return train(model, tokenizer, texts, heldout, plan, out=out, facts=facts)


def dataset_hashes(dataset: Path) -> tuple[str, str]:
    """Hashes of the training and of the held-out texts; `absent` if there are none."""
    if is_saved(dataset):
        files = [path for paths in saved_files(dataset).values() for path in paths]
        whole = canonical_sha256([file_sha256(path) for path in files])
        return whole, whole
    first, second = (file_sha256(path) if path.is_file() else "absent" for path in _parts(dataset))
    return first, second


def _parts(dataset: Path) -> tuple[Path, Path]:
    return dataset / "training.jsonl", dataset / "heldout.jsonl"


def _check_parts(dataset: Path) -> None:
    missing = next((path.name for path in _parts(dataset) if not path.exists()), None)
    if missing is not None:
        raise FoldwiseError(
            f"{missing} is missing",
            where=str(dataset),
            hint="Prepare the folder with scripts/prepare_mlm_texts.py, or give one that "
            "datasets.save_to_disk wrote.",
        )


def _continued(checkpoint: Path, plan: TrainingPlan) -> tuple[Any, Any, str, TrainingPlan]:
    """Model, tokenizer and identity of a checkpoint, and the plan with a length that it allows."""
    loaded = load_masked_model(checkpoint)
    plan = plan.fitted(loaded.max_length)
    if loaded.limit is not None and (plan.max_length or 0) > loaded.limit:
        raise FoldwiseError(
            f"a length of {plan.max_length} is above the model's {loaded.limit}",
            where=str(checkpoint),
            hint="Give a smaller --max-length.",
        )
    model = loaded.model.to(torch.float32).train()
    return model, loaded.tokenizer, loaded.identity, plan
