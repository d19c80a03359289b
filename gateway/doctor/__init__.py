"""Examines an instance without changing it and reports weaknesses (`findings` lists all kinds)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from contracts.base.errors import Failure
from gateway.doctor import certificates, network, store
from gateway.doctor.access import access
from gateway.doctor.backups import backups
from gateway.doctor.files import files, short_keys
from gateway.doctor.findings import Finding, finding
from gateway.doctor.modes import modes
from gateway.doctor.rows import rows
from gateway.doctor.vault import key_copies, vault
from gateway.doctor.witnessing import settings_of_vouchers, vouching
from gateway.journal.database import open_engine, snapshot
from gateway.settings import Settings
from gateway.settings.running import is_running


def examine(settings: Settings, clock: Callable[[], float]) -> list[Finding]:
    """All findings, grave ones first. What cannot be examined is a finding too."""
    sandbox = settings.kind == "sandbox"
    every = [each for each in _examine(settings, clock) if each.kind.sandbox_too or not sandbox]
    return sorted(every, key=lambda each: not each.kind.grave)


def _examine(settings: Settings, clock: Callable[[], float]) -> Iterator[Finding]:
    now = clock()
    lying = list(files(settings))
    yield from lying
    yield from modes(settings)
    if not is_running(settings.data):
        yield finding("instance.not-running")
    yield from store.weak_settings(settings)
    yield from store.disk(settings)
    yield from store.checkpoints(settings)
    yield from key_copies(settings)
    yield from settings_of_vouchers(settings)
    yield from network.addresses(settings)
    yield from network.edges(settings)
    yield from network.old_tls(settings)
    try:
        yield from certificates.own_certificates(settings, now)
    except Failure as failure:
        if not any(each.kind.code == "keys.locked" for each in lying):  # else reported already
            yield finding("keys.locked", name=str(settings.keys), reason=failure.what("en").rstrip("."))
    engine = open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            strange = list(store.schema(connection))
            yield from strange
            if strange:
                return
            yield from store.altered(connection)
            yield from store.database(connection, clock)
            yield from certificates.systems_certificates(connection, now)
            yield from short_keys(settings, connection)
            yield from access(settings, connection, now)
            yield from vault(settings, connection, now)
            yield from rows(connection)
            yield from vouching(settings, connection, now)
            yield from backups(settings, connection, now)
        with snapshot(engine) as connection:
            yield from store.registry(settings, connection)
    except SQLAlchemyError as trouble:
        damaged = isinstance(trouble, DatabaseError) and not isinstance(
            trouble, OperationalError
        )  # SQLite: "malformed", "not a database"
        yield finding("database.damaged" if damaged else "database.unreachable", reason=str(trouble).partition("\n")[0])
    except Failure:  # reported above
        pass
    finally:
        engine.dispose()
