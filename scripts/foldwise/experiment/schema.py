"""Check a record by `config/schemas/results.schema.json`."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from foldwise.errors import FoldwiseError
from foldwise.experiment.provenance import REPOSITORY
from foldwise.files import read_json

SCHEMA = REPOSITORY / "config" / "schemas" / "results.schema.json"
SCHEMA_VERSION = 1


def check_record(record: Any, where: str) -> None:
    """Check that `record` may stand in a `results.json`.

    Args:
        record: The record.
        where: The file that holds it, for the message.

    Raises:
        FoldwiseError: The record does not follow the schema; the message names the first place.
    """
    error = best_match(Draft202012Validator(read_json(SCHEMA)).iter_errors(record))
    if error is not None:
        raise FoldwiseError(
            f"{error.json_path} does not follow the schema: {error.message[:200]}",
            where=where,
            hint=f"Make it again; the schema is {SCHEMA.relative_to(REPOSITORY)}.",
        )
