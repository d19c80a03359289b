"""Calls going on while something is broken, and what is then asked of the instance."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from examples.story.exchange import ALERTS, read_feed
from examples.story.world import World
from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings

ALERT = "/incident-alert/v1/alerts"


class Load:
    """Alerts from several connections, in a thread; `acknowledged` by identifier, others by what came of them. `pause`:
    seconds between two calls of a connection.
    """

    def __init__(self, settings: Settings, connections: int = 6, pause: float = 0.0) -> None:
        self.acknowledged: dict[str, str] = {}
        self.others: Counter[str] = Counter()
        self.unanswered: list[str] = []
        self._settings, self._connections, self._pause = settings, connections, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)

    def wait(self, more: int, seconds: float = 60.0) -> None:
        """Until so many more are acknowledged."""
        goal, until = len(self.acknowledged) + more, time.monotonic() + seconds
        while len(self.acknowledged) < goal:
            assert time.monotonic() < until, f"{len(self.acknowledged)} acknowledged, then no more; {self.others}"
            time.sleep(0.02)

    async def _run(self) -> None:
        client = RestClient(Identity.load(self._settings.identities / "bao-chay"))
        async with AsyncRestClient(client, connections=self._connections, timeout=60) as caller:
            await asyncio.gather(*(self._one(caller) for _ in range(self._connections)))

    async def _one(self, caller: AsyncRestClient) -> None:
        while not self._stop.is_set():
            if self._pause:
                await asyncio.sleep(self._pause)
            identifier = f"LOAD-{uuid.uuid4()}"
            try:
                answer = await caller.call("POST", ALERT, messages.fire_alarm(identifier=identifier))
            except (ClientError, OSError):
                self.unanswered.append(identifier)
                await asyncio.sleep(0.05)
                continue
            if answer.ok:
                self.acknowledged[identifier] = answer.json()["transfer"]
            else:
                self.others[(answer.problem or {}).get("code", str(answer.status))] += 1
                await asyncio.sleep(0.05)


def all_in_feed(world: World, acknowledged: dict[str, str], seconds: float = 60.0) -> Counter[str]:
    """Waits until everything acknowledged stands in the feed; how often each stands there."""

    def counted() -> Counter[str] | None:
        found = Counter(event["data"]["identifier"] for event in read_feed(world, ALERTS))
        return found if set(acknowledged) <= set(found) else None

    found: Counter[str] = world.wait("all that was acknowledged in the feed", counted, seconds)
    return found


def children(pid: int) -> dict[int, list[str]]:
    """The children of a process, with their command lines."""
    found: dict[int, list[str]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().decode().replace("\0", " ").split()
            except OSError:
                continue
    return found


def child(pid: int, kind: str) -> int:
    """The process of this kind; waits for one that is being restarted."""
    return int(
        until(f"a {kind}", lambda: next((each for each, words in sorted(children(pid).items()) if kind in words), 0))
    )


def descriptors_at_rest(pid: int) -> int:
    """How many the supervisor holds while it starts nothing: the pipe of a new child stays open until it is ready."""
    found: list[list[str]] = []

    def the_same() -> bool:
        found.append(sorted(os.listdir(f"/proc/{pid}/fd")))
        time.sleep(0.3)  # longer than the supervisor's round
        return found[-3:] == found[-1:] * 3

    until("a supervisor at rest", the_same)
    return len(found[-1])


def gone(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(what: str, done: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Ask until something true comes; a bound for what never comes, not for a slow machine."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.05)
    return found
