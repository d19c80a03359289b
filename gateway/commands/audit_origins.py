"""`lgsp audit origins`: the log that goes on, and those that ended by a restore."""

from __future__ import annotations

from sqlalchemy import Engine

from contracts.base.times import rfc3339
from gateway.audit.log import origins
from gateway.commands.output import emit
from gateway.journal.database import open_engine
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from security.grants.windows import civil


def origins_of(settings: Settings, as_json: bool) -> None:
    """The log that goes on, and those that ended by a restore."""
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
        f"{each.origin}: ended {civil(each.ended)}, {each.size} entries / đã kết thúc lúc {civil(each.ended)}, {each.size} mục"
        for each in past
    ]
    emit({"ok": True, "logs": logs}, as_json, "\n".join(lines))


def past_log(engine: Engine, settings: Settings, origin: str | None) -> origins.Ended | None:
    """The log that ended under this origin; None for the one that goes on."""
    if origin is None or origin == settings.origin:
        return None
    with engine.connect() as connection:
        return origins.ended_as(connection, origin)
