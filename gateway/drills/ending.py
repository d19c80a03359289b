"""Which processes a failover drill ends.

Invariant: they are of this instance and on this machine: children of the process that holds the lock of its `run/`
folder, with a row in its database.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Engine, select

from gateway.drills.errors import DRILL_ELSEWHERE, DRILL_RUNS
from gateway.journal import processes
from gateway.journal.schema import tables
from gateway.settings import Settings
from gateway.transfer.lease import KEEPER

What = Literal["keeper", "door", "machine", "wait"]
_SUPERVISOR: Final = "supervisor.pid"


@dataclass(frozen=True, slots=True)
class Ended:
    """`handles`: a descriptor for each process (pidfd_open(2)), so that a number that is given again ends nobody else.
    `leader`: the leading keeper is one of them."""

    pids: Sequence[int]
    leader: bool
    handles: Sequence[int] = field(default=(), repr=False)

    def kill(self) -> list[int]:
        """Ends them by signal 9. Returns those that were there to be ended."""
        found = []
        for pid, handle in zip(self.pids, self.handles, strict=True):
            with suppress(ProcessLookupError):  # it ended by itself, or with the one before it
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                found.append(pid)
        return found

    def close(self) -> None:
        for handle in self.handles:
            os.close(handle)


def locked(settings: Settings) -> int:
    """Raises `drill.runs` while another failover drill runs on this machine: each would end what the other looks at."""
    path = settings.run / "failover-drill"
    settings.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise DRILL_RUNS(path=path) from None
    return lock


def chosen(engine: Engine, settings: Settings, what: What) -> Ended:
    """The processes to end. Raises `drill.elsewhere` if none of that kind is on this machine."""
    if what == "wait":
        return Ended((), False)
    table = tables.process.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(table.id, table.kind, table.pid, table.host, table.started).where(
                table.state == "alive", table.host == processes.host()
            )
        ).all()
        leader = connection.scalar(select(tables.lease.c.holder).where(tables.lease.c.name == KEEPER))
    if not (supervisor := _supervisor(settings)):
        raise DRILL_ELSEWHERE(what=what)
    held: dict[int, int] = {}
    for pid in (supervisor, *(each.pid for each in rows)):
        with suppress(ProcessLookupError, OverflowError, OSError):
            held[pid] = os.pidfd_open(pid)
    # what is looked at from here on is the process that is held
    own = [
        each
        for each in rows
        if each.pid in held
        and _parent(each.pid) == supervisor
        and processes.gone(each.pid, each.host, each.started) is False
    ]
    machine = [supervisor, *(each.pid for each in own)] if own and _supervisor(settings) == supervisor else []
    pids = {
        "keeper": [each.pid for each in own if each.id == leader],
        "door": [each.pid for each in own if each.kind == "door"][:1],
        "machine": machine,
    }[what]
    for pid in held.keys() - {*pids}:
        os.close(held[pid])
    if not pids:
        raise DRILL_ELSEWHERE(what=what)
    return Ended(pids, any(each.id == leader for each in own if each.pid in pids), [held[pid] for pid in pids])


def _supervisor(settings: Settings) -> int:
    """The `lgsp up` of this folder: it holds the lock of `run/` (flock(2)), and has written its number there. 0: none.

    The file alone proves nothing: whoever may write there could name any process.
    """
    try:
        stated = int((settings.run / _SUPERVISOR).read_text("ascii"))
        inode, locks = settings.run.stat().st_ino, Path("/proc/locks").read_text("ascii", "replace")
    except (OSError, ValueError):
        return 0
    for words in map(str.split, locks.splitlines()):  # 4: FLOCK ADVISORY WRITE 19221 fe:00:11896787 0 EOF
        if words[1:5] == ["FLOCK", "ADVISORY", "WRITE", str(stated)] and words[5].rpartition(":")[2] == str(inode):
            return stated
    return 0


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0
