"""Reading safetensors files that others may have made."""

from __future__ import annotations

import os

import torch
from safetensors import safe_open
from torch import Tensor

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import ABSENT, checked_file, said_by


def read_tensors(
    path: str | os.PathLike[str],
    *,
    what: str = "the file",
    absent: str = ABSENT,
    broken: str = "Copy it again.",
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Args:
        path: The file.
        what: What an error calls it.
        absent: What to do if it does not exist.
        broken: What to do if it is damaged.

    Raises:
        FoldwiseError: It does not exist, is damaged, or holds a number that is not finite.
    """
    place, where = checked_file(path, absent=absent), str(path)
    try:
        with safe_open(where, framework="pt") as archive:
            metadata = dict(archive.metadata() or {})
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        bad = [name for name, values in tensors.items() if not torch.isfinite(values).all()]
    except Exception as error:  # of any kind: KeyError, TypeError and Rust's own
        raise FoldwiseError(
            f"{what} is truncated or not a safetensors file ({said_by(error)})",
            where=str(place),
            hint=broken,
        ) from error
    if bad:
        raise FoldwiseError(
            f"{what} holds numbers that are not finite, the first in {bad[0]!r}",
            where=where,
            hint=broken,
        )
    return tensors, metadata
