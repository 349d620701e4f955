"""Check a record by `config/schemas/results.schema.json`."""

from __future__ import annotations

from typing import Any

from foldwise.common.schemas import SCHEMAS
from foldwise.common.schemas import check_record as check_by_schema

SCHEMA = SCHEMAS / "results.schema.json"
SCHEMA_VERSION = 1


def check_record(record: Any, where: str) -> None:
    """Check that `record` may stand in a `results.json`.

    Args:
        record: The record.
        where: The file that holds it, for the message.

    Raises:
        FoldwiseError: The record does not follow the schema; the message names the first place.
    """
    check_by_schema(record, SCHEMA, where)
