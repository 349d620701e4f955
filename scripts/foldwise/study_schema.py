"""The config against its JSON Schema, with the first disagreement in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from foldwise.errors import FoldwiseError
from foldwise.files import read_json

SCHEMA = Path(__file__).parents[2] / "config" / "schemas" / "config.schema.json"
# JSON Schema calls 2.0 an integer; a path such as seed_2.0 does not.
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


def check_schema(config: Mapping[str, Any]) -> None:
    """Check a config.

    Raises:
        FoldwiseError: It does not follow the schema; the message names the first place.
    """
    errors = sorted(
        _Validator(read_json(SCHEMA)).iter_errors(config),
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
    raise FoldwiseError(error.message, where=path, hint="See config/schemas/config.schema.json.")
