"""Examines the database, its clock, the log, the disk, and weak settings."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, Engine, func, select, text

from contracts.base.errors import Failure, Ours
from contracts.base.times import rfc3339
from gateway.audit.log.checkpoints import read_note
from gateway.doctor.findings import Finding, finding
from gateway.journal import log_checks, processes
from gateway.journal.database import fits, knows, moment, newest_revision, revision, snapshot
from gateway.journal.schema import tables
from gateway.journal.schema.comparison import differences
from gateway.keeper.retention.clock import newest
from gateway.registry import identity
from gateway.registry.seals.accounts import Seal as AccountsSeal
from gateway.registry.seals.sealing import Seal
from gateway.settings import ROLES, Settings
from security.grants.windows import Moment

_MIB: Final = 1 << 20
_LOW, _FULL = 1024, 100
_SKEW: Final = 2.0  # seconds; signatures tolerate five
_BEHIND: Final = 300.0  # seconds that the clock may be before the newest entry of the log
_WAITING: Final = 10_000
_TOKEN_SECONDS: Final = 3600
_NAMED: Final = 20
_SILENT: Final = 15.0  # seconds after which a process that does not beat counts as away


def weak_settings(settings: Settings) -> Iterator[Finding]:
    if settings.origin == Settings(settings.data).origin:
        yield finding("settings.origin", origin=settings.origin)
    if settings.token_seconds > _TOKEN_SECONDS:
        yield finding("settings.tokens-long", seconds=settings.token_seconds)


def disk(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.data).free // _MIB
    if free < _LOW:
        yield finding("disk.full" if free < _FULL else "disk.low", free=free, path=settings.data)


def checkpoints(settings: Settings) -> Iterator[Finding]:
    for path in (settings.checkpoint_file, settings.cosigned_file):
        try:
            read_note(path)
        except Ours as trouble:
            yield finding("log.checkpoint", reason=trouble.facts["reason"])


def verified(connection: Connection) -> Iterator[Finding]:
    """Whether the last verification from the console found something wrong."""
    found = log_checks.verdict(connection)
    if found is not None and not found.ok:
        yield finding("log.check-failed", at=Moment(rfc3339(found.at)), count=found.wrong)


def schema(connection: Connection) -> Iterator[Finding]:
    """Whether the schema is this program's."""
    at, newest = revision(connection), newest_revision()
    if at is not None and not fits(connection):
        yield finding("database.older" if knows(str(at)) else "database.newer", found=at, newest=newest)


def other(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether the database is that of another instance: no process starts with it."""
    try:
        differing, known = identity.differing(connection, settings)
    except FileNotFoundError:  # nothing started yet with this folder
        return
    if differing:
        yield finding("instance.other", what=", ".join(differing), origin=known)


def altered(connection: Connection) -> Iterator[Finding]:
    """Whether the database has objects, such as triggers, that are not this program's."""
    strange = differences(connection)
    if strange:
        yield finding("database.altered", objects=", ".join(map(str, strange[:_NAMED])), count=len(strange))


def registry(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """Whether the registry's rows match the log. The connection must show one moment."""
    try:
        strange, _rows = Seal.of(settings).look(connection)
    except (OSError, Failure):  # keys that do not open are another finding
        return
    if strange:
        yield finding("registry.altered", rows=", ".join(map(str, strange[:_NAMED])), count=len(strange))


def accounts(settings: Settings, engine: Engine) -> Iterator[Finding]:
    """Whether the rows by which people sign in are as they were sealed."""
    try:
        seal = AccountsSeal.of(settings)
    except (OSError, Failure):  # the same
        return
    seen = seal.seen()
    with snapshot(engine) as connection:
        strange = seal.look(connection, seen)
    if strange:
        yield finding("accounts.altered", rows=", ".join(map(str, strange[:_NAMED])), count=len(strange))


def roles(settings: Settings, connection: Connection) -> Iterator[Finding]:
    """What no machine of the instance does. The desk keeps no row that would show where it runs."""
    if connection.dialect.name == "sqlite":
        missing = [role for role in ROLES if not settings.has(role)]
    else:
        row, now = tables.process.c, moment(connection, time.time)
        heard = row.state == "alive", func.coalesce(row.heard, row.seen) > now - _SILENT
        kinds = set(connection.scalars(select(row.kind).where(*heard).distinct()))
        missing = [role for role in ROLES if role != "desk" and role not in kinds] if kinds else []
    if missing:
        yield finding("roles.nobody", roles=", ".join(missing))


def mixed(connection: Connection) -> Iterator[Finding]:
    """Whether programs of several releases run, as during an upgrade."""
    versions = processes.versions(connection)
    if len(versions) > 1:
        listed = "; ".join(f"{version} ({', '.join(machines)})" for version, machines in versions.items())
        yield finding("processes.mixed", versions=listed)


def database(connection: Connection, clock: Callable[[], float], whole: bool = True) -> Iterator[Finding]:
    if connection.dialect.name == "sqlite":
        word = str(connection.scalar(text("PRAGMA quick_check(1)"))) if whole else "ok"
        if word != "ok":
            yield finding("database.damaged", reason=word)
    else:
        before = clock()
        theirs = float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0.0)
        skew = max(before - theirs, theirs - clock(), 0.0)  # the time between the two readings does not count
        if skew > _SKEW:
            yield finding("clock.skew", seconds=round(skew, 1))
    logged = newest(connection)
    if logged is not None and (behind := logged - clock()) > _BEHIND:
        yield finding("clock.behind", seconds=round(behind))
    waiting = int(connection.scalar(text("SELECT COUNT(*) FROM log_pending")) or 0)
    if waiting > _WAITING:
        yield finding("log.waiting", count=waiting)
