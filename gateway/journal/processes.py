"""Registers the processes of an instance: each has a row, beats while it lives, and is declared dead by the keeper.

Invariant: a row that is no longer `alive` never becomes alive again; a process that starts takes a new id.
"""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, func, select, update

from gateway import __version__
from gateway.journal.database import insert, moment, writing
from gateway.journal.schema import tables

BEAT_SECONDS: Final = 2.0
_SILENT: Final = 10.0
_UNTOLD: Final = "0.2.0"  # it wrote none


@cache
def host() -> str:
    """The machine, its boot and its PID namespace: a pid has a meaning only where all three are equal."""
    try:
        boot, numbers = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8], os.readlink("/proc/self/ns/pid")
    except OSError:
        boot, numbers = "-", "-"
    return f"{platform.node()} {boot} {numbers}"


def register(engine: Engine, process_id: str, kind: str, machine: str | None = None) -> None:
    """Inserts the row of this process as alive; keeps an existing row of that id."""
    at = time.time()
    row = {
        "id": process_id,
        "kind": kind,
        "pid": os.getpid(),
        "host": host(),
        "started": at,
        "seen": at,
        "state": "alive",
        "machine": machine,
        "version": __version__,
    }
    with writing(engine) as connection:
        connection.execute(insert(connection, tables.process).values(row).on_conflict_do_nothing())


def end(engine: Engine, process_id: str) -> None:
    """Marks this process as ended; the keeper recovers what it left open."""
    with writing(engine) as connection:
        connection.execute(
            update(tables.process)
            .where(tables.process.c.id == process_id, tables.process.c.state == "alive")
            .values(state="ended")
        )


def versions(connection: Connection) -> dict[str, list[str]]:
    """Version of the program -> the machines where processes of it live."""
    row = tables.process.c
    alive = row.state == "alive", func.coalesce(row.heard, row.seen) > moment(connection, time.time) - _SILENT
    found: dict[str, set[str]] = {}
    for version, where in connection.execute(select(row.version, row.host).where(*alive).distinct()):
        found.setdefault(version or _UNTOLD, set()).add(where.partition(" ")[0])
    return {version: sorted(found[version]) for version in sorted(found)}


def gone(pid: int, row_host: str, started: float) -> bool | None:
    """Whether the process of such a row has certainly ended; None if that cannot be decided on this machine.

    A pid that was reused since then is recognised by its start time (`started` in Unix seconds).
    """
    if row_host != host():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    begun = _begun(pid)
    return None if begun is None else begun > started + 2.0


def _begun(pid: int) -> float | None:
    """Start time of a process of this machine, in Unix seconds; infinite for a zombie, which has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        if fields[0] in "ZX":
            return float("inf")
        up = float(Path("/proc/uptime").read_text("ascii").split()[0])
        return time.time() - up + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
