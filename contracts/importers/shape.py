"""A foreign interface in one form for XML and JSON: messages as trees of parts, and notes.

The importers build it, and `contracts.importers.draft` writes it as a contract folder.
Invariant: what an importer leaves out or changes is a `Note` with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from contracts.base.errors import Finding, Theirs
from contracts.base.words import WordsFile
from contracts.importers.errors import IMPORT_NOTHING

MAX_CALLS: Final = 40  # operations of one draft
MAX_PLACES: Final = 1_900  # parts of one message, lists twice, as the profile of the contract counts them
MAX_PARTS: Final = 8_000  # of all messages: a table is a YAML document of bounded size
MAX_DEPTH: Final = 16  # groups within groups
words = WordsFile(__file__)
_SHOWN: Final = 4
RECURSION: Final = 2  # how often a type is expanded within itself


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its canonical JSON Schema, the extra words of its row, and what people have to decide about it."""

    schema: Mapping[str, Any]
    row: Mapping[str, str] = field(default_factory=dict)
    ask: str | None = None  # the key of its question in `words.yaml`


@dataclass(slots=True)
class Group:
    """An object: the name of its type (a hint for $defs) and its parts in the order of the format.

    `items` is shared by the group of a list's items and each list within it that has the same items.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    title: str = ""
    items: Items | None = None


@dataclass(slots=True, eq=False)
class Items:
    """The identity of the items of a list. `again`: a list inside them has the same items."""

    again: bool = False


@dataclass(slots=True)
class Part:
    """An element, attribute, text or member.

    `step` is its step in a mapping table. `most` None means unbounded. `nil`: it may be nil (XML) or null (JSON).
    `nil_items`: the items of a list may be nil. `keyed`: its items are members whose names are values.
    """

    name: str
    step: str
    content: Value | Group | Items | None  # None: the content cannot be taken
    least: int = 1
    most: int | None = 1
    title: str = ""
    constant: str | None = None
    nil: bool = False
    nil_items: bool = False
    keyed: bool = False

    @property
    def many(self) -> bool:
        return self.most is None or self.most > 1

    @property
    def stands_as_nil(self) -> bool:
        """Whether it is required even without a value. Then nil is a reason for absence, not a missing value."""
        return self.nil and self.least > 0

    @property
    def carries(self) -> bool:
        """Whether every message has a value here. A group without a value cannot be told from a missing group."""
        if self.least < 1 or self.nil or self.content is None or self.constant is not None:
            return False
        return self.many or not isinstance(self.content, Group) or any(each.carries for each in self.content.parts)

    def as_field(self) -> Part:
        """A constant as a field of one value: a row without a canonical field cannot stand within a list."""
        content = self.content
        if isinstance(content, Value) and content.schema.get("type") == "string":
            content = replace(content, schema={"type": "string", "enum": [self.constant]})
        return replace(self, content=content, constant=None)


@dataclass(frozen=True, slots=True)
class Message:
    """`root` is the prefixed root element in XML, None in JSON. A body without parts is an empty message."""

    name: str
    root: str | None
    body: Group
    form: bool = False  # its bytes are a form in place of JSON


@dataclass(frozen=True, slots=True)
class Call:
    """One operation. Without an `answer` it is a submission.

    `method`, `path` and `action` are the system's own; None means those of the contract.
    """

    name: str
    request: Message
    answer: Message | None
    title: str = ""
    action: str | None = None
    method: Literal["GET", "POST"] | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was left out or changed. `place` is file, line and path."""

    code: str
    place: str
    detail: str = ""

    def say(self, language: Literal["vi", "en"]) -> str:
        return words(f"note.{self.code}").say(language, {"detail": self.detail})


def note_lines(notes: Sequence[Note]) -> list[str]:
    """The notes in both languages, one line for each code with its first places."""
    by_code: dict[str, list[Note]] = {}
    for note in notes:
        by_code.setdefault(note.code, []).append(note)
    lines = []
    for code, same in by_code.items():
        facts = {"detail": _listed([each.detail for each in same])}
        translated = words(f"note.{code}", **facts)
        lines.append(f"{translated.vi} / {translated.en} ({_listed([each.place for each in same])})")
    return lines


def nothing(file: str, notes: Sequence[Note]) -> Theirs:
    """The error for an interface without operations to take. Each reason is a finding with its place."""
    different = list(dict.fromkeys(notes))
    findings = [
        Finding(each.place, "", "", each.code, f"{each.say('vi')} / {each.say('en')}") for each in different[:20]
    ]
    return IMPORT_NOTHING(
        findings=findings, file=file, why=", ".join(dict.fromkeys(each.code for each in different)) or "–"
    )


def _listed(texts: Sequence[str]) -> str:
    different = list(dict.fromkeys(each for each in texts if each))
    return ", ".join(different[:_SHOWN]) + (f", … ({len(different)})" if len(different) > _SHOWN else "")


@dataclass(slots=True)
class Interface:
    """A foreign interface as read."""

    name: str
    media: Literal["xml", "json", "csv", "xlsx"]
    namespaces: Mapping[str, str] = field(default_factory=dict)
    head: Mapping[str, str] = field(default_factory=dict)  # words of the table that say where lines stand in a file
    calls: list[Call] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
