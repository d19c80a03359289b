"""What a foreign interface says, in one form for XML and JSON: messages as trees of named parts, and what could not be taken.

The importers make it, `contracts.importers.draft` writes it as a contract folder. Invariant: what an importer leaves out or takes
otherwise than it stands is a `Note` with its place; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from contracts.base.errors import Finding, Theirs
from contracts.base.words import WordsFile
from contracts.importers.errors import IMPORT_NOTHING

MAX_CALLS: Final = 40  # operations of one draft
MAX_PLACES: Final = 1_500  # parts of one message
MAX_DEPTH: Final = 16  # groups within groups
words = WordsFile(__file__)
_SHOWN: Final = 4
RECURSION: Final = 2  # how often a type stands within itself


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its canonical JSON Schema, words of its row beside `canonical` and `here`, and what people have to say about it."""

    schema: Mapping[str, Any]
    row: Mapping[str, str] = field(default_factory=dict)
    ask: str | None = None  # the name of what it asks in `words.yaml`


@dataclass(slots=True)
class Group:
    """An object: the name of its type (a hint for $defs) and its parts in the order of the format.

    `items` is shared by a group that stands for the items of a list, and by each list within it that has the same items.
    """

    name: str
    parts: list[Part] = field(default_factory=list)
    title: str = ""
    items: Items | None = None


@dataclass(slots=True, eq=False)
class Items:
    """The items of a list, while they are read: a list of the same items inside them refers to it."""

    again: bool = False


@dataclass(slots=True)
class Part:
    """An element, attribute, text or member. `step` is how a mapping table names it; `most` None is without bound.

    `nil` says that it may stand there as nil (XML) or null (JSON); `keyed` that its items are members whose names are values.
    """

    name: str
    step: str
    content: Value | Group | Items | None  # None: its place is known, its content cannot be taken
    least: int = 1
    most: int | None = 1
    title: str = ""
    constant: str | None = None
    nil: bool = False
    keyed: bool = False

    @property
    def many(self) -> bool:
        return self.most is None or self.most > 1

    @property
    def stands_as_nil(self) -> bool:
        """Whether it must stand even without a value: then nil is a reason for absence, not merely nothing."""
        return self.nil and self.least > 0

    @property
    def carries(self) -> bool:
        """Whether every message has a value here: a group without one cannot be told from a missing group."""
        if self.least < 1 or self.nil or self.content is None or self.constant is not None:
            return False
        return self.many or not isinstance(self.content, Group) or any(each.carries for each in self.content.parts)


@dataclass(frozen=True, slots=True)
class Message:
    """`root` is the root element in XML (prefixed), None in JSON; no parts: nothing is sent."""

    name: str
    root: str | None
    body: Group


@dataclass(frozen=True, slots=True)
class Call:
    """One operation; without an `answer` something is handed in. `method`, `path`, `action`: how the system itself is called, None where the contract's own way does."""

    name: str
    request: Message
    answer: Message | None
    title: str = ""
    action: str | None = None
    method: Literal["GET", "POST"] | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was not taken, or otherwise than it stands. `place` is file, line and path."""

    code: str
    place: str
    detail: str = ""

    def say(self, language: Literal["vi", "en"]) -> str:
        return words(f"note.{self.code}").say(language, {"detail": self.detail})


def told(notes: Sequence[Note]) -> list[str]:
    """The notes in both languages, those of one kind on one line with their first places."""
    by_code: dict[str, list[Note]] = {}
    for note in notes:
        by_code.setdefault(note.code, []).append(note)
    lines = []
    for code, same in by_code.items():
        facts = {"detail": _listed([each.detail for each in same])}
        said = words(f"note.{code}", **facts)
        lines.append(f"{said.vi} / {said.en} ({_listed([each.place for each in same])})")
    return lines


def nothing(file: str, notes: Sequence[Note]) -> Theirs:
    """No operation was left to take: each reason is a finding, with its place."""
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
    media: Literal["xml", "json"]
    namespaces: Mapping[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
