"""Reads of which agency the provider of a transfer was when it was asked, as the log names it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.values import value_of

OLD_AGENCIES: Final = "audit.old-agencies"
_AT_ONCE: Final = 400


def provider_agencies(connection: Connection, transfers: Iterable[str]) -> Mapping[str, str]:
    """By transfer. One whose intent names no provider, or one of an unknown agency, is left out."""
    old, agencies, left = old_agencies(connection), dict[str, str](), set(transfers)
    for table in tables.LOGS:
        ids = sorted(left)
        for start in range(0, len(ids), _AT_ONCE):
            some = table.c.transfer.in_(ids[start : start + _AT_ONCE])
            for transfer, entry in connection.execute(
                select(table.c.transfer, table.c.entry).where(some, table.c.phase == "intent")
            ):
                left.discard(transfer)
                intent = parse(bytes(entry))
                agency = agency_of(intent, intent.get("provider"), old)
                if agency is not None:
                    agencies[transfer] = agency
    return agencies


def agency_of(intent: Mapping[str, Any], provider: object, old: Mapping[str, str]) -> str | None:
    """The agency of this provider as the intent names it, or else as `old_agencies` does."""
    named = intent.get("provider_agency") if intent.get("provider") == provider else None
    return named if isinstance(named, str) and named else old.get(str(provider))  # the feed has no agency


def old_agencies(connection: Connection) -> Mapping[str, str]:
    """The agency of each system when intents began to name the provider's. It never changes afterwards."""
    text = value_of(connection, OLD_AGENCIES)
    return json.loads(text) if text else {}
