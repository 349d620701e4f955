"""Search the settings of entity fine-tuning: learning rate, mask rate, entity fraction, epochs."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.options import AtLeastOne
from foldwise.common.output import output_folder
from foldwise.mlm.recording.search import record_search
from foldwise.mlm.training.masking import MaskingRules
from foldwise.mlm.training.trainer import TrainingPlan
from foldwise.mlm.training.tuning import OBJECTIVES, Search, SearchSpace
from foldwise.statistics.wording import plural


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    space = SearchSpace()
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder to start from")
    parser.add_argument("--dataset", type=Path, required=True, help="folder of a prepared corpus")
    parser.add_argument("--samples", type=Path, required=True, help="samples of held-out texts")
    parser.add_argument("--metric", choices=sorted(OBJECTIVES), default="real1")
    parser.add_argument("--trials", type=int, default=20, help="complete trials in the end")
    parser.add_argument("--lr", type=float, nargs=2, default=space.lr)
    parser.add_argument("--mask-rate", type=float, nargs=2, default=space.mask_rate)
    parser.add_argument("--entity-fraction", type=float, nargs=2, default=space.entity_fraction)
    parser.add_argument("--epochs", type=int, nargs=2, default=space.epochs)
    parser.add_argument("--measure-every", type=int, default=1, help="epochs between measurements")
    parser.add_argument("--patience", type=int, default=3, help="measurements without a gain")
    parser.add_argument("--substitute", type=float, default=0.0)
    parser.add_argument("--batch-size", action=AtLeastOne, default=32)
    parser.add_argument("--max-length", type=int, help="longest sequence (default: the model's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", action=AtLeastOne, default=1)
    parser.add_argument("--output-dir", type=output_folder(), required=True)
    parser.add_argument(
        "--registry", type=Path, default=Path("results"), help="where the run is recorded"
    )
    options = parser.parse_args()
    plan = TrainingPlan(
        rules=MaskingRules(substitute=options.substitute, seed=options.seed),
        passes=1,
        steps=None,
        batch_size=options.batch_size,
        save_every=options.measure_every,
        patience=options.patience,
        max_length=options.max_length,
        threads=options.threads,
    )
    task = Search(
        checkpoint=options.checkpoint,
        dataset=options.dataset,
        samples=options.samples,
        space=SearchSpace(
            lr=tuple(options.lr),
            mask_rate=tuple(options.mask_rate),
            entity_fraction=tuple(options.entity_fraction),
            epochs=tuple(options.epochs),
        ),
        plan=plan,
        out=options.output_dir,
    )
    best = record_search(options.registry, task, options.metric, options.trials, options.seed)
    values = ", ".join(f"{name} {value:g}" for name, value in sorted(best["parameters"].items()))
    print(f"{plural(best['trials'], 'trial')}, best {best['metric']} {best['value']:.4f}: {values}")
    print(best["checkpoint"])


if __name__ == "__main__":
    run_program(main)
