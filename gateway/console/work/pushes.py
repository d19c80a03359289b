"""Shows who gets a feed by webhook, and carries out what an operator decides about it (`gateway.push`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.journal.schema.push_tables import push_subscription
from gateway.notices import store as notices
from gateway.notices.store import Notice
from gateway.push import operating
from gateway.push.operating import ACTS, Seen
from gateway.push.records import Cause, HashId, State, Subscription
from gateway.push.store import Attempt
from gateway.registry.contacts import lasting
from security.transparency.entry import keyed


class Subscriber(NamedTuple):
    """A subscription with its tries, and whom to tell of it."""

    seen: Seen
    attempts: tuple[Attempt, ...]
    contact: Mapping[str, str]
    notices: tuple[Notice, ...]  # mails to the contact, the newest first


def every(desk: Desk) -> list[Seen]:
    with desk.reading() as connection:
        return operating.every(connection, _hashing(desk), desk.now())


def one(desk: Desk, id: str) -> Subscriber:
    """Raises `subscription.unknown`."""
    with desk.reading() as connection:
        seen, tried = operating.one(connection, id, _hashing(desk), desk.now())
        mails = notices.about(connection, id)
    snapshot = desk.services.registry.snapshot
    system = snapshot.system(seen.subscription.system)
    agency = snapshot.agency(system.agency) if system is not None else None
    contacts = (system.contacts if system is not None else ()) or (agency.contacts if agency is not None else ())
    return Subscriber(seen, tuple(tried), lasting(contacts), tuple(mails))


def act(desk: Desk, viewer: Viewer, id: str, what: str, reason: str) -> Subscription:
    """`what`: one of ACTS."""
    if what not in ACTS:
        raise CONSOLE_FORM(field="how", why=" | ".join(ACTS))
    by = operating.operator(viewer.actor, desk.now(), reason)
    return operating.act(desk.services.engine, id, what, by, _hashing(desk))


def paused(connection: Connection) -> int:
    """How many were paused because their receivers failed for too long."""
    row = push_subscription.c
    return connection.scalar(select(func.count()).where(row.state == State.PAUSED, row.cause == Cause.DEAD)) or 0


def _hashing(desk: Desk) -> HashId:
    return partial(keyed, desk.hash_key)
