"""Computes a digest of each row of the registry that affects decisions, and one digest of all.

A row is the JSON object of its columns in the form of RFC 8785; its digest is SHA-256 in hex. The digest of the map
{table: {key: digest}} in that form identifies the registry at one revision. Comparing two maps shows which rows differ.
Not included:
- `bundle.content`: the key of a bundle is the digest of its content, checked by `gateway.registry.versions.load`.
- `revocation_list`: signed by the authority, for others to fetch; no door uses it.
- `quota_use`: counts, not permissions. `route.id`: a database number, the key of the row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, select

from contracts.base import jcs
from gateway.journal.schema import tables
from gateway.journal.values import value_of

Rows = Mapping[str, Mapping[str, str]]  # table -> key -> digest, or canonical form
TABLES: Final[tuple[Table, ...]] = (
    tables.access_grant,
    tables.agency,
    tables.approval,
    tables.bundle,
    tables.certificate_status,
    tables.contract_in_force,
    tables.indicator,
    tables.notice,
    tables.officer,
    tables.officer_passkey,
    tables.outside_authority,
    tables.person,
    tables.registry_proposal,
    tables.route,
    tables.system,
    tables.system_key,
)
HOLD: Final = "restored"  # of `instance`: whether a restored instance may open
_LEFT_OUT: Final = {"bundle": ("content",)}
# Columns of a later release, which are no part of a row as long as they are NULL: the digests of older rows stay.
_LATER: Final = {"agency": ("clock",), "route": ("agencies", "hours", "outside")}
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


class Misfit(NamedTuple):
    """One row that differs from the log; `how` is added, missing or altered."""

    table: str
    key: str
    how: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.how}"


def rows(connection: Connection) -> dict[str, dict[str, str]]:
    """Table -> key -> digest of the present rows, without empty tables."""
    return digests(contents(connection))


def digests(of: Rows) -> dict[str, dict[str, str]]:
    """The digests of contents."""
    return {table: {key: digest_of_text(text) for key, text in of_table.items()} for table, of_table in of.items()}


def contents(connection: Connection) -> dict[str, dict[str, str]]:
    """Table -> key -> canonical form of the present rows, without empty tables."""
    forms: dict[str, dict[str, str]] = {}
    for table in TABLES:
        columns = [column for column in table.columns if column.name not in _LEFT_OUT.get(table.name, ())]
        keys = [column.name for column in table.primary_key.columns]
        later = _LATER.get(table.name, ())
        of_table = {
            key_of([row[name] for name in keys]): canonical(
                {name: value for name, value in row.items() if value is not None or name not in later}
            )
            for row in connection.execute(select(*columns)).mappings()
        }
        if of_table:
            forms[table.name] = of_table
    hold = value_of(connection, HOLD)
    if hold is not None:
        forms["instance"] = {HOLD: canonical({"value": hold})}
    return forms


def canonical(row: Mapping[Any, Any]) -> str:
    """A row's canonical form."""
    values = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in row.items()
    }
    return _encode(values)


def digest_of_text(form: str) -> str:
    """SHA-256 of a row's canonical form, in hex."""
    return hashlib.sha256(form.encode()).hexdigest()


def digest_of(all_rows: Rows) -> str:
    """SHA-256 of the whole map's canonical form, in hex."""
    return hashlib.sha256(jcs.encode(all_rows)).hexdigest()


def changed(before: Rows, after: Rows) -> dict[str, dict[str, str | None]]:
    """The difference: new digests by table and key, None for a deleted row."""
    difference: dict[str, dict[str, str | None]] = {}
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        of_table: dict[str, str | None] = {key: digest for key, digest in new.items() if old.get(key) != digest}
        of_table |= dict.fromkeys(sorted(old.keys() - new.keys()))
        if of_table:
            difference[table] = of_table
    return difference


def apply(before: Rows, difference: Mapping[str, Mapping[str, str | None]]) -> dict[str, dict[str, str]]:
    """`before` with a difference from `changed` applied."""
    after = {table: dict(of_table) for table, of_table in before.items()}
    for table, of_table in difference.items():
        digests = after.setdefault(table, {})
        for key, digest in of_table.items():
            if digest is None:
                digests.pop(key, None)
            else:
                digests[key] = digest
        if not digests:
            del after[table]
    return after


def misfits(wanted: Rows, actual: Rows) -> list[Misfit]:
    """The rows that differ, by table and key."""
    return [
        Misfit(table, key, "missing" if digest is None else "altered" if key in wanted.get(table, {}) else "added")
        for table, of_table in changed(wanted, actual).items()
        for key, digest in sorted(of_table.items())
    ]


def key_of(parts: list[Any]) -> str:
    """The key as text: the value itself, or a JSON array of the values."""
    return str(parts[0]) if len(parts) == 1 else _encode(parts)
