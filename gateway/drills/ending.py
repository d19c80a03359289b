"""Which processes a failover drill ends.

Invariant: they are of this instance and on this machine, by their rows and pids.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from sqlalchemy import Engine, select

from gateway.drills.errors import DRILL_ELSEWHERE
from gateway.journal import processes
from gateway.journal.schema import tables
from gateway.settings import Settings
from gateway.transfer.lease import KEEPER

What = Literal["keeper", "door", "machine", "wait"]
_SUPERVISOR: Final = "supervisor.pid"


class Ended(NamedTuple):
    pids: Sequence[int]
    leader: bool  # the leading keeper is one of them


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
    supervisor = int((settings.run / _SUPERVISOR).read_text("ascii")) if (settings.run / _SUPERVISOR).exists() else 0
    here = [each for each in rows if processes.gone(each.pid, each.host, each.started) is False]
    own = [each for each in here if supervisor and _parent(each.pid) in (supervisor, *_children(supervisor))]
    pids = {
        "keeper": [each.pid for each in own if each.id == leader],
        "door": [each.pid for each in own if each.kind == "door"][:1],
        "machine": [supervisor, *(each.pid for each in own)] if own else [],
    }[what]
    if not pids:
        raise DRILL_ELSEWHERE(what=what)
    return Ended(pids, any(each.id == leader for each in own if each.pid in pids))


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _children(pid: int) -> list[int]:
    """The fork server is between the supervisor and its processes."""
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and _parent(int(each)) == pid]
