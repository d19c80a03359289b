"""Translates the English texts of findings and facts to Vietnamese.

They are produced in English, where speed counts, and are translated where a person reads them. `phrases.yaml` beside a
package's `errors.yaml` lists each phrase as `en` and `vi`. Places of a phrase: `{n}`, `{m}` (also `{n1}`, …) a number,
`{w}` a word, `{t}` a text that is translated itself; any other name, any text.

Invariant: an unknown phrase stays unchanged, and text of a contract or file (codes, patterns, titles, shapes) is never
translated. Matching takes time linear in the text: a place ends where the text after it first begins.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from contracts.base.words import read

FOLDERS: Final[dict[Path, None]] = {}  # of the packages that have errors, in the order of their import
_LONGEST: Final = 10_000
_LETTERS: Final = 3
_DEEPEST: Final = 8  # phrases within phrases
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9]{0,3})\}")  # over our own data
_IN_PATHS: Final = frozenset("_.[]{}@:/', -")


class _Phrase:
    def __init__(self, en: str, vi: str) -> None:
        split = _PLACE.split(en)
        self.start, self._texts, self._names, self._vi = split[0], split[2::2], split[1::2], vi

    def turned(self, text: str, depth: int, folders: int) -> str | None:
        """In Vietnamese, where `text`, which begins with `start`, is this phrase."""
        parts: dict[str, str] = {}
        at = len(self.start)
        for name, following in zip(self._names, self._texts, strict=True):
            last = len(parts) == len(self._names) - 1
            end = len(text) - len(following) if last else text.find(following, at)
            if end <= at or not text.endswith(following, at) and last or not _fits(name, text[at:end]):
                return None
            parts[name] = _turned(text[at:end], depth + 1, folders) if name[0] == "t" else text[at:end]
            at = end + len(following)
        return _PLACE.sub(lambda place: parts[place[1]], self._vi)


def _fits(name: str, part: str) -> bool:
    return part.isdecimal() if name[0] in "nm" else name[0] != "w" or not any(map(str.isspace, part))


@cache
def _phrases(_folders: int) -> tuple[dict[str, str], dict[str, list[_Phrase]]]:
    """Those without a place; and those with one, by their first letters (`""`: those that begin with a place)."""
    files = [path for folder in FOLDERS if (path := folder / "phrases.yaml").exists()]
    every = [(each["en"], each["vi"]) for path in files for each in read(path)["phrases"]]
    exact = {en: vi for en, vi in reversed(every) if not _PLACE.search(en)}
    placed = [_Phrase(en, vi) for en, vi in every if en not in exact]
    anywhere = [each for each in placed if len(each.start) < _LETTERS]
    begins = {each.start[:_LETTERS] for each in placed} - {each.start for each in anywhere}
    return exact, {
        begin: [each for each in placed if each in anywhere or each.start.startswith(begin)] for begin in begins
    } | {"": anywhere}


def vietnamese(text: str) -> str:
    """The text in Vietnamese; unchanged where no phrase matches."""
    return _turned(text, 0, len(FOLDERS))


@lru_cache(1024)
def _turned(text: str, depth: int, folders: int) -> str:
    exact, phrases = _phrases(folders)
    if text in exact:
        return exact[text]
    if len(text) > _LONGEST or depth > _DEEPEST:
        return text
    for phrase in phrases.get(text[:_LETTERS], phrases.get("", ())):
        if text.startswith(phrase.start):
            turned = phrase.turned(text, depth, folders)
            if turned is not None:
                return turned
    where, colon, what = text.partition(": ")
    is_path = colon and all(char.isalnum() or char in _IN_PATHS for char in where)
    return f"{where}: {_turned(what, depth + 1, folders)}" if is_path else text
