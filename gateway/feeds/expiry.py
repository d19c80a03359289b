"""Ends the content of events whose time has come: appends the event `expired`, and takes the content out of the state.

Theory of operation
1. Events are looked through in the order of the feed. What holds until a time (`lgspexpires`) gets a row in
   `feed_expiry`, in one transaction with the position.
   The row only says when to look. `lgspexpires` decides, of an event that is proved: by the body that was sealed with
   it, or by the digest of its period in the log once the body is gone. A row that says another time gets the true one.
2. When the time has come, one transaction appends the event and the entry of the log, and removes the row. It ends the
   business keys too, so that the state and the feed tell the same. The sequencer gives the event its offset.
3. The event follows from the one that handed the content in, its id too. So it is the same however often it is made,
   and a reader can check it. It holds nothing that has to be sealed.
4. Content that was corrected or recalled meanwhile ends without an event. So does content that had ended before it was
   taken in.
Invariant: each content ends once, never before its `lgspexpires`. A door that changes a key meanwhile wins; then the
  content is looked at again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import Connection, Engine, delete, insert, select, update

from contracts.base.errors import Ours
from contracts.base.times import moment
from contracts.compiled.contract import CompiledContract
from gateway.feeds import digests
from gateway.feeds.keys import ENDED, LIVE
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Statements
from gateway.journal.values import keep, value_of
from gateway.journal.write import KeyRow
from gateway.transfer import entries
from gateway.transfer.key_seals import EXPIRY, EXPIRY_NOTE, HashId, is_sound, sealed
from gateway.transfer.transfer_records import EXPIRED, expired_event, operation_of
from gateway.vault import binding
from gateway.vault.vault import Opened, Vault

PAGE: Final = 500
_AGAIN: Final = 600.0  # seconds until an event is looked at again whose period is not sealed
_MARK: Final = ',"lgspexpires":"'
_event: Final = tables.feed_event.c
_expiry: Final = tables.feed_expiry
_logger: Final = logging.getLogger("lgsp.feeds")
Check = Callable[[Connection], None]


class _Overtaken(Exception):
    """A door changed a key of the content meanwhile."""


class _Ending(NamedTuple):
    contract: str
    handed_in: Mapping[str, Any]  # the event
    rows: tuple[KeyRow, ...]  # that stand


class _Due(NamedTuple):
    endings: list[_Ending]
    later: dict[str, float]  # transfer -> when


@dataclass(slots=True)
class Expiring:
    engine: Engine
    lock: FileLock | None
    vault: Vault
    hash_id: HashId
    clock: Callable[[], float]

    def step(self, contracts: Iterable[CompiledContract], check: Check) -> int:
        """Does a page of work of each contract; returns how many events were looked at or ended. `check` refuses the
        transaction of a keeper that was overtaken.
        """
        known = {each.contract.name: each for each in contracts}
        looked = 0
        for name, contract in known.items():
            if any(operation.event.expires for operation in contract.contract.fed):
                looked += self._look_through(name, check)
        return looked + self._end(known, check)

    def _look_through(self, name: str, check: Check) -> int:
        key = f"{EXPIRY} {name}"
        with self.engine.connect() as connection:
            upto = int(value_of(connection, key) or 0)
            query = select(_event.offset, _event.transfer, _event.event)
            query = query.where(_event.contract == name, _event.offset > upto).order_by(_event.offset).limit(PAGE)
            rows = connection.execute(query).all()
        if not rows:
            return 0
        found = []
        for row in rows:
            until = _until(row.event)
            if until is not None:
                found.append({"transfer": row.transfer, "contract": name, "expires": until})
        with writing(self.engine, self.lock) as connection:
            check(connection)
            if found:
                mine = [each["transfer"] for each in found]
                connection.execute(delete(_expiry).where(_expiry.c.transfer.in_(mine)))  # none, unless looked at again
                connection.execute(insert(_expiry), found)
            keep(connection, key, str(rows[-1].offset))
        return len(rows)

    def _end(self, contracts: Mapping[str, CompiledContract], check: Check) -> int:
        now = self.clock()
        with self.engine.connect() as connection:
            query = select(_expiry.c.transfer).where(_expiry.c.expires <= now).order_by(_expiry.c.expires).limit(PAGE)
            rows = list(connection.scalars(query))
            due = self._looked_at(connection, rows, contracts, now) if rows else _Due([], {})
        if not rows:
            return 0
        try:
            with writing(self.engine, self.lock) as connection:
                check(connection)
                self._write(connection, due.endings, now)
                for transfer, at in due.later.items():
                    connection.execute(update(_expiry).where(_expiry.c.transfer == transfer).values(expires=at))
                over = [each for each in rows if each not in due.later]
                connection.execute(delete(_expiry).where(_expiry.c.transfer.in_(over)))
        except _Overtaken:
            return 0
        return len(rows)

    def _looked_at(
        self, connection: Connection, due: Sequence[str], contracts: Mapping[str, CompiledContract], now: float
    ) -> _Due:
        """Which of these have to end now, and which later."""
        columns = (_event.contract, _event.offset, _event.sequenced, _event.transfer, _event.event)
        events = connection.execute(select(*columns).where(_event.transfer.in_(due))).all()
        key = tables.feed_key.c
        standing: dict[str, list[KeyRow]] = {}
        rows = select(*(key[name] for name in KeyRow._fields)).where(key.transfer.in_(due), key.state == LIVE)
        for row in connection.execute(rows):
            standing.setdefault(row.transfer, []).append(KeyRow(*row))
        bodies = self.vault.open_many(connection, [f"{each}/canonical" for each in due])
        found = _Due([], {})
        for event in events:
            own = tuple(standing.get(event.transfer, ()))
            proved = _proved(connection, event, bodies.get(f"{event.transfer}/canonical"))
            if proved is None:
                found.later[event.transfer] = now + _AGAIN
                continue
            until = _until(event.event) if proved else None
            if until is None or not all(is_sound(each, self.hash_id) for each in own):
                _logger.critical("feed %s: transfer %s was changed in the database", event.contract, event.transfer)
            elif until > now:
                _logger.critical("feed %s: transfer %s was to end before its time", event.contract, event.transfer)
                found.later[event.transfer] = until
            else:
                value = json.loads(event.event)
                if own or not _has_keys(contracts.get(event.contract), value):
                    found.endings.append(_Ending(event.contract, value, own))
        return found

    def _write(self, connection: Connection, endings: Sequence[_Ending], now: float) -> None:
        notes, feed, keys = [], [], list[KeyRow]()
        for each in endings:
            id, text = expired_event(each.handed_in)
            if entry_of(connection, id, EXPIRY_NOTE) is not None:
                _logger.critical("feed %s: transfer %s was to end once more", each.contract, each.handed_in["id"])
                continue
            facts = {
                "contract": each.contract,
                "message": each.handed_in["id"],
                "expires": each.handed_in["lgspexpires"],
            }
            notes.append(entries.note(EXPIRY_NOTE, facts, now, actor="keeper", about=id))
            feed.append({"contract": each.contract, "transfer": id, "event": text, "body_ref": f"{id}/canonical"})
            steps = (row._replace(state=ENDED, changed=id, previous=row.changed) for row in each.rows)
            keys += [sealed(step, self.hash_id) for step in steps]
        if keys:
            cursor = cast(Cursor, connection.connection.cursor())
            written = Statements(connection.dialect.name).put_keys(cursor, KeyRow._fields, sorted(keys))
            if len(written) < len(keys):
                raise _Overtaken
        if feed:
            append(connection, notes)
            connection.execute(insert(tables.feed_pending), feed)


def _until(event: str) -> float | None:
    """When the content that this event handed in ends; None if it does not."""
    try:
        value = json.loads(event) if _MARK in event else None
    except ValueError:  # it was changed in the database
        return None
    if not isinstance(value, dict) or str(value.get("type")).endswith(f":{EXPIRED}"):
        return None
    return moment(value.get("lgspexpires"))


def _proved(connection: Connection, event: Any, body: Opened | Ours | None) -> bool | None:
    """Whether the event, a row of the feed, is as it was handed in; None if its period has to be sealed first."""
    if isinstance(body, Opened):  # of before there were bindings: nothing else proves it
        return body.binding is None or body.binding == binding.of_event(event.contract, event.event)
    return False if isinstance(body, Ours) else digests.holds(connection, event.contract, event.offset, event.sequenced)


def _has_keys(contract: CompiledContract | None, event: Mapping[str, Any]) -> bool:
    """Whether content of this kind stands under business keys. If so, and no row stands, it holds no longer. Content
    without keys that had ended before it came is treated alike.
    """
    if contract is None:
        return True
    operation = contract.contract.operations.get(operation_of(contract.namespace, event["type"]))
    late = (moment(event["lgspexpires"]) or 0.0) <= (moment(event["time"]) or 0.0)
    return operation is None or operation.identity is not None or late
