"""The notice of a suspension, as somebody writes it: the reason in one language or both, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.console.errors import CONSOLE_FORM
from gateway.console.work.searching import moment
from gateway.registry.changes.notices import Notice, in_both

MOST: Final = 500


def notice_of(given: Mapping[str, str], now: float) -> Notice:
    """Whoever is refused reads the reason. Raises `console.form`."""
    texts = {name: given.get(name, "").strip() for name in ("reason_vi", "reason_en")}
    if not any(texts.values()):
        raise CONSOLE_FORM(field=" | ".join(texts), why="missing")
    for name, text in texts.items():
        if len(text) > MOST:
            raise CONSOLE_FORM(field=name, why=f"more than {MOST} characters")
    until = moment(given.get("until", "").strip() or None, "until", whole=True)
    if until is not None and until <= now:
        raise CONSOLE_FORM(field="until", why="not after now")
    return Notice(in_both(texts["reason_vi"], texts["reason_en"]), now, until)
