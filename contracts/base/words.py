"""Words for people in Vietnamese and English, and the data files that contain them.

Invariant: a data file is read when one of its words is first needed, never at import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

Language = Literal["vi", "en"]


@dataclass(frozen=True, slots=True)
class Words:
    """One text in both languages; `{name}` is filled from facts, which may be `Words` themselves."""

    vi: str
    en: str

    def say(self, language: Language, facts: Mapping[str, object]) -> str:
        return self.of(language).format_map(
            _Facts({name: fact.of(language) if isinstance(fact, Words) else fact for name, fact in facts.items()})
        )

    def of(self, language: Language) -> str:
        """The text with nothing filled in."""
        return self.vi if language == "vi" else self.en


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "…"


class WordsFile:
    """The words of one package: `name: {vi: …, en: …}` of `words.yaml` beside the module `beside` (`__file__`)."""

    def __init__(self, beside: str, name: str = "words.yaml") -> None:
        self.path: Final = Path(beside).with_name(name)

    def __call__(self, name: str, /, **facts: object) -> Words:
        words = Words(**read(self.path)[name])
        return Words(words.say("vi", facts), words.say("en", facts)) if facts else words

    def __iter__(self) -> Iterator[str]:
        return iter(read(self.path))


@cache
def read(path: Path) -> dict[str, Any]:
    """The content of a data file, cached."""
    from contracts.base import safeyaml  # imports PyYAML only where words are needed

    content: dict[str, Any] = safeyaml.load(path.read_bytes())
    return content
