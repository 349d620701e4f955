"""Records of experiments: `results.json`, checked by `config/schemas/results.schema.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from foldwise.common.schemas import SCHEMAS
from foldwise.common.schemas import check_record as check_by_schema
from foldwise.experiment.inputs.readers import read_object

SCHEMA = SCHEMAS / "results.schema.json"
SCHEMA_VERSION = 2


def read_record(path: Path) -> dict[str, Any]:
    """A `results.json`, of an older version in today's words.

    Raises:
        FoldwiseError: There is no such file, or it does not follow the schema.
    """
    record = _upgraded(read_object(path, ()))
    check_record(record, str(path))
    return record


def check_record(record: Any, where: str) -> None:
    """Check that `record` may stand in a `results.json`.

    Args:
        record: The record.
        where: The file that holds it, for the message.

    Raises:
        FoldwiseError: The record does not follow the schema; the message names the first place.
    """
    check_by_schema(record, SCHEMA, where)


def _upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """Version 1 called the configuration's id `run_id`, and its intervals were resampled."""
    if record.get("schema_version") != 1:
        return record
    names = {
        "run_id": "config_id", "against_run_id": "against_config_id", "p_holm": "p_adjusted"
    }  # fmt: skip

    def renamed(value: Any) -> Any:
        if isinstance(value, list):
            return [renamed(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            names.get(key, key): renamed(each) for key, each in value.items() if key != "resamples"
        }

    return {**renamed(record), "schema_version": SCHEMA_VERSION}
