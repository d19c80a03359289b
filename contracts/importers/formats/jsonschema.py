"""Schemas of OpenAPI (JSON Schema 2020-12 in 3.1, its dialect in 3.0) as trees of parts.

Invariant: reading ends: depth, recursion and number of parts are bounded.
Invariant: what the tree leaves out of the schema is a note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final, Literal

from contracts.importers.documents import Documents, Place
from contracts.importers.patterns import from_ecma
from contracts.importers.shape import MAX_DEPTH, MAX_PLACES, RECURSION, Group, Items, Note, Part, Value
from contracts.importers.source import WRITTEN

_NAME: Final = re.compile(r"[^.'\[\]{}\s]+")  # names that a path of a table holds as they are
_QUOTED: Final = re.compile(r"(?=.*\S)[^'\[\]\r\n]+")  # names that it holds between quotes
_INT_FORMATS: Final[Mapping[str, int]] = {"int32": 32, "int64": 64}
_IGNORED: Final = frozenset(
    "type format title description example examples default nullable readOnly writeOnly deprecated "
    "externalDocs xml enum const pattern"
    " minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum properties required items "
    "minItems maxItems allOf oneOf anyOf"
    " discriminator additionalProperties $ref $schema $id $comment".split()
)


@dataclass(slots=True)
class Reader:
    documents: Documents
    notes: list[Note]
    _open: list[str] = field(default_factory=list)
    parts: int = 0  # of the messages before this one
    _left: int = MAX_PLACES
    _lists: dict[str, Items] = field(default_factory=dict)  # lists being read, by the place of their items
    _hidden: Literal["readOnly", "writeOnly"] = "readOnly"

    def start_message(self, way: Literal["request", "answer"]) -> None:
        self.parts += MAX_PLACES - self._left
        self._left, self._open, self._lists, self._hidden = (
            MAX_PLACES,
            [],
            {},
            "readOnly" if way == "request" else "writeOnly",
        )

    def _note(self, code: str, at: Place, detail: str = "") -> None:
        self.notes.append(Note(code, at.shown(), detail))

    def member(self, name: str, at: Place, required: bool) -> Part | None:
        """A property or parameter; None where it is not part of this message or its name is not allowed."""
        if at.node.get(self._hidden) is True:
            return None
        if _QUOTED.fullmatch(name) is None:
            self._note("name", at, name)
            return None
        if not self._spend(at):
            return None
        part = self.content(at, name)
        if _NAME.fullmatch(name) is None:
            part.step = f"'{name}'" + part.step.removeprefix(name)  # also `name.{}` of members of any name
        if self._nullable(at):
            part.nil = part.content is not None and not part.keyed
            if not part.nil:
                self._note("nil-entries", at, name)
            elif required:
                self._note("nullable", at, name)
            required = required and part.nil
        part.least = part.least if required else 0
        if part.content is None:
            self._note("any-type", at, name)
        elif isinstance(part.content, Group) and not part.many and not any(each.carries for each in part.content.parts):
            self._note("empty-object", at, name)
        return part

    def _spend(self, at: Place, count: int = 1) -> bool:
        """Whether the limit on parts and visited objects of the message allows more."""
        if 0 < self._left <= count:
            self._note("too-large", at, str(MAX_PLACES))
        self._left -= count
        return self._left > 0

    def content(self, at: Place, name: str) -> Part:
        """The schema as a part, single or repeated. Its content is None where the type is open."""
        words = at.node.get("title") or at.node.get("description") or ""
        part = Part(name, name, None, title=" ".join(str(words).split())[:200])
        key = at.shown()
        if self._open.count(key) >= RECURSION or len(self._open) >= MAX_DEPTH:
            self._note("recursion" if self._open.count(key) >= RECURSION else "too-deep", at, name)
            return part
        self._open.append(key)
        try:
            self._fill(part, at, name)
        finally:
            self._open.pop()
        return part

    def _fill(self, part: Part, at: Place, name: str) -> None:
        kind = self._kind(at)
        if len(_kinds(at.node)) > 1:
            self._note("alternatives", at, name)
        for word in at.node:
            if word not in _IGNORED and not word.startswith("x-"):
                self._note("facet", at, f"{word}")
        alternatives = self._alternatives(at)
        if kind == "array":
            items = at.get("items")
            if items is None or not self._spend(at):
                return
            inner = self._items(items, name)
            if inner.many:
                if inner.keyed or not self._spend(at, 2):
                    self._note("array-of-maps", at, name)
                    return
                inner = Part(name, name, listed(inner))
            least, most = at.node.get("minItems"), at.node.get("maxItems")
            part.nil_items = self._nullable(items) and not inner.many
            if part.nil_items:
                self._note("nil-items", items, name)
            part.content, part.least, part.most = (
                inner.content,
                least if isinstance(least, int) else 0,
                most if isinstance(most, int) else None,
            )
            if part.most == 1 or part.most == 0:
                part.most = None  # a list of at most one item remains a list
        elif kind == "object" or alternatives and all(self._kind(each) == "object" for each in alternatives):
            part.content = self._object(at, name)
            if part.content is None:
                self._entries(part, at)
        elif alternatives and kind is None:
            self._of_alternatives(part, alternatives, at, name)
        elif kind is not None:
            part.content = self._scalar(kind, at)

    def _of_alternatives(self, part: Part, alternatives: list[Place], at: Place, name: str) -> None:
        """The first alternative, widened by the others if all are texts or all are numbers."""
        inner = self.content(alternatives[0], name)
        part.content, part.least, part.most = inner.content, inner.least, inner.most
        if len(alternatives) == 1:
            return
        others = [self.content(each, name) for each in alternatives[1:]]
        values = [each.content for each in (inner, *others) if isinstance(each.content, Value) and not each.many]
        if len(values) < len(alternatives):
            self._note("alternatives", at, name)
            return
        whole = values[0]
        for each in values[1:]:
            wider = _wider(whole, each)
            if wider is None:
                self._note("alternatives", at, name)
                return
            whole = wider
        part.content = whole

    def _items(self, at: Place, name: str) -> Part:
        """The items of a list. A list inside the items of a list with the same items refers to them."""
        key = at.shown()
        if key in self._lists:
            self._lists[key].again = True
            return Part(name, name, self._lists[key])
        self._lists[key] = items = Items()
        inner = self.content(at, name)
        del self._lists[key]
        if isinstance(inner.content, Group):
            inner.content.items = items
        return inner

    def _kind(self, at: Place, seen: set[int] | None = None) -> str | None:
        kind = at.node.get("type")
        if isinstance(kind, list):
            kind = next(iter(_kinds(at.node)), None)
        if isinstance(kind, str):
            return kind
        if "properties" in at.node:
            return "object"
        if "items" in at.node:
            return "array"
        if kinds := _kinds(at.node):
            return kinds[0]
        seen = {id(at.node)} if seen is None else seen
        for each in self.documents.of_list(at, "allOf"):
            if id(each.node) not in seen:
                seen.add(id(each.node))
                if self._kind(each, seen) == "object":
                    return "object"
        return None

    def _nullable(self, at: Place) -> bool:
        kind = at.node.get("type")
        options = (*self._raw(at, "oneOf"), *self._raw(at, "anyOf"))
        return (
            at.node.get("nullable") is True
            or isinstance(kind, list)
            and "null" in kind
            or kind is None
            and None in self._raw(at, "enum")
            or {"type": "null"} in options
        )

    @staticmethod
    def _raw(at: Place, word: str) -> list[Any]:
        listed = at.node.get(word)
        return listed if isinstance(listed, list) else []

    def _alternatives(self, at: Place) -> list[Place]:
        schemas = [*self.documents.of_list(at, "oneOf"), *self.documents.of_list(at, "anyOf")]
        if not schemas and self._kind(at) is None:
            schemas = self.documents.of_list(at, "allOf")  # a reference with words beside it
        return [each for each in schemas if each.node.get("type") != "null"]

    def _object(self, at: Place, name: str) -> Group | None:
        group = Group(
            at.path.rpartition("/")[2] if "/schemas/" in at.path and at.path.count("/") == 3 else name, title=""
        )
        self._properties(group, at, True, 0)
        if not group.parts:
            return None
        once: dict[str, Part] = {}
        for part in group.parts:
            first = once.setdefault(part.name, part)
            if first is not part and isinstance(first.content, Value) and isinstance(part.content, Value):
                first.content = _either(first.content, part.content)
        group.parts = list(once.values())
        return group

    def _entries(self, part: Part, at: Place) -> None:
        """Reads an object with arbitrary member names and one type of value as a list of names and values."""
        values = at.get("additionalProperties")
        if values is None or not values.node or not self._spend(at, 3):
            return
        inner = self.content(values, "value")
        if inner.content is None or inner.many:
            return
        inner.step, inner.least = "", 1
        value = inner.content.parts if isinstance(inner.content, Group) else [inner]
        part.content = Group(part.name, [Part("name", "", Value({"type": "string", "minLength": 1})), *value])
        part.step, part.least, part.most, part.keyed = f"{part.step}.{{}}", 0, None, True

    def _properties(self, group: Group, at: Place, required: bool, depth: int) -> None:
        """Adds the properties of the object, of its allOf and of its alternatives."""
        if depth > MAX_DEPTH or not self._spend(at):
            return
        for each in self.documents.of_list(at, "allOf"):
            self._properties(group, each, required, depth + 1)
        alternatives = [*self.documents.of_list(at, "oneOf"), *self.documents.of_list(at, "anyOf")]
        if len(alternatives) > 1:
            self._note("choice", at, group.name)
        for each in alternatives:
            self._properties(group, each, required and len(alternatives) == 1, depth + 1)
        named = at.node.get("required")
        wanted = (
            set(named)
            if isinstance(named, list) and required and all(isinstance(each, str) for each in named)
            else set()
        )
        for part in group.parts:  # `required` beside an allOf
            if part.name in wanted and part.least == 0 and not part.many:
                part.least = 1
        for name, schema in self.documents.members(at.get("properties")):
            part_ = self.member(name, schema, name in wanted)
            if part_ is not None:
                group.parts.append(part_)
        more = at.node.get("additionalProperties")
        if group.parts and (isinstance(more, dict) and more or more is True):
            self._note("map", at, group.name)

    def _scalar(self, kind: str, at: Place) -> Value | None:
        node = at.node
        if kind == "boolean":
            return Value({"type": "boolean"})
        if kind in ("integer", "number"):
            bounds = self._bounds(kind, node)
            codes = node["enum"] if isinstance(node.get("enum"), list) else [node.get("const")]
            numbers = sorted({Decimal(each) for each in codes if each is not None and _is_number(each)})
            whole = kind == "integer" and bool(numbers) and all(each == int(each) for each in numbers)
            if whole:
                bounds = {"minimum": int(numbers[0]), "maximum": int(numbers[-1])}
            # Counted, since a list of all between two foreign numbers may be endless.
            if numbers and not (whole and int(numbers[-1]) - int(numbers[0]) + 1 == len(numbers)):
                self._note("codes", at, ", ".join(map(str, numbers))[:120])
            return Value({"type": kind, **bounds})
        if kind != "string":
            return None
        values = [node["const"]] if isinstance(node.get("const"), str) else node.get("enum")
        if isinstance(values, list):
            texts = list(dict.fromkeys(each for each in values if isinstance(each, str)))
            self.documents.files.visit(WRITTEN * len(texts))
            return Value({"type": "string", "enum": texts}) if texts else None
        if node.get("format") in ("date", "date-time"):
            return Value({"type": "string", "format": node["format"]})
        if node.get("format") == "byte" or node.get("contentEncoding") == "base64":
            return Value({"type": "string", "contentEncoding": "base64"})
        schema: dict[str, Any] = {"type": "string"}
        for word in ("minLength", "maxLength"):
            if isinstance(node.get(word), int):
                schema[word] = node[word]
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            translated = from_ecma(pattern)
            if translated is None:
                self._note("pattern", at, pattern[:120])
            else:
                schema["pattern"] = translated
        return Value(schema)

    @staticmethod
    def _bounds(kind: str, node: Mapping[str, Any]) -> dict[str, Any]:
        bits = _INT_FORMATS.get(str(node.get("format"))) if kind == "integer" else None
        bounds: dict[str, Any] = {} if bits is None else {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1}
        for inclusive, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            value, strict = node.get(inclusive), node.get(exclusive)
            if _is_number(strict):  # 3.1: a bound of its own
                bounds.pop(inclusive, None)
                bounds[exclusive] = strict
            elif _is_number(value):
                bounds.pop(inclusive, None)
                bounds[exclusive if strict is True else inclusive] = value
        return bounds


def _kinds(node: Mapping[str, Any]) -> list[str]:
    """The kinds that a list of types allows, or those of the values that are listed without a type; never null."""
    kind = node.get("type")
    if isinstance(kind, str):
        return [kind]
    if isinstance(kind, list):
        kinds = [each for each in kind if isinstance(each, str) and each != "null"]
    else:
        codes = node["enum"] if isinstance(node.get("enum"), list) else [node.get("const")]
        kinds = [each for each in map(_kind_of_code, codes) if each]
    if "number" in kinds:
        kinds = ["number" if each == "integer" else each for each in kinds]
    return list(dict.fromkeys(kinds))


def _kind_of_code(code: object) -> str:
    if _is_number(code):
        return "integer" if code == int(code) else "number"  # type: ignore[call-overload]
    return "boolean" if isinstance(code, bool) else "string" if isinstance(code, str) else ""


def listed(part: Part) -> Group:
    """A list that stands where an object is wanted: the items are its only part, in brackets of their own."""
    return Group(part.name, [replace(part, name="items", step="", title="", nil=False)])


def _either(one: Value, other: Value) -> Value:
    """A field of two alternatives: the codes of both, else the first. An example is the discriminator."""
    words = [*one.schema.get("enum", ()), *other.schema.get("enum", ())]
    both = "enum" in one.schema and "enum" in other.schema
    return Value({"type": "string", "enum": list(dict.fromkeys(words))}) if both else one


def _wider(one: Value, other: Value) -> Value | None:
    """A value that takes what either takes; None for values of different kinds."""
    kinds = {one.schema["type"], other.schema["type"]}
    if one == other:
        return one
    if kinds == {"string"}:
        if "enum" in one.schema and "enum" in other.schema:
            return _either(one, other)
        return Value({"type": "string"})
    if kinds <= {"integer", "number"}:
        return Value({"type": "number" if "number" in kinds else "integer"})
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)
