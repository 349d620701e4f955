"""Study files as Snakemake reads them: one laid over the other, mappings merged key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from foldwise.common.errors import FoldwiseError


def load_config(paths: Sequence[str | Path]) -> dict[str, Any]:
    """The config of a study; each file (YAML or JSON) is laid over the ones before it.

    Raises:
        FoldwiseError: A file is missing or holds no mapping.
    """
    config: dict[str, Any] = {}
    for path in paths:
        try:
            values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise FoldwiseError(
                "the file does not exist", where=str(path), hint="Give a YAML file."
            ) from None
        except (OSError, yaml.YAMLError) as error:
            message = " ".join(str(error).split())
            raise FoldwiseError(message, where=str(path), hint="Give a YAML file.") from error
        if not isinstance(values, Mapping):
            raise FoldwiseError("it holds no mapping", where=str(path), hint="Write key: value.")
        config = _merged(config, values)
    return config


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result
