"""Sets the contacts of an agency, as one change with its entry in the log (article 12.3 of the regulation)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, update

from gateway.journal.schema import tables
from gateway.registry import contacts
from gateway.registry.changes.suspending import listed
from gateway.registry.contacts import Contact
from gateway.registry.errors import REGISTRY_INVALID, unknown
from gateway.registry.parts.contacts import StatedContacts
from gateway.registry.records import Change
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Act
from gateway.registry.store import check_contacts

NOTE = "registry"


class _Reader(StatedContacts):
    def read(self, raw: Any) -> tuple[Contact, ...]:
        return self._several("contacts", raw)


def parse(raw: Any) -> tuple[Contact, ...]:
    """A list as a registry document has it. Raises `registry.invalid` with all findings."""
    reader = _Reader()
    stated = reader.read(raw)
    if reader.findings:
        raise REGISTRY_INVALID(count=len(reader.findings), findings=reader.findings)
    return stated


def set_contacts(act: Act, code: str, stated: Sequence[Contact], by: tuple[str, str], now: float) -> bool:
    """`by` is who, and why. Whether anything changed.

    Raises: registry.unknown, registry.no-contact, and in production registry.contact-duty when the change ends.
    """
    agency, connection = tables.agency, act.connection
    before = connection.scalar(select(agency.c.contact).where(agency.c.code == code))
    if before is None:
        raise unknown("agency", code)
    text = contacts.row(stated)
    if text == before:
        return False
    connection.execute(update(agency).where(agency.c.code == code).values(contact=text))
    check_contacts(connection)
    raise_revision(connection)
    actor, reason = by
    change = Change("agency", code, "changed", ("contact",))
    act.note(NOTE, {"changes": listed([change]), "reason": reason}, now, actor=actor)
    return True
