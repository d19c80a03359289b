"""Texts of others among words for people: whatever they would not see, or would act on their terminal, is spelt out."""

from __future__ import annotations

import re
from typing import Final

# Control characters, line separators, marks of direction.
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str, *, lines: bool = False) -> str:
    """One line of it; with `lines` a text of several, whose ends and tabs stay."""
    return _UNSEEN.sub(lambda found: found[0] if lines and found[0] in "\n\t" else f"\\u{ord(found[0]):04x}", text)
