"""The declared profile of JSON Schema 2020-12: what every face can express exactly. schema.json in, canonical types out.

Taken: objects with ordered, closed properties; arrays of objects or scalars with bounds; strings with length, enum, code
table, pattern or format, base64 of bytes; exact integers and decimals with bounds; booleans; references, also back to what holds
them; a choice of objects by a discriminator. Refused, with reason and line: everything else. Invariant: a constraint that one face cannot hold never gets past this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from contracts.canonical.model import Array, Branch, Choice, CodeTable, Field, RecursiveRef, Scalar, Struct, Type
from contracts.canonical.patterns import pattern_fault
from contracts.folder.source_locations import Findings, Located, Path
from contracts.wire.jsontext import MAX_DEPTH

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_MOST_PLACES: Final = 2_000  # of one message, each type that it holds opened as often as it stands there
_COMMON: Final = {"title", "description", "absentable"}
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
    """Reads one schema.json: `types` returns what could be read, what is wrong goes to `findings`."""

    def __init__(self, document: Located, tables: Mapping[str, CodeTable], findings: Findings) -> None:
        self._document = document
        self._tables = tables
        self._findings = findings
        defs = document.value.get("$defs") if isinstance(document.value, dict) else None
        self._defs: Mapping[str, Any] = defs if isinstance(defs, dict) else {}
        self._open: list[str] = []
        self._made: dict[str, Type | None] = {}
        self._choices: list[tuple[Choice, Path]] = []
        if not self._defs:
            self._bad((), "no $defs", "profile", "the messages and their parts as $defs")

    def types(self) -> dict[str, Type]:
        for name in self._defs:
            if _NAME.fullmatch(name) is None:
                self._bad(("$defs", name), "the name of a type", "profile", "letters, digits and _ only")
            self._named(name, ("$defs", name))
        made = {name: each for name, each in self._made.items() if each is not None}
        if not self._findings.found:
            self._one_meaning()
            for name, size in places(made).items():
                if size > _MOST_PLACES:
                    self._bad(
                        ("$defs", name),
                        f"{name} has {size} places",
                        "profile",
                        f"at most {_MOST_PLACES}, with all that it holds",
                    )
            for name in endless(made):
                self._bad(
                    ("$defs", name),
                    f"{name} always holds another one",
                    "profile",
                    "an end: an optional field, or a list that may be empty",
                )
        return made

    def _bad(self, path: Path, got: str, rule: str, expected: str) -> None:
        self._findings.add(
            self._document.file, self._document.line(path), "/".join(map(str, path)), got, rule, expected
        )

    def _named(self, name: str, asked_at: Path) -> Type | None:
        if name in self._open:
            back = self._defs[name]
            if not isinstance(back, dict) or back.get("type") != "object" and "oneOf" not in back:
                self._bad(
                    asked_at,
                    f"{name} leads back to itself",
                    "profile",
                    "only objects and choices lead back, not lists or names",
                )
                return None
            return RecursiveRef(name, self._made)
        if len(self._open) > MAX_DEPTH:
            self._bad(asked_at, f"{MAX_DEPTH} objects within each other", "profile", "what a message can hold")
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
        if "oneOf" in node:
            return self._choice(node, path, name)
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
                self._bad(
                    (*path, word),
                    f"the keyword {word}",
                    "profile",
                    _WHY.get(word, "only " + ", ".join(sorted(allowed))),
                )

    def _reference(self, node: Mapping[str, Any], path: Path) -> Type | None:
        self._keywords(node, path, {"$ref"} | _COMMON)
        target = node["$ref"]
        if not isinstance(target, str) or not target.startswith("#/$defs/") or target[8:] not in self._defs:
            self._bad((*path, "$ref"), f"{target!r}", "profile", "#/$defs/ and a name that stands there")
            return None
        return self._named(target[8:], (*path, "$ref"))

    def _choice(self, node: Mapping[str, Any], path: Path, name: str) -> Choice | None:
        self._keywords(node, path, {"oneOf", "discriminator"} | _COMMON)
        said, parts = node.get("discriminator"), node["oneOf"]
        told_by = said.get("propertyName") if isinstance(said, dict) else None
        if not isinstance(said, dict) or not isinstance(told_by, str) or not set(said) <= {"propertyName", "mapping"}:
            self._bad(path, "a choice without a discriminator", "choice", "discriminator: {propertyName, mapping}")
            return None
        branches: list[Branch] = []
        for number, part in enumerate(parts if isinstance(parts, list) else []):
            at = (*path, "oneOf", number)
            made = self._reference(part, at) if isinstance(part, dict) and set(part) == {"$ref"} else None
            if (
                not isinstance(made, (Struct, RecursiveRef))
                or isinstance(made, RecursiveRef)
                and "oneOf" in self._defs[made.name]
            ):
                self._bad(at, "not an object of $defs", "choice", '{"$ref": "#/$defs/…"} to an object')
                return None
            branches.append(Branch(self._told(part["$ref"], told_by, at), made))
        values = [value for branch in branches for value in branch.values]
        if (
            len(branches) < 2
            or len({branch.type.name for branch in branches}) < len(branches)
            or len(set(values)) < len(values)
        ):
            self._bad(
                (*path, "oneOf"),
                "branches that are not told apart",
                "choice",
                f"two or more objects, {told_by} never the same in two",
            )
            return None
        mapping = {value: f"#/$defs/{branch.type.name}" for branch in branches for value in branch.values}
        if said.get("mapping", mapping) != mapping:
            self._bad(
                (*path, "discriminator"),
                "another mapping than the branches say",
                "choice",
                "each value of the discriminator with its branch",
            )
        made = Choice(name, told_by, tuple(branches), str(node.get("title", "")), str(node.get("description", "")))
        self._choices.append((made, path))
        return made

    def _told(self, reference: str, told_by: str, at: Path) -> tuple[str, ...]:
        """The values by which a branch is known."""
        node = self._defs[reference[8:]]
        told = node.get("properties", {}).get(told_by, {}) if isinstance(node, dict) else {}
        values = told.get("enum", [told.get("const")]) if isinstance(told, dict) else []
        if (
            not isinstance(values, list)
            or not all(isinstance(each, str) for each in values)
            or told_by not in node.get("required", [])
        ):
            self._bad(
                at,
                f"a branch without {told_by}",
                "choice",
                f"{told_by} as a required enum or const of texts in each branch",
            )
            return ()
        if told.get("absentable"):
            self._bad(at, f"{told_by} may be absent", "choice", "a discriminator that is always there")
        return tuple(values)

    def _one_meaning(self) -> None:
        """A name that several branches have means one thing, so that a path is the path of one field."""
        for choice, path in self._choices:
            seen: dict[str, Field] = {}
            for branch in choice.branches:
                for each in branch.struct.fields:
                    other = seen.setdefault(each.name, each)
                    if each.name != choice.told_by and (
                        not _same(each.type, other.type) or each.absentable != other.absentable
                    ):
                        self._bad(
                            path,
                            f"{each.name} is of two types",
                            "choice",
                            "one type for a name that several branches have, or two names",
                        )

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
            if not isinstance(wanted, str) or wanted not in properties:
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
            self._bad(
                path, f"the property name {key!r}", "profile", "a letter, then letters, digits or _; never `absent`"
            )
        made = self._type(node, path, f"{owner}_{key}")
        if made is None:
            return None
        if isinstance(made, Array):
            if not required and made.least < 1:
                self._bad(
                    path,
                    "an optional array that may be empty",
                    "profile",
                    "minItems of 1 or more, so that empty and missing never mix",
                )
            if required and not made.least and node.get("absentable"):
                self._bad(path, "an absentable array that may be empty", "profile", "minItems of 1 or more")
        absentable = node.get("absentable", False)
        if not isinstance(absentable, bool):
            self._bad((*path, "absentable"), "not true or false", "profile", "true or false")
        words = {**self._defs.get(str(node.get("$ref", ""))[8:], {}), **node}
        return Field(
            key, made, required, bool(absentable), str(words.get("title", "")), str(words.get("description", ""))
        )

    def _many(self, node: Mapping[str, Any], path: Path, name: str) -> Array | None:
        items = self._type(node.get("items"), (*path, "items"), name)
        least, most = self._count(node, "minItems", path) or 0, self._count(node, "maxItems", path)
        if isinstance(items, Array):
            self._bad(
                (*path, "items"), "an array of arrays", "profile", "objects between them: XML cannot show the inner one"
            )
            return None
        if isinstance(node.get("items"), dict) and node["items"].get("absentable"):
            self._bad(
                (*path, "items"), "absentable items", "profile", "absentable on the array, or on fields of its items"
            )
        if most is not None and most < max(least, 1):
            self._bad((*path, "maxItems"), f"{most}", "profile", "at least minItems and 1")
        return None if items is None else Array(items, least, most)

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
        made = Scalar(
            "string", min_length=self._count(node, "minLength", path), max_length=self._count(node, "maxLength", path)
        )
        if (form := node.get("format")) is not None:
            if form not in ("date-time", "date"):
                self._bad(
                    (*path, "format"), f"format {form!r}", "profile", "date-time or date; other formats as a pattern"
                )
            else:
                made = replace(made, format=form)
        if len({"enum", "const", "codes"} & set(node)) > 1:
            self._bad(path, "two of enum, const and codes", "profile", "one of them")
        if (value := node.get("const")) is not None:
            if not isinstance(value, str):
                self._bad((*path, "const"), "not a text", "profile", "a text")
            else:
                made = replace(made, values=(value,))
        if "contentEncoding" in node or "contentMediaType" in node:
            made = self._binary(node, path, made)
        if (values := node.get("enum")) is not None:
            if (
                not isinstance(values, list)
                or not values
                or not all(isinstance(v, str) for v in values)
                or len(set(values)) < len(values)
            ):
                self._bad((*path, "enum"), "not a list of different texts", "profile", "a list of texts")
            else:
                made = replace(made, values=tuple(values))
        if (table := node.get("codes")) is not None:
            if not isinstance(table, str) or table not in self._tables:
                self._bad((*path, "codes"), f"no table {table!r}", "code", "a file codes/<name>.csv")
            else:
                made = replace(made, values=self._tables[table].codes, table=table)
        if (pattern := node.get("pattern")) is not None:
            self._pattern(pattern, (*path, "pattern"))
            made = replace(made, pattern=pattern)
        return made

    def _binary(self, node: Mapping[str, Any], path: Path, made: Scalar) -> Scalar:
        media = node.get("contentMediaType")
        if node.get("contentEncoding") != "base64" or media is not None and not isinstance(media, str):
            self._bad((*path, "contentEncoding"), "another encoding", "profile", "base64, and perhaps contentMediaType")
        for word in ("pattern", "format", "enum", "const", "codes"):
            if word in node:
                self._bad((*path, word), f"{word} for bytes", "profile", "only minLength and maxLength")
        for word in ("minLength", "maxLength"):
            if isinstance(length := node.get(word), int) and length % 4:
                self._bad(
                    (*path, word),
                    f"{length} characters of base64",
                    "profile",
                    "a multiple of 4, so that XSD can count octets",
                )
        return replace(made, binary=True, media=media)

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


def _same(one: Type, other: Type) -> bool:
    if isinstance(one, Scalar) or isinstance(other, Scalar):
        return one == other
    if isinstance(one, Array) and isinstance(other, Array):
        return (one.least, one.most) == (other.least, other.most) and _same(one.items, other.items)
    return not isinstance(one, Array) and not isinstance(other, Array) and one.name == other.name


def places(types: Mapping[str, Type]) -> dict[str, int]:
    """How many values and groups a message of each type can have, lists counted once; what leads back ends there."""
    sizes: dict[int, int] = {}

    def size(made: Type) -> int:
        if id(made) not in sizes:
            if isinstance(made, Array):
                inner = size(made.items)
            elif isinstance(made, Choice):
                inner = sum(size(branch.type) for branch in made.branches)
            else:
                inner = sum(size(each.type) for each in made.fields) if isinstance(made, Struct) else 0
            sizes[id(made)] = 1 + inner
        return sizes[id(made)]

    return {name: size(made) for name, made in types.items()}


def endless(types: Mapping[str, Type]) -> list[str]:
    """Objects of which no message could ever hold one, since each needs another inside."""
    ends: set[str] = set()

    def can_end(made: Type) -> bool:
        if isinstance(made, Scalar):
            return True
        if isinstance(made, Array):
            return made.least == 0 or can_end(made.items)
        if isinstance(made, Choice):
            return any(can_end(branch.type) for branch in made.branches)
        if isinstance(made, RecursiveRef) or made.name in types:
            return made.name in ends
        return all(can_end(each.type) for each in made.fields if each.required)

    def whole(made: Type) -> bool:
        return (
            all(can_end(each.type) for each in made.fields if each.required)
            if isinstance(made, Struct)
            else can_end(made)
        )

    while grown := {name for name, made in types.items() if name not in ends and whole(made)}:
        ends |= grown
    return [name for name in types if name not in ends]
