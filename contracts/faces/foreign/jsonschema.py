"""The JSON Schema of a foreign JSON format, made from its mapping table, in the words of OpenAPI 3.0.3.

An optional list has no least number of items: the gateway takes an empty one for a missing one.
"""

from __future__ import annotations

from typing import Any

from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.comparison import Shape, Text, shape_of
from contracts.faces.schema import definitions, scalar_schema


def foreign_definitions(compiled: CompiledContract, format_name: str, prefix: str) -> dict[str, Any]:
    """Each exchanged message by name: those of the table in the format's own form, the others in canonical form."""
    codec = compiled.codec(format_name)
    made: dict[str, Any] = {}
    for name in compiled.exchanged:
        if name in codec.mapped:
            _Message(name, prefix, made).define(shape_of(compiled, format_name, name), compiled.messages[name].title)
    others = [name for name in compiled.exchanged if name not in codec.mapped]
    return {**definitions(compiled, prefix, True, others), **made}


class _Message:
    """Writes one message into `made`; objects that others below them are as get names of their own."""

    def __init__(self, name: str, prefix: str, made: dict[str, Any]) -> None:
        self._name, self._prefix, self._made = name, prefix, made
        self._named: dict[str, str] = {}

    def define(self, root: Shape, title: str) -> None:
        self._made[self._name] = {"type": "object", **({"title": title} if title else {}), **self._object(root)}

    def _object(self, shape: Shape) -> dict[str, Any]:
        members = [child for child in shape.children if not child.named]
        named = [self._content(child) for child in shape.children if child.named]
        required = [child.name for child in members if child.least > 0]
        return {
            "type": "object",
            "properties": {child.name: self._member(child) for child in members},
            **({"required": required} if required else {}),
            "additionalProperties": named[0] if named else False,
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
        made = self._content(shape)
        if shape.many:
            bounds = {"minItems": shape.least or None, "maxItems": shape.most}
            made = {
                "type": "array",
                "items": made,
                **{word: bound for word, bound in bounds.items() if bound is not None},
            }
        if shape.absent is not None:
            only_words = shape.text is None and not shape.children
            made = _with_words([] if only_words else [made], shape.absent)
        return {**made, **({"description": shape.title} if shape.title and "$ref" not in made else {})}


def _value(text: Text) -> dict[str, Any]:
    if text.free:
        return {}
    made = scalar_schema(text.scalar, True)
    return _with_words([made], text)


def _with_words(made: list[dict[str, Any]], text: Text) -> dict[str, Any]:
    """A schema that also takes the words for absence, and null where it is one of them."""
    made = made + ([{"type": "string", "enum": list(text.words)}] if text.words else [])
    made += [{"enum": [None], "nullable": True}] if text.nil else []
    return {"anyOf": made} if len(made) > 1 else made[0]
