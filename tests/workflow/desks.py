"""A town whose messages are handled: alerts and reports come in, agencies act."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from gateway.audit.log.sequencer import Sequencer
from gateway.audit.verify.complete import check_complete
from gateway.feeds import read
from gateway.journal.write import HandlingRow
from gateway.registry.own_feed import HANDLING
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.transfer.stages import Answered, Refused
from gateway.workflow import reading
from gateway.workflow.acting import act
from gateway.workflow.admission import judges
from gateway.workflow.opening import Opening
from gateway.workflow.reading import Seen, Sought
from gateway.workflow.records import Actor, Office, Wanted
from tests.exchange.house import Call, Gateway, sample
from tests.registry.making import contracts

ALERTS, REPORTS = "incident-alert/v1", "field-report/v1"
CENTRE = Actor("H14.0/lan: console, totp 1f2e", "H14.0", centre=True)
BUILDERS = Actor("H14.3/do-thi", "H14.3")  # of streets and lamps
SENDER = Actor("H14.5/phan-anh", "H14.5")


def nothing(connection: Connection) -> None:
    """The keeper leads."""


@dataclass
class Town:
    gateway: Gateway
    sequencer: Sequencer
    lease: leases.Lease
    sent: int = 0
    office: Office = field(init=False)

    def __post_init__(self) -> None:
        gateway = self.gateway
        registry = Registry(gateway.engine)
        self.office = Office(
            engine=gateway.engine, registry=registry, vault=gateway.vault, hash_id=str, clock=lambda: gateway.now
        )
        gateway.judges = judges(self.office)

    def submit(self, contract: str, operation: str, message: dict[str, Any] | None, system: str) -> str:
        self.sent += 1
        outcome = asyncio.run(self.gateway.carry(Call(contract, operation, f"m-{self.sent}", message, system)))
        assert isinstance(outcome, Answered), outcome
        return outcome.receipt.transfer

    def alert(self, identifier: str, **fields: Any) -> str:
        """Of a kind that no route names: the duty desk handles it."""
        message = {**sample(contracts()[ALERTS], "Alert"), "identifier": identifier, "sender": "s@x", **fields}
        message["info"] = [{**each, "category": ["Other"]} for each in message.get("info", ())]
        return self.submit(ALERTS, "submitAlert", message, "canh-bao")

    def report(self, **fields: Any) -> str:
        """A report to the builders."""
        message = {**sample(contracts()[REPORTS], "ServiceRequest"), "area": "01273", **fields}
        return self.submit(REPORTS, "createRequest", message, "phan-anh")

    def tell(self, system: str, message_id: str = "", **message: str) -> Answered | Refused:
        """A system reports a step."""
        self.sent += 1
        call = Call("handling-report/v1", "reportStep", message_id or f"m-{self.sent}", message, system)
        return asyncio.run(self.gateway.carry(call))

    def follow(self, check: Callable[[Connection], None] = nothing) -> None:
        """What the keeper does until nothing is left."""
        self.sequence()
        while Opening(self.office).step(check):
            pass
        self.sequence()

    def sequence(self) -> None:
        for _ in range(3):  # the first run of a new log only signs the empty tree
            self.sequencer.run_once(self.lease)

    def handlings(self, **sought: Any) -> Sequence[HandlingRow]:
        with self.gateway.engine.connect() as connection:
            return reading.page(connection, Sought(**sought), None, 100).handlings

    def of(self, transfer: str) -> HandlingRow:
        with self.gateway.engine.connect() as connection:
            (row,) = reading.of_transfer(connection, transfer)
        return row

    def seen(self, id: str) -> Seen:
        with self.gateway.engine.connect() as connection:
            return reading.one(connection, self.office, id)

    def act(self, id: str, step: str, actor: Actor = BUILDERS, reason: str = "", **more: Any) -> HandlingRow:
        return act(self.office, id, Wanted(step, reason, **more), actor)

    def events(self) -> Sequence[dict[str, Any]]:
        self.sequence()
        with self.gateway.engine.connect() as connection:
            return read(connection, HANDLING, None, 1000, vault=self.gateway.vault).events

    def wrong(self) -> tuple[str, ...]:
        with self.gateway.engine.connect() as connection:
            return check_complete(connection, hash_id=str).wrong
