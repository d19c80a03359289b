"""Declares silent processes dead, and closes what they left open; done by the leading keeper.

1. A process is dead when its row has not been beaten for ten seconds in which the keeper watched, by its own clock.
   (Clocks of different machines are never compared.) It is dead at once when it ran on this machine and its process is
   gone.
2. It is declared dead and its transfers are closed under the lease's epoch. After that the journal fences all that this
   process still tries to write, so no transfer ends twice.
3. Calls that a dead process had in hand and that have no entry are in its register (`gateway.journal.taken_up`). Each
   keeper logs those of its own machine, without the lease: the register's lock and the ids of the calls keep it to one
   entry a call.
4. `forwarding` becomes `in-doubt`, with an entry in the log. If the operation is declared idempotent, or is a query,
   and the message is in the vault, it goes back to the queue. The rest waits for a person or for the provider's status.
Invariant: every step is one of the table of states.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, exists, func, or_, select, update

from contracts.base.times import rfc3339
from contracts.canonical.model import Pattern
from gateway.errors import PROCESS_DIED, PROCESS_SILENT
from gateway.journal import processes
from gateway.journal.append import append, apply
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import free_phase
from gateway.journal.schema import tables
from gateway.journal.taken_up import Call, Left, left_behind
from gateway.journal.write import LogRow, QueueRow
from gateway.transfer import entries, outcome
from gateway.transfer.stages import Doubt, OpenTransfer
from gateway.transfer.states import Event, State
from security.transparency.entry import Json

DEAD_SECONDS: Final = 10.0
FORGOTTEN_SECONDS: Final = 300.0  # far longer than any call to a provider
QUOTA_GRACE: Final = 70 * 86_400.0
REPLAY_GRACE: Final = 600.0  # replay keys outlive their messages by this, in case the clock is set back
AT_ONCE: Final = 500
_NUMBERS: Final = re.compile(r"\d{9,}")  # in a path may identify a citizen, and the log keeps everything
_NOT_ALIVE: Final = or_(tables.process.c.state.is_(None), tables.process.c.state != "alive")
_logger: Final = logging.getLogger(__name__)
_traced: Final[set[str]] = set()  # processes whose traces this one has logged


@dataclass(frozen=True, slots=True)
class Dead:
    """A process to be declared dead; `seen` is its last beat, None where its process is gone."""

    id: str
    seen: float | None
    reason: str


class HeartbeatMonitor:
    """Remembers when each process was last seen to beat, by this process's clock."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._beats: dict[str, tuple[float, float]] = {}

    def forget(self) -> None:
        """Starts again: while this process could not read the database, silence proved nothing."""
        self._beats.clear()

    def look(self, connection: Connection, but: str) -> list[Dead]:
        """Those that are dead now, except this process (`but`)."""
        table, now = tables.process.c, self._monotonic()
        rows = connection.execute(
            select(table.id, table.pid, table.host, table.started, table.seen).where(
                table.state == "alive", table.id != but
            )
        ).all()
        beats, dead = {}, list[Dead]()
        for id, pid, host, started, seen in rows:
            before = self._beats.get(id)
            beats[id] = before if before is not None and before[0] == seen else (seen, now)
            if processes.gone(pid, host, started):
                dead.append(Dead(id, None, "its process is gone"))
            elif now - beats[id][1] >= DEAD_SECONDS:
                dead.append(Dead(id, seen, f"no sign of life for {DEAD_SECONDS:.0f} s"))
        self._beats = beats
        return dead


def declare_dead(connection: Connection, dead: Dead) -> bool:
    """False if it beat in the meantime. On PostgreSQL this waits for a batch that the process is committing."""
    table = tables.process
    step = update(table).where(table.c.id == dead.id, table.c.state == "alive").values(state="dead")
    if dead.seen is not None:
        step = step.where(table.c.seen == dead.seen)
    done = connection.execute(step).rowcount == 1
    if done:
        _logger.warning("process %s is declared dead: %s", dead.id, dead.reason)
    return done


