"""`lgsp registry suspend|resume` and `lgsp access suspend|resume`: with notice, and in the log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.output import Exit, emit, fail
from gateway.cli.registry.registry import listed

if TYPE_CHECKING:
    from gateway.registry.changes import notices
    from gateway.settings import Settings


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Notice:
    """What whoever is refused reads."""

    reason_vi: Annotated[str, typer.Option("--reason-vi", help="Why, in Vietnamese: whoever is refused reads it.")] = ""
    reason_en: Annotated[
        str, typer.Option("--reason-en", help="Why, in English. One language suffices; the other shows the same text.")
    ] = ""
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="When it is expected to end (2026-12-01T17:30, time in Vietnam); it ends by `resume` only.",
        ),
    ] = None
    shorten: Annotated[bool, typer.Option("--shorten", help="Let an end that was told already come earlier.")] = False


def suspend(settings: Settings, whom: tuple[notices.What, str], notice: Notice, as_json: bool) -> None:
    from gateway.journal.database import open_engine
    from gateway.registry.changes import notices, suspending
    from gateway.registry.seals.sealing import Seal, changing
    from security.grants.windows import civil

    (what, name), given = whom, (notice.reason_vi.strip(), notice.reason_en.strip())
    now = time.time()
    ends = None if notice.until is None else arguments.moment(notice.until, as_json, whole_day=True)
    if ends is not None and ends <= now:
        what_ = f"{notice.until} is over already / {notice.until} đã qua"
        then = (
            "Name a time to come, or leave --until out: the end is open then."
            " / Nêu thời điểm trong tương lai, hoặc bỏ --until: khi đó chưa hẹn ngày kết thúc."
        )
        fail(Exit.USAGE, "no-time", what_, then, as_json)
    if not any(given):
        what_ = "the reason is empty / lý do còn trống"
        then = "Say why: whoever is refused reads it. / Nêu lý do: bên bị từ chối sẽ đọc."
        fail(Exit.USAGE, "no-reason", what_, then, as_json)
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        earlier = notices.notices(connection).get((what, name))
        told = notices.Notice(notices.in_both(*given), now, ends)
        changes = suspending.suspend(act, whom, told, actor(), shorten=notice.shorten)
    if changes[0].how != "changed":  # it was in force: a notice that still lay there is of no suspension
        earlier = None
    expected = (
        Words("", "") if ends is None else Words(f", dự kiến đến {civil(ends)}", f", expected until {civil(ends)}")
    )
    text = (
        f"{what} {name}: suspended{expected.en}; running doors know within two seconds"
        f" / đã tạm dừng{expected.vi}; các cửa đang chạy áp dụng trong hai giây"
    )
    if earlier is not None:
        replaced = earlier.described()
        text += (
            f"\n  it was suspended already, since {replaced['since']}, {replaced['earlier'].en}"
            f" ({replaced['reason'].en}): that"
            " end and reason are replaced"
            f"\n  vốn đã bị tạm dừng từ {replaced['since']}, {replaced['earlier'].vi} ({replaced['reason'].vi}):"
            " thời hạn và lý"
            " do đó được thay"
        )
    emit({"ok": True, "changes": listed(changes), "before": None if earlier is None else _json(earlier)}, as_json, text)


def _json(notice: notices.Notice) -> dict[str, Any]:
    until = None if notice.until is None else rfc3339(notice.until)
    return {"since": rfc3339(notice.since), "until": until, "reason": {"vi": notice.reason.vi, "en": notice.reason.en}}


def resume(settings: Settings, whom: tuple[notices.What, str], as_json: bool) -> None:
    from gateway.journal.database import open_engine
    from gateway.registry.changes import suspending
    from gateway.registry.seals.sealing import Seal, changing

    (what, name), now = whom, time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        changes = suspending.resume(act, whom, (actor(), None), now)
    text = "in force / có hiệu lực trở lại" if changes else "was in force / vốn đang có hiệu lực"
    emit({"ok": True, "changes": listed(changes)}, as_json, f"{what} {name}: {text}")
