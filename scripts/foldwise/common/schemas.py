"""Configs and records against their JSON Schemas, the first disagreement in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from jsonschema.validators import extend

from foldwise.common.errors import FoldwiseError
from foldwise.common.files import REPOSITORY, read_json

SCHEMAS = REPOSITORY / "config" / "schemas"
# JSON Schema calls 2.0 an integer; a path such as seed_2.0 does not.
_ConfigValidator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check_config(config: Any, schema: Path) -> None:
    """Check what a user has written.

    Raises:
        FoldwiseError: It does not follow the schema; the message names the first place and, for an
            unknown key, the allowed ones.
    """
    errors = sorted(
        _ConfigValidator(read_json(schema)).iter_errors(config),
        key=lambda error: [str(part) for part in error.absolute_path],
    )
    if not errors:
        return
    error = errors[0]
    path = ".".join(str(part) for part in error.absolute_path) or "config"
    unknown = re.findall(r"'([^']+)'", error.message) if "dditional" in error.message else []
    if unknown:
        allowed = ", ".join(error.schema.get("properties", {})) or "lower_snake_case names"
        raise FoldwiseError(f"unknown key {unknown[0]!r}", where=path, hint=f"Allowed: {allowed}.")
    raise FoldwiseError(
        error.message[:200], where=path, hint=f"See {schema.relative_to(REPOSITORY)}."
    )


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
