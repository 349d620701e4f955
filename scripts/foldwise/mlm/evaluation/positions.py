"""How long a text a model takes, and matrices of positions with other rows than the config's.

Models are lengthened by growing their position matrices before a training. A DeBERTa whose
`rel_embeddings` have `seq_len` rows still reads the first `2 x position_buckets` of them, and
transformers then refuses the saved folder, or draws all rows at random. Here the rows that the
model reads are kept, and the others are left out, which changes no output.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoModelForMaskedLM

from foldwise.common.errors import FoldwiseError

_MATRICES = ("rel_embeddings.weight", "position_embeddings.weight")
_PADDED_POSITIONS = ("roberta", "camembert", "mpnet", "longformer", "luke", "data2vec", "ibert",
                     "xmod")  # fmt: skip


def surplus_rows(config: Any, rows: Mapping[str, int], where: str) -> dict[str, int]:
    """Rows to keep of each position matrix that has more than the model reads.

    Args:
        config: The model's config.
        rows: Rows of every weight of the folder, by name.
        where: The folder, for the message.

    Raises:
        FoldwiseError: A matrix has fewer rows than the config asks for.
    """
    found = {name: count for name, count in rows.items() if name.endswith(_MATRICES)}
    if not found:
        return {}
    with torch.device("meta"):
        network = AutoModelForMaskedLM.from_config(config)  # type: ignore[no-untyped-call]
    read = {
        name.rsplit(".", 2)[-2]: len(weight)
        for name, weight in network.named_parameters()
        if name.endswith(_MATRICES)
    }
    surplus = {}
    for name, count in found.items():
        needed = read.get(name.rsplit(".", 2)[-2], count)
        if count < needed:
            key, value = _setting(config, name, count)
            raise FoldwiseError(
                f"{name} has {count} rows, and config.json asks for {needed}",
                where=where,
                hint=f"Set {key} to {value} in config.json, or save the matrix with all its rows.",
            )
        if count > needed:
            surplus[name] = needed
    return surplus


def surplus_note(config: Any, name: str, rows: int, kept: int) -> str:
    """One sentence on a matrix whose last rows are left out."""
    key, value = _setting(config, name, rows)
    advice = "" if key == "position_buckets" else f" (to use all, set {key} to {value})"
    return (
        f"{name} has {rows} rows, of which the model reads the first {kept}: "
        f"the others are left out{advice}"
    )


def _setting(config: Any, name: str, rows: int) -> tuple[str, int]:
    """The key of config.json that fits a matrix of `rows` rows, and its value."""
    if not name.endswith("rel_embeddings.weight"):
        return "max_position_embeddings", rows
    buckets = getattr(config, "position_buckets", -1)
    return ("position_buckets" if buckets > 0 else "max_relative_positions"), rows // 2


def only_relative(config: Any) -> bool:
    """Whether a model knows distances but no positions, so that no length is too long for it."""
    relative = getattr(config, "relative_attention", False)
    return bool(relative) and not getattr(config, "position_biased_input", True)


def max_positions(config: Any) -> int | None:
    """Longest sequence, special tokens included, that a model's config names."""
    positions = getattr(config, "max_position_embeddings", None)
    if not isinstance(positions, int) or positions < 1:
        return None
    if any(kind in config.model_type for kind in _PADDED_POSITIONS):
        # These models count positions from the one after the padding's.
        return positions - int(config.pad_token_id) - 1
    return positions
