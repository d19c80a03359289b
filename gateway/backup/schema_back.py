"""Brings a schema back to that of an older release, which does not start on this one: what was added since is dropped.

All is one transaction: what was added and held is counted, written into the log, and dropped by the migrations' own way
back. While a process of a newer program beats on the database it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, delete, func, inspect, literal_column, select, table

from gateway.backup.errors import BACKUP_VAULT_DATABASE
from gateway.journal import releases
from gateway.journal.append import append
from gateway.journal.database import downgrade, revision, upgrade, writing
from gateway.journal.schema import tables
from gateway.machines import agreeing, records
from gateway.settings import Settings
from gateway.transfer import entries
from security.transparency.entry import Json

NOTE: Final = "schema-back"
# What a release refuses in `settings.yaml` and the environment, since it came later (`tests/upgrade/test_upgrade.py`).
LATER_SETTINGS: Final = {
    "0.2.0": (
        *("alarm_again_hours", "alarm_hold_seconds", "alarm_mail", "alarm_url", "database_seconds", "drill_days"),
        *("log_format", "machine", "otlp_url", "ready_seconds", "roles", "sandbox_vendor_bytes", "standby"),
        "vault_database",
    )
}
# Issuers that a release does not know, and those that they replaced: its `audit verify` refuses a revocation list of
# theirs. The newer program signs such a list again.
_LATER_ISSUERS: Final = {"0.2.0": ("vendors",)}


@dataclass(frozen=True, slots=True)
class Back:
    """`lost`: table, or table and column -> its rows, or its rows with a value."""

    release: str
    found: str
    to: str
    lost: Mapping[str, int] = field(default_factory=dict)


def to_take_out(settings: Settings, engine: Engine, release: str) -> list[str]:
    """The settings in force that the release does not know, and does not start with.

    Raises `backup.vault-database`, on whichever machine: without that one it starts, and makes other keys of the same
    names.
    """
    if "vault_database" in LATER_SETTINGS[release]:
        with engine.connect() as connection:
            machines = set(agreeing.with_second(connection))
        if settings.vault_database:
            machines.add(records.name_of(settings))
        if machines:
            raise BACKUP_VAULT_DATABASE(release=release, machines=", ".join(sorted(machines)))
    plain = Settings(settings.data)
    return [name for name in LATER_SETTINGS[release] if getattr(settings, name) != getattr(plain, name)]


def planned(engine: Engine, release: str) -> Back:
    """What `bring_back` would do. `release` is one of `releases.HEADS`, whose tables are made in memory to compare."""
    to = releases.HEADS[release]
    older = create_engine("sqlite://")
    with older.begin() as connection:
        upgrade(connection, to)
        kept = _columns(connection)
    older.dispose()
    with engine.connect() as connection:
        gone = _gone(_columns(connection), kept)
        return Back(release, str(revision(connection)), to, {each: _count(connection, each) for each in sorted(gone)})


def bring_back(engine: Engine, release: str, reason: str, now: float, actor: str) -> Back:
    """Raises `journal.newer-runs` while a process of a newer program beats; then all is as it was."""
    done = planned(engine, release)
    if done.found == done.to:
        return done
    releases.check_ended(engine, release)
    facts: dict[str, Json] = {
        "release": release,
        "from": done.found,
        "to": done.to,
        "lost": dict(done.lost),
        "reason": reason,
    }
    with writing(engine) as connection:
        append(connection, [entries.note(NOTE, facts, now, actor=actor)])
        lists = tables.revocation_list
        for each in _LATER_ISSUERS.get(release, ()):
            replaced = lists.c.issuer.startswith(f"{each}-", autoescape=True)
            connection.execute(delete(lists).where((lists.c.issuer == each) | replaced))
        downgrade(connection, done.to)
    return done


def _columns(connection: Connection) -> set[str]:
    """The names of all tables, and of all their columns after a dot."""
    look = inspect(connection)
    names = {name: look.get_columns(name) for name in look.get_table_names() if name != "alembic_version"}
    return {*names, *(f"{name}.{each['name']}" for name, columns in names.items() for each in columns)}


def _gone(before: set[str], after: set[str]) -> set[str]:
    """What is not there afterwards; of a table that goes, its name alone."""
    gone = before - after
    return {each for each in gone if each.partition(".")[0] not in gone or "." not in each}


def _count(connection: Connection, name: str) -> int:
    of, _, column = name.partition(".")
    quoted = connection.dialect.identifier_preparer.quote(column)
    counted = func.count(literal_column(quoted)) if column else func.count()
    return int(connection.scalar(select(counted).select_from(table(of))) or 0)
