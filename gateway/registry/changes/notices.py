"""Suspends and resumes agencies, systems and grants with a notice, so that refusals state why, since when, whom to ask.

Invariant: a suspension ends only when it is resumed; `until` is only the expected time.
Invariant: every process follows within its polling time, also on open connections, since each request is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.words import Words
from gateway.journal.schema import tables
from gateway.registry.errors import REGISTRY_SUSPENDED_LONGER, words
from gateway.registry.records import Change
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.store import set_state
from security.grants.windows import civil

What = Literal["agency", "system", "grant"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Why something is suspended; `until` is the expected time of resumption."""

    reason: Words
    since: float
    until: float | None = None

    def described(self) -> dict[str, Any]:
        """The notice in words, for the person about to change it."""
        ends = words("notice.no-end") if self.until is None else words("notice.expected", until=civil(self.until))
        return {"reason": self.reason, "since": civil(self.since), "earlier": ends}

    def facts(self) -> dict[str, Any]:
        """The facts for the refusals `channel.suspended` and `access.suspended`."""
        until = "" if self.until is None else words("notice.until", until=civil(self.until))
        return {"reason": self.reason, "since": civil(self.since), "until": until}


def in_both(vi: str, en: str) -> Words:
    """One language suffices: the other shows the same text, and says in which language it is."""
    return Words(vi or words("notice.other-language", text=en).vi, en or words("notice.other-language", text=vi).en)


def no_notice() -> dict[str, Any]:
    return {"reason": words("notice.no-reason"), "since": "—", "until": ""}


def notices(connection: Connection) -> dict[tuple[str, str], Notice]:
    table = tables.notice.c
    return {
        (row.what, row.id): Notice(Words(row.reason_vi, row.reason_en), row.since, row.until)
        for row in connection.execute(select(*table))
    }


def suspend(connection: Connection, what: What, name: str, notice: Notice, *, shorten: bool = False) -> list[Change]:
    """Suspend; if suspended already, replace reason and end. Refuses an earlier end without `shorten`."""
    reason, until = notice.reason, notice.until
    changes = set_state(connection, what, name, False)
    earlier = None if changes else notices(connection).get((what, name))
    if earlier is not None and not shorten and until is not None and (earlier.until is None or until < earlier.until):
        raise REGISTRY_SUSPENDED_LONGER(what=words(what), id=name, **earlier.described(), until=civil(until))
    table = tables.notice
    values = {"reason_vi": reason.vi.strip().rstrip("."), "reason_en": reason.en.strip().rstrip("."), "until": until}
    if not changes:
        same = (table.c.what == what) & (table.c.id == name)
        if connection.execute(update(table).where(same).values(values)).rowcount:
            raise_revision(connection)
            return [Change(what, name, "changed", ("reason", "until"))]
    connection.execute(delete(table).where(table.c.what == what, table.c.id == name))
    connection.execute(insert(table).values(what=what, id=name, since=notice.since, **values))
    raise_revision(connection)
    return changes or [Change(what, name, "changed", ("reason", "until"))]


def resume(connection: Connection, what: What, name: str) -> list[Change]:
    """Resume. An agency or system needs a known contact (article 12.3)."""
    changes = set_state(connection, what, name, True)
    connection.execute(delete(tables.notice).where(tables.notice.c.what == what, tables.notice.c.id == name))
    return changes
