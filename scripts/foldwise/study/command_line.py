"""Values that are given at the call of Snakemake, next to the config files."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


def call_again(files: Sequence[str | Path], given: Mapping[str, Any]) -> str:
    """The command that calls a study again, quoted, up to its targets.

    Args:
        files: Config files of the call.
        given: What `--config` gave, as Snakemake understands it.
    """
    words = ["snakemake", "--cores", "2"]
    if files:
        words += ["--configfile", *map(os.path.relpath, files)]
    if given:
        words += ["--config"]
        words += [
            f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for key, value in given.items()
        ]
    return shlex.join(words) + (" --" if files or given else "")


def type_values(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Read numbers and switches that were given within braces as a config file's are read.

    Snakemake takes `--config 'datasets={task: {max_atoms: 8}}'` for text below the first key
    (its parser is YAML's `BaseLoader`).

    Args:
        config: The config, in which values are replaced.
        given: What was given at the call, as Snakemake understands it.
    """
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            _type_below(config[key], value)


def _type_below(config: dict[str, Any], given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(config.get(key), dict):
            _type_below(config[key], value)
        elif key in config:
            config[key] = _typed(value)


def _typed(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return yaml.safe_load(value)
        except yaml.YAMLError:
            return value
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _typed(each) for key, each in value.items()}
    return value
