"""Sends the notices that wait, in the leading keeper.

A mail is sent before its row says so. A keeper that dies between sends it again, under the same Message-ID.
Invariant: what became of a notice is an entry of the log, in the transaction that ends its row. The entry names system
and agency, not the address.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from sqlalchemy import Connection, Engine

from contracts.base.errors import Failure
from contracts.base.words import Words, WordsFile
from gateway.delivery.policy import RetryPolicy
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.notices import store
from gateway.notices.contacts import address_of
from gateway.notices.errors import MAIL_BROKEN, MAIL_NO_ADDRESS
from gateway.notices.mail import Letter, MailServer
from gateway.notices.store import Notice
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease

NOTE: Final = "notice"
KINDS: Final = {  # the words of each kind
    "alarms": ("alarms.subject", "alarms.text"),
    "findings": ("findings.subject", "findings.text"),
    "findings-test": ("findings-test.subject", "findings-test.text"),
    "handling-due": ("handling-due.subject", "handling-due.text"),
    "handling-overdue": ("handling-overdue.subject", "handling-overdue.text"),
    "push-paused": ("push-paused.subject", "push-paused.text"),
    "case-opened": ("case-opened.subject", "case-opened.text"),
    "case-answered": ("case-answered.subject", "case-answered.text"),
    "case-due": ("case-due.subject", "case-due.text"),
    "case-overdue": ("case-overdue.subject", "case-overdue.text"),
}
POLICY: Final = RetryPolicy(first=30.0, longest=3600.0, tries=100, seconds=3 * 86_400.0)
AT_ONCE: Final = 20
_ITS_OWN: Final = (MAIL_BROKEN, MAIL_NO_ADDRESS)  # failures of one mail, not of the server
_words: Final = WordsFile(__file__)
_logger: Final = logging.getLogger("lgsp.notices")


@dataclass(slots=True, kw_only=True)
class Mailing:
    """One for each keeper; only the leading one runs it."""

    engine: Engine
    lock: FileLock | None
    registry: Registry
    server: MailServer
    name: str  # of the instance
    clock: Callable[[], float]
    operators: Mapping[str, str] = field(default_factory=dict)  # addresses by the names that notices have
    policy: RetryPolicy = POLICY
    rng: Random = field(default_factory=Random)

    async def run_once(self, lease: Lease) -> int:
        """Sends what is due, one after the other. Returns how many had a try."""
        return await asyncio.to_thread(self._run, lease)

    def _run(self, lease: Lease) -> int:
        with self.engine.connect() as connection:
            found = store.due(connection, self.clock(), AT_ONCE)
        for one in found:
            failure = self._try(one)
            self._record(one, failure, lease)
            if failure is not None and failure.type not in _ITS_OWN:
                break  # the others would fail as well; they are due at the next run
        return len(found)

    def _try(self, one: Notice) -> Failure | None:
        try:
            self.server.send(self.letter(one))
        except Failure as failure:
            return failure
        return None

    def letter(self, one: Notice) -> Letter:
        """The mail to the contact as the registry has it now. Raises: mail.broken, mail.no-address."""
        if one.system.startswith(store.OPERATOR):
            to = self.operators.get(one.system)
        else:
            to = address_of(self.registry.snapshot, one.system, self.clock())
        if to is None:
            raise MAIL_NO_ADDRESS(system=one.system)
        try:
            facts = {name: _filled(value) for name, value in one.facts.items()}
            facts |= {"system": one.system, "instance": self.name}
            subject, text = (_words(name, **facts) for name in KINDS[one.kind])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise MAIL_BROKEN(notice=one.id[:80]) from None
        return Letter(one.id, to, f"{subject.vi} / {subject.en}", f"{text.vi}\n\n---\n\n{text.en}\n", one.made)

    def _record(self, one: Notice, failure: Failure | None, lease: Lease) -> None:
        now, again = self.clock(), None
        if failure is not None:
            _logger.warning("notice %s (%s): %s", one.id, one.kind, failure)
            if failure.type not in _ITS_OWN:
                again = self.policy.next_try(one.tries + 1, one.made, now, self.rng)
        code = None if failure is None else failure.code
        with writing(self.engine, self.lock) as connection:
            leases.check(connection, lease)
            record(connection, one, code, again, now, self.registry.snapshot)


def record(
    connection: Connection, one: Notice, failure: str | None, again: float | None, now: float, snapshot: Snapshot
) -> None:
    """What became of a try: it is put off until `again`, or has ended."""
    if again is not None and failure is not None:
        store.put_off(connection, one, failure, again)
        return
    store.ended(connection, one, failure, now)
    system = snapshot.system(one.system)
    facts: dict[str, str | int | None] = {
        "notice": one.id,
        "about": one.about,
        "subject": one.kind,
        "reader": one.system,
        "agency": None if system is None else system.agency,
        "tries": one.tries + 1,
        "failure": failure,
    }
    append(connection, [entries.note(NOTE, facts, now)])


def _filled(value: Any) -> Any:
    """A fact as words: a list of facts, or both languages of one."""
    if isinstance(value, list):
        return lines(value)
    return Words(**value) if isinstance(value, dict) else value


def lines(facts: Sequence[Mapping[str, str | int]]) -> Words:
    """A fact that is a list: each element names its `words`, and is what they are filled with."""
    each = [_words(str(one["words"]), **one) for one in facts]
    return Words("\n".join(one.vi for one in each), "\n".join(one.en for one in each))
