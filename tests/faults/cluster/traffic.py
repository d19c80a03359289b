"""Steady, paced calls to two machines while something breaks, and what came of each."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from lxml import etree

from examples.story.exchange import QUESTION
from gateway.client import AsyncClient, Identity, NoConnection, Refused, RefusedOurs
from gateway.client.answers import Answer
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.faults.followers import CAP
from tests.faults.following import Background

PATIENCE = 30.0  # seconds for an answer of any kind: what takes longer hangs
LINKS = 50  # then an alert begins anew: a handling has some hundred steps
PAUSE = 0.6  # between two calls of a caller
REFUSED_FOR_A_WHILE = (429, 500, 502, 503, 504)


class Told:
    """What callers were told since the last `fault`: by code or kind, and the longest wait, in seconds and for what."""

    def __init__(self) -> None:
        self.since: Counter[str] = Counter()
        self.all: Counter[str] = Counter()
        self.slowest = (0.0, "nothing")
        self.refused = 0.0  # the longest wait for a refusal, since the beginning

    def refuse(self, refused: Refused, seconds: float) -> None:
        """A refusal says when to come again, where HTTP has the status for it."""
        assert refused.status != 503 or refused.retry_after is not None, f"no Retry-After: {refused}"
        self.refused = max(self.refused, seconds)
        self.add(f"{refused.status} {refused.code}", seconds)

    def add(self, what: str, seconds: float) -> None:
        self.since[what] += 1
        self.all[what] += 1
        self.slowest = max(self.slowest, (seconds, what))

    def fault(self) -> None:
        self.since, self.slowest = Counter(), (0.0, "nothing")


class Chains(Background):
    """Alerts of one system that replace one another, up to `LINKS`.

    Each names the one before, and is handed in once that was acknowledged, to the machines in turn. What was not
    acknowledged is repeated under its own id until it is, and every fifth that was is repeated all the same. `links`:
    identifiers in order, each with its transfer, by chain.
    """

    def __init__(self, machines: Sequence[Settings], told: Told, chains: int = 2) -> None:
        super().__init__()
        self.links: list[list[tuple[str, str]]] = [[] for _ in range(chains)]
        self.repeats = 0  # answered as the first
        self._machines, self._told = machines, told
        self._turn = itertools.count()

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        clients = [_client(each, "canh-bao", "chains") for each in self._machines]
        try:
            await asyncio.gather(*(self._chain(number, clients) for number in range(len(self.links))))
        finally:
            for client in clients:
                await client.close()

    async def _chain(self, number: int, clients: Sequence[AsyncClient]) -> None:
        before = ""
        for link in itertools.count():
            identifier = f"CHAIN-{number}-{link}-{time.time_ns()}"
            root = etree.fromstring(messages.cap_alert(identifier=identifier))
            fields = {each.tag.removeprefix(CAP): each for each in root}
            if before and link % LINKS:
                fields["msgType"].text, fields["references"].text = "Update", before
            else:
                root.remove(fields["references"])
            before = ",".join(str(fields[name].text) for name in ("sender", "identifier", "sent"))
            transfer = await self._acknowledged(root, f"M-{identifier}", clients)
            if transfer is None:
                return
            self.links[number].append((identifier, transfer))
            if link % 5 == 4:
                again = await self._acknowledged(root, f"M-{identifier}", clients)
                assert again in (transfer, None), f"the repeat of {transfer} was acknowledged as {again}"
                self.repeats += again is not None
            await asyncio.sleep(PAUSE)

    async def _acknowledged(self, root: Any, message_id: str, clients: Sequence[AsyncClient]) -> str | None:
        """Its transfer; None if the end came first."""
        while not self.stopping.is_set():
            client = clients[next(self._turn) % len(clients)]
            answer = await timed(self._told, client.soap("incident-alert/v1", root, message_id))
            if answer is not None:
                return answer.transfer
            await asyncio.sleep(PAUSE)
        return None


class Asking(Background):
    """Questions to a provider by each of the machines."""

    def __init__(self, machines: Sequence[Settings], told: Told) -> None:
        super().__init__()
        self.answered: Counter[str] = Counter()  # by folder of the machine
        self._machines, self._told = machines, told

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        await asyncio.gather(*map(self._one, self._machines))

    async def _one(self, machine: Settings) -> None:
        question = messages.indicator_question(**QUESTION)
        async with _client(machine, "dieu-hanh", "asking") as client:
            while not self.stopping.is_set():
                if await timed(self._told, client.rest("GET", question)) is not None:
                    self.answered[machine.data.name] += 1
                await asyncio.sleep(2 * PAUSE)


class Handing(Background):
    """Alerts of another system, each once and never repeated, to one machine. `acknowledged`: transfers by identifier;
    `unknown`: those without an answer."""

    def __init__(self, machine: Settings, told: Told) -> None:
        super().__init__()
        self.acknowledged: dict[str, str] = {}
        self.unknown: list[str] = []
        self._machine, self._told = machine, told

    def beyond(self, count: int) -> bool:
        """Whether so many are acknowledged."""
        return self.goes_on() and len(self.acknowledged) >= count

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with _client(self._machine, "bao-chay", "handing") as client:
            while not self.stopping.is_set():
                identifier = f"ONCE-{time.time_ns()}-{self._machine.data.name}"
                call = client.rest("POST", "/incident-alert/v1/alerts", messages.fire_alarm(identifier=identifier))
                answer = await timed(self._told, call)
                if answer is not None and answer.transfer is not None:
                    self.acknowledged[identifier] = answer.transfer
                else:
                    self.unknown.append(identifier)
                await asyncio.sleep(PAUSE)


def _client(machine: Settings, system: str, name: str) -> AsyncClient:
    identity = Identity.load(machine.identities / system)
    return AsyncClient(identity, state=machine.data / "clients" / name, tries=1, seconds=PATIENCE)


async def timed(told: Told, call: Any) -> Answer | None:
    """The answer; None for a refusal that says to come again, or without one. Any other refusal is raised."""
    began = time.monotonic()
    try:
        answer: Answer = await call
    except NoConnection:
        told.add("no connection", time.monotonic() - began)
        return None
    except (Refused, RefusedOurs) as refused:
        told.refuse(refused, time.monotonic() - began)
        if refused.status not in REFUSED_FOR_A_WHILE:
            raise
        return None
    told.add("acknowledged", time.monotonic() - began)
    return answer
