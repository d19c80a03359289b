"""Simple types of XML Schema as canonical scalars: builtins, restriction facets, lists and unions.

Invariant: a facet that the profile (docs/contracts.md) cannot express exactly is a note, never another constraint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from contracts.base.integers import whole_number
from contracts.importers.patterns import from_xsd
from contracts.importers.schemas import SOAPENC, XS, Component, Schemas
from contracts.importers.shape import Note, Value
from contracts.importers.source import WRITTEN
from contracts.wire.jsontext import too_long

_STRINGS: Final = (
    "string normalizedString token language Name NCName NMTOKEN ID IDREF ENTITY anyURI anySimpleType "
    "duration time gYear gYearMonth"
    " gMonth gMonthDay gDay QName NOTATION"
).split()
_INTEGERS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "integer": (None, None),
    "nonNegativeInteger": (0, None),
    "positiveInteger": (1, None),
    "nonPositiveInteger": (None, 0),
    "negativeInteger": (None, -1),
    **{
        name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        for name, bits in (("byte", 8), ("short", 16), ("int", 32), ("long", 64))
    },
    **{f"unsigned{name}": (0, 2**bits - 1) for name, bits in (("Byte", 8), ("Short", 16), ("Int", 32), ("Long", 64))},
}
_HEX: Final = "^([0-9a-fA-F][0-9a-fA-F])*$"


def _builtins() -> dict[str, Value]:
    builtins = {name: Value({"type": "string"}) for name in _STRINGS}
    for name, (least, most) in _INTEGERS.items():
        bounds = {"minimum": least, "maximum": most}
        builtins[name] = Value(
            {"type": "integer", **{word: bound for word, bound in bounds.items() if bound is not None}}
        )
    builtins |= {name: Value({"type": "number"}) for name in ("decimal", "double", "float")}
    builtins["boolean"] = Value({"type": "boolean"})
    builtins["date"] = Value({"type": "string", "format": "date"}, {"as": "date"})
    builtins["dateTime"] = Value(
        {"type": "string", "format": "date-time"}, {"as": "datetime", "zone": "+07:00"}, "zone"
    )
    builtins["base64Binary"] = builtins["base64"] = Value({"type": "string", "contentEncoding": "base64"})
    builtins["hexBinary"] = Value({"type": "string", "pattern": _HEX})
    builtins |= {name: Value({"type": "string"}) for name in ("NMTOKENS", "IDREFS", "ENTITIES")}
    return builtins


BUILTINS: Final = _builtins()
TEXT: Final = Value({"type": "string"})
_BOUNDS: Final = {
    "minInclusive": "minimum",
    "maxInclusive": "maximum",
    "minExclusive": "exclusiveMinimum",
    "maxExclusive": "exclusiveMaximum",
}


class SimpleTypes:
    def __init__(self, schemas: Schemas, notes: list[Note]) -> None:
        self._schemas, self._notes = schemas, notes
        self._open: list[str] = []

    def _note(self, code: str, at: Component, detail: str = "") -> None:
        self._notes.append(Note(code, at.place(), detail))

    def named(self, name: str, referrer: Component) -> Value:
        """The value of a simple type by its Clark name; text where the type is unknown."""
        space, _, local = name[1:].partition("}") if name.startswith("{") else ("", "", name)
        if space in (XS, SOAPENC) and local in BUILTINS:
            if local in ("double", "float"):
                self._note("float", referrer)
            elif local in ("NMTOKENS", "IDREFS", "ENTITIES"):
                self._note("list", referrer, local)
            return BUILTINS[local]
        component = self._schemas.get("type", name)
        if component is None or component.kind != "simpleType" or name in self._open:
            self._note("missing", referrer, name)
            return TEXT
        self._open.append(name)
        value = self.of(component)
        self._open.pop()
        return value

    def of(self, component: Component) -> Value:
        """The value of a simpleType element."""
        for child in component.children("restriction", "list", "union"):
            if child.kind != "restriction":
                self._note(
                    child.kind,
                    child,
                    str(
                        component.node.get("name") or child.node.get("itemType") or child.node.get("memberTypes") or ""
                    ),
                )
                return TEXT
            return self.restricted(self.base_of(child), child)
        return TEXT

    def base_of(self, restriction: Component) -> Value:
        for inner in restriction.children("simpleType"):
            return self.of(inner)
        base = restriction.node.get("base")
        return TEXT if base is None else self.named(restriction.name_of(base), restriction)

    def restricted(self, base: Value, restriction: Component) -> Value:
        """The base with the facets of a restriction."""
        schema = dict(base.schema)
        kind, is_text = schema["type"], schema["type"] == "string" and not {"format", "contentEncoding"} & set(schema)
        values: list[str] = []
        patterns: list[str] = []
        for facet in restriction.children():
            word, value = facet.kind, facet.node.get("value", "")
            if word == "enumeration" and is_text:
                values.append(value)
            elif word == "pattern" and is_text:
                patterns.append(value)
            elif (
                word in ("length", "minLength", "maxLength")
                and is_text
                and (number := whole_number(value, 999_999_999)) is not None
            ):
                for each in ("minLength", "maxLength") if word == "length" else (word,):
                    schema[each] = number * (2 if base.schema.get("pattern") == _HEX else 1)  # a length of bytes
            elif word in _BOUNDS and kind in ("integer", "number"):
                self._bound(schema, word, value, facet)
            elif word == "fractionDigits" and value == "0" and kind == "number":
                schema["type"] = kind = "integer"
            elif word not in ("whiteSpace", "annotation", "attribute", "attributeGroup", "anyAttribute", "simpleType"):
                self._note("facet", facet, f"{word} {value}"[:80])
        if patterns:
            pattern = from_xsd(patterns)
            if pattern is None:
                self._note("pattern", restriction, " | ".join(patterns)[:120])
            else:
                if "pattern" in schema:  # both apply; the contract can hold one
                    self._note("pattern", restriction, schema["pattern"])
                schema["pattern"] = pattern
        if values:
            restriction.visit(WRITTEN * len(values))
            schema = {"type": "string", "enum": list(dict.fromkeys(values))}
        return replace(base, schema=schema)

    def _bound(self, schema: dict[str, Any], word: str, value: str, facet: Component) -> None:
        try:
            number = Decimal(value.strip())
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or too_long(number):
            self._note("facet", facet, f"{word} {value}"[:80])
            return
        lower = word.startswith("min")
        for each in ("minimum", "exclusiveMinimum") if lower else ("maximum", "exclusiveMaximum"):
            schema.pop(each, None)
        schema[_BOUNDS[word]] = int(number) if number == number.to_integral_value() else number
