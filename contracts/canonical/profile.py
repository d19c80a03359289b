"""Reads schema.json, in the declared profile of JSON Schema 2020-12, into canonical types.

Accepted: objects with ordered, closed properties; arrays of objects or scalars with bounds; strings with length, enum,
code table, pattern or format; base64 of bytes; exact integers and decimals with bounds; booleans; references, also
recursive ones; a choice of objects by a discriminator. Everything else is rejected with reason and line.
Invariant: a constraint that one format or protocol cannot express never passes this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from contracts.canonical.model import (
    SENSITIVITIES,
    Array,
    Branch,
    Choice,
    CodeTable,
    Field,
    RecursiveRef,
    Struct,
    Type,
    strongest,
)
from contracts.canonical.scalar_profile import ScalarReader
from contracts.canonical.type_rules import endless_types, same_type, type_depths, type_sizes
from contracts.folder.source_locations import Findings, Located, Path
from contracts.wire.jsontext import MAX_DEPTH

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MOST_PLACES: Final = 2_000  # of one message, with the contents of each type counted at each use
_COMMON: Final = {"title", "description", "absentable", "personal"}
_KEYWORDS: Final[Mapping[str, set[str]]] = {
    "object": {"type", "properties", "required", "additionalProperties"},
    "array": {"type", "items", "minItems", "maxItems"},
    "string": {
        "type",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "enum",
        "const",
        "codes",
        "others",
        "contentEncoding",
        "contentMediaType",
    },
    "integer": {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "number": {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
    "boolean": {"type"},
}
_WHY: Final[Mapping[str, str]] = {
    "if": "a condition cannot be said in XSD",
    "not": "a negation cannot be said in XSD",
    "anyOf": "a choice is oneOf, with a discriminator",
    "allOf": "write the properties out",
    "patternProperties": "open names cannot be elements",
    "multipleOf": "cannot be said in XSD",
    "uniqueItems": "cannot be said in XSD for whole values",
    "const": "only of texts",
    "default": "a default would hide absence",
    "nullable": "use absentable: it says why a value is missing",
}


class Profile:
    """Reads one schema.json. `types` returns what could be read; faults go to `findings`."""

    def __init__(self, document: Located, tables: Mapping[str, CodeTable], findings: Findings) -> None:
        self._document = document
        self._findings = findings
        self._scalars = ScalarReader(tables, self._bad)
        defs = document.value.get("$defs") if isinstance(document.value, dict) else None
        self._defs: Mapping[str, Any] = defs if isinstance(defs, dict) else {}
        self._open: list[str] = []
        self._types: dict[str, Type | None] = {}
        self._choices: list[tuple[Choice, Path]] = []
        if not self._defs:
            self._bad((), "no $defs", "the messages and their parts as $defs")

    def types(self) -> dict[str, Type]:
        for name in self._defs:
            if _NAME.fullmatch(name) is None:
                self._bad(("$defs", name), "the name of a type", "letters, digits and _ only")
            self._named(name, ("$defs", name))
        types = {name: type_ for name, type_ in self._types.items() if type_ is not None}
        if not self._findings.items:
            self._check_costs(types)
        if not self._findings.items:
            self._check_shared_names()
            for name, size in type_sizes(types).items():
                if size > _MOST_PLACES:
                    self._bad(
                        ("$defs", name), f"{name} has {size} places", f"at most {_MOST_PLACES}, with all that it holds"
                    )
            for name in endless_types(types):
                self._bad(
                    ("$defs", name),
                    f"{name} always holds another one",
                    "an end: an optional field, or a list that may be empty",
                )
        return types

    def _check_costs(self, types: Mapping[str, Type]) -> None:
        for name, depth in type_depths(types).items():
            if depth > MAX_DEPTH:
                self._bad(("$defs", name), f"{name} has {depth} objects within each other", f"at most {MAX_DEPTH}")
                break

    def _bad(self, path: Path, got: str, expected: str, *, rule: str = "profile") -> None:
        self._findings.add(
            self._document.file, self._document.line(path), "/".join(map(str, path)), got, rule, expected
        )

    def _named(self, name: str, path: Path) -> Type | None:
        if name in self._open:
            target = self._defs[name]
            if not isinstance(target, dict) or target.get("type") != "object" and "oneOf" not in target:
                self._bad(
                    path, f"{name} leads back to itself", "only objects and choices lead back, not lists or names"
                )
                return None
            return RecursiveRef(name, self._types)
        if len(self._open) > MAX_DEPTH:
            self._bad(path, f"{MAX_DEPTH} objects within each other", "what a message can hold")
            return None
        if name not in self._types:
            self._open.append(name)
            self._types[name] = self._type(self._defs[name], ("$defs", name), name)
            self._open.pop()
        return self._types[name]

    def _type(self, node: Any, path: Path, name: str) -> Type | None:
        if not isinstance(node, dict):
            self._bad(path, "not an object", "a schema object")
            return None
        if "$ref" in node:
            return self._reference(node, path)
        if "oneOf" in node:
            return self._choice(node, path, name)
        kind = node.get("type")
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            self._bad(path, f"type {kind!r}", "one type of " + ", ".join(_KEYWORDS))
            return None
        self._keywords(node, path, _KEYWORDS[kind] | _COMMON)
        if kind == "object":
            return self._struct(node, path, name)
        if kind == "array":
            return self._array(node, path, name)
        return self._scalars.scalar(kind, node, path)

    def _keywords(self, node: Mapping[str, Any], path: Path, allowed: set[str]) -> None:
        for word in node:
            if word not in allowed:
                self._bad((*path, word), f"the keyword {word}", _WHY.get(word, "only " + ", ".join(sorted(allowed))))

    def _reference(self, node: Mapping[str, Any], path: Path) -> Type | None:
        self._keywords(node, path, {"$ref"} | _COMMON)
        target = node["$ref"]
        if not isinstance(target, str) or not target.startswith("#/$defs/") or target[8:] not in self._defs:
            self._bad((*path, "$ref"), f"{target!r}", "#/$defs/ and a name that stands there")
            return None
        return self._named(target[8:], (*path, "$ref"))

    def _choice(self, node: Mapping[str, Any], path: Path, name: str) -> Choice | None:
        self._keywords(node, path, {"oneOf", "discriminator"} | _COMMON)
        declared, parts = node.get("discriminator"), node["oneOf"]
        discriminator = declared.get("propertyName") if isinstance(declared, dict) else None
        if (
            not isinstance(declared, dict)
            or not isinstance(discriminator, str)
            or not set(declared) <= {"propertyName", "mapping"}
        ):
            self._bad(path, "a choice without a discriminator", "discriminator: {propertyName, mapping}", rule="choice")
            return None
        branches: list[Branch] = []
        for number, part in enumerate(parts if isinstance(parts, list) else []):
            at = (*path, "oneOf", number)
            branch_type = self._reference(part, at) if isinstance(part, dict) and set(part) == {"$ref"} else None
            if (
                not isinstance(branch_type, (Struct, RecursiveRef))
                or isinstance(branch_type, RecursiveRef)
                and "oneOf" in self._defs[branch_type.name]
            ):
                self._bad(at, "not an object of $defs", '{"$ref": "#/$defs/…"} to an object', rule="choice")
                return None
            branches.append(Branch(self._discriminator_values(part["$ref"], discriminator, at), branch_type))
        values = [value for branch in branches for value in branch.values]
        if (
            len(branches) < 2
            or len({branch.type.name for branch in branches}) < len(branches)
            or len(set(values)) < len(values)
        ):
            self._bad(
                (*path, "oneOf"),
                "branches that are not told apart",
                f"two or more objects, {discriminator} never the same in two",
                rule="choice",
            )
            return None
        mapping = {value: f"#/$defs/{branch.type.name}" for branch in branches for value in branch.values}
        if declared.get("mapping", mapping) != mapping:
            self._bad(
                (*path, "discriminator"),
                "another mapping than the branches say",
                "each value of the discriminator with its branch",
                rule="choice",
            )
        choice = Choice(
            name, discriminator, tuple(branches), str(node.get("title", "")), str(node.get("description", ""))
        )
        self._choices.append((choice, path))
        return choice

    def _discriminator_values(self, reference: str, discriminator: str, at: Path) -> tuple[str, ...]:
        """The values of the discriminator that select a branch."""
        node = self._defs[reference[8:]]
        schema = node.get("properties", {}).get(discriminator, {}) if isinstance(node, dict) else {}
        values = schema.get("enum", [schema.get("const")]) if isinstance(schema, dict) else []
        if (
            not isinstance(values, list)
            or not all(isinstance(each, str) for each in values)
            or discriminator not in node.get("required", [])
        ):
            self._bad(
                at,
                f"a branch without {discriminator}",
                f"{discriminator} as a required enum or const of texts in each branch",
                rule="choice",
            )
            return ()
        if schema.get("absentable"):
            self._bad(at, f"{discriminator} may be absent", "a discriminator that is always there", rule="choice")
        return tuple(values)

    def _check_shared_names(self) -> None:
        """A name in several branches must have one type, so that a path denotes one field."""
        for choice, path in self._choices:
            fields: dict[str, Field] = {}
            for branch in choice.branches:
                for each in branch.struct.fields:
                    other = fields.setdefault(each.name, each)
                    if each.name != choice.discriminator and (
                        not same_type(each.type, other.type) or each.absentable != other.absentable
                    ):
                        self._bad(
                            path,
                            f"{each.name} is of two types",
                            "one type for a name that several branches have, or two names",
                            rule="choice",
                        )

    def _struct(self, node: Mapping[str, Any], path: Path, name: str) -> Struct | None:
        properties, required = node.get("properties"), node.get("required", [])
        if node.get("additionalProperties") is not False:
            self._bad(path, "open content", '"additionalProperties": false')
        if not isinstance(properties, dict) or not properties:
            self._bad(path, "no properties", "at least one property")
            return None
        if not isinstance(required, list):
            self._bad((*path, "required"), "not a list", "a list of property names")
            required = []
        for required_name in required:
            if not isinstance(required_name, str) or required_name not in properties:
                self._bad((*path, "required"), f"{required_name!r} is no property", "names of properties")
        fields = []
        for key, child in properties.items():
            at = (*path, "properties", key)
            field = self._field(key, child, at, key in required, name)
            if field is not None:
                fields.append(field)
        if (mark := self._mark(node, path)) is not None:
            fields = [replace(each, personal=each.below(mark)) for each in fields]
        return Struct(name, tuple(fields), str(node.get("title", "")), str(node.get("description", "")))

    def _field(self, key: str, node: Any, path: Path, required: bool, owner: str) -> Field | None:
        if _NAME.fullmatch(key) is None or key == "absent":
            self._bad(path, f"the property name {key!r}", "a letter, then letters, digits or _; never `absent`")
        field_type = self._type(node, path, f"{owner}_{key}")
        if field_type is None:
            return None
        if isinstance(field_type, Array):
            if not required and field_type.least < 1:
                self._bad(
                    path,
                    "an optional array that may be empty",
                    "minItems of 1 or more, so that empty and missing never mix",
                )
            if required and not field_type.least and node.get("absentable"):
                self._bad(path, "an absentable array that may be empty", "minItems of 1 or more")
        absentable = node.get("absentable", False)
        if not isinstance(absentable, bool):
            self._bad((*path, "absentable"), "not true or false", "true or false")
        words = {**self._defs.get(str(node.get("$ref", ""))[8:], {}), **node}
        return Field(
            name=key,
            type=field_type,
            required=required,
            absentable=bool(absentable),
            title=str(words.get("title", "")),
            description=str(words.get("description", "")),
            personal=self._marks(node, path),
        )

    def _marks(self, node: Any, path: Path) -> str | None:
        """The mark of a field: its own, or that of its items or of the type that it refers to."""
        if not isinstance(node, dict):
            return None
        referred = self._defs.get(str(node.get("$ref", ""))[8:])
        own = self._mark(node, path)
        inner = (node.get("items"), (*path, "items")) if "items" in node else (referred, (*path, "$ref"))
        return strongest(own, self._marks(*inner)) if isinstance(inner[0], dict) else own

    def _mark(self, node: Mapping[str, Any], path: Path) -> str | None:
        mark = node.get("personal")
        if mark is not None and mark not in SENSITIVITIES:
            self._bad((*path, "personal"), "another mark", "one of " + ", ".join(SENSITIVITIES))
            return None
        return mark

    def _array(self, node: Mapping[str, Any], path: Path, name: str) -> Array | None:
        items = self._type(node.get("items"), (*path, "items"), name)
        least, most = self._scalars.count(node, "minItems", path) or 0, self._scalars.count(node, "maxItems", path)
        if isinstance(items, Array):
            self._bad((*path, "items"), "an array of arrays", "objects between them: XML cannot show the inner one")
            return None
        if isinstance(node.get("items"), dict) and node["items"].get("absentable"):
            self._bad((*path, "items"), "absentable items", "absentable on the array, or on fields of its items")
        if most is not None and most < max(least, 1):
            self._bad((*path, "maxItems"), f"{most}", "at least minItems and 1")
        return None if items is None else Array(items, least, most)
