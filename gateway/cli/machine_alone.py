"""`lgsp machine alone`: a person lets the instance go on without a synchronous standby, or takes that back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.base.times import rfc3339
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, failures_as_exits
from gateway.cli.common.persons import LEAST_REASON

if TYPE_CHECKING:
    from gateway.settings import Settings

commands = typer.Typer()


@commands.command("alone")
def alone(
    reason: Annotated[
        str, typer.Option("--reason", help="Why, 10 characters or more; it stays in the log, so no personal data.")
    ],
    end: Annotated[bool, typer.Option("--end", help="Take the decision back.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Acknowledge without a synchronous standby, on all machines, until one has caught up again."""
    from gateway.journal import alone as decisions
    from gateway.journal.append import append
    from gateway.transfer import entries

    settings, now, why = load_instance(data, as_json), time.time(), reason.strip()
    if settings.standby != "required":
        what = "this instance requires no standby (setting `standby`) / phiên bản này không bắt buộc bản dự phòng"
        fail(Exit.USAGE, "no-standby-required", what, "Nothing to do. / Không cần làm gì.", as_json)
    if len(why) < LEAST_REASON:
        what = f"the reason has fewer than {LEAST_REASON} characters / lý do quá ngắn"
        fail(Exit.USAGE, "no-reason", what, "Say why: the log keeps it. / Nêu lý do: nhật ký lưu lại.", as_json)
    if not end:
        _check_lacking(settings, as_json)
    with failures_as_exits(as_json), decisions.writing_locally(settings.database_url) as connection:
        before = decisions.standing(connection)
        kind = "alone-ended" if end else "alone"
        if end and before is None:
            text = "nobody let it go on without a standby / không có quyết định nào đang có hiệu lực"
        else:
            if end:
                decisions.end(connection)
                text = "a synchronous standby is required again / lại bắt buộc có bản dự phòng đồng bộ"
            else:
                decisions.begin(connection, decisions.Alone(now, actor(), why))
                text = (
                    "it goes on without a standby: what is acknowledged from now on is on one disk only"
                    " / tiếp tục không có bản dự phòng: dữ liệu được xác nhận từ lúc này chỉ nằm trên một đĩa"
                )
            append(connection, [entries.note(kind, {"reason": why[:1000]}, now, actor=actor())])
    was = None if before is None else {"since": rfc3339(before.at), "by": before.by, "reason": before.reason}
    emit({"ok": True, "alone": not end, "before": was}, as_json, text)


def _check_lacking(settings: Settings, as_json: bool) -> None:
    """Nobody decides in advance: where a standby confirms, the keeper would take it back at once."""
    from gateway.journal.database import open_engine
    from gateway.journal.read_only import read_only
    from gateway.journal.standby import lacks

    with failures_as_exits(as_json), read_only():
        engine = open_engine(settings.database_url)
        with engine.connect() as connection:
            lack = lacks(connection.connection.driver_connection)  # type: ignore[arg-type]
        engine.dispose()
    if lack is None:
        what = "a synchronous standby confirms what is written / bản dự phòng đồng bộ vẫn đang xác nhận"
        fail(Exit.USAGE, "has-standby", what, "Nothing to do. / Không cần làm gì.", as_json)
