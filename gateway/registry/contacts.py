"""The contacts of agencies and systems: how each is reached, for which duties, and from which day to which.

Article 12.3 of the regulation: a contact supplies data and takes alerts.
Invariant: a contact without stated duties has both, and one without days has no end; so older documents keep their
    meaning.
Invariant: days are civil days of Viet Nam, and the last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.errors import REGISTRY_CONTACT_DUTY, words
from security.grants.windows import VIETNAM

DATA: Final = "supplies-data"
ALERTS: Final = "takes-alerts"
DUTIES: Final = (DATA, ALERTS)
SOON: Final = 14  # days before its end from which a contact is named
DAYS: Final = ("valid_from", "valid_until")
DETAILS: Final = ("name", "office", "phone", "email", "address")
MOST: Final = 20  # contacts of one agency or system
_ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """`name`, `address` may be empty. A day that is None sets no bound."""

    name: str = ""
    office: str
    phone: str
    email: str
    address: str = ""
    duties: tuple[str, ...] = DUTIES
    valid_from: date | None = None
    valid_until: date | None = None

    def holds(self, now: float) -> bool:
        day = day_of(now)
        return (self.valid_from or day) <= day <= (self.valid_until or day)

    def left(self, now: float) -> int | None:
        """The days until it has ended; None if it has no end."""
        return None if self.valid_until is None else (self.valid_until - day_of(now)).days

    @property
    def details(self) -> dict[str, str]:
        """How it is reached, without what is empty."""
        return {each: value for each in DETAILS if (value := getattr(self, each))}

    @property
    def plain(self) -> bool:
        """Whether it has both duties, and no days."""
        return self.duties == DUTIES and self.valid_from is None and self.valid_until is None

    def stated(self) -> dict[str, Any]:
        """As a registry document and the API have it, with days as texts."""
        days = {name: day.isoformat() for name in DAYS if (day := getattr(self, name)) is not None}
        return {**self.details, "duties": list(self.duties), **days}


class Ending(NamedTuple):
    """A contact in force that ends soon: `agency` or `system` and its id, and the days that are left."""

    party: str
    contact: Contact
    days: int


def day_of(now: float) -> date:
    return datetime.fromtimestamp(now, UTC).astimezone(VIETNAM).date()


def read(text: str | None) -> tuple[Contact, ...]:
    """Of a row: a list, or the one contact of an older document."""
    stored = json.loads(text or "{}")
    if not stored:
        return ()
    return tuple(map(_of, stored.get("contacts", [stored])))


def _of(stored: Mapping[str, Any]) -> Contact:
    days: dict[str, Any] = {name: date.fromisoformat(stored[name]) for name in DAYS if name in stored}
    details = {name: stored.get(name, "") for name in DETAILS}
    return Contact(**details, duties=tuple(stored.get("duties", DUTIES)), **days)


def stated(contacts: Sequence[Contact]) -> dict[str, Any]:
    """As a registry document and a row have them: one plain contact is `contact`, as it always was."""
    if len(contacts) == 1 and contacts[0].plain:
        return {"contact": contacts[0].details}
    return {"contacts": [each.stated() for each in contacts]} if contacts else {}


def row(contacts: Sequence[Contact]) -> str:
    form = stated(contacts)
    content = form.get("contact", form)
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def lasting(contacts: Iterable[Contact]) -> Mapping[str, str]:
    """The details of the contact whose validity ends last: for texts that are made without a clock."""
    return max(contacts, key=lambda each: each.valid_until or date.max, default=_NOBODY).details


def present(contacts: Sequence[Contact], now: float, duty: str | None = None) -> tuple[Contact, ...]:
    """Those in force, and with this duty."""
    return tuple(each for each in contacts if each.holds(now) and duty in (None, *each.duties))


def missing(contacts: Sequence[Contact], now: float) -> tuple[str, ...]:
    """The duties that nobody has now."""
    return tuple(duty for duty in DUTIES if not present(contacts, now, duty))


Live = Mapping[str, tuple[str, tuple[Contact, ...]]]  # system -> its agency, and its contacts with its agency's


def live(connection: Connection) -> Live:
    """The systems that may call and be called."""
    system, agency = tables.system.c, tables.agency.c
    query = select(system.id, agency.code, system.contact, agency.contact.label("of_agency"))
    joined = query.join_from(tables.system, tables.agency, agency.code == system.agency)
    return {
        each.id: (each.code, (*read(each.contact), *read(each.of_agency)))
        for each in connection.execute(joined.where(system.state == _ACTIVE, agency.state == _ACTIVE))
    }


def lacking(systems: Live, now: float) -> dict[str, tuple[str, tuple[str, ...]]]:
    """System -> its agency and the duties that neither its contacts nor its agency's have."""
    every = ((name, code, missing(contacts, now)) for name, (code, contacts) in sorted(systems.items()))
    return {name: (code, duties) for name, code, duties in every if duties}


def check(before: Live, after: Live, now: float) -> None:
    """Refuses a change after which a live system lacks a duty that it did not lack before.

    Raises: registry.contact-duty. What a lapsed contact left behind does not keep others from changing the registry.
    """
    earlier = lacking(before, now)
    for name, (code, duties) in lacking(after, now).items():
        if set(duties) - set(earlier.get(name, ("", ()))[1]):
            raise REGISTRY_CONTACT_DUTY(system=name, agency=code, duties=said(duties))


def said(duties: Sequence[str]) -> Words:
    """Duties in words."""
    each = [words(f"duty.{duty}") for duty in duties]
    return Words(", ".join(one.vi for one in each), ", ".join(one.en for one in each))


def ending(connection: Connection, now: float) -> list[Ending]:
    """The contacts in force that end within SOON days, by party."""
    parties = (("agency", tables.agency.c.code, tables.agency.c), ("system", tables.system.c.id, tables.system.c))
    found = []
    for what, key, table in parties:
        query = select(key, table.contact).where(table.state == _ACTIVE).order_by(key)
        for name, text in connection.execute(query):
            for each in present(read(text), now):
                days = each.left(now)
                if days is not None and days <= SOON:
                    found.append(Ending(f"{what} {name}", each, days))
    return found


_NOBODY: Final = Contact(office="", phone="", email="")
