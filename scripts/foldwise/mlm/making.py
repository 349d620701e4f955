"""Sample sets and built Ko-LAMBADA files that a config names: made where they are missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.common.progress import ProgressLog
from foldwise.mlm.declaration import SampleRules
from foldwise.mlm.samples.building import build_samples
from foldwise.mlm.samples.files import write_samples
from foldwise.mlm.samples.lambada_building import PassageRules, build_passages
from foldwise.mlm.samples.lambada_files import write_lambada
from foldwise.mlm.settings import ROOT, MlmStudy
from foldwise.mlm.texts.corpus import PARTS, write_corpus
from foldwise.mlm.texts.text import Text, read_texts

SAMPLES, LAMBADA = Path(ROOT) / "samples", Path(ROOT) / "lambada"


def make_missing(study: MlmStudy, samples: Path, lambada: str | Path | None, workers: int) -> None:
    """Make a sample file and a Ko-LAMBADA file of the config, as its workflow makes them.

    Files that are there, and files that the config does not make, are left alone.

    Args:
        study: The config.
        samples: The sample file that is needed.
        lambada: The Ko-LAMBADA file or the hub's name of one, if any.
        workers: Threads of the tagger.

    Raises:
        FoldwiseError: The sample file is missing and not one of the config, or a text is missing.
    """
    log = ProgressLog(sys.stderr, 1)
    config = study.config
    if not samples.exists():
        entry = config["samples"].get(samples.stem) if samples.parent == SAMPLES else None
        if entry is None:
            raise FoldwiseError(
                "the sample file does not exist", where=str(samples), hint="Check --samples."
            )
        log.line(f"{samples} is missing: it is made from the corpus {entry['corpus']}")
        texts, card = _evaluation_texts(config, entry["corpus"], workers)
        rules = SampleRules(**{key: value for key, value in entry.items() if key != "corpus"})
        write_samples(samples, build_samples(texts, rules, workers), texts, rules, card["origin"])
    path = Path(lambada or "")
    if path.parent == LAMBADA and not path.exists() and path.stem in config["corpora"]:
        log.line(f"{path} is missing: it is made from the corpus {path.stem}")
        texts, card = _evaluation_texts(config, path.stem, workers)
        passages = build_passages(texts, PassageRules(), workers)
        write_lambada(path, passages, texts, PassageRules(), card["origin"])


def _evaluation_texts(config: Any, corpus: str, workers: int) -> tuple[list[Text], dict[str, Any]]:
    """Texts of the evaluation part of a corpus and its card; prepared first if need be."""
    folder = Path(ROOT) / "corpora" / corpus
    if not (folder / "card.json").exists():
        entry = config["corpora"][corpus]
        shares = entry.get("shares") or dict.fromkeys(PARTS, 0.0) | {"evaluation": 1.0}
        write_corpus(
            folder,
            entry["texts"],
            shares,
            seed=entry.get("seed", 0),
            max_texts=entry.get("max_texts"),
            workers=workers,
        )
    return read_texts(folder / "evaluation.jsonl"), read_json(folder / "card.json")
