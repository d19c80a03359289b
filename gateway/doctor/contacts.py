"""Finds live systems that lack a duty of a contact, and contacts that end soon (article 12.3 of the regulation)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection

from contracts.base.words import Words
from gateway.doctor.findings import Finding, finding
from gateway.registry import contacts

_NAMED: Final = 10


def parties(connection: Connection, now: float) -> Iterator[Finding]:
    """Names systems and agencies, not persons."""
    lacking = contacts.lacking(contacts.live(connection), now)
    if lacking:
        rows = [(f"{code}/{name}", contacts.said(duties)) for name, (code, duties) in lacking.items()][:_NAMED]
        listed = Words(*("; ".join(f"{who}: {duties.of(each)}" for who, duties in rows) for each in ("vi", "en")))
        yield finding("contacts.duty-missing", systems=listed, count=len(lacking))
    ending = contacts.ending(connection, now)
    if ending:
        named = "; ".join(f"{each.party} ({each.contact.valid_until})" for each in ending[:_NAMED])
        yield finding("contacts.ending", parties=named, count=len(ending), days=contacts.SOON)
