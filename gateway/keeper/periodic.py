"""Declares what a periodic task of the leading keeper is, and collects the declarations.

A task is one module in `gateway/keeper/tasks/`. Its `TASK` says all that the keeper has to know; nothing else lists the
tasks.
Invariant: a module in that package without a `TASK` ends the keeper's process at its start.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

from gateway.keeper import tasks

if TYPE_CHECKING:  # some commands use what a task uses, and need none of this
    import aiohttp
    from sqlalchemy import Engine

    from adapters.opening import Peers
    from gateway.audit.witnessing.admission import AdmissionDeadline
    from gateway.delivery.forwarder import Forwarder
    from gateway.journal.filelock import FileLock
    from gateway.journal.writer import Journal
    from gateway.registry.registry import Registry
    from gateway.registry.seals.sealing import Seal
    from gateway.settings import Settings
    from gateway.transfer.lease import Lease
    from gateway.vault.vault import Vault
    from gateway.watch.findings import Condition

PAUSE_SECONDS: Final = 0.2  # between two runs of a task that names no other interval


@dataclass(frozen=True, slots=True, kw_only=True)
class KeeperServices:
    """What a task may use. `web` is for authorities and witnesses: only their signatures are trusted."""

    settings: Settings
    process_id: str
    engine: Engine
    lock: FileLock
    journal: Journal
    vault: Vault
    registry: Registry
    seal: Seal
    forwarder: Forwarder
    admission: AdmissionDeadline  # one for all that may stop new transfers
    peers: Peers  # component systems, as they are called
    web: aiohttp.ClientSession
    clock: Callable[[], float]
    hash_id: Callable[[str], str]  # keyed hash, as in the log
    examine: Callable[[], Sequence[Condition]]  # what the doctor finds of the instance as a whole
    closing: AsyncExitStack  # what a task pushes here is closed when the keeper ends, last first


class Job(Protocol):
    """A task at work in one keeper."""

    async def run_once(self, lease: Lease) -> int:
        """Does what is due, in transactions that check the lease. Unless it returns 0, it runs again at once."""
        ...


@runtime_checkable
class WokenJob(Job, Protocol):
    """One that need not look often while it is woken by what others commit (`gateway.journal.wakes`)."""

    @property
    def topic(self) -> str: ...

    def rests(self) -> bool:
        """Whether nothing falls due soon, after the last run, but by what wakes it."""
        ...


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """The declaration. `failure` is logged when a run fails; `make` returns None if the settings need no such task."""

    failure: str
    make: Callable[[KeeperServices], Job | None]
    seconds: float | Callable[[Settings], float] = PAUSE_SECONDS  # between two runs


class ScheduledTask(NamedTuple):
    """A task of this keeper."""

    name: str
    failure: str
    seconds: float
    job: Job


def declared_tasks() -> Mapping[str, PeriodicTask]:
    """The tasks by the names of their modules."""
    declared: dict[str, PeriodicTask] = {}
    for module in pkgutil.iter_modules(tasks.__path__, f"{tasks.__name__}."):
        task = getattr(import_module(module.name), "TASK", None)
        if not isinstance(task, PeriodicTask):
            raise TypeError(f"{module.name} declares no TASK")
        declared[module.name.rpartition(".")[2]] = task
    return declared


def schedule(declared: Mapping[str, PeriodicTask], services: KeeperServices) -> list[ScheduledTask]:
    """The tasks that this instance's settings ask for."""
    scheduled = []
    for name, task in declared.items():
        job = task.make(services)
        if job is not None:
            seconds = task.seconds(services.settings) if callable(task.seconds) else task.seconds
            scheduled.append(ScheduledTask(name, task.failure, seconds, job))
    return scheduled
