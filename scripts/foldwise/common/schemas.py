"""Records against their JSON Schemas, the first disagreement in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json

SCHEMAS = REPOSITORY / "config" / "schemas"


def check_record(record: Any, schema: Path, where: str) -> None:
    """Check a record that this project writes or reads.

    Args:
        record: The record.
        schema: Its schema.
        where: The file that holds it, for the message.

    Raises:
        FoldwiseError: It does not follow the schema; the message names the first place.
    """
    error = best_match(Draft202012Validator(read_json(schema)).iter_errors(record))
    if error is not None:
        raise FoldwiseError(
            f"{error.json_path} does not follow the schema: {error.message[:200]}",
            where=where,
            hint=f"Make it again; the schema is {schema.relative_to(REPOSITORY)}.",
        )
