"""A change between two versions of a contract: code, level, place, words in both languages.

The levels are those of Semantic Versioning 2.0.0, applied to exchanged data:
- MAJOR, breaking: data that was accepted is refused, or a party receives what the old version does not allow;
- MINOR: more can be exchanged, and parties with the old version are not affected;
- PATCH: the exchanged data is unchanged (words, samples).
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
    """One change. `where` is what changed: a canonical path, an operation, a file.

    `file` and `line` refer to the version of `side`.
    """

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
        """File and line, with "(old)" where they refer to the old version."""
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
    """Collects changes. A repeated one, as where two operations share a type, is kept once at the higher level."""

    by_key: dict[tuple[str, str, str, int, Side], Change] = field(default_factory=dict)

    def add(self, code: str, level: Level, where: str, at: tuple[str, int, Side], **facts: object) -> None:
        change = Change(code, level, where, *at, {name: str(value) for name, value in facts.items()})
        known = self.by_key.get((code, where, *at))
        if known is None or known.level < level:
            self.by_key[(code, where, *at)] = change
