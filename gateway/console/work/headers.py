"""Headers of tables that are taken away from a page: in the reader's words, or the codes that programs rely on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from contracts.base.words import Language, WordsFile

CODES: Final = "codes"
_words: Final = WordsFile(__file__, "columns.yaml")


def header(of: str, columns: Sequence[str], language: Language | None) -> list[str]:
    """Of the table `of`: log | who. Without a language the codes."""
    return list(columns) if language is None else [_words(f"{of}.{each}").of(language) for each in columns]
