"""Measures one door: time from its start to its first answer, and memory after many exchanges.

Invariant: every answer was right, and the memory is read while the door still serves.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gatewayside import PROVIDER, gateway_side
from bench.load import fire_now
from bench.process import await_port, free_port, memory_mib, pinned, running, two_cores

BATCH: Final = 2500
PACKAGES: Final = (
    "aiohttp, alembic, connexion, cryptography.x509, jsonschema_rs, joserfc.jwe, lxml.etree, sqlalchemy, typer,"
    " uvicorn, uvloop"
)


@dataclass(frozen=True, slots=True)
class Door:
    """`first_answer`: seconds from the start of the process, in its own interpreter, to its first exchange.

    `loading`: seconds that a process takes to load the packages and end, just afterwards.
    """

    first_answer: float
    loading: float
    exchanges: int
    memory_at_start: float
    memory_mib: float
    per_second: float


def measure(exchanges: int, say: Callable[[str], None] = lambda text: None) -> Door:
    ours, theirs = two_cores()
    with contextlib.ExitStack() as stack, pinned(theirs):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-door-")))
        port, log = free_port(), folder / "provider.log"
        side = stack.enter_context(gateway_side(folder / "instance", f"https://localhost:{port}/do-thi", ours))
        arguments = ["--signed-port", str(port), "--identity", str(side.settings.identities / PROVIDER)]
        await_port(stack.enter_context(running("bench.provider", arguments, log, core=theirs)), port, log)

        began = time.monotonic()
        first = side.prepare(0, 1)
        side.verify(first, fire_now([shot for shot, _ in first], side.port, side.context).replies)
        first_answer = side.started + time.monotonic() - began
        at_start = memory_mib(side.door_pid)
        done, seconds = 1, 0.0
        while done < exchanges:
            prepared = side.prepare(done, min(BATCH, exchanges - done))
            measured = fire_now([shot for shot, _ in prepared], side.port, side.context)
            side.verify(prepared, measured.replies)
            done += measured.count
            seconds += measured.seconds
            say(f"{done} exchanges, {memory_mib(side.door_pid):.0f} MiB")
        return Door(
            first_answer,
            _loading(ours),
            done,
            at_start,
            memory_mib(side.door_pid),
            (done - 1) / seconds if seconds else 0.0,
        )


def _loading(core: int | None) -> float:
    with pinned(core):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"import {PACKAGES}"], check=True, stdin=subprocess.DEVNULL
        )
        return time.monotonic() - began
