"""`lgsp audit show|origins`: the entries of transfers, and the logs that there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.base.times import rfc3339
from gateway.cli.access import past
from gateway.cli.common import arguments
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.audit.log import origins
    from gateway.settings import Settings

commands = typer.Typer()
Origin = Annotated[
    str | None,
    typer.Option("--origin", help="Expected origin of the log; that of one that ended by a restore looks at that log."),
]


@commands.command("show")
def audit_show(transfers: list[str], data: Data = None, as_json: AsJson = False) -> None:
    """All entries of the transfers named, and those about them such as repeats, in the order of the log; each decision
    is judged again by the registry that made it. The id may be that of a case or a handling."""
    from gateway.audit.search.case_steps import entries_of_case
    from gateway.audit.search.journey import entries_of
    from gateway.audit.search.search import reading
    from gateway.journal.database import open_engine

    # The entries of transfers, in the order given.
    settings = load_instance(data, as_json)
    transfers = [arguments.transfer_id(each, as_json) for each in transfers]
    engine = open_engine(settings.database_url)
    with reading(engine) as connection:
        by_transfer = {
            transfer: entries_of(connection, transfer) or entries_of_case(connection, transfer)
            for transfer in transfers
        }
    missing = [transfer for transfer, entries in by_transfer.items() if not entries]
    if missing:
        what = f"the log holds nothing of {', '.join(missing)} / nhật ký không có gì về các giao dịch này"
        then = (
            "Transfer ids stand in answers as Lgsp-Transfer. / Mã giao dịch nằm trong trường Lgsp-Transfer của trả lời."
        )
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    entries = [each for some in by_transfer.values() for each in some]
    told = past.judgements(engine, entries)
    lines = [*(json.dumps(each, ensure_ascii=False) for each in entries), *map(past.judgement_line, told)]
    emit({"ok": True, "entries": entries, "judged": told}, as_json, "\n".join(lines))


@commands.command("origins")
def audit_origins(data: Data = None, as_json: AsJson = False) -> None:
    """The log that goes on, and those that ended because a restore lacked what was signed."""
    from gateway.audit.log import origins
    from gateway.journal.database import open_engine
    from gateway.keys.keyring import Keyring
    from security.grants.windows import civil

    # The log that goes on, and those that ended by a restore.
    settings = load_instance(data, as_json)
    with open_engine(settings.database_url).connect() as connection:
        past = origins.ended(connection)
    logs = [
        {"origin": each.origin, "vkey": each.vkey, "size": each.size, "ended": rfc3339(each.ended)} for each in past
    ]
    logs.append(
        {
            "origin": settings.origin,
            "vkey": Keyring(settings).log_vkey.read_text("ascii").strip(),
            "size": None,
            "ended": None,
        }
    )
    lines = [f"{each['origin']}: goes on / đang tiếp tục" for each in logs if each["ended"] is None]
    lines[:0] = [
        (
            f"{each.origin}: ended {civil(each.ended)}, {each.size} entries"
            f" / đã kết thúc lúc {civil(each.ended)}, {each.size} mục"
        )
        for each in past
    ]
    emit({"ok": True, "logs": logs}, as_json, "\n".join(lines))


def past_log(engine: Engine, settings: Settings, origin: str | None) -> origins.Ended | None:
    """The log that ended under this origin; None for the one that goes on."""
    from gateway.audit.log import origins

    if origin is None or origin == settings.origin:
        return None
    with engine.connect() as connection:
        return origins.ended_as(connection, origin)
