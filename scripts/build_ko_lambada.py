"""Build a Ko-LAMBADA from Korean texts: a noun asked from its passage, not from its sentence."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.files import read_json
from foldwise.common.options import AtLeastOne
from foldwise.mlm.samples.lambada_building import PassageRules, build_passages
from foldwise.mlm.samples.lambada_files import write_lambada
from foldwise.mlm.texts.corpus import origin_of, read_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = PassageRules()
    parser.add_argument("--texts", nargs="+", required=True, help="embedded, hf://…, or JSON lines")
    parser.add_argument("--corpus-card", type=Path,
                        help="card.json of the corpus that the texts are a part of")  # fmt: skip
    parser.add_argument("--per-text", type=int, default=default.per_text)
    parser.add_argument("--per-noun", type=int, default=default.per_noun)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--workers", action=AtLeastOne, default=1, help="threads of the tagger")
    parser.add_argument("--out", type=Path, required=True, help="{set}.jsonl to write")
    options = parser.parse_args()
    rules = PassageRules(per_text=options.per_text, per_noun=options.per_noun, seed=options.seed)
    texts = read_corpus(options.texts)
    origin = origin_of(options.texts)
    if options.corpus_card:
        origin = read_json(options.corpus_card)["origin"]
    card = write_lambada(
        options.out, build_passages(texts, rules, options.workers), texts, rules, origin
    )
    print(f"{options.out}: {card['n_passages']} passages of {card['n_passage_texts']} texts, "
          f"{card['n_answers']} answers, SHA-256 {card['sha256'][:16]}…")  # fmt: skip
    print(f"floor (most frequent visible noun): LAMBADA@1 {card['floor']:.4f}")
    for entry in card["filters"]:
        print(f"rejected {entry['count']:7,} last sentences: {entry['reason']}")


if __name__ == "__main__":
    run_program(main)
