"""`lgsp registry suspend|resume` and `lgsp access suspend|resume`: with notice, and in the log."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from contracts.base.errors import Words
from contracts.base.times import rfc3339
from gateway.commands.output import Exit, emit, fail
from gateway.commands.registry import listed
from gateway.exchange import entries
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.registry import notices
from gateway.settings import Settings
from security.windows import VIETNAM, civil


def suspend(settings: Settings, what: notices.What, name: str, reason: Words, until: str | None, as_json: bool) -> None:
    now, ends = time.time(), _moment(until, as_json)
    for language, text in (("vi", reason.vi), ("en", reason.en)):
        if not text.strip():
            fail(Exit.USAGE, "no-reason", f"the reason in {language} is empty", "Say why: whoever is refused reads it.", as_json)
    with writing(open_engine(settings.database_url)) as connection:
        changes = notices.suspend(connection, what, name, reason, now, ends)
        facts: dict[str, Any] = {"changes": listed(changes), "reason": {"vi": reason.vi, "en": reason.en}}
        if ends is not None:
            facts["until"] = rfc3339(ends)
        append(connection, [entries.note("suspended", facts, now, actor="command line")])
    expected = f", expected until {civil(ends)}" if ends is not None else ""
    emit({"ok": True, "changes": listed(changes)}, as_json, f"{what} {name}: suspended{expected}; running doors know within a second")


def resume(settings: Settings, what: notices.What, name: str, as_json: bool) -> None:
    now = time.time()
    with writing(open_engine(settings.database_url)) as connection:
        changes = notices.resume(connection, what, name)
        if changes:
            append(connection, [entries.note("resumed", {"changes": listed(changes)}, now, actor="command line")])
    emit({"ok": True, "changes": listed(changes)}, as_json, f"{what} {name}: in force" if changes else f"{what} {name} was in force")


def _moment(text: str | None, as_json: bool) -> float | None:
    """A day or a moment; without an offset it is the time in Vietnam."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        fail(Exit.USAGE, "no-time", f"{text} is no time", "Write 2026-12-01, or 2026-12-01T17:30.", as_json)
    return (at if at.tzinfo is not None else at.replace(tzinfo=VIETNAM)).timestamp()
