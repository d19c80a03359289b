"""The values of handlings: who acts, what is wanted, and what an instance has for it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from contracts.compiled.contract import CompiledContract
from contracts.workflow.model import Workflow
from gateway.journal.schema import tables
from gateway.journal.write import HandlingRow, HandlingStep
from gateway.registry.registry import Registry
from gateway.transfer.handling_events import id_of
from gateway.vault.vault import Vault
from gateway.workflow.errors import HANDLING_UNKNOWN

LONGEST_REASON: Final = 2000  # characters
FORWARD: Final = "forward"  # the step that names another agency
MERGE: Final = "merge"  # the step that names another handling
CANCEL: Final = "cancel"  # the step that a recall by the sender takes
HashId = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """`hash_id`: the keyed hash, as in the log."""

    engine: Engine
    registry: Registry
    vault: Vault
    hash_id: HashId
    clock: Callable[[], float]

    def workflow(self, row: HandlingRow) -> Workflow:
        """The workflow that a handling follows."""
        contract = self.registry.compiled(row.bundle)
        assert contract.workflow is not None
        return contract.workflow


class Actor(NamedTuple):
    """Who takes a step. `name` is as the log says it. `centre`: whether its agency is the centre. `report`: the
    transfer that reported the step.
    """

    name: str
    agency: str
    centre: bool = False
    report: str | None = None


GATEWAY: Final = Actor("gateway", "")


class Wanted(NamedTuple):
    """A step. `to`: the agency that handles the message from now on; `into`: the handling that it is merged into."""

    step: str
    reason: str = ""
    to: str | None = None
    into: str | None = None


class Opened(NamedTuple):
    """What a handling begins with. `number`: it is that many-th one of its message that this agency gets."""

    contract: CompiledContract
    transfer: str
    message: str  # keyed hash of its id
    at: float
    agency: str
    system: str | None
    sender_agency: str
    sender_system: str
    kind: str
    area: str
    number: int = 1

    @property
    def id(self) -> str:
        whose = self.agency if self.number == 1 else f"{self.agency}\n{self.number}"
        return id_of(self.transfer, whose, self.at)


def read_row(connection: Connection, id: str) -> HandlingRow:
    """Raises: handling.unknown."""
    table = tables.handling
    row = connection.execute(select(table).where(table.c.id == id)).first()
    if row is None:
        raise HANDLING_UNKNOWN(handling=id)
    return HandlingRow(*row)


def steps_of(connection: Connection, id: str) -> tuple[HandlingStep, ...]:
    """In their order."""
    table = tables.handling_step
    query = select(table).where(table.c.handling == id).order_by(table.c.number)
    return tuple(HandlingStep(*row) for row in connection.execute(query))


def steps_by_handling(connection: Connection, ids: Collection[str]) -> dict[str, list[HandlingStep]]:
    """Those of several handlings, each in their order."""
    table, found = tables.handling_step, dict[str, list[HandlingStep]]()
    for row in connection.execute(select(table).where(table.c.handling.in_([*ids])).order_by(table.c.number)):
        step = HandlingStep(*row)
        found.setdefault(step.handling, []).append(step)
    return found
