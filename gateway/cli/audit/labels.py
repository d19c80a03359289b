"""What `lgsp audit verify` counted, in the language that `LGSP_LANG` names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.base.words import WordsFile
from gateway.cli.common.language import either

_WORDS: Final = WordsFile(__file__, "labels.yaml")


def counted(checked: Mapping[str, int], of: str = "") -> list[str]:
    """A line for each kind; `of` is a name of `labels.yaml` that stands before it. A kind without words as it is."""
    before = f"{said(of)}, " if of else ""
    return [f"  {before}{said(name)}: {count}" for name, count in checked.items()]


def said(name: str) -> str:
    if name not in set(_WORDS):
        return name
    words = _WORDS(name)
    return either(words.en, words.vi)
