"""Train a masked language model with random masks: a small BERT from scratch, or a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_folder
from foldwise.mlm.declaration import BertSize, MlmTraining, Network
from foldwise.mlm.recording.training import record_pretraining
from foldwise.mlm.training.masking import MaskingRules
from foldwise.mlm.training.trainer import TrainingPlan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    size, training = Network(), MlmTraining(steps=1, save_every=1)
    parser.add_argument("--texts", type=Path, required=True, help="training.jsonl of a corpus")
    parser.add_argument("--checkpoint", type=Path, help="go on from this folder")
    parser.add_argument("--hidden", type=int, default=size.hidden)
    parser.add_argument("--layers", type=int, default=size.layers)
    parser.add_argument("--heads", type=int, default=size.heads)
    parser.add_argument("--vocabulary", type=int, default=size.vocabulary)
    parser.add_argument("--dropout", type=float, default=size.dropout)
    parser.add_argument(
        "--max-length",
        type=int,
        help=f"longest sequence (default: the checkpoint's; {size.max_length} of a new model)",
    )
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--save-every", type=int, required=True, help="steps between checkpoints")
    parser.add_argument("--batch-size", action=AtLeastOne, default=training.batch_size)
    parser.add_argument("--lr", type=float, default=training.lr)
    parser.add_argument("--mask-rate", type=float, default=training.mask_rate)
    parser.add_argument("--seed", type=int, default=training.seed)
    parser.add_argument("--threads", action=AtLeastOne, default=1)
    parser.add_argument("--output-dir", type=output_folder(), required=True)
    parser.add_argument(
        "--registry", type=Path, default=Path("results"), help="where the run is recorded"
    )
    options = parser.parse_args()
    sequences = options.steps * options.batch_size
    plan = TrainingPlan(
        rules=MaskingRules(mask_rate=options.mask_rate, seed=options.seed),
        passes=sequences,
        steps=options.steps,
        batch_size=options.batch_size,
        lr=options.lr,
        save_every=options.save_every,
        max_length=options.max_length or (None if options.checkpoint else size.max_length),
        threads=options.threads,
    )
    size = BertSize(
        options.hidden, options.layers, options.heads, options.vocabulary, options.dropout
    )
    record = record_pretraining(
        options.registry,
        options.texts,
        size,
        options.checkpoint,
        plan=plan,
        out=options.output_dir,
    )
    print(f"{options.output_dir}: {record['steps']} steps, {record['parameters']:,} parameters")


if __name__ == "__main__":
    run_program(main)
