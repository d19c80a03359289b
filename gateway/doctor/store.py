"""The database, its clock, the log, the disk, and settings that are weak by themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, text

from contracts.base.errors import Failure, Ours
from gateway.audit.log.checkpoints import read_note
from gateway.doctor.findings import Found, found
from gateway.journal.database import knows, newest_revision, revision
from gateway.journal.schema.comparison import differences
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings

_MIB: Final = 1 << 20
_LOW, _FULL = 1024, 100
_SKEW: Final = 2.0  # seconds; signatures bear five
_WAITING: Final = 10_000
_TOKEN_SECONDS: Final = 3600
_NAMED: Final = 20


def weak_settings(settings: Settings) -> Iterator[Found]:
    if settings.origin == Settings(settings.data).origin:
        yield found("settings.origin", origin=settings.origin)
    if settings.token_seconds > _TOKEN_SECONDS:
        yield found("settings.tokens-long", seconds=settings.token_seconds)


def disk(settings: Settings) -> Iterator[Found]:
    free = shutil.disk_usage(settings.data).free // _MIB
    if free < _LOW:
        yield found("disk.full" if free < _FULL else "disk.low", free=free, path=settings.data)


def checkpoints(settings: Settings) -> Iterator[Found]:
    for path in (settings.checkpoint_file, settings.cosigned_file):
        try:
            read_note(path)
        except Ours as trouble:
            yield found("log.checkpoint", reason=trouble.facts["reason"])


def schema(connection: Connection) -> Iterator[Found]:
    """Whether the tables are those that this program reads."""
    at, newest = revision(connection), newest_revision()
    if at not in (None, newest):
        yield found("database.older" if knows(str(at)) else "database.newer", found=at, newest=newest)


def altered(connection: Connection) -> Iterator[Found]:
    """Whether anything acts in the database that this program did not put there."""
    strange = differences(connection)
    if strange:
        yield found("database.altered", objects=", ".join(map(str, strange[:_NAMED])), count=len(strange))


def registry(settings: Settings, connection: Connection) -> Iterator[Found]:
    """Whether the rows of the registry are those that the log has. The connection shows one moment."""
    try:
        strange, _rows = Seal.of(settings).look(connection)
    except (OSError, Failure):  # keys that do not open are told of by themselves
        return
    if strange:
        yield found("registry.altered", rows=", ".join(map(str, strange[:_NAMED])), count=len(strange))


def database(connection: Connection, clock: Callable[[], float]) -> Iterator[Found]:
    if connection.dialect.name == "sqlite":
        word = str(connection.scalar(text("PRAGMA quick_check(1)")))
        if word != "ok":
            yield found("database.damaged", reason=word)
    else:
        before = clock()
        theirs = float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)
        skew = max(before - theirs, theirs - clock(), 0.0)  # whatever lies between our two looks is no difference
        if skew > _SKEW:
            yield found("clock.skew", seconds=round(skew, 1))
    waiting = int(connection.scalar(text("SELECT COUNT(*) FROM log_pending")) or 0)
    if waiting > _WAITING:
        yield found("log.waiting", count=waiting)
