"""Examines the servers of PostgreSQL: a synchronous standby that is required where several machines work, is there, and
not given up for long; and no second server that takes writes.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from contracts.base.times import rfc3339
from gateway.doctor.findings import Finding, finding
from gateway.journal import alone
from gateway.journal.schema import tables
from gateway.settings import Settings
from security.grants.windows import Moment


def standby(settings: Settings, connection: Connection) -> Iterator[Finding]:
    if connection.dialect.name != "postgresql":
        return
    from gateway.journal.postgresql import other_primaries

    if old := other_primaries(connection):
        yield finding("database.two-primaries", servers=", ".join(old))
    if settings.standby == "off":
        machines = select(func.count(func.distinct(tables.process.c.host))).where(tables.process.c.state == "alive")
        if settings.kind == "production" and (count := connection.scalar(machines) or 0) > 1:
            yield finding("standby.off", count=count)
        return
    from gateway.journal.standby import lacks

    lack = lacks(connection.connection.driver_connection)  # type: ignore[arg-type]
    decided = alone.standing(connection)
    if decided is not None:
        yield finding("standby.alone", at=Moment(rfc3339(decided.at)), by=decided.by, said=decided.reason)
    elif lack is not None:
        yield finding("standby.missing", reason=lack)
