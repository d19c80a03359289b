"""The canonical schema as served: plain JSON Schema 2020-12 with formats, code tables and absence expanded.

Any 2020-12 validator can use it, without the keywords `codes` and `absentable`. `x-personal` is an annotation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from contracts.canonical.jsonschema import json_schema
from contracts.canonical.model import REASONS, Array, Choice, Field, RecursiveRef, Scalar, Struct, Type
from contracts.canonical.personal import NONE
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import pretty

_ABSENT: Final = "Absent"


def schema_json(compiled: CompiledContract) -> bytes:
    """The schema document of a contract, in UTF-8."""
    text = pretty(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": compiled.namespace,
            "title": compiled.contract.name,
            "description": f"{compiled.contract.title.vi} / {compiled.contract.title.en}",
            "$defs": definitions(compiled, "#/$defs/", False),
        }
    )
    return f"{text}\n".encode()


def definitions(
    compiled: CompiledContract, prefix: str, openapi: bool, messages: Iterable[str] | None = None
) -> dict[str, Any]:
    """Each object type of the messages (default: all exchanged) once; `openapi` limits it to OpenAPI 3.0.3."""
    schemas: dict[str, Any] = {}
    for name in compiled.exchanged if messages is None else messages:
        _struct(compiled.messages[name], schemas, prefix, openapi)
    return schemas


def _struct(struct: Struct, schemas: dict[str, Any], prefix: str, openapi: bool) -> None:
    if struct.name in schemas:
        return
    schemas[struct.name] = schema = {"type": "object"}
    schema.update(_words(struct.title, struct.description))
    properties: dict[str, Any] = {}
    for field in struct.fields:
        inner = _type(field.type, schemas, prefix, openapi)
        words = _words(field.title, field.description) | _personal(field)
        if field.absentable:
            schemas.setdefault(_ABSENT, dict(_absent()))
            properties[field.name] = {**words, "oneOf": [inner, {"$ref": prefix + _ABSENT}]}
        elif "$ref" in inner and openapi and words:
            # OpenAPI 3.0.3 ignores siblings of $ref.
            properties[field.name] = {**words, "allOf": [inner]}
        else:
            properties[field.name] = {**inner, **words}
    schema["properties"] = properties  # type: ignore[assignment]
    required = [field.name for field in struct.fields if field.required]
    if required:
        schema["required"] = required  # type: ignore[assignment]
    schema["additionalProperties"] = False  # type: ignore[assignment]


def _type(kind: Type, schemas: dict[str, Any], prefix: str, openapi: bool) -> dict[str, Any]:
    if isinstance(kind, RecursiveRef):
        return {"$ref": prefix + kind.name}
    if isinstance(kind, Choice):
        _choice(kind, schemas, prefix, openapi)
        return {"$ref": prefix + kind.name}
    if isinstance(kind, Struct):
        _struct(kind, schemas, prefix, openapi)
        return {"$ref": prefix + kind.name}
    if isinstance(kind, Array):
        bounds = {"minItems": kind.least or None, "maxItems": kind.most}
        return {
            "type": "array",
            "items": _type(kind.items, schemas, prefix, openapi),
            **{k: v for k, v in bounds.items() if v is not None},
        }
    return scalar_schema(kind, openapi)


def scalar_schema(kind: Scalar, openapi: bool) -> dict[str, Any]:
    schema = json_schema(kind)
    if "enum" in schema and kind.kind != "string":  # foreign codes that are JSON numbers
        schema["enum"] = [json.loads(value) for value in kind.values]
    if kind.binary and openapi:
        schema["format"] = "byte"
    elif kind.binary:
        schema.update({"contentEncoding": "base64", **({"contentMediaType": kind.media} if kind.media else {})})
    if openapi:
        for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if word in schema:
                schema[bound], schema[word] = schema[word], True
    return schema


def _choice(choice: Choice, schemas: dict[str, Any], prefix: str, openapi: bool) -> None:
    if choice.name in schemas:
        return
    schemas[choice.name] = schema = {**_words(choice.title, choice.description)}
    schema["oneOf"] = [_type(branch.type, schemas, prefix, openapi) for branch in choice.branches]  # type: ignore[assignment]
    if openapi:
        schema["discriminator"] = {  # type: ignore[assignment]
            "propertyName": choice.discriminator,
            "mapping": {value: prefix + branch.type.name for branch in choice.branches for value in branch.values},
        }


def _absent() -> dict[str, Any]:
    return {
        "type": "object",
        "title": "Lý do vắng mặt",
        "description": "Why a value is not there (TT 13/2017).",
        "properties": {"absent": {"type": "string", "enum": list(REASONS)}},
        "required": ["absent"],
        "additionalProperties": False,
    }


def _personal(field: Field) -> dict[str, str]:
    """The mark of personal data; what a marked object holds has it through the object."""
    return {"x-personal": field.personal} if field.personal and field.personal != NONE else {}


def _words(title: str, description: str) -> dict[str, str]:
    return {word: text for word, text in (("title", title), ("description", description)) if text}