@dataclass(frozen=True, slots=True)
class Closed:
    """How many transfers became in-doubt, and how many of these went back to the queue."""

    in_doubt: int
    queued: int


def _left_open(epoch: int) -> ColumnElement[bool]:
    """Left by a process that is not alive; or open longer than a call may take, if its outcome could not be written.

    The time is measured by that process's clock only: from its time of the transfer to its last beat. A message of the
    queue may be old when it is taken up: it counts only if that was before `epoch`.
    """
    queue = tables.queue.c
    leased = exists().where(queue.transfer == tables.transfer.c.id, queue.state == "leased", queue.epoch >= epoch)
    return or_(_NOT_ALIVE, and_(tables.transfer.c.committed < tables.process.c.seen - FORGOTTEN_SECONDS, ~leased))


def has_open_ends(connection: Connection, epoch: int = 0) -> bool:
    """Whether a transfer is `forwarding` whose outcome nobody will write any more. `epoch`: since which keepers may
    still deliver what they took up."""
    transfer, process = tables.transfer, tables.process
    return (
        connection.execute(
            select(transfer.c.id)
            .select_from(transfer.outerjoin(process, process.c.id == transfer.c.process))
            .where(transfer.c.state == State.FORWARDING.value, _left_open(epoch))
            .limit(1)
        ).first()
        is not None
    )


def close_open(connection: Connection, now: float, epoch: int = 0) -> Closed:
    """Closes what was left open, some hundreds at a time."""
    table, process, vault, waits = tables.transfer, tables.process, tables.vault, tables.queue.alias()
    rows = connection.execute(
        select(
            table.c.id,
            table.c.provider,
            table.c.process,
            table.c.idempotent,
            table.c.pattern,
            process.c.state.label("owner"),
            vault.c.id.label("body"),
            waits.c.provider.label("queued_for"),
            waits.c.body_ref,
            waits.c.next_at,
            waits.c.tries,
            waits.c.priority,
            waits.c.order_key,
            waits.c.callback,
        )
        .select_from(
            table.outerjoin(process, process.c.id == table.c.process)
            .outerjoin(vault, vault.c.id == table.c.id + "/canonical")
            .outerjoin(waits, waits.c.transfer == table.c.id)
        )
        .where(table.c.state == State.FORWARDING.value, _left_open(epoch))
        .limit(AT_ONCE)
        .with_for_update(of=table)
    ).all()
    units, again = [], []
    for row in rows:
        transfer = OpenTransfer(row.id, None, row.provider)
        reason = f"process {row.owner or 'unknown'}" if row.process else "its callers were told that it failed"
        why = Doubt(now, row.process or "none", reason, free_phase(connection, row.id, "in-doubt"))
        queue = outcome.left_in_queue(row)
        events = [Event.PROCESS_DIED]
        if (row.idempotent or row.pattern == Pattern.QUERY) and row.body and row.provider:
            events.append(Event.SAFE_TO_REPEAT)
            again.append(row.id)
            waiting = queue or QueueRow(row.id, row.provider, f"{row.id}/canonical", now, last_failure=outcome.UNKNOWN)
            queue = waiting._replace(state="waiting", next_at=now)
        units.append(outcome.abandoned(transfer, why, *events)._replace(queue=queue))
    apply(connection, units)
    connection.execute(
        update(table).where(table.c.id.in_(again)).values(process=None)
    )  # it is nobody's until it is taken up
    return Closed(len(rows), len(again))


def forget_quotas(connection: Connection, now: float) -> int:
    """Deletes the counts of windows that ended long ago; the longest window is a month."""
    return connection.execute(delete(tables.quota_use).where(tables.quota_use.c.begins < now - QUOTA_GRACE)).rowcount


