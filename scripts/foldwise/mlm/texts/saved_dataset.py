"""Training texts of a folder that `datasets.save_to_disk` wrote: a column of texts or tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import read_json
from foldwise.mlm.texts.tagged_texts import TaggedText
from foldwise.mlm.texts.tagging import noun_places, tag_texts

HELD_OUT = ("validation", "valid", "dev", "test", "heldout")
_SHARE = 10  # one text in ten measures if no split does
_ROWS = 1000


def is_saved(folder: Path) -> bool:
    """Whether a folder is what `datasets.save_to_disk` wrote."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def saved_files(folder: Path) -> dict[str, list[Path]]:
    """Arrow files of each split of such a folder; one without splits is `train`.

    Raises:
        FoldwiseError: A file that it names is missing or is not JSON.
    """
    splits = {"train": folder}
    if (folder / "dataset_dict.json").is_file():
        names = read_json(folder / "dataset_dict.json").get("splits", [])
        splits = {str(name): folder / str(name) for name in names}
    found = {}
    for split, place in splits.items():
        listed = read_json(place / "state.json").get("_data_files", [])
        found[split] = [place / Path(str(one.get("filename"))).name for one in listed]
        missing = next((path for path in found[split] if not path.is_file()), None)
        if missing is not None:
            raise FoldwiseError(
                f"{missing.name} is missing", where=str(place), hint="Copy the whole folder."
            )
    return found


def arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Batches of an Arrow file, read from the disk as they are asked for.

    Raises:
        FoldwiseError: The file is truncated, or is not an Arrow stream.
    """
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader
    except (pa.ArrowException, OSError) as error:
        raise FoldwiseError(
            "the file is truncated or is not an Arrow stream",
            where=str(path),
            hint="Save the dataset again with save_to_disk.",
        ) from error


def read_saved_dataset(
    folder: Path, tokenizer: Any, workers: int
) -> tuple[list[TaggedText], list[TaggedText]]:
    """Texts to train on, and texts that measure.

    The column `text` is taken, a mask in it filled with `target` if there is such a column; else
    `input_ids`, decoded by the model's own tokenizer. A split named as in `HELD_OUT` measures; if
    there is none, a tenth of the texts, chosen by hash. A text that was seen before is left out.

    Args:
        folder: The folder.
        tokenizer: Tokenizer of the model that is trained.
        workers: Threads of the tagger.

    Raises:
        FoldwiseError: A file is missing or broken, or has no such column, or its tokens are not
            of this tokenizer.
    """
    splits = saved_files(folder)
    measuring = next((name for name in HELD_OUT if name in splits), None)
    training: list[str] = []
    heldout: list[str] = []
    seen: set[str] = set()
    for split, paths in splits.items():
        for text in (text for path in paths for text in _texts(path, tokenizer)):
            if not text.strip() or text in seen:
                continue
            seen.add(text)
            tenth = measuring is None and _number(text) % _SHARE == 0
            (heldout if split == measuring or tenth else training).append(text)
    if not training or not heldout:
        raise FoldwiseError(
            f"{len(training)} texts to train on and {len(heldout)} to measure are too few",
            where=str(folder),
            hint="Save a dataset with more rows, or with a split 'validation'.",
        )
    return _tagged(training, "training", workers), _tagged(heldout, "heldout", workers)


def _texts(path: Path, tokenizer: Any) -> Iterator[str]:
    for batch in arrow_batches(path):
        names = batch.schema.names
        if "text" in names:
            targets = batch.column("target").to_pylist() if "target" in names else []
            for row, text in enumerate(batch.column("text").to_pylist()):
                target = targets[row] if targets else None
                yield (text or "").replace(tokenizer.mask_token, target or tokenizer.mask_token)
        elif "input_ids" in names:
            for first in range(0, batch.num_rows, _ROWS):
                rows = batch.column("input_ids").slice(first, _ROWS).to_pylist()
                yield from _decoded(rows, tokenizer, path)
        else:
            raise FoldwiseError(
                f"it has neither the column text nor input_ids (only {', '.join(names)})",
                where=str(path),
                hint="Save a dataset with one of them.",
            )


def _decoded(rows: Sequence[Sequence[int]], tokenizer: Any, path: Path) -> list[str]:
    """Texts of token ids; the mask stays, the other special tokens go."""
    dropped = set(tokenizer.all_special_ids) - {tokenizer.mask_token_id, tokenizer.unk_token_id}
    largest = max((max(row) for row in rows if row), default=0)
    if largest >= len(tokenizer):
        raise FoldwiseError(
            f"token {largest} is beyond the checkpoint's {len(tokenizer)} vocabulary entries",
            where=str(path),
            hint="Tokenize the dataset with the checkpoint's own tokenizer.",
        )
    kept = [[token for token in row if token not in dropped] for row in rows]
    return [tokenizer.decode(row, clean_up_tokenization_spaces=False) for row in kept]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _tagged(texts: Sequence[str], part: str, workers: int) -> list[TaggedText]:
    return [
        TaggedText(
            id=f"{part}/{number:07d}",
            text=text,
            nouns=tuple(noun_places(text, morphemes)),
            morphemes=tuple((one.start, one.end) for one in morphemes),
        )
        for number, (text, morphemes) in enumerate(
            zip(texts, tag_texts(texts, workers), strict=True)
        )
    ]
