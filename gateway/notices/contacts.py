"""The address at which somebody is told: of a contact in force of a system, else of its agency, or of an agency."""

from __future__ import annotations

from gateway.notices.mail import is_address
from gateway.registry import contacts
from gateway.registry.snapshot import Snapshot


def address_of(snapshot: Snapshot, system: str, now: float) -> str | None:
    """As the registry has it; None if there is none. Of a system's contacts, those first that supply its data. `system`
    may be the code of an agency: then one of its contacts is told that takes alerts, if there is one.
    """
    own = snapshot.system(system)
    if own is None and (told := snapshot.agency(system)) is not None:
        in_force = sorted(contacts.present(told.contacts, now), key=lambda each: contacts.ALERTS not in each.duties)
        return next((each.email for each in in_force if is_address(each.email)), None)
    agency = None if own is None else snapshot.agency(own.agency)
    groups = (() if own is None else own.contacts, () if agency is None else agency.contacts)
    known = [each for group in groups for each in sorted(group, key=_supplies_no_data)]
    return next((each.email for each in contacts.present(known, now) if is_address(each.email)), None)


def _supplies_no_data(contact: contacts.Contact) -> bool:
    return contacts.DATA not in contact.duties
