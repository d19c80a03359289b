"""The declared profile of JSON Schema 2020-12: what every face can express exactly. schema.json in, canonical types out.

Taken: objects with ordered, closed properties; arrays of objects or scalars with bounds; strings with length, enum, code
table, pattern or format; exact integers and decimals with bounds; booleans; references. Refused, with reason and line:
everything else. Invariant: a constraint that one face cannot hold never gets past this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from contracts.located import Findings, Located, Path
from contracts.model import CodeTable, Field, Many, Scalar, Struct, Type
from contracts.patterns import pattern_fault

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_COMMON: Final = {"title", "description", "absentable"}
_KEYWORDS: Final[Mapping[str, set[str]]] = {
    "object": {"type", "properties", "required", "additionalProperties"},
    "array": {"type", "items", "minItems", "maxItems"},
    "string": {"type", "minLength", "maxLength", "pattern", "format", "enum", "codes"},
    "integer": {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "boolean": {"type"},
}
_WHY: Final[Mapping[str, str]] = {
    "if": "a condition cannot be said in XSD",
    "not": "a negation cannot be said in XSD",
    "oneOf": "a choice needs a discriminator, which this version does not have",
    "anyOf": "a choice needs a discriminator, which this version does not have",
    "allOf": "write the properties out",
    "patternProperties": "open names cannot be elements",
    "multipleOf": "cannot be said in XSD",
    "uniqueItems": "cannot be said in XSD for whole values",
    "const": "use an enum of one value",
    "default": "a default would hide absence",
    "nullable": "use absentable: it says why a value is missing",
}


class Profile:
    """Reads one schema.json; findings go to `findings`, `messages` holds what could be read."""

    def __init__(self, document: Located, tables: Mapping[str, CodeTable], findings: Findings) -> None:
        self._document = document
        self._tables = tables
        self._findings = findings
        defs = document.value.get("$defs") if isinstance(document.value, dict) else None
        self._defs: Mapping[str, Any] = defs if isinstance(defs, dict) else {}
        self._open: list[str] = []
        self._made: dict[str, Type | None] = {}
        if not self._defs:
            self._bad((), "no $defs", "profile", "the messages and their parts as $defs")

    def types(self) -> dict[str, Type]:
        for name in self._defs:
            if _NAME.fullmatch(name) is None:
                self._bad(("$defs", name), "the name of a type", "profile", "letters, digits and _ only")
            self._named(name, ("$defs", name))
        return {name: made for name, made in self._made.items() if made is not None}

    def _bad(self, path: Path, got: str, rule: str, expected: str) -> None:
        self._findings.add(self._document.file, self._document.line(path), "/".join(map(str, path)), got, rule, expected)

    def _named(self, name: str, asked_at: Path) -> Type | None:
        if name in self._open:
            self._bad(asked_at, f"{name} leads back to itself", "profile", "no recursion: nesting written out to its depth")
            return None
        if name not in self._made:
            self._open.append(name)
            self._made[name] = self._type(self._defs[name], ("$defs", name), name)
            self._open.pop()
        return self._made[name]

    def _type(self, node: Any, path: Path, name: str) -> Type | None:
        if not isinstance(node, dict):
            self._bad(path, "not an object", "profile", "a schema object")
            return None
        if "$ref" in node:
            return self._reference(node, path)
        kind = node.get("type")
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            self._bad(path, f"type {kind!r}", "profile", "one type of " + ", ".join(_KEYWORDS))
            return None
        self._keywords(node, path, _KEYWORDS[kind] | _COMMON)
        if kind == "object":
            return self._struct(node, path, name)
        if kind == "array":
            return self._many(node, path, name)
        return self._scalar(kind, node, path)

    def _keywords(self, node: Mapping[str, Any], path: Path, allowed: set[str]) -> None:
        for word in node:
            if word not in allowed:
                self._bad((*path, word), f"the keyword {word}", "profile", _WHY.get(word, "only " + ", ".join(sorted(allowed))))

    def _reference(self, node: Mapping[str, Any], path: Path) -> Type | None:
        self._keywords(node, path, {"$ref"} | _COMMON)
        target = node["$ref"]
        if not isinstance(target, str) or not target.startswith("#/$defs/") or target[8:] not in self._defs:
            self._bad((*path, "$ref"), f"{target!r}", "profile", "#/$defs/ and a name that stands there")
            return None
        return self._named(target[8:], (*path, "$ref"))

    def _struct(self, node: Mapping[str, Any], path: Path, name: str) -> Struct | None:
        properties, required = node.get("properties"), node.get("required", [])
        if node.get("additionalProperties") is not False:
            self._bad(path, "open content", "profile", '"additionalProperties": false')
        if not isinstance(properties, dict) or not properties:
            self._bad(path, "no properties", "profile", "at least one property")
            return None
        if not isinstance(required, list):
            self._bad((*path, "required"), "not a list", "profile", "a list of property names")
            required = []
        for wanted in required:
            if wanted not in properties:
                self._bad((*path, "required"), f"{wanted!r} is no property", "profile", "names of properties")
        fields = []
        for key, child in properties.items():
            at = (*path, "properties", key)
            made = self._field(key, child, at, key in required, name)
            if made is not None:
                fields.append(made)
        return Struct(name, tuple(fields), str(node.get("title", "")), str(node.get("description", "")))

    def _field(self, key: str, node: Any, path: Path, required: bool, owner: str) -> Field | None:
        if _NAME.fullmatch(key) is None or key == "absent":
            self._bad(path, f"the property name {key!r}", "profile", "a letter, then letters, digits or _; never `absent`")
        made = self._type(node, path, f"{owner}_{key}")
        if made is None:
            return None
        if isinstance(made, Many):
            if not required and made.least < 1:
                self._bad(
                    path, "an optional array that may be empty", "profile", "minItems of 1 or more, so that empty and missing never mix"
                )
            if required and not made.least and node.get("absentable"):
                self._bad(path, "an absentable array that may be empty", "profile", "minItems of 1 or more")
        absentable = node.get("absentable", False)
        if not isinstance(absentable, bool):
            self._bad((*path, "absentable"), "not true or false", "profile", "true or false")
        words = {**self._defs.get(str(node.get("$ref", ""))[8:], {}), **node}
        return Field(key, made, required, bool(absentable), str(words.get("title", "")), str(words.get("description", "")))

    def _many(self, node: Mapping[str, Any], path: Path, name: str) -> Many | None:
        items = self._type(node.get("items"), (*path, "items"), name)
        least, most = self._count(node, "minItems", path) or 0, self._count(node, "maxItems", path)
        if isinstance(items, Many):
            self._bad((*path, "items"), "an array of arrays", "profile", "objects between them: XML cannot show the inner one")
            return None
        if isinstance(node.get("items"), dict) and node["items"].get("absentable"):
            self._bad((*path, "items"), "absentable items", "profile", "absentable on the array, or on fields of its items")
        if most is not None and most < max(least, 1):
            self._bad((*path, "maxItems"), f"{most}", "profile", "at least minItems and 1")
        return None if items is None else Many(items, least, most)

    def _count(self, node: Mapping[str, Any], word: str, path: Path) -> int | None:
        value = node.get(word)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._bad((*path, word), "not a count", "profile", "a whole number of 0 or more")
            return None
        return value

    def _scalar(self, kind: str, node: Mapping[str, Any], path: Path) -> Scalar | None:
        if kind == "boolean":
            return Scalar("boolean")
        if kind in ("integer", "number"):
            return self._numeric(kind, node, path)
        made = Scalar("string", min_length=self._count(node, "minLength", path), max_length=self._count(node, "maxLength", path))
        if (form := node.get("format")) is not None:
            if form not in ("date-time", "date"):
                self._bad((*path, "format"), f"format {form!r}", "profile", "date-time or date; other formats as a pattern")
            else:
                made = replace(made, format=form)
        if "enum" in node and "codes" in node:
            self._bad((*path, "codes"), "enum and codes", "profile", "one of them")
        if (values := node.get("enum")) is not None:
            if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values) or len(set(values)) < len(values):
                self._bad((*path, "enum"), "not a list of different texts", "profile", "a list of texts")
            else:
                made = replace(made, values=tuple(values))
        if (table := node.get("codes")) is not None:
            if table not in self._tables:
                self._bad((*path, "codes"), f"no table {table!r}", "code", "a file codes/<name>.csv")
            else:
                made = replace(made, values=self._tables[table].codes, table=table)
        if (pattern := node.get("pattern")) is not None:
            self._pattern(pattern, (*path, "pattern"))
            made = replace(made, pattern=pattern)
        return made

    def _numeric(self, kind: str, node: Mapping[str, Any], path: Path) -> Scalar:
        bounds: dict[str, Decimal | None] = {}
        for word, name in (
            ("minimum", "minimum"),
            ("maximum", "maximum"),
            ("exclusiveMinimum", "exclusive_minimum"),
            ("exclusiveMaximum", "exclusive_maximum"),
        ):
            value = node.get(word)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, Decimal))):
                self._bad((*path, word), "not a number", "profile", "a number")
                value = None
            bounds[name] = None if value is None else Decimal(value)
        if "minimum" in node and "exclusiveMinimum" in node or "maximum" in node and "exclusiveMaximum" in node:
            self._bad(path, "two bounds on one side", "profile", "one of them, as in XSD")
        return Scalar(
            "integer" if kind == "integer" else "number",
            minimum=bounds["minimum"],
            maximum=bounds["maximum"],
            exclusive_minimum=bounds["exclusive_minimum"],
            exclusive_maximum=bounds["exclusive_maximum"],
        )

    def _pattern(self, pattern: Any, path: Path) -> None:
        why = "a text" if not isinstance(pattern, str) else pattern_fault(pattern)
        if why is not None:
            self._bad(path, "a pattern outside the profile", "pattern", why)
