"""Configs as declared classes: what they allow, in one line of error and in their JSON Schema.

A config is a frozen pydantic dataclass whose fields carry type, bounds, default and meaning. A new
key is one such field: the check, the error line, the JSON Schema and the tables of the
documentation (`python scripts/maintenance/write_config_pages.py`) all follow from it.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from foldwise.common.errors import FoldwiseError

T = TypeVar("T")
Json = dict[str, Any]

CLOSED = ConfigDict(extra="forbid", allow_inf_nan=False)

# YAML has types: 2.0 and "2" are no whole number, 1 is no truth value.
Whole = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]
# Snakemake hands `--config force=true` over as text.
Flag = Annotated[
    Switch,
    BeforeValidator(lambda value: {"true": True, "false": False}.get(str(value), value)),
    Field(json_schema_extra={"enum": [True, False, "true", "false"]}),
]
Share = Annotated[Number, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

# Patterns in words.
PATTERNS = {
    r"^[a-z][a-z0-9_]*$": "a lower_snake_case name",
    r"^([a-z][a-z0-9_]*)?$": "a lower_snake_case name, or nothing",
    r"^[0-9a-f]{64}$": "64 hexadecimal digits",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "a name of letters, digits, dots, _ and -",
}
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_SHOWN = 60  # characters of a value in an error line


def _different(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise PydanticCustomError("twice", "{value} is named twice", {"value": repr(twice[0])})
    return values


# Annotates a tuple whose entries must differ.
DIFFERENT = (AfterValidator(_different), Field(json_schema_extra={"uniqueItems": True}))


def checked(kind: type[T], values: Any, where: str = "", *, file: str = "") -> T:
    """A config from plain values; what is absent takes its default.

    Args:
        kind: Class of the config.
        values: What the user has written.
        where: Place of the config, for the message; empty for a whole file.
        file: File that holds it, where the message has to name one.

    Raises:
        FoldwiseError: An unknown or missing key, a wrong type, or a value that is not allowed; the
            line names the first place, what is given, and what is allowed.
    """
    adapter = _adapter(cast("Any", kind))
    try:
        return cast("T", adapter.validate_python(values))
    except ValidationError as error:
        # A mistyped key is both unknown and missing; what was written says more.
        found = sorted(error.errors(include_url=False), key=lambda one: one["type"] not in _UNKNOWN)
        raise _in_one_line(found[0], schema_of(kind), where, file) from None


def with_defaults(section: Any, given: Json) -> Json:
    """What the user has written, and the defaults of other keys, but for `None`; plain values."""
    plain = cast("Json", _adapter(cast("Any", type(section))).dump_python(section, mode="json"))
    whole = {**given, **{k: v for k, v in plain.items() if k not in given}}
    return {key: value for key, value in whole.items() if value is not None}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def schema_of(kind: Any) -> Json:
    """JSON Schema (2020-12) of a config class."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **cast("Json", _plain(_adapter(kind).json_schema())),
    }


