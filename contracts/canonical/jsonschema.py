"""A canonical type as plain JSON Schema 2020-12, for a validator: formats with their pattern, absence spelt out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.canonical.model import REASONS, Array, Choice, RecursiveRef, Struct, Type
from contracts.canonical.patterns import BASE64_PATTERN, DATE_PATTERN, DATE_TIME_PATTERN


def json_schema(made: Type) -> dict[str, Any]:
    if isinstance(made, Struct):
        return {
            "type": "object",
            "properties": {
                f.name: _absentable(json_schema(f.type)) if f.absentable else json_schema(f.type) for f in made.fields
            },
            "required": [f.name for f in made.fields if f.required],
            "additionalProperties": False,
        }
    if isinstance(made, RecursiveRef):
        return {"$ref": f"#/$defs/{made.name}"}
    if isinstance(made, Choice):
        # Not oneOf: where the discriminator says which it is, the errors are those of that branch.
        return {
            "type": "object",
            "properties": {made.told_by: {"enum": [value for branch in made.branches for value in branch.values]}},
            "required": [made.told_by],
            "allOf": [
                {
                    "if": {"properties": {made.told_by: {"enum": list(branch.values)}}, "required": [made.told_by]},
                    "then": json_schema(branch.type),
                }
                for branch in made.branches
            ],
        }
    if isinstance(made, Array):
        bounds = {"minItems": made.least or None, "maxItems": made.most}
        return {"type": "array", "items": json_schema(made.items), **{k: v for k, v in bounds.items() if v is not None}}
    facets = {
        "minLength": made.min_length,
        "maxLength": made.max_length,
        "pattern": made.pattern,
        "format": made.format,
        "enum": list(made.values) or None,
        "minimum": made.minimum,
        "maximum": made.maximum,
        "exclusiveMinimum": made.exclusive_minimum,
        "exclusiveMaximum": made.exclusive_maximum,
    }
    schema: dict[str, Any] = {"type": made.kind, **{word: value for word, value in facets.items() if value is not None}}
    if made.binary:
        schema["allOf"] = [{"pattern": BASE64_PATTERN}]
    if made.format is not None:
        schema["allOf"] = [{"pattern": DATE_TIME_PATTERN if made.format == "date-time" else DATE_PATTERN}]
    return schema


def whole_schema(struct: Struct) -> dict[str, Any]:
    """The schema of a message, with the types that lead back to themselves beside it."""
    defs: dict[str, Any] = {}

    def collect(made: Type) -> None:
        if isinstance(made, RecursiveRef):
            if made.name not in defs:
                defs[made.name] = json_schema(made.made)
                collect(made.made)
        elif isinstance(made, Choice):
            for branch in made.branches:
                collect(branch.type)
        elif isinstance(made, Array):
            collect(made.items)
        elif isinstance(made, Struct):
            for each in made.fields:
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
