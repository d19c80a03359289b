"""Simulated systems behind one listener: `/{system}/…`, for all contracts that the registry has (`places`).

A path that begins with no system's name is for the system whose listener it is (`mo-phong`). A system is there as soon
as its identity folder is. Each has records, memory and faults of its own, at `/{system}/_seen` and `/{system}/_fault`.
Orders of pages and programs come with each call, from the gateway (`gateway.delivery.faults`).
Invariant: no system sees what another was told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.journal.database import open_engine
from gateway.sample_client.errors import BadIdentity
from gateway.sample_client.identity import Identity
from gateway.sandbox.simulation import resets
from gateway.sandbox.simulation.answers import Answers
from gateway.sandbox.simulation.faults import HEADER, NONE, Fault
from gateway.sandbox.simulation.memory import Memory, Since
from gateway.sandbox.simulation.published import Contracts, Published
from gateway.sandbox.simulation.speaking import SpeakingRest, SpeakingSoap
from gateway.sandbox.standins.base import Call, Records, Reply, StandIn, serve
from gateway.settings import Settings

_SYSTEM: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_XML: Final = ("text/xml", "application/xml", "application/soap+xml")


@dataclass(slots=True)
class Played:
    """One simulated system. `stamp` changes when its keys do."""

    rest: SpeakingRest
    soap: SpeakingSoap
    records: Records
    memory: Memory
    stamp: tuple[int, ...]

    def close(self) -> None:
        self.records.close()
        self.memory.close()


@dataclass(slots=True)
class Simulation(StandIn):
    """All simulated systems. `identities`: the folder with a folder for each; `kept`: where their records are."""

    identities: Path = Path()
    kept: Path | None = None
    published: Callable[[], Contracts] = dict
    since: Since = lambda _whose: 0.0
    faults: dict[str, Fault] = field(default_factory=dict)  # by system; those of the empty name for all
    _played: dict[str, Played] = field(init=False, default_factory=dict)

    def answer(self, call: Call, fault: Fault) -> Reply:
        played = self.played(self._named(call.path))
        if played is None:
            return Reply(404, {"content-type": "text/plain; charset=utf-8"}, b"no such simulated system")
        soap = call.headers.get("content-type", "").partition(";")[0].strip().lower() in _XML
        part = played.soap if soap else played.rest
        part.port, part.base, part.clock = self.port, self.base, self.clock
        return part.answer(call, fault)

    def fault_of(self, call: Call) -> Fault:
        if (named := call.headers.get(HEADER)) is not None:
            return Fault.of_header(named)
        known = (self.faults.get(name) for name in (self._named(call.path), ""))
        return next((each.take() for each in known if each is not None and each.kind != NONE), Fault())

    def set_fault(self, path: str, content: Any) -> Fault:
        fault = self.faults[path.strip("/")] = Fault.read(content)
        return fault

    def shown(self, path: str) -> dict[str, Any]:
        system = path.strip("/")
        played = self.played(system) if system else None
        if played is None:
            return {"system": system, "systems": sorted(self._played)}
        return {"system": system} | played.records.seen()

    def played(self, system: str) -> Played | None:
        """The system of this name; None if it has no complete identity folder."""
        folder = self.identities / system
        if not _SYSTEM.fullmatch(system) or not (folder / "system.json").is_file():
            return None
        stamp = tuple(file.stat().st_mtime_ns for file in (folder / "system.json", folder / "sign.crt"))
        known = self._played.get(system)
        if known is not None and known.stamp == stamp:
            return known
        try:
            identity = Identity.load(folder)
        except BadIdentity:
            return None
        if known is not None:
            known.close()
        self._played[system] = self._made(identity, stamp)
        return self._played[system]

    def _made(self, identity: Identity, stamp: tuple[int, ...]) -> Played:
        place = None if self.kept is None else self.kept / identity.system
        if place is not None:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        memory = Memory(None if place is None else place / "memory.sqlite", self.since)
        records = Records(None if place is None else place / "records.sqlite")
        rest = SpeakingRest(identity, published=self.published, answers=Answers(memory))
        soap = SpeakingSoap(identity, published=self.published, answers=Answers(memory))
        for part in (rest, soap):
            part.records.close()
            part.records = records
        return Played(rest, soap, records, memory, stamp)

    async def stop(self) -> None:
        await StandIn.stop(self)
        for played in self._played.values():
            played.close()
        self._played.clear()

    def _named(self, path: str) -> str:
        """The system that a path is for."""
        system = _first(path)
        return system if self.played(system) is not None else self.identity.system


def run(settings: Settings, system: str, port: int, ready: Path) -> int:
    """Serve an instance's simulated systems until told to stop."""
    engine = open_engine(settings.database_url)
    simulation = Simulation(
        Identity.load(settings.identities / system),
        port,
        identities=settings.identities,
        kept=settings.run / "simulation",
        published=Published(engine),
        since=partial(resets.since, engine),
    )
    try:
        asyncio.run(serve(simulation, ready))
    finally:
        engine.dispose()
    return 0


def _first(path: str) -> str:
    return path.lstrip("/").partition("/")[0]
