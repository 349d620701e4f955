"""Fine-tune a checkpoint on the later mentions of nouns, stopped early by a held-out set."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_folder
from foldwise.mlm.declaration import EntityTraining
from foldwise.mlm.recording.training import record_finetuning
from foldwise.mlm.training.masking import MaskingRules
from foldwise.mlm.training.trainer import TrainingPlan


def main() -> None:
    default = EntityTraining(epochs=1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder to start from")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a prepared corpus")
    parser.add_argument(
        "--epochs", type=int, required=True, help="passes through the training texts"
    )
    parser.add_argument(
        "--measure-every",
        type=int,
        default=default.measure_every,
        help="epochs between two measured checkpoints",
    )
    parser.add_argument(
        "--patience", type=int, default=default.patience, help="measurements without a gain"
    )
    parser.add_argument("--batch-size", action=AtLeastOne, default=default.batch_size)
    parser.add_argument("--lr", type=float, default=default.lr)
    parser.add_argument("--mask-rate", type=float, default=default.mask_rate)
    parser.add_argument(
        "--entity-fraction",
        type=float,
        default=default.entity_fraction,
        help="share of the examples that hide mentions; the others are masked at random",
    )
    parser.add_argument(
        "--substitute",
        type=float,
        default=default.substitute,
        help="share of these whose nouns are exchanged; for small corpora",
    )
    parser.add_argument("--max-length", type=int, help="longest sequence (default: the model's)")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--threads", action=AtLeastOne, default=1)
    parser.add_argument("--output-dir", type=output_folder(), required=True)
    parser.add_argument(
        "--registry", type=Path, default=Path("results"), help="where the run is recorded"
    )
    options = parser.parse_args()
    plan = TrainingPlan(
        rules=MaskingRules(
            options.mask_rate, options.entity_fraction, options.substitute, options.seed
        ),
        passes=options.epochs,
        steps=None,
        batch_size=options.batch_size,
        lr=options.lr,
        save_every=options.measure_every,
        patience=options.patience,
        max_length=options.max_length,
        threads=options.threads,
    )
    # finetune_entities turns epochs into steps: it knows the number of texts.
    record = record_finetuning(
        options.registry, options.checkpoint, options.dataset, plan, options.output_dir
    )
    print(f"{options.output_dir}: {record['steps']} steps, best at step {record['best_step']}")


if __name__ == "__main__":
    run_program(main)
