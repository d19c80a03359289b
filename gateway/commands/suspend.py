"""`lgsp registry suspend|resume` and `lgsp access suspend|resume`: with notice, and in the log."""

from __future__ import annotations

import time
from typing import Any

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.commands import given
from gateway.commands.output import Exit, emit, fail
from gateway.commands.registry import listed
from gateway.journal.database import open_engine
from gateway.registry.changes import notices
from gateway.registry.seals.sealing import Seal, changing
from gateway.settings import Settings
from security.grants.windows import civil


def suspend(
    settings: Settings, what: notices.What, name: str, reason: Words, until: str | None, shorten: bool, as_json: bool
) -> None:
    now, ends = time.time(), None if until is None else given.moment(until, as_json)
    for language, text in (("vi", reason.vi), ("en", reason.en)):
        if not text.strip():
            empty = f"the reason in {language} is empty / lý do ({language}) còn trống"
            fail(
                Exit.USAGE,
                "no-reason",
                empty,
                "Say why: whoever is refused reads it. / Nêu lý do: bên bị từ chối sẽ đọc.",
                as_json,
            )
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        earlier = notices.notices(connection).get((what, name))
        changes = notices.suspend(connection, what, name, reason, now, ends, shorten=shorten)
        facts: dict[str, Any] = {"changes": listed(changes), "reason": {"vi": reason.vi, "en": reason.en}}
        if ends is not None:
            facts["until"] = rfc3339(ends)
        act.note("suspended", facts, now)
    if changes[0].how != "changed":  # it was in force: a notice that still lay there is of no suspension
        earlier = None
    expected = (
        Words("", "") if ends is None else Words(f", dự kiến đến {civil(ends)}", f", expected until {civil(ends)}")
    )
    text = (
        f"{what} {name}: suspended{expected.en}; running doors know within a second"
        f" / đã tạm dừng{expected.vi}; các cửa đang chạy áp dụng trong một giây"
    )
    if earlier is not None:
        said = earlier.described()
        text += (
            f"\n  it was suspended already, since {said['since']}, {said['earlier'].en} ({said['reason'].en}): that end and reason are replaced"
            f"\n  vốn đã bị tạm dừng từ {said['since']}, {said['earlier'].vi} ({said['reason'].vi}): thời hạn và lý do đó được thay"
        )
    emit({"ok": True, "changes": listed(changes), "before": None if earlier is None else _json(earlier)}, as_json, text)


def _json(notice: notices.Notice) -> dict[str, Any]:
    until = None if notice.until is None else rfc3339(notice.until)
    return {"since": rfc3339(notice.since), "until": until, "reason": {"vi": notice.reason.vi, "en": notice.reason.en}}


def resume(settings: Settings, what: notices.What, name: str, as_json: bool) -> None:
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        changes = notices.resume(act.connection, what, name)
        if changes:
            act.note("resumed", {"changes": listed(changes)}, now)
    text = "in force / có hiệu lực trở lại" if changes else "was in force / vốn đang có hiệu lực"
    emit({"ok": True, "changes": listed(changes)}, as_json, f"{what} {name}: {text}")
