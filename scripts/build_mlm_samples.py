"""Find the coreference samples of Korean texts and freeze them with their hash."""

from __future__ import annotations

import argparse
from pathlib import Path

from foldwise.common.errors import run_program
from foldwise.common.files import read_json
from foldwise.common.options import AtLeastOne
from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import write_samples
from foldwise.mlm.texts.corpus import origin_of, read_corpus


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = SampleRules()
    parser.add_argument("--texts", nargs="+", required=True, help="embedded, hf://…, or JSON lines")
    parser.add_argument("--corpus-card", type=Path,
                        help="card.json of the corpus that the texts are a part of")  # fmt: skip
    parser.add_argument("--per-text", type=int, default=default.per_text)
    parser.add_argument("--per-noun", type=int, default=default.per_noun)
    parser.add_argument("--max-samples", type=int, help="samples at most, chosen by hash")
    parser.add_argument("--sources", choices=("any", "equal"), default=default.sources,
                        help="equal: an equal part of --max-samples from each source")  # fmt: skip
    parser.add_argument("--min-chars", type=int, default=default.min_chars)
    parser.add_argument("--max-chars", type=int, default=default.max_chars)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--workers", action=AtLeastOne, default=1, help="threads of the tagger")
    parser.add_argument("--out", type=Path, required=True, help="{set}.jsonl to write")
    options = parser.parse_args()
    rules = SampleRules(
        per_text=options.per_text,
        per_noun=options.per_noun,
        max_samples=options.max_samples,
        min_chars=options.min_chars,
        max_chars=options.max_chars,
        sources=options.sources,
        seed=options.seed,
    )
    texts = read_corpus(options.texts)
    found = build_samples(texts, rules, options.workers)
    origin = origin_of(options.texts)
    if options.corpus_card:
        origin = read_json(options.corpus_card)["origin"]
    card = write_samples(options.out, found, texts, rules, origin)
    print(f"{options.out}: {card['n_samples']} samples from {card['n_sample_texts']} of "
          f"{card['n_texts']} texts, SHA-256 {card['sha256'][:16]}…")  # fmt: skip
    print(f"floor (most frequent visible nouns): Real@1 {card['floor']['real1']:.4f}, "
          f"Real@5 {card['floor']['real5']:.4f}")  # fmt: skip
    for entry in card["rejections"]:
        print(f"rejected {entry['count']:7,} {entry['what']}s: {entry['reason']}")


if __name__ == "__main__":
    run_program(main)
