"""Examines an instance without changing it and reports weaknesses (`findings` lists all kinds)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError

from contracts.base.errors import Failure
from gateway.doctor import certificates, contacts, network, push, store
from gateway.doctor.access import access
from gateway.doctor.backups import backups
from gateway.doctor.files import files, short_keys
from gateway.doctor.findings import Finding, finding
from gateway.doctor.holidays import holidays
from gateway.doctor.machines import machines
from gateway.doctor.modes import modes, owners
from gateway.doctor.rows import rows
from gateway.doctor.standby import standby
from gateway.doctor.vault import key_copies, vault
from gateway.doctor.witnessing import unwitnessed, witness_findings, witness_settings
from gateway.journal.database import open_engine, snapshot
from gateway.journal.limits import only_standby
from gateway.settings import Settings
from gateway.settings.running import is_running

_FIRST: Final = "clock.skew"  # it explains others: signatures, tokens and certificates that are refused


class Examined(NamedTuple):
    """A wrong clock first, then grave ones. `usual`: would be findings in production, and are normal in a sandbox."""

    findings: list[Finding]
    usual: list[Finding]


def examine(settings: Settings, clock: Callable[[], float], *, whole: bool = True) -> list[Finding]:
    """All findings, grave ones first. What cannot be examined is a finding too.

    `whole`: reads the whole file of an SQLite database, which takes seconds for a large one.
    """
    return examined(settings, clock, whole=whole).findings


def examined(settings: Settings, clock: Callable[[], float], *, whole: bool = True) -> Examined:
    sandbox, unread = settings.kind == "sandbox", set[str]()
    every = list(_examine(settings, clock, partial(_permitted, unread), whole))
    if unread:
        every.append(finding("files.unread", paths=", ".join(sorted(unread))))
    every.sort(key=lambda each: (each.kind.code != _FIRST, not each.kind.grave))
    usual = [each for each in every if sandbox and not each.kind.sandbox_too]
    return Examined([each for each in every if each not in usual], usual)


def of_machine(settings: Settings, clock: Callable[[], float]) -> list[Finding]:
    """What is of this machine alone: files, disk, clock, addresses, certificates. For a keeper, again and again."""

    def look(permitted: Callable[[Iterable[Finding]], Iterator[Finding]]) -> Iterator[Finding]:
        yield from _of_machine(settings, clock, permitted)
        engine = open_engine(settings.database_url)
        try:
            with engine.connect() as connection:
                yield from (each for each in store.database(connection, clock, whole=False) if _is_clocks(each))
        finally:
            engine.dispose()

    return _wrong(settings, look)


def of_instance(settings: Settings, clock: Callable[[], float]) -> list[Finding]:
    """What is of the instance as a whole, as its database has it. For the leading keeper, again and again."""

    def look(permitted: Callable[[Iterable[Finding]], Iterator[Finding]]) -> Iterator[Finding]:
        yield from (each for each in _of_database(settings, clock, permitted, whole=False) if not _is_clocks(each))

    return _wrong(settings, look)


def _wrong(
    settings: Settings, look: Callable[[Callable[[Iterable[Finding]], Iterator[Finding]]], Iterator[Finding]]
) -> list[Finding]:
    """Without what is normal in a sandbox."""
    found = look(partial(_permitted, set[str]()))
    return [each for each in found if settings.kind != "sandbox" or each.kind.sandbox_too]


def _is_clocks(each: Finding) -> bool:
    return each.kind.code.startswith("clock.")


def _permitted(unread: set[str], found: Iterable[Finding]) -> Iterator[Finding]:
    """What an examination finds, as far as this account may read: an auditor's may not read keys."""
    try:
        yield from found
    except PermissionError as refused:
        unread.add(str(refused.filename or refused))


def _with_keys(settings: Settings, found: Iterable[Finding]) -> Iterator[Finding]:
    if settings.keys.exists():
        next(settings.keys.iterdir(), None)  # PermissionError for whoever may not read keys
    yield from found


def _examine(
    settings: Settings,
    clock: Callable[[], float],
    permitted: Callable[[Iterable[Finding]], Iterator[Finding]],
    whole: bool,
) -> Iterator[Finding]:
    yield from _of_machine(settings, clock, permitted)
    yield from _of_database(settings, clock, permitted, whole)


def _of_machine(
    settings: Settings,
    clock: Callable[[], float],
    permitted: Callable[[Iterable[Finding]], Iterator[Finding]],
) -> Iterator[Finding]:
    now = clock()
    lying = list(permitted(_with_keys(settings, files(settings))))
    yield from lying
    yield from permitted(modes(settings))
    yield from permitted(owners(settings))
    if not is_running(settings.data):
        yield finding("instance.not-running")
    yield from permitted(store.weak_settings(settings))
    yield from permitted(store.disk(settings))
    yield from permitted(store.checkpoints(settings))
    yield from permitted(_with_keys(settings, key_copies(settings)))
    yield from permitted(witness_settings(settings))
    yield from permitted(unwitnessed(settings))
    yield from permitted(network.addresses(settings))
    yield from permitted(network.edges(settings))
    yield from permitted(network.desk(settings, now))
    yield from permitted(network.openid(settings))
    yield from permitted(network.mail(settings))
    yield from permitted(network.old_tls(settings))
    try:
        yield from permitted(_with_keys(settings, certificates.own_certificates(settings, now)))
    except Failure as failure:
        if not any(each.kind.code == "keys.locked" for each in lying):  # else reported already
            yield finding("keys.locked", name=str(settings.keys), reason=failure.what("en").rstrip("."))


def _of_database(
    settings: Settings,
    clock: Callable[[], float],
    permitted: Callable[[Iterable[Finding]], Iterator[Finding]],
    whole: bool,
) -> Iterator[Finding]:
    now, engine = clock(), open_engine(settings.database_url)
    try:
        with engine.connect() as connection:
            strange = list(store.schema(connection))
            yield from strange
            if strange:
                return
            others = list(permitted(store.other(settings, connection)))
            yield from others
            if others:  # by the keys of another instance every row would look altered
                return
            yield from permitted(store.altered(connection))
            yield from permitted(store.verified(connection))
            yield from permitted(store.database(connection, clock, whole))
            yield from permitted(standby(settings, connection))
            yield from permitted(store.roles(settings, connection))
            yield from permitted(store.mixed(connection))
            yield from permitted(machines(settings, connection))
            yield from permitted(certificates.systems_certificates(connection, now))
            yield from permitted(certificates.vendors_certificates(settings, connection, now))
            yield from permitted(_with_keys(settings, short_keys(settings, connection)))
            yield from permitted(access(settings, connection, now))
            yield from permitted(contacts.parties(connection, now))
            yield from permitted(_with_keys(settings, vault(settings, connection, now)))
            yield from permitted(rows(connection))
            yield from permitted(witness_findings(settings, connection, now))
            yield from permitted(backups(settings, connection, now))
        with snapshot(engine) as connection:
            yield from permitted(store.registry(settings, connection))
            yield from permitted(push.subscriptions(settings, connection, now))
        yield from permitted(store.accounts(settings, engine))
        with snapshot(engine) as connection:
            yield from permitted(holidays(connection, now))
    except SQLAlchemyError as trouble:
        # of SQLite: "malformed", "not a database"
        damaged = isinstance(trouble, DatabaseError) and not isinstance(trouble, OperationalError)
        code = "damaged" if damaged else "only-standby" if only_standby(trouble) else "unreachable"
        yield finding(f"database.{code}", reason=str(trouble).partition("\n")[0])
    except Failure:  # reported above
        pass
    finally:
        engine.dispose()
