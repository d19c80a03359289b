"""Converts a canonical type to plain JSON Schema 2020-12 for a validator, with absence and format patterns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.canonical.model import REASONS, Array, Choice, RecursiveRef, Struct, Type
from contracts.canonical.patterns import BASE64_PATTERN, DATE_PATTERN, DATE_TIME_PATTERN


def json_schema(type_: Type) -> dict[str, Any]:
    """The schema of one type; recursive types are references into $defs."""
    if isinstance(type_, Struct):
        return {
            "type": "object",
            "properties": {
                f.name: _absentable(json_schema(f.type)) if f.absentable else json_schema(f.type) for f in type_.fields
            },
            "required": [f.name for f in type_.fields if f.required],
            "additionalProperties": False,
        }
    if isinstance(type_, RecursiveRef):
        return {"$ref": f"#/$defs/{type_.name}"}
    if isinstance(type_, Choice):
        # Not oneOf: with the discriminator known, errors are those of its branch.
        return {
            "type": "object",
            "properties": {
                type_.discriminator: {"enum": [value for branch in type_.branches for value in branch.values]}
            },
            "required": [type_.discriminator],
            "allOf": [
                {
                    "if": {
                        "properties": {type_.discriminator: {"enum": list(branch.values)}},
                        "required": [type_.discriminator],
                    },
                    "then": json_schema(branch.type),
                }
                for branch in type_.branches
            ],
        }
    if isinstance(type_, Array):
        bounds = {"minItems": type_.least or None, "maxItems": type_.most}
        return {
            "type": "array",
            "items": json_schema(type_.items),
            **{k: v for k, v in bounds.items() if v is not None},
        }
    facets = {
        "minLength": type_.min_length,
        "maxLength": type_.max_length,
        "pattern": type_.pattern,
        "format": type_.format,
        "enum": list(type_.values) or None,
        "minimum": type_.minimum,
        "maximum": type_.maximum,
        "exclusiveMinimum": type_.exclusive_minimum,
        "exclusiveMaximum": type_.exclusive_maximum,
    }
    schema: dict[str, Any] = {
        "type": type_.kind,
        **{word: value for word, value in facets.items() if value is not None},
    }
    if type_.binary:
        schema["allOf"] = [{"pattern": BASE64_PATTERN}]
    if type_.format is not None:
        schema["allOf"] = [{"pattern": DATE_TIME_PATTERN if type_.format == "date-time" else DATE_PATTERN}]
    return schema


def whole_schema(struct: Struct) -> dict[str, Any]:
    """The schema of a message, with its recursive types under $defs."""
    defs: dict[str, Any] = {}

    def collect(type_: Type) -> None:
        if isinstance(type_, RecursiveRef):
            if type_.name not in defs:
                defs[type_.name] = json_schema(type_.target)
                collect(type_.target)
        elif isinstance(type_, Choice):
            for branch in type_.branches:
                collect(branch.type)
        elif isinstance(type_, Array):
            collect(type_.items)
        elif isinstance(type_, Struct):
            for each in type_.fields:
                collect(each.type)

    collect(struct)
    schema = json_schema(struct)
    return {**schema, "$defs": defs} if defs else schema


ABSENT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"absent": {"enum": list(REASONS)}},
    "required": ["absent"],
    "additionalProperties": False,
}


def _absentable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"if": {"type": "object", "required": ["absent"]}, "then": dict(ABSENT_SCHEMA), "else": schema}
