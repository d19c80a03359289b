"""Escapes what a terminal obeys or a reader does not see, in foreign text shown to people (UAX #9, ECMA-48).

Invariant: an escape is one of JSON, so escaped JSON stays the same JSON.
"""

from __future__ import annotations

import re
from typing import Final

# The categories Cc, Cf, Cs, Zl and Zp of Unicode, and letters without a glyph. tests/contracts/base/test_visible.py
# compares them with Python's tables.
_UNSEEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f]"
)


def visible(text: str, *, lines: bool = False) -> str:
    """The text on one line; with `lines`, its line ends and tabs stay."""
    return _UNSEEN.sub(lambda match: match[0] if lines and match[0] in "\n\t" else _escape(match[0]), text)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
