"""The processes of an instance: the name, the main function and the inherited sockets of each.

The supervisor builds its children from these rows. `lgsp NAME` (a hidden command) runs the main function of a row.
Invariant: this module loads none of the code that it names; a function that stands in a row loads it when called.
The fork server calls these functions, so that its children share the code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a process gets from the supervisor: descriptors by name of socket, and the two pipes (`child.py`)."""

    sockets: Mapping[str, int] = field(default_factory=dict)
    lifeline: int | None = None
    ready: int | None = None
    name: str = ""  # which one, of several of a kind


Main = Callable[["Settings", Inherited], None]


def keeper() -> Main:
    from gateway.processes.keeper import run_keeper

    return run_keeper


def files() -> Main:
    from gateway.processes.files import run_files

    return run_files


def door() -> Main:
    from gateway.processes.door import run_door

    return run_door


def desk() -> Main:
    from gateway.processes.desk import run_desk

    return run_desk


def standin() -> Main:
    from gateway.processes.standins import run_standin

    return run_standin


def traffic() -> Main:
    from gateway.processes.standins import run_traffic

    return run_traffic


def agent() -> object:
    """The code of the sandbox's agents. They are no row here: `lgsp agent run` starts them, as it does anywhere."""
    from gateway.agent.app import serve

    return serve


def catalogue() -> object:
    """The compiled contracts of the catalogue, which doors, keeper and files worker share."""
    from contracts.compiled.contract import catalogue as compiled
    from contracts.compiled.contract import compile_bundle
    from contracts.folder.bundle import Bundle
    from gateway.registry.own_feed import WITH_CATALOGUE

    contracts = [*compiled(), *(compile_bundle(Bundle.from_folder(folder)) for folder in WITH_CATALOGUE)]
    for each in contracts:
        each.compile_messages()
    return contracts


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """`load` imports the code and returns the main function. `alone`: a successor starts only after this one ended."""

    name: str
    help: str
    load: Callable[[], Main]
    sockets: tuple[str, ...] = ()
    alone: bool = False

    def runs(self, settings: Settings) -> bool:
        """Whether this machine has such a process.

        A keeper runs on each: without its role it never leads, and does what only its own machine can (the calls in
        hand of dead processes, the newest checkpoint). The desk's process serves the metrics too.
        """
        if self.name == "keeper":
            return True
        return settings.has(self.name) or ("metrics" in self.sockets and settings.metrics_port > 0)


KEEPER: Final = ProcessKind("keeper", "The keeper: sequencer, delivery, recovery.", keeper)
FILES: Final = ProcessKind("files", "Takes up what systems drop into their folders.", files, alone=True)
DOOR: Final = ProcessKind("door", "One exchange process.", door, sockets=("exchange", "edge", "edge_socket"))
DESK: Final = ProcessKind("desk", "The people's listener.", desk, sockets=("desk", "metrics"))
STANDIN: Final = ProcessKind("standin", "One stand-in system of the sandbox.", standin)
TRAFFIC: Final = ProcessKind("traffic", "A little traffic of the sandbox's systems.", traffic)
GATEWAY: Final = (KEEPER, FILES, DOOR, DESK)  # in the order in which they start
PROCESSES: Final = (*GATEWAY, STANDIN, TRAFFIC)
