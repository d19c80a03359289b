"""The supervisor's children: what each is started with, its state, and the error for one that could not be started."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from contracts.base.words import Language, Words, WordsFile
from gateway.processes.forkserver import Process
from gateway.processes.table import DOOR, GATEWAY, STANDIN, TRAFFIC, agent
from gateway.sandbox import agents, live
from gateway.sandbox.ports import is_free
from gateway.settings import Settings

words = WordsFile(__file__)


class NotStarted(RuntimeError):
    """The instance could not be started: why, and what to do."""

    code: str = "not-started"
    findings: Final = ()

    def __init__(self, why: Words, then: Words | None = None, *, what: Words | None = None) -> None:
        super().__init__(why.en)
        self._what: Final = what or words("not-started", why=why)
        self._then: Final = then or words("mend")

    def what(self, language: Language) -> str:
        return self._what.of(language)

    def next(self, language: Language) -> str:
        return self._then.of(language)


class Running(NotStarted):
    """A command that needs the instance for itself found that it runs. Nobody starts it, so the words are others."""

    code = "running"

    def __init__(self, why: Words, then: Words) -> None:
        super().__init__(why, then, what=why)


@dataclass(slots=True, eq=False)
class Child:
    """`arguments` follow `python -m gateway`; `load` imports its code; `sockets` are descriptors that it inherits."""

    name: str
    arguments: list[str]
    load: Callable[[], object]
    sockets: tuple[int, ...] = ()
    process: Process | None = None
    started: float = 0.0
    deaths: int = 0
    again_at: float = 0.0
    ready: bool = False
    ready_pipe: int = -1
    ending: bool = False  # it was told to end, and is not restarted
    alone: bool = False  # its successor starts only after it ended

    @property
    def takes_settings(self) -> bool:
        """Whether it gets the settings of the instance. An agent has its own."""
        return self.load is not agent

    def close_pipe(self) -> None:
        if self.ready_pipe >= 0:
            os.close(self.ready_pipe)
            self.ready_pipe = -1


def gateway_children(settings: Settings, sockets: Mapping[str, int]) -> list[Child]:
    """The gateway's own, in the order in which they start. `sockets`: the descriptors of the open listeners."""
    children = []
    for row in GATEWAY:
        if not row.runs(settings):
            continue
        descriptors = {name: sockets[name] for name in row.sockets if name in sockets}
        options = [word for name, number in descriptors.items() for word in ("--socket", f"{name}={number}")]
        arguments = [row.name, "--data", str(settings.data), *options]
        names = [f"{row.name}-{number}" for number in range(settings.door_count)] if row is DOOR else [row.name]
        children += [
            Child(
                name,
                [*arguments, name] if row is DOOR else arguments,
                row.load,
                tuple(descriptors.values()),
                alone=row.alone,
            )
            for name in names
        ]
    return children


def check_standins(settings: Settings, without: frozenset[str] = frozenset()) -> None:
    """Raises `NotStarted` if the port of a stand-in is taken. Its address is in the registry, so no other will do."""
    for name, address in live.endpoints(settings).items():
        port = urlsplit(address).port
        if name not in without and port is not None and not is_free(port):
            raise NotStarted(words("standin", name=name, port=port), words("standin.next", name=name))


def sandbox_children(settings: Settings, without: frozenset[str] = frozenset()) -> tuple[Child, ...]:
    """The sandbox's stand-ins, agents and traffic, except those named in `without`. An agent goes with its system."""
    data = ["--data", str(settings.data)]
    endpoints = live.endpoints(settings)
    agents.prepare(settings, settings.data, endpoints)
    children = [
        Child(f"{STANDIN.name} {name}", [STANDIN.name, name, *data], STANDIN.load)
        for name in endpoints
        if name not in without
    ]
    children += [
        Child(f"agent {each.system}", ["agent", "run", str(each.config)], agent)
        for each in agents.beside(settings)
        if each.system not in without
    ]
    if live.TRAFFIC_NAME not in without:
        children.append(Child(TRAFFIC.name, [TRAFFIC.name, *data], TRAFFIC.load))
    return tuple(children)
