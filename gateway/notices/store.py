"""Stores notices until they are sent. A notice is a row of the transaction that it tells of.

Invariant: a row has neither address nor text. Both are made when it is sent, from the registry as it is then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, insert, or_, select, update

from contracts.base.ids import new_id
from gateway.journal.schema.mail_table import mail

WAITING, SENT, FAILED = "waiting", "sent", "failed"
KEPT: Final = 20  # notices that are shown about one thing
OPERATOR, WEBHOOK = "alarm_mail:", "alarm_url:"  # whoever operates the gateway, in place of a system


class Notice(NamedTuple):
    """A row of the table, whose columns are described there."""

    id: str
    kind: str
    about: str
    system: str
    facts: Mapping[str, Any]
    made: float
    state: str
    tries: int
    next_at: float
    ended: float | None
    failure: str | None


def put(connection: Connection, kind: str, about: str, system: str, facts: Mapping[str, Any], now: float) -> str:
    """Adds a notice that waits, to the contact of a system or an agency, or to an operator (`OPERATOR`, `WEBHOOK`),
    within the transaction of what it tells; returns its id."""
    id = new_id()
    connection.execute(
        insert(mail).values(
            id=id,
            kind=kind,
            about=about,
            system=system,
            facts=json.dumps(facts),
            made=now,
            state=WAITING,
            tries=0,
            next_at=now,
        )  # fmt: skip
    )
    return id


def due(connection: Connection, now: float, limit: int, *, webhooks: bool = False) -> list[Notice]:
    """Mails; or what goes by webhook."""
    posted = mail.c.system.startswith(WEBHOOK, autoescape=True)
    query = select(mail).where(mail.c.state == WAITING, mail.c.next_at <= now, posted if webhooks else ~posted)
    return [_of(row) for row in connection.execute(query.order_by(mail.c.next_at).limit(limit))]


def about(connection: Connection, what: str) -> list[Notice]:
    """The newest first."""
    query = select(mail).where(mail.c.about == what).order_by(mail.c.made.desc()).limit(KEPT)
    return [_of(row) for row in connection.execute(query)]


def found(connection: Connection, ids: Sequence[str]) -> list[Notice]:
    return [_of(row) for row in connection.execute(select(mail).where(mail.c.id.in_(ids)))]


def to_operators(connection: Connection) -> list[Notice]:
    """The newest first."""
    told = or_(*(mail.c.system.startswith(each, autoescape=True) for each in (OPERATOR, WEBHOOK)))
    query = select(mail).where(told).order_by(mail.c.id.desc()).limit(KEPT)
    return [_of(row) for row in connection.execute(query)]


def ended(connection: Connection, one: Notice, failure: str | None, now: float) -> None:
    """Sent, or given up."""
    state = SENT if failure is None else FAILED
    values = {"state": state, "ended": now, "failure": failure, "tries": one.tries + 1}
    connection.execute(update(mail).where(mail.c.id == one.id).values(values))


def put_off(connection: Connection, one: Notice, failure: str, until: float) -> None:
    values = {"tries": one.tries + 1, "failure": failure, "next_at": until}
    connection.execute(update(mail).where(mail.c.id == one.id).values(values))


def _of(row: Any) -> Notice:
    values = row._asdict()
    try:
        facts = json.loads(values["facts"])
    except ValueError:  # it was changed in the database: no mail is made of it
        facts = None
    return Notice(**{**values, "facts": facts})
