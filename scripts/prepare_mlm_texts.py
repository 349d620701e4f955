"""Cut texts into evaluation, held-out and training parts that share no phrase, and tag them."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import FoldwiseError, run_program
from foldwise.common.options import AtLeastOne
from foldwise.mlm.texts.corpus import PARTS, write_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", nargs="+", required=True, help="embedded, hf://…, or JSON lines")
    parser.add_argument("--shares", type=float, nargs=3, default=(0.4, 0.15, 0.45), metavar="SHARE",
                        help="of the evaluation, held-out and training parts")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-texts", type=int, help="take only so many texts, chosen by hash")
    parser.add_argument("--workers", action=AtLeastOne, default=1, help="threads of the tagger")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    if min(options.shares) < 0 or abs(sum(options.shares) - 1.0) > 1e-9:
        raise FoldwiseError(
            f"{options.shares} do not add up to 1",
            where="--shares",
            hint="Give e.g. 0.4 0.15 0.45.",
        )
    shares = dict(zip(PARTS, options.shares, strict=True))
    card = write_corpus(
        options.out,
        options.texts,
        shares,
        seed=options.seed,
        max_texts=options.max_texts,
        workers=options.workers,
    )
    for part, facts in card["parts"].items():
        print(f"{part:12s} {facts['texts']:8,} texts {facts['characters']:12,} characters")
    for reason, count in card["left_out"].items():
        print(f"left out     {count:8,} {reason}")


if __name__ == "__main__":
    run_program(main)
