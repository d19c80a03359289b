"""Readers of a feed that go on through every fault, each by its own way; and messages that are dispatched meanwhile."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.errors import ClientError
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins import messages
from gateway.settings import Settings

REPORT = "/field-report/v1/requests"


class Background(ABC):
    """Something that goes on in a thread until the block ends. What it raises is raised there."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._raised: list[BaseException] = []
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    @abstractmethod
    def run(self) -> None:
        """Goes on until `stopping` is set."""

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.stopping.set()
        self._thread.join(90)
        assert not self._thread.is_alive(), f"{type(self).__name__} does not end"
        if kind is None and self._raised:
            raise self._raised[0]

    def goes_on(self) -> bool:
        """Raises what ended it."""
        if self._raised:
            raise self._raised[0]
        return True

    def _guarded(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self._raised.append(error)


class Pulling(Background):
    """Reads a feed by pages and waits for what comes: `events` in the order that they came, each page kept whole."""

    def __init__(
        self, settings: Settings, contract: str, *others: Settings, system: str = "dieu-hanh", pause: float = 0.0
    ) -> None:
        """`others`: machines that it turns to when it got no page. `pause`: after each page."""
        super().__init__()
        self._pause = pause
        self.events: list[dict[str, Any]] = []
        self.broken = 0  # calls without a page
        self._clients = [
            RestClient(Identity.load(each.identities / system), timeout=20.0) for each in (settings, *others)
        ]
        self._contract = contract

    @property
    def ids(self) -> list[str]:
        return [event["id"] for event in self.events]

    def run(self) -> None:
        after = ""
        while not self.stopping.is_set():
            query = f"?limit=50&wait=1&after={quote(after, safe='')}".removesuffix("&after=")
            try:
                answer = self._clients[self.broken % len(self._clients)].call(
                    "GET", f"/feeds/{self._contract}{query}", need_signature=False
                )
                if not answer.ok or not answer.verified:
                    raise ClientError(f"{answer.status}")
            except (ClientError, OSError):
                self.broken += 1
                time.sleep(0.1)
                continue
            page = answer.json()
            self.events += page["events"]
            after = page["next"]
            self.stopping.wait(self._pause)


class Dispatching(Background):
    """Reports to the agency's system, a few at once. `acknowledged`: status by transfer; the others by their code."""

    def __init__(self, settings: Settings, connections: int = 3, pause: float = 0.05) -> None:
        """`pause`: of a connection after each answer, in seconds."""
        super().__init__()
        self.acknowledged: dict[str, int] = {}
        self.others: Counter[str] = Counter()
        self.unanswered = 0
        self._settings, self._connections, self._pause, self._number = settings, connections, pause, 0

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        client = RestClient(Identity.load(self._settings.identities / "phan-anh"))
        async with AsyncRestClient(client, connections=self._connections, timeout=30) as caller:
            await asyncio.gather(*(self._one(caller) for _ in range(self._connections)))

    async def _one(self, caller: AsyncRestClient) -> None:
        while not self.stopping.is_set():
            body, self._number = messages.field_report(area="01273"), self._number + 1
            try:
                prepared = caller.client.prepare(
                    "POST", REPORT, body, message_id=f"R-{uuid.uuid4()}", token=await caller.token()
                )
                if self._number % 2:  # every second one is to be answered later
                    prepared = replace(prepared, headers={**prepared.headers, "prefer": "respond-async"})
                answer = await caller.send(prepared)
            except (ClientError, OSError):
                self.unanswered += 1
                await asyncio.sleep(0.1)
                continue
            if answer.ok:
                self.acknowledged[answer.headers["lgsp-transfer"]] = answer.status
            else:
                self.others[(answer.problem or {}).get("code", str(answer.status))] += 1
            await asyncio.sleep(self._pause)
