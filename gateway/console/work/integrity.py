"""The log's integrity: checkpoints, witnesses, time-stamps, and a verification on demand.

A verification is `lgsp audit verify` as a child of the desk: it has a memory and an interpreter of its own. A thread
reads its progress into the job, and notes the result in the log.
Invariant: at most one verification runs. One that has told nothing for `SILENT` seconds counts as interrupted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Any, Final, NamedTuple

from sqlalchemy import func, select

from gateway.audit.log import origins
from gateway.audit.log.origins import Ended
from gateway.audit.verify import recording
from gateway.audit.verify.recording import Found
from gateway.audit.witnessing.config import witness_states
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.journal import jobs
from gateway.journal.jobs import RUNNING, Job
from gateway.journal.log_checks import KIND
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring

THREAD: Final = "log check"
SILENT: Final = 60.0
BEAT: Final = 2.0  # seconds between two looks at the child
_SHOWN: Final = 5


class Integrity(NamedTuple):
    """`ended` are logs before this one; `vkey` verifies this one. `interrupted`: the newest check did not end."""

    size: int
    pending: int
    note: str
    origin: str
    witnesses: tuple[dict[str, Any], ...]
    checkpoints: tuple[Any, ...]
    cosigned: tuple[Any, ...]
    stamps: tuple[Any, ...]
    ended: tuple[Ended, ...]
    vkey: str
    checks: tuple[Job, ...]
    interrupted: bool


def integrity(desk: Desk) -> Integrity:
    point, cosigned, stamp = tables.checkpoint.c, tables.cosigned.c, tables.stamp.c
    with desk.reading() as connection:
        last = connection.scalar(select(func.max(tables.log_entry.c.idx)))
        pending = select(tables.log_pending.c.id).limit(1_000).subquery()
        checks = jobs.newest(connection, KIND, limit=_SHOWN)
        return Integrity(
            size=0 if last is None else last + 1,
            pending=int(connection.execute(select(func.count()).select_from(pending)).scalar_one()),
            note=desk.services.newest_checkpoint.note(),
            origin=desk.services.settings.origin,
            witnesses=tuple(witness_states(connection, desk.services.settings, desk.now())),
            checkpoints=tuple(
                connection.execute(
                    select(point.size, point.signed, point.root).order_by(point.size.desc()).limit(_SHOWN)
                )
            ),
            cosigned=tuple(
                connection.execute(
                    select(cosigned.size, cosigned.witnesses, cosigned.at).order_by(cosigned.size.desc()).limit(_SHOWN)
                )
            ),
            stamps=tuple(
                connection.execute(
                    select(stamp.id, stamp.size, stamp.authority, stamp.time).order_by(stamp.id.desc()).limit(_SHOWN)
                )
            ),
            ended=origins.ended(connection),
            vkey=_vkey(desk),
            checks=tuple(checks),
            interrupted=bool(checks) and _interrupted(checks[0], desk.now()),
        )


def _vkey(desk: Desk) -> str:
    """The key that verifies the log; empty where its file cannot be read."""
    try:
        return Keyring(desk.services.settings).log_vkey.read_text("ascii").strip()
    except OSError:
        return ""


def verify(desk: Desk, viewer: Viewer) -> Job:
    """Starts a verification, or returns the one that runs."""
    now = desk.now()
    with desk.writing() as connection:
        for job in jobs.newest(connection, KIND, limit=1):
            if job.state == RUNNING and not _interrupted(job, now):
                return job
        job = jobs.add(connection, KIND, desk.services.settings.origin, (viewer.actor, ""), now)
    threading.Thread(target=_run, args=(desk, job, command(desk)), name=THREAD, daemon=True).start()
    return job


def command(desk: Desk) -> list[str]:
    return [
        *(sys.executable, "-m", "gateway", "audit", "verify", "--json", "--no-record"),
        *("--data", str(desk.services.settings.data)),
    ]


def _interrupted(job: Job, now: float) -> bool:
    return job.state == RUNNING and now - job.changed > SILENT


def _run(desk: Desk, job: Job, words: Sequence[str]) -> None:
    child = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "LGSP_PROGRESS": "lines"}
    )
    assert child.stdout is not None and child.stderr is not None
    progress: dict[str, Any] = {}
    output: list[bytes] = []
    readers = [
        threading.Thread(target=_follow, args=(child.stderr, progress), daemon=True),
        threading.Thread(target=lambda stream: output.append(stream.read()), args=(child.stdout,), daemon=True),
    ]
    for each in readers:
        each.start()
    with child:
        while True:
            try:
                child.wait(BEAT)
                break
            except subprocess.TimeoutExpired:
                with desk.writing() as connection:
                    jobs.change(connection, job, desk.now(), **dict(progress))
        for each in readers:
            each.join()
    _end(desk, job, b"".join(output), child.returncode)


def _follow(stream: IO[bytes], progress: dict[str, Any]) -> None:
    for line in stream:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if isinstance(told, dict) and "task" in told:
            progress.update(task=str(told["task"]), done=int(told.get("done", 0)))


def _end(desk: Desk, job: Job, output: bytes, code: int) -> None:
    try:
        result = json.loads(output)
        ok, wrong = bool(result["ok"]), [str(each) for each in result.get("wrong") or ()]
        if "error" in result:
            wrong.append(str(result["error"].get("what")))
    except (ValueError, KeyError, TypeError, AttributeError):
        result, ok, wrong = {}, False, [f"the verification ended with {code} and told nothing"]
    with desk.writing() as connection:
        recording.end(connection, job, desk.now(), Found(ok, result.get("size"), wrong))
