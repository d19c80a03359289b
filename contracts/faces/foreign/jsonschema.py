"""The JSON Schema of a foreign JSON format, made from its mapping table, in OpenAPI 3.0.3.

An optional list has no minimum: the gateway reads an empty list as a missing one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.canonical.model import Scalar
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.comparison import Shape, Text, shape_of
from contracts.faces.schema import definitions, scalar_schema


def foreign_definitions(compiled: CompiledContract, format_name: str, prefix: str) -> dict[str, Any]:
    """Each exchanged message by name: mapped ones in the format's own form, the others in canonical form."""
    codec = compiled.codec(format_name)
    schemas: dict[str, Any] = {}
    for name in compiled.exchanged:
        if name in codec.mapped:
            _Message(name, prefix, schemas).define(shape_of(compiled, format_name, name), compiled.messages[name].title)
    others = [name for name in compiled.exchanged if name not in codec.mapped]
    return {**definitions(compiled, prefix, True, others), **schemas}


class _Message:
    """Writes one message into `schemas`. Recursive objects get names of their own."""

    def __init__(self, name: str, prefix: str, schemas: dict[str, Any]) -> None:
        self._name, self._prefix, self._made = name, prefix, schemas
        self._named: dict[str, str] = {}

    def define(self, root: Shape, title: str) -> None:
        whole = self._object(root)
        kind = {"type": whole["type"]} if "type" in whole else {}  # a list whose items are ignored takes anything
        self._made[self._name] = {**kind, **({"title": title} if title else {}), **whole}

    def _object(self, shape: Shape) -> dict[str, Any]:
        if shape.holds == "items":
            return self._member(shape.children[0])
        if shape.holds == "places":
            return self._places(shape.children)
        members = [child for child in shape.children if not child.named]
        named = [self._content(child) for child in shape.children if child.named]
        required = [child.name for child in members if child.least > 0]
        return {
            "type": "object",
            "properties": {child.name: self._member(child) for child in members},
            **({"required": required} if required else {}),
            "additionalProperties": named[0] if named else False,
        }

    def _places(self, places: Sequence[Shape]) -> dict[str, Any]:
        """A list of a fixed length; OpenAPI 3.0.3 cannot say which place has which value."""
        schemas: list[dict[str, Any]] = []
        for schema in map(self._member, places):
            if schema not in schemas:
                schemas.append(schema)
        least = max((number for number, place in enumerate(places, 1) if place.least), default=0)
        items = {} if {} in schemas else schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        return {
            "type": "array",
            "items": items,
            **({"minItems": least} if least else {}),
            "maxItems": len(places),
        }

    def _content(self, shape: Shape) -> dict[str, Any]:
        if shape.text is not None:
            return _value(shape.text)
        if shape.again:
            return {"$ref": self._prefix + self._named[shape.again]}
        if not shape.led_to:
            return self._object(shape)
        name = self._named[shape.led_to] = f"{self._name}.{len(self._named) + 1}"
        self._made[name] = self._object(shape)
        return {"$ref": self._prefix + name}

    def _member(self, shape: Shape) -> dict[str, Any]:
        if shape.free:
            return {}
        schema = self._content(shape)
        if shape.nil_items and shape.text is None:
            schema = _with_words([schema], Text(Scalar("string"), nil=True))
        if shape.many:
            bounds = {"minItems": shape.least or None, "maxItems": shape.most}
            schema = {
                "type": "array",
                "items": schema,
                **{word: bound for word, bound in bounds.items() if bound is not None},
            }
        if shape.absent is not None:
            only_words = shape.text is None and not shape.children and not shape.again
            schema = _with_words([] if only_words else [schema], shape.absent)
        return {**schema, **({"description": shape.title} if shape.title and "$ref" not in schema else {})}


def _value(text: Text) -> dict[str, Any]:
    if text.free:
        return {}
    schema = scalar_schema(text.scalar, True)
    return _with_words([schema], text)


def _with_words(options: list[dict[str, Any]], text: Text) -> dict[str, Any]:
    """A schema that also accepts the words for absence, and null where it is one of them."""
    options = options + ([{"type": "string", "enum": list(text.words)}] if text.words else [])
    options += [{"enum": [None], "nullable": True}] if text.nil else []
    return {"anyOf": options} if len(options) > 1 else options[0]
