"""Checks what somebody asks for when he opens a case: kind, sender, receivers, reference, times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from gateway.cases.calendar import of_province, within
from gateway.cases.errors import (
    CASE_KIND,
    CASE_LINK,
    CASE_NOTICE,
    CASE_RECEIVER,
    CASE_REFERENCE,
    CASE_SENDER,
    CASE_TEXT,
)
from gateway.cases.kinds import CENTRE, GATEWAY, OUTAGE, Kind, kinds
from gateway.cases.texts import Text
from gateway.journal.schema import tables
from gateway.registry.changes.content import Subject
from gateway.registry.snapshot import Snapshot
from security.grants.windows import civil

MOST_RECEIVERS: Final = 500
MOST_DAYS: Final = 120
_FURTHEST: Final = 3653 * 86_400.0  # seconds; a time near the year 1 or 9999 is none in Vietnam
_LONGEST: Final = 200  # characters of a reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A case to open. Without `receivers` the kind names them, without `days` its deadline is that of the kind."""

    kind: str
    content: Text
    receivers: tuple[str, ...] = ()
    reference: str | None = None
    days: int | None = None
    begins: float | None = None
    ends: float | None = None
    urgent: bool = False


def check_opening(
    connection: Connection, snapshot: Snapshot, sender: str, wanted: Wanted, now: float
) -> tuple[Kind, tuple[str, ...]]:
    """The kind and the receivers."""
    kind = kinds().get(wanted.kind)
    if kind is None:
        raise CASE_KIND(kind=wanted.kind[:60], known=", ".join(kinds()))
    _check_sender(snapshot, kind, sender)
    receivers = _receivers(snapshot, kind, sender, wanted.receivers)
    if wanted.days is not None and not 1 <= wanted.days <= MOST_DAYS:
        raise CASE_TEXT(field="days", why=f"1 to {MOST_DAYS}")
    if wanted.reference is not None and sender != GATEWAY:
        _check_reference(connection, snapshot, sender, wanted.reference)
    _check_times(snapshot, kind, wanted, now)
    return kind, receivers


def may_open(snapshot: Snapshot, agency: str) -> tuple[Kind, ...]:
    """The kinds that an agency may open."""
    roles = _roles(snapshot, agency)
    return tuple(each for each in kinds().values() if not each.senders or roles.intersection(each.senders))


def check_link(connection: Connection, link: str) -> None:
    """Of a grant, or of a proposal that waits or was taken. Raises: case.link."""
    what, _, name = link.partition(":")
    if what == "grant":
        query = select(tables.access_grant.c.id).where(tables.access_grant.c.id == name)
    elif what == "proposal" and (subject := Subject.at(name)) is not None:
        query = select(tables.registry_proposal.c.subject).where(tables.registry_proposal.c.subject == str(subject))
    else:
        raise CASE_LINK(link=link[:_LONGEST])
    if connection.execute(query).first() is None:
        raise CASE_LINK(link=link[:_LONGEST])


def _roles(snapshot: Snapshot, agency: str) -> frozenset[str]:
    known = snapshot.agencies.get(agency)
    return frozenset({GATEWAY} if agency == GATEWAY else known.roles if known is not None else ())


def _check_sender(snapshot: Snapshot, kind: Kind, sender: str) -> None:
    known = sender == GATEWAY or sender in snapshot.agencies
    if not known or kind.senders and not _roles(snapshot, sender).intersection(kind.senders):
        raise CASE_SENDER(agency=sender[:60], kind=kind.code, roles=", ".join(kind.senders) or "agencies")


def _receivers(snapshot: Snapshot, kind: Kind, sender: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    if not wanted and kind.to == CENTRE:
        centre = snapshot.centre()
        wanted = () if centre is None else (centre.code,)
    receivers = tuple(dict.fromkeys(wanted))
    unknown = [each for each in receivers if each not in snapshot.agencies or each == sender]
    if unknown or not 1 <= len(receivers) <= MOST_RECEIVERS:
        named = ", ".join(each[:40] for each in unknown[:5]) or str(len(receivers))
        raise CASE_RECEIVER(receivers=named, most=MOST_RECEIVERS)
    return receivers


def _check_reference(connection: Connection, snapshot: Snapshot, sender: str, reference: str) -> None:
    """A transfer must be one of the sender's own, since an id of others says nothing to it."""
    what, _, name = reference.partition(":")
    if len(reference) <= _LONGEST and what in ("contract", "feed") and name in snapshot.contracts:
        return
    if len(reference) <= _LONGEST and what == "system" and name in snapshot.systems:
        return
    if len(reference) <= _LONGEST and what == "transfer":
        table = tables.transfer.c
        row = connection.execute(select(table.caller_agency, table.provider).where(table.id == name)).first()
        provider = None if row is None or row.provider is None else snapshot.system(row.provider)
        own = row is not None and sender in (row.caller_agency, None if provider is None else provider.agency)
        if own or row is not None and _roles(snapshot, sender).intersection((CENTRE, GATEWAY)):
            return
    raise CASE_REFERENCE(reference=reference[:_LONGEST])


def _check_times(snapshot: Snapshot, kind: Kind, wanted: Wanted, now: float) -> None:
    if kind.code != OUTAGE:
        if wanted.begins is not None or wanted.ends is not None:
            raise CASE_TEXT(field="begins", why=f"only of the kind {OUTAGE}")
        return
    if wanted.begins is None:
        raise CASE_TEXT(field="begins", why="missing")
    if wanted.ends is not None and wanted.ends <= wanted.begins:
        raise CASE_TEXT(field="ends", why="not after begins")
    for field, at in (("begins", wanted.begins), ("ends", wanted.ends)):
        if at is not None and abs(at - now) > _FURTHEST:
            raise CASE_TEXT(field=field, why="more than ten years from now")
    earliest = within(of_province(snapshot), now, kind.notice).due
    assert earliest is not None  # nothing pauses it
    if wanted.begins < earliest * 60 and not wanted.urgent:
        raise CASE_NOTICE(days=kind.notice, earliest=civil(earliest * 60.0), begins=civil(wanted.begins))