def forget_replays(connection: Connection, now: float) -> int:
    """Deletes replay keys whose messages expired long ago; a few thousand at a time, so that no writer waits long.

    A key must have expired long before the newest one too: a clock here that is ahead of the doors', or jumps, must not
    make a message acceptable a second time.
    """
    table = tables.replay
    newest = connection.execute(select(func.max(table.c.expires))).scalar()
    if newest is None:
        return 0
    old = select(table.c.key).where(table.c.expires < min(now, newest) - REPLAY_GRACE).limit(2000).scalar_subquery()
    return connection.execute(delete(table).where(table.c.key.in_(old))).rowcount


# --- what dead processes had in hand ----------------------------------------------------------------------------------
def hand_in(engine: Engine, lock: FileLock | None, folder: Path, now: float) -> int:
    """Logs what dead processes of this machine had in hand, then removes their registers; returns how many calls.

    After a crash in between, the next run finds the register and the entries that were written.
    """
    count = 0
    for left in left_behind(folder):
        if left.trace and left.process not in _traced:
            _traced.add(left.process)  # once, also while the database is away
            _logger.error("process %s was ended %s", left.process, "for its silence" if left.silent else "by a crash")
            for line in left.trace:
                _logger.error("%s: %s", left.process, line)
        if left.calls or left.untold or left.trace:
            with writing(engine, lock) as connection:
                rows = _unlogged(connection, left, now)
                append(connection, rows)
            count += len(rows)
            _logger.warning("process %s is dead: %d entries tell what it had in hand", left.process, len(rows))
        left.remove()
    return count


def _unlogged(connection: Connection, left: Left, now: float) -> list[LogRow]:
    """Entries for the calls that have none yet, and for the end itself if it was abnormal."""
    own = left.process.partition("-")[2]
    wanted = [own, *(call.transfer for call in left.calls)]
    logged = {
        id
        for table in tables.LOGS
        for start in range(0, len(wanted), AT_ONCE)
        for id in connection.execute(
            select(table.c.transfer).where(table.c.transfer.in_(wanted[start : start + AT_ONCE]))
        ).scalars()
    }
    owners = _owners(connection, {call.certificate for call in left.calls})
    failure = PROCESS_SILENT.code if left.silent else PROCESS_DIED.code
    calls = [call for call in left.calls if call.transfer not in logged]
    rows = [_taken_up(call, left, owners.get(call.certificate), failure, now) for call in calls]
    if (left.trace or left.untold) and own not in logged:
        facts: dict[str, Json] = {
            "process": left.process,
            "kind": left.kind,
            "failure": failure,
            "calls": len(calls),
            "untold": left.untold,
        }
        rows.append(entries.note("process-ended", facts, now, about=own))
    return rows


def _taken_up(call: Call, left: Left, owner: str | None, failure: str, now: float) -> LogRow:
    """`actor` is the owner of the certificate, if it is registered, so that agency and system can be searched."""
    facts: dict[str, Json] = {
        "failure": failure,
        "source": call.source,
        "certificate": call.certificate or None,
        "method": call.method,
        "path": _NUMBERS.sub("…", call.path),
        "size": call.size,
        "taken": rfc3339(call.at),
        "seconds": max(0, round(now - call.at)),
        "process": left.process,
    }
    present = {name: value for name, value in facts.items() if value is not None}
    return entries.note("taken-up", present, now, actor=owner or "gateway", about=call.transfer)


def _owners(connection: Connection, certificates: set[str]) -> dict[str, str]:
    """Agency and system by thumbprint of the registered ones."""
    key, system = tables.system_key.c, tables.system.c
    wanted = sorted(certificates)
    owners: dict[str, str] = {}
    for start in range(0, len(wanted), AT_ONCE):
        rows = connection.execute(
            select(key.thumbprint, system.agency, system.id).where(
                key.thumbprint.in_(wanted[start : start + AT_ONCE]), system.id == key.system
            )
        )
        owners |= {thumbprint: f"{agency}/{id}" for thumbprint, agency, id in rows}
    return owners
