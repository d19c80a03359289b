"""The rows of the registry that decide anything, each by a digest of its canonical form, and all of them by one digest.

A row is the JSON object of its columns in the form of RFC 8785; its digest is SHA-256, in hex. What the doors work with is one map
{table: {key: digest}}, and the digest of that map's canonical form stands for the whole registry at one revision. So two maps show which row differs.
Left out, each with its reason
- `bundle.content`: a bundle's key is the digest of its content, which is compared when it is loaded (`gateway.registry.versions.load`).
- `revocation_list`: signed by the authority's own key, and made for others to fetch; no door of ours decides by it.
- `quota_use`: counts, no permission; `route.id`: a number that the database gives is the key of the row, not part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Table, select

from contracts.base import jcs
from gateway.journal.schema import tables

Rows = Mapping[str, Mapping[str, str]]
TABLES: Final[tuple[Table, ...]] = (
    tables.access_grant,
    tables.agency,
    tables.approval,
    tables.bundle,
    tables.certificate_status,
    tables.contract_in_force,
    tables.notice,
    tables.officer,
    tables.outside_authority,
    tables.route,
    tables.system,
    tables.system_key,
)
HOLD: Final = "restored"  # of `instance`: whether a restored instance may open
_LEFT_OUT: Final = {"bundle": ("content",)}
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


class Misfit(NamedTuple):
    """One row that is not as the log has it; `how` is added, missing or altered."""

    table: str
    key: str
    how: str

    def __str__(self) -> str:
        return f"{self.table} {self.key}: {self.how}"


def rows(connection: Connection) -> dict[str, dict[str, str]]:
    """Table -> key -> digest, as the database has them now; tables without rows are left out."""
    found: dict[str, dict[str, str]] = {}
    for table in TABLES:
        columns = [column for column in table.columns if column.name not in _LEFT_OUT.get(table.name, ())]
        keys = [column.name for column in table.primary_key.columns]
        of_table = {
            _key([row[name] for name in keys]): digest_of_row(row)
            for row in connection.execute(select(*columns)).mappings()
        }
        if of_table:
            found[table.name] = of_table
    hold = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == HOLD))
    if hold is not None:
        found["instance"] = {HOLD: digest_of_row({"value": hold})}
    return found


def digest_of_row(row: Mapping[Any, Any]) -> str:
    """SHA-256 of a row's canonical form, in hex."""
    values = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in row.items()
    }
    return hashlib.sha256(_encode(values).encode()).hexdigest()


def digest_of(all_rows: Rows) -> str:
    """SHA-256 of the whole map's canonical form, in hex."""
    return hashlib.sha256(jcs.encode(all_rows)).hexdigest()


def changed(before: Rows, after: Rows) -> dict[str, dict[str, str | None]]:
    """What makes the one out of the other: new digests by table and key, None for a row that is gone."""
    found: dict[str, dict[str, str | None]] = {}
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        told: dict[str, str | None] = {key: digest for key, digest in new.items() if old.get(key) != digest}
        told |= dict.fromkeys(sorted(old.keys() - new.keys()))
        if told:
            found[table] = told
    return found


def apply(before: Rows, told: Mapping[str, Mapping[str, str | None]]) -> dict[str, dict[str, str]]:
    """`before` with what `changed` gave."""
    found = {table: dict(of_table) for table, of_table in before.items()}
    for table, of_table in told.items():
        mine = found.setdefault(table, {})
        for key, digest in of_table.items():
            if digest is None:
                mine.pop(key, None)
            else:
                mine[key] = digest
        if not mine:
            del found[table]
    return found


def misfits(wanted: Rows, found: Rows) -> list[Misfit]:
    """Which rows differ, by table and key."""
    return [
        Misfit(table, key, "missing" if digest is None else "altered" if key in wanted.get(table, {}) else "added")
        for table, of_table in changed(wanted, found).items()
        for key, digest in sorted(of_table.items())
    ]


def _key(parts: list[Any]) -> str:
    """One text a key: the value itself, or a JSON array of the values. So no two keys read alike."""
    return str(parts[0]) if len(parts) == 1 else _encode(parts)
