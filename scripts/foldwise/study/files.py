"""Study files as Snakemake reads them: one laid over the other, mappings merged key by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foldwise.common.errors import FoldwiseError
from foldwise.common.reading import read_yaml


def load_config(paths: Sequence[str | Path]) -> dict[str, Any]:
    """The config of a study; each file (YAML or JSON) is laid over the ones before it.

    Raises:
        FoldwiseError: A file is missing or holds no mapping.
    """
    config: dict[str, Any] = {}
    for path in paths:
        values = read_yaml(path, absent="Give a YAML file.", broken="Give a YAML file.")
        if not isinstance(values, Mapping):
            raise FoldwiseError("it holds no mapping", where=str(path), hint="Write key: value.")
        config = merged(config, values)
    return config


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base` as Snakemake lays one config file over another."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result
