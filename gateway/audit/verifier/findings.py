"""The findings of a check: what was checked, and notes for the reader; and how their text is shown.

Invariant: no name or reason of a package reaches a terminal but by `shown`, which leaves nothing that it would obey.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

_SEEN: Final = re.compile("[\x20-\x7e\u00c0-\u024f\u1e00-\u1eff]*")  # Latin letters, those of Vietnamese too
_WITHOUT_GLYPH: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_MOST: Final = 2_000  # characters of one text


def shown(text: str) -> str:
    """The text on one line. What a terminal obeys or a reader does not see is escaped as in JSON."""
    if _SEEN.fullmatch(text) is not None:
        return text
    return "".join(_escape(each) if _unseen(each) else each for each in text)


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in _WITHOUT_GLYPH


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


@dataclass(slots=True)
class Findings:
    """What was checked. `notes`: what a reader must know although nothing is wrong."""

    checks: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)  # what could not be checked on this machine

    def add(self, name: str, ok: bool, detail: str = "") -> bool:
        self.checks.append({"name": cut(name), "ok": ok, "detail": cut(detail)})
        return ok

    @property
    def ok(self) -> bool:
        return bool(self.checks) and all(check["ok"] for check in self.checks)
