"""Escapes invisible and terminal control characters of foreign text shown to people."""

from __future__ import annotations

import re
from typing import Final

# Control characters, line separators, direction marks.
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str, *, lines: bool = False) -> str:
    """The text on one line; with `lines`, its line ends and tabs stay."""
    return _UNSEEN.sub(lambda match: match[0] if lines and match[0] in "\n\t" else f"\\u{ord(match[0]):04x}", text)
