"""What drills showed: entries of the log, and the last one of each kind, which doctor and console read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from gateway.journal.values import keep, value_of

RESTORE: Final = "backup-drill"  # the entry of a restore drill, or of a check; people record them too
FAILOVER: Final = "failover-drill"
LAST: Final = "drill.last."  # database key, before the kind of entry


class Last(NamedTuple):
    """`at` is in Unix seconds."""

    at: float
    ok: bool


def remember(connection: Connection, kind: str, last: Last) -> None:
    """To be called in the transaction of the entry."""
    keep(connection, LAST + kind, json.dumps(last._asdict()))


def newest(connection: Connection, kind: str) -> Last | None:
    """The last drill of that kind; None if there was none since the gateway keeps this."""
    text = value_of(connection, LAST + kind)
    if text is None:
        return None
    told: Mapping[str, Any] = json.loads(text)
    return Last(float(told["at"]), bool(told["ok"]))
