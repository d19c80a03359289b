"""The address at which a system or an agency is told: of a contact in force, its own or else its agency's."""

from __future__ import annotations

from gateway.notices.mail import is_address
from gateway.registry import contacts
from gateway.registry.snapshot import Snapshot


def address_of(snapshot: Snapshot, system: str, now: float, code: str | None = None) -> str | None:
    """As the registry has it; None if there is none. `code` is an agency, where no system is told."""
    own = snapshot.system(system)
    agency = snapshot.agency(code or "" if own is None else own.agency)
    known = (*(() if own is None else own.contacts), *(() if agency is None else agency.contacts))
    return next((each.email for each in contacts.present(known, now) if is_address(each.email)), None)
