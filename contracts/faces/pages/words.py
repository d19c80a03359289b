"""Words of the documentation page in both languages, and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from contracts.base.words import Language, WordsFile

_words = WordsFile(__file__)


def say(word: str, language: Language) -> str:
    return _words(word).of(language)


def fill(word: str, language: Language, facts: Mapping[str, str]) -> str:
    return _words(word, **facts).of(language)


def head(words: Iterable[str], language: Language) -> list[str]:
    return [say(word, language) for word in words]


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table, which keys scroll where it is wider than the page. Titles and cells are HTML already."""
    lines = ['<table tabindex="0"><tr>' + "".join(f'<th scope="col">{title}</th>' for title in titles) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])
