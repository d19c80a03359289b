"""One change between two versions of a contract: a stable code, words in both languages, file and line, and the step of the version that it asks for.

The levels are those of Semantic Versioning 2.0.0, read for data that is exchanged:
- MAJOR, breaking: something that was accepted is refused, or somebody is sent what the old version does not allow;
- MINOR: something more can be said, and whoever knows only the old version can go on with it;
- PATCH: nothing that is exchanged is different (words, samples).
Invariant: a code never changes its meaning, and every code has its words in `changes.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, Literal

from contracts.base.words import Language, WordsFile

Side = Literal["old", "new"]


class Level(IntEnum):
    PATCH = 0
    MINOR = 1
    MAJOR = 2


CODES: Final = WordsFile(__file__, "changes.yaml")


@dataclass(frozen=True, slots=True)
class Change:
    """`where` is what changed (a canonical path, an operation, a file); `file` and `line` say where that stands, in the version of `side`."""

    code: str
    level: Level
    where: str
    file: str
    line: int
    side: Side
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def breaking(self) -> bool:
        return self.level is Level.MAJOR

    def say(self, language: Language) -> str:
        return CODES(self.code).say(language, {**self.facts, "where": self.where})

    @property
    def place(self) -> str:
        """File and line, and which version's, where it is the old one."""
        return f"{self.file}:{self.line}" + (" (old)" if self.side == "old" else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "level": self.level.name.lower(),
            "breaking": self.breaking,
            "where": self.where,
            "file": self.file,
            "line": self.line,
            "side": self.side,
            "facts": dict(self.facts),
            "words": {"vi": self.say("vi"), "en": self.say("en")},
        }


@dataclass(slots=True)
class Changes:
    """Collects; what is found twice, as where two operations share a type, is kept once, at the higher level."""

    found: dict[tuple[str, str, str, int, Side], Change] = field(default_factory=dict)

    def add(self, code: str, level: Level, where: str, at: tuple[str, int, Side], **facts: object) -> None:
        made = Change(code, level, where, *at, {name: str(value) for name, value in facts.items()})
        known = self.found.get((code, where, *at))
        if known is None or known.level < level:
            self.found[(code, where, *at)] = made
