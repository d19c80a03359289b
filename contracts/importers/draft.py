"""Writes a foreign interface as a contract folder: contract.yaml, schema.json, a mapping table, samples.

What only people know is marked with `MARK` and a hint in both languages. `contracts.folder.todo_markers` finds the
marks, so that `check` lists them.
Invariant: apart from its marks, a draft is valid (`compile_bundle` accepts it).
Invariant: the same interface gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.compiled.contract_file import RESERVED
from contracts.importers import samples
from contracts.importers.errors import IMPORT_NOTHING
from contracts.importers.names import Taken, dashed, field_name, operation_name, type_name
from contracts.importers.shape import Group, Interface, Items, Message, Note, Part, Value, words
from contracts.importers.texts import contract_file, mark, pattern_of, quoted, table_file
from contracts.wire.jsontext import pretty

RECEIPT: Final = {
    "type": "object",
    "title": "Đã tiếp nhận",
    "properties": {
        "transfer": {"type": "string", "title": "Mã lần truyền", "minLength": 1, "maxLength": 64},
        "messageId": {"type": "string", "title": "Mã bản tin", "minLength": 1, "maxLength": 256},
        "acceptedAt": {"type": "string", "title": "Thời điểm tiếp nhận", "format": "date-time"},
    },
    "required": ["transfer", "messageId", "acceptedAt"],
    "additionalProperties": False,
}
EMPTY_FIELD: Final = "nothing"


@dataclass(frozen=True, slots=True)
class Draft:
    """The files of the folder by path; the folder itself is v1."""

    id: str
    files: Mapping[str, bytes]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Mark:
    """How much was written before a group."""

    rows: int
    ignores: int
    parts: int


@dataclass(slots=True)
class _Writer:
    interface: Interface
    defs: dict[str, Any] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    ignores: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    parts: dict[str, tuple[str, Any]] = field(default_factory=dict)
    taken: Taken = field(default_factory=Taken)
    accepted: str = ""
    later: dict[Items, list[str]] = field(default_factory=dict)  # rows that must come after the first of a list
    open_lists: dict[Items, tuple[str, str]] = field(default_factory=dict)  # their definition and canonical path

    def message(self, name: str, message: Message) -> list[str]:
        """Defines the message; returns the lines of its table, none where it is exchanged in canonical form."""
        self.rows, self.ignores = [], []
        self.defs[name] = {}  # keeps its position before its parts
        schema = self._object(message.body, "", "")
        if schema is None:
            schema = {
                "type": "object",
                "properties": {EMPTY_FIELD: {"type": "string", "description": words("ask.empty").en, "maxLength": 0}},
                "additionalProperties": False,
            }
        title = message.body.title or mark("message")
        self.defs[name] = {"type": "object", "title": title, **schema}
        if (
            message.root is None
            and self.interface.media == "xml"
            or not message.body.parts
            and self.interface.media != "xml"
        ):
            return []
        lines = [f"  {name}:"]
        if message.root is not None:
            lines.append(f"    root: {message.root}")
        lines += ["    body: form"] if message.form else []
        lines += ["    rows:", *self.rows] if self.rows else ["    rows: []"]
        if EMPTY_FIELD in schema["properties"]:
            lines.append(f"    drops: [{EMPTY_FIELD}]")
        if self.ignores:
            lines.append("    ignores: [" + ", ".join(map(quoted, self.ignores)) + "]")
        return lines

    def receipt(self) -> str:
        """The name of the message with which the gateway answers submissions."""
        if not self.accepted:
            self.accepted = self.taken.name("Accepted")
            self.defs[self.accepted] = RECEIPT
        return self.accepted

    def _object(self, group: Group, canonical: str, here: str) -> dict[str, Any] | None:
        """The schema of an object; adds its rows. None where none of its parts can be taken."""
        names = Taken()
        properties: dict[str, Any] = {}
        required: list[str] = []
        for part in group.parts:
            there = self._joined(here, part)
            if part.constant is not None and "[]" in canonical:
                part = part.as_field()
            if part.constant is not None:
                self.rows.append(f"      - {{here: {quoted(there)}, constant: {quoted(part.constant)}}}")
                continue
            name = names.name(field_name(part.name), "_")
            at = f"{canonical}.{name}" if canonical else name
            schema = self._part(part, at, there)
            if schema is None:
                continue
            properties[name] = schema
            if part.carries:
                required.append(name)
        if not properties:
            return None
        wanted = {"required": required} if required else {}
        return {"type": "object", "properties": properties, **wanted, "additionalProperties": False}

    def _joined(self, here: str, part: Part) -> str:
        if self.interface.media in ("csv", "xlsx"):
            return part.step  # the title of a column
        step = part.step + ("[]" if part.many and not part.keyed else "")
        joint = "/" if self.interface.media == "xml" else "" if step.startswith("[") else "."
        return joint.join(each for each in (here, step) if each)

    def _part(self, part: Part, canonical: str, here: str) -> dict[str, Any] | None:
        titled = {"title": part.title} if part.title else {}
        if part.content is None:
            self.ignores.append(here)
            return None
        path = canonical + ("[]" if part.many else "")
        item: dict[str, Any]
        if isinstance(part.content, Items):
            item = self._again(part, part.content, path, here)
        elif isinstance(part.content, Value):
            item = dict(part.content.schema)
            self._row(part, part.content, path, here)
            if part.stands_as_nil and not part.many:
                item["absentable"] = True
        else:
            before, items = _Mark(len(self.rows), len(self.ignores), len(self.parts)), part.content.items
            if items is not None and items.again:
                self.open_lists[items] = (self.taken.name(type_name(part.content.name)), path)
            schema = self._object(part.content, path, here)
            if items is not None and items.again:
                if schema is not None and not self._has_rows(path):
                    schema = None
                    self.interface.notes.append(Note("itself", here, part.name))
                self.rows += self.later.pop(items, [])
            if schema is None:
                self._undo(before, part, path, here)
                return None
            self.rows += _nil_items(part, path, here)
            item = {"$ref": "#/$defs/" + self._definition(part.content, schema)}
        absent = {}
        if part.nil and (part.many or isinstance(part.content, Group)):
            self._whole(canonical, here.removesuffix("[]"))
            absent = {"absentable": True}
        if not part.many:
            return {**item, **titled, **absent}
        bounds = {
            "minItems": max(part.least if part.carries else 0, 1),
            **({} if part.most is None else {"maxItems": part.most}),
        }
        return {"type": "array", **titled, **absent, **bounds, "items": item}

    def _undo(self, before: _Mark, part: Part, canonical: str, here: str) -> None:
        """Takes back what was written for a group without fields. Its constants stay where it must stand."""
        constants = self.rows[before.rows :]
        whole = part.least > 0 and not part.many and all("canonical:" not in each for each in constants)
        if not (constants and whole):
            self.rows[before.rows :] = []
            self.ignores[before.ignores :] = [here]
        for name in list(self.parts)[before.parts :]:
            del self.parts[name]
        inside = f'canonical: "{canonical}.'
        self.later = {key: [row for row in rows if inside not in row] for key, rows in self.later.items()}

    def _again(self, part: Part, items: Items, canonical: str, here: str) -> dict[str, Any]:
        """A list inside the items of a list with the same items: one row, after the first row of that list."""
        definition, above = self.open_lists[items]
        row = f"      - {{canonical: {quoted(canonical)}, here: {quoted(here)}, again: {quoted(above)}}}"
        rows = [row, *_nil_items(part, canonical, here)]
        if self._has_rows(above):
            self.rows += rows
        else:
            self.later.setdefault(items, []).extend(rows)
            if self.interface.media == "xml":
                self.interface.notes.append(Note("order", here, part.name))
        return {"$ref": f"#/$defs/{definition}"}

    def _has_rows(self, items: str) -> bool:
        return any(f'{{canonical: "{items}.' in each for each in self.rows)  # paths with [] are quoted

    def _whole(self, canonical: str, here: str) -> None:
        """Adds the row of a group or list that may be nil."""
        words = f"canonical: {quoted(canonical)}, here: {quoted(here)}, absent: {{unknown: null}}"
        self.rows.append(f"      - {{{words}}}  # {mark('nil')}")

    def _row(self, part: Part, value: Value, canonical: str, here: str) -> None:
        words = {"canonical": canonical, "here": here, **value.row}
        line = ", ".join(f"{word}: {quoted(text)}" for word, text in words.items())
        asks = [value.ask] if value.ask is not None else []
        if part.stands_as_nil and not part.many:
            line += ", absent: {unknown: null}"
            asks.append("nil")
        elif part.nil and not part.many or part.nil_items:
            line += ", missing: [null]"
        hint = f"  # {'; '.join(map(mark, asks))}" if asks else ""
        self.rows.append(f"      - {{{line}}}{hint}")

    def _definition(self, group: Group, schema: dict[str, Any]) -> str:
        """The name of an object in $defs; equal objects share one."""
        wanted = type_name(group.name)
        content = {**({"title": group.title} if group.title else {}), **schema}
        if group.items in self.open_lists:  # recursive: its name is reserved already
            name = self.open_lists[group.items][0]
            self.parts[name] = (name, content)
            return name
        for name, (hint, known) in self.parts.items():
            if hint == wanted and known == content:
                return name
        name = self.taken.name(wanted)
        self.parts[name] = (wanted, content)
        return name


def _nil_items(part: Part, canonical: str, here: str) -> list[str]:
    """The row by which items that are nil are read over."""
    row = f"      - {{canonical: {quoted(canonical)}, here: {quoted(here)}, missing: [null]}}"
    return [row] if part.nil_items else []


def submitted(interface: Interface, names: Sequence[str]) -> Interface:
    """The interface in which the named operations hand in: the gateway answers these with its receipt."""
    known = [call.name for call in interface.calls]
    if unknown := [each for each in names if each not in known]:
        raise IMPORT_NOTHING(file=interface.documents[0], why=f"{', '.join(unknown)} ∉ {', '.join(known)}"[:400])
    return replace(
        interface, calls=[replace(call, answer=None) if call.name in names else call for call in interface.calls]
    )


def two_way(interface: Interface, submits: Sequence[str]) -> list[tuple[str, str]]:
    """The operations with an answer of their own that may as well be submissions, and the pattern of each."""
    return [
        (call.name, pattern_of(call))
        for call in interface.calls
        if call.answer is not None and call.name not in submits and call.method != "GET"
    ]


def write(interface: Interface, name: str | None = None) -> Draft:
    """The draft of an interface. `name` is the contract's id, by default derived from the interface's name.

    An operation of which no valid draft can be made is left out with a note.
    """
    notes = list(interface.notes)
    try:
        return _write(interface, name)
    except Failure:
        kept = [call for call in interface.calls if _stands(replace(interface, calls=[call], notes=[]))]
        if not kept or len(kept) == len(interface.calls):
            raise
        notes += [
            Note("not-drafted", interface.documents[0], call.name) for call in interface.calls if call not in kept
        ]
        return _write(replace(interface, calls=kept, notes=notes), name)


def _stands(interface: Interface) -> bool:
    try:
        _write(interface, None)
    except Failure:
        return False
    return True


def _write(interface: Interface, name: str | None) -> Draft:
    contract_id = dashed(name or interface.name)
    if contract_id in RESERVED or contract_id == "canonical":
        contract_id += "-data"
    writer = _Writer(interface)
    messages: dict[str, str] = {}  # by operation and direction
    tables: list[str] = []
    seen: dict[str, tuple[str, Message]] = {}
    operations = Taken()
    names = {call.name: operations.name(operation_name(call.name)) for call in interface.calls}
    for call in interface.calls:
        for way, message in (("request", call.request), ("answer", call.answer)):
            if message is None:
                messages[f"{call.name} {way}"] = writer.receipt()
                continue
            known = next((name_ for name_, (_, other) in seen.items() if other == message), None)
            if known is None:
                known = writer.taken.name(type_name(message.name))
                seen[known] = (message.name, message)
                tables += writer.message(known, message)
            messages[f"{call.name} {way}"] = known
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:lgsp:contract:{contract_id}:v1",
        "title": f"{contract_id}/v1",
        "$defs": {**writer.defs, **{each: name_ for each, (_, name_) in writer.parts.items()}},
    }
    format_name = f"{contract_id}-{interface.media}"
    files = {
        "contract.yaml": contract_file(contract_id, interface, names, messages),
        "schema.json": pretty(schema) + "\n",
    }
    if tables:
        files[f"systems/{format_name}.yaml"] = table_file(interface, names, tables)
    name_ = {path: text.encode("utf-8") for path, text in files.items()}
    return Draft(contract_id, name_ | samples.skeletons(name_), tuple(interface.notes))
