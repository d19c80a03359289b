"""Live traffic of a sandbox for every contract: the hand-made messages of `standins.traffic`, and simulated callers.

Which system sends what follows from a table here. A contract that is not published is left out.
"""

from __future__ import annotations

import contextlib
import random
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Final

from gateway.journal.database import open_engine
from gateway.sample_client.identity import Identity
from gateway.sandbox.simulation.caller import Caller, Way
from gateway.sandbox.simulation.published import Contracts, Published
from gateway.sandbox.standins.traffic import SYSTEMS, Traffic
from gateway.settings import Settings

# system, contract, operation, format, protocol
CALLS: Final[tuple[tuple[str, str, str, str, Way], ...]] = (
    ("camera", "camera-event/v1", "submitEvent", "vms-json", "rest"),
    ("canh-bao", "incident-alert/v1", "dispatchAlert", "cap12", "soap"),
    ("quan-trac", "observation/v1", "submitObservation", "canonical", "rest"),
    ("van-ban-khcn", "official-document/v1", "sendDocument", "edxml", "soap"),
    ("mot-cua", "reference-query/v1", "queryEnterprise", "tra-cuu-json", "rest"),
    ("camera-giao-thong", "camera-event/v1", "submitEvent", "onvif-xml", "soap"),
    ("mot-cua", "dossier-status/v1", "submitStatus", "mot-cua-json", "rest"),
    ("quan-trac", "observation/v1", "submitReadings", "canonical", "soap"),
    ("van-ban-xd", "official-document/v1", "sendStatus", "edxml", "soap"),
    ("mot-cua-xa", "reference-query/v1", "queryCitizen", "canonical", "soap"),
    ("van-ban-tc", "official-document/v1", "sendDocument", "qlvb-json", "rest"),
    ("mot-cua-xa", "dossier-status/v1", "getStatus", "mot-cua-xml", "soap"),
)
_OWN: Final = 5  # hand-made messages between two simulated rounds of as many


@dataclass(slots=True)
class WholeTraffic(Traffic):
    """The hand-made messages, and as many of simulated callers."""

    callers: dict[str, Caller] = field(default_factory=dict)
    published: Callable[[], Contracts] = dict

    def steps(self) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
        own, simulated = Traffic.steps(self), self._simulated()
        while True:
            yield from islice(own, _OWN)
            yield from islice(simulated, _OWN)

    def _simulated(self) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
        for system, contract, operation, format_name, way in cycle([each for each in CALLS if each[0] in self.callers]):

            def step(
                caller: Caller = self.callers[system],
                named: tuple[str, str, str] = (contract, operation, format_name),
                by: Way = way,
            ) -> tuple[bool, str]:
                if named[0] not in self.published():
                    return True, f"{named[0]} is not published"
                told = caller.call(*named, by)
                return told.ok, f"{told.status} {told.code}"

            yield system, step


def run(settings: Settings, every: float) -> int:
    """Call until told to stop."""
    stopping = threading.Event()
    with contextlib.suppress(ValueError):  # only the main thread may handle signals
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
    engine = open_engine(settings.database_url)
    try:
        published, chance = Published(engine), random.Random()
        there = {each.name for each in settings.identities.iterdir() if (each / "system.json").is_file()}
        own = {name: Identity.load(settings.identities / name) for name in SYSTEMS}
        callers = {
            system: Caller(Identity.load(settings.identities / system), published, chance)
            for system in dict.fromkeys(system for system, *_ in CALLS)
            if system in there  # an older sandbox does not have all of them
        }
        WholeTraffic(own, lambda _: None, chance, callers=callers, published=published).run(every, stopping)
    finally:
        engine.dispose()
    return 0
