"""Finds grants and content that lack signatures, grants that show more than was signed, routes whose systems may not
receive, too few officers, acts without a proved person, and private keys of officers and persons on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from contracts.base.errors import Ours
from contracts.base.times import rfc3339
from gateway.doctor.findings import Finding, finding
from gateway.journal.noted import read_notes
from gateway.journal.schema import tables
from gateway.registry import reviews
from gateway.registry.acting import BREAK_GLASS, being_founded
from gateway.registry.changes.disclosing import disclosed_since
from gateway.registry.changes.officers import officers
from gateway.registry.changes.proposals import proposals
from gateway.registry.changes.unapproved import unapproved
from gateway.registry.errors import ROUTE_MASK_UNSHOWN
from gateway.registry.parts.grants import received
from gateway.registry.receiving import receive
from gateway.registry.snapshot import all_grants, load_snapshot
from gateway.settings import Settings
from security.grants.grants import OFFICERS, Grant, Request
from security.grants.held import decide
from security.grants.windows import civil

_NAMED: Final = 5

_OWN_KEYS: Final = ("officer.key", "person.key")
_SHOWN: Final = 5
_LISTED: Final = 30 * 86_400.0  # seconds that an act without a person stays listed


def _persons(connection: Connection, now: float) -> Iterator[Finding]:
    if being_founded(connection):
        yield finding("persons.none")
    since = rfc3339(now - _LISTED)
    broken = [note for note in read_notes(connection, {BREAK_GLASS}) if note.at > since]
    if broken:
        shown = "; ".join(
            f"{civil(note.at)} lgsp {note.facts.get('command')} ({note.actor}): {note.facts.get('reason')}"
            for note in broken[-_SHOWN:]
        )
        yield finding("persons.break-glass", count=len(broken), acts=shown)


def access(settings: Settings, connection: Connection, now: float) -> Iterator[Finding]:
    known = officers(connection)
    every = all_grants(connection)
    in_office = sum(officer.state == "active" for officer in known.values())
    if every and in_office < OFFICERS:
        yield finding("officers.few", count=in_office)
    unsigned = [
        grant.id
        for grant in every
        if not (grant.denies or grant.adopted or grant.confirmed) and now < grant.valid_until
    ]
    if unsigned:
        yield finding("grants.unsigned", grants=", ".join(unsigned))
    adopted = [each for each in every if each.adopted and not each.confirmed and now < each.valid_until]
    late = [each.id for each in adopted if each.overdue(now)]
    if late:
        yield finding("receiving.overdue", grants=", ".join(late))
    waiting = [each for each in adopted if not each.overdue(now)]
    if waiting:
        until = civil(min(each.confirm_until for each in waiting))
        yield finding("receiving.unconfirmed", grants=", ".join(each.id for each in waiting), until=until)
    refused = list(_refused(connection, every, now))
    if refused:
        yield finding("route.not-granted", routes=", ".join(refused[:_NAMED]), count=len(refused))
    disclosed = disclosed_since(connection, now)
    if disclosed:
        fields = "; ".join(f"{each.field} ({each.seen_by})" for each in disclosed[:_NAMED])
        yield finding("grants.disclose", fields=fields, count=len(disclosed))
    yield from _content(connection)
    yield from _review(connection, now)
    unshown = sorted(set(_unshown(connection, every, now)))
    if unshown:
        yield finding("route.mask-unshown", routes=", ".join(unshown[:_NAMED]), count=len(unshown))
    yield from _persons(connection, now)
    keys = sorted(path.parent.name for path in settings.identities.glob("*/*.key") if path.name in _OWN_KEYS)
    if keys:
        yield finding("officers.key-here", officers=", ".join(keys))


def _review(connection: Connection, now: float) -> Iterator[Finding]:
    """A half-yearly review of access that is due."""
    notes = read_notes(connection, {reviews.KIND})
    last = datetime.fromisoformat(notes[-1].at).timestamp() if notes else None
    due = reviews.due(connection, last)
    if due is not None and now >= due:
        yield finding("access.review-due", due=civil(due), last=civil(last) if last is not None else "–")


def _content(connection: Connection) -> Iterator[Finding]:
    """Content of the registry that nobody approved, and proposals that wait."""
    unsigned = unapproved(connection)
    if unsigned:
        yield finding("content.unapproved", content=", ".join(unsigned[:_NAMED]), count=len(unsigned))
    waiting = [subject.path for subject in proposals(connection, "waiting")]
    if waiting:
        yield finding("content.waiting", content=", ".join(waiting[:_NAMED]), count=len(waiting))


def _unshown(connection: Connection, every: Sequence[Grant], now: float) -> Iterator[str]:
    """The routes that lead to a system whose format cannot show what its grants hide."""
    if all(grant.fields == ("*",) for grant in every if grant.receives):
        return  # contracts are compiled only where something is hidden
    snapshot = load_snapshot(connection)
    for contract in snapshot.contracts.values():
        for operation in received(contract):
            for system in snapshot.routed(contract.contract.name, operation.name):
                try:
                    receive(snapshot, system, contract, operation, now)
                except Ours as failure:
                    if failure.code == ROUTE_MASK_UNSHOWN.code:
                        yield f"{contract.contract.name} {operation.name} → {system.id} ({failure.facts['format']})"


def _refused(connection: Connection, every: Sequence[Grant], now: float) -> Iterator[str]:
    """The routes that lead to a system that may not receive."""
    route, system, agency = tables.route.c, tables.system.c, tables.agency.c
    joined = tables.route.join(tables.system, system.id == route.system).join(
        tables.agency, agency.code == system.agency
    )
    columns = (route.contract, route.operation, system.id, agency.code, agency.roles)
    for contract, operation, name, code, roles in connection.execute(
        select(*columns).select_from(joined).order_by(route.contract, route.operation, route.position)
    ):
        request = Request(code, frozenset(json.loads(roles)), contract, operation, receives=True)
        decision = decide(every, request, now)
        if not decision.allowed:
            nearest = f", {decision.nearest.id}" if decision.nearest is not None else ""
            yield f"{contract} {operation} → {name} ({code}: {decision.reason}{nearest})"
