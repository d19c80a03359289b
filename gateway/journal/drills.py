"""What drills showed: entries of the log, and the last one of each kind, which doctor and console read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, insert, select, update

from gateway.journal.schema import tables

RESTORE: Final = "backup-drill"  # the entry of a restore drill, or of a check; people record them too
FAILOVER: Final = "failover-drill"
LAST: Final = "drill.last."  # database key, before the kind of entry


class Last(NamedTuple):
    """`at` is in Unix seconds."""

    at: float
    ok: bool


def remember(connection: Connection, kind: str, last: Last) -> None:
    """To be called in the transaction of the entry."""
    row, value = tables.instance.c.key == LAST + kind, json.dumps(last._asdict())
    if not connection.execute(update(tables.instance).where(row).values(value=value)).rowcount:
        connection.execute(insert(tables.instance).values(key=LAST + kind, value=value))


def newest(connection: Connection, kind: str) -> Last | None:
    """The last drill of that kind; None if there was none since the gateway keeps this."""
    text = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == LAST + kind))
    if text is None:
        return None
    told: Mapping[str, Any] = json.loads(text)
    return Last(float(told["at"]), bool(told["ok"]))