def _plain(node: Any) -> Any:
    """Without titles that only repeat a key, and with names of entries as a rule for all names."""
    if isinstance(node, list):
        return [_plain(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: {name: _plain(entry) for name, entry in value.items()}
        if key in ("properties", "$defs")
        else _plain(value)
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
    }
    for pattern, entry in kept.pop("patternProperties", {}).items():
        kept |= {"propertyNames": {"pattern": pattern}, "additionalProperties": entry}
    return kept


def place_of(schema: Json, parts: list[str | int]) -> tuple[list[str], Json]:
    """Follow keys and entries through a schema.

    Args:
        schema: A whole JSON Schema.
        parts: Keys and numbers of entries; the name of a class chooses between alternatives, as in
            pydantic's own places.

    Returns:
        The parts that a user has written, and the schema of that place (empty for a place that the
        schema does not have).
    """
    node, written = _resolved(schema, schema), []
    for part in parts:
        options = node.get("anyOf") or node.get("oneOf") or []
        chosen = [one for one in options if one.get("$ref", "").endswith(f"/{part}")]
        if chosen:
            node = _resolved(schema, chosen[0])
            continue
        if "properties" in node or "additionalProperties" in node or "items" in node:
            node = _resolved(schema, _child(node, part))
            if part != "[key]":
                written.append(str(part))
    return written, node


def _child(node: Json, part: str | int) -> Json:
    if "items" in node:
        return cast("Json", node["items"])
    if part == "[key]":
        return cast("Json", {"type": "string", **node.get("propertyNames", {})})
    entry = node.get("properties", {}).get(part) or node.get("additionalProperties")
    return entry if isinstance(entry, dict) else {}


def _resolved(schema: Json, node: Json) -> Json:
    """A node itself, behind its reference, and without its alternative `null`."""
    while True:
        options = [one for one in node.get("anyOf", ()) if one.get("type") != "null"]
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        elif len(options) == 1:
            node = options[0]
        else:
            return node


def allowed(schema: Json, node: Json) -> str:
    """What a place of a schema allows, in words."""
    options = node.get("anyOf") or node.get("oneOf")
    if options:
        options = sorted(options, key=lambda one: one.get("type") != "null")
        return " or ".join(allowed(schema, one) for one in options)
    node = _resolved(schema, node)
    values = [node["const"]] if "const" in node else node.get("enum")
    if values:
        return ", ".join(dict.fromkeys(_shown(value) for value in values))
    if "properties" in node:
        return f"key: value pairs of {', '.join(node['properties'])}"
    kind = node.get("type", "")
    if kind == "array":
        return _list(schema, node)
    return {
        "boolean": "true or false",
        "null": "null",
        "string": PATTERNS.get(node.get("pattern", ""), "text"),
        "integer": f"a whole number{_range(node)}",
        "number": f"a number{_range(node)}",
    }.get(kind, "name: value pairs")


def _range(node: Json) -> str:
    least, most, above = (node.get(k) for k in ("minimum", "maximum", "exclusiveMinimum"))
    if above is not None:
        return f" above {above}" + (f" and up to {most}" if most is not None else "")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f" of at least {least}" if least is not None else ""


def _list(schema: Json, node: Json) -> str:
    least, most = node.get("minItems", 0), node.get("maxItems")
    count = "" if most is None else f" of {least} to {most}" if most != least else f" of {least}"
    if most is None and least:
        count = f" of {least} or more"
    different = " different ones" if node.get("uniqueItems") else ""
    return f"a list{count}{different}, each {allowed(schema, node.get('items', {}))}"


def _shown(value: Any) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _in_one_line(error: ErrorDetails, schema: Json, where: str, file: str) -> FoldwiseError:
    """The first thing that pydantic found, as this project says it."""
    kind, parts = error["type"], list(error["loc"])
    written, node = place_of(schema, parts[:-1] if kind in (*_UNKNOWN, "missing") else parts)
    key = ".".join([*([where] if where else []), *written])
    # A colon between them: "site.yaml.gpu" would be a file of that name.
    place = ": ".join(filter(None, (file, key))) or "config"
    if kind in _UNKNOWN:
        keys = ", ".join(node.get("properties", {}))
        return FoldwiseError(f"unknown key {parts[-1]!r}", where=place, hint=f"Allowed: {keys}.")
    if kind == "missing":
        wanted = allowed(schema, node.get("properties", {}).get(parts[-1], {}))
        return FoldwiseError(
            f"key {parts[-1]!r} is missing", where=place, hint=f"Add {parts[-1]}: {wanted}."
        )
    if kind == "twice":
        return FoldwiseError(error["msg"], where=place, hint="Name each once.")
    given = repr(error["input"])
    short = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    name = "the name " if parts[-1:] == ["[key]"] else ""
    return FoldwiseError(
        f"{name}{short} is not accepted", where=place, hint=f"Allowed: {allowed(schema, node)}."
    )
