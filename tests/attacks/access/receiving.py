"""A gateway with its real forwarder, before providers that keep what was sent to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from sqlalchemy import Engine, select

from adapters.model import Adapter, Endpoint, Incoming, Outgoing
from contracts.compiled.contract import CompiledContract
from gateway.delivery.forwarder import Forwarder
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.writer import Journal
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer.stages import Answered, Refused
from gateway.vault.vault import Vault
from tests.exchange.house import Gateway, sample
from tests.registry.making import (
    ENDPOINTS,
    NOW,
    PROVINCE,
    House,
    Identity,
    applied,
    approve_all,
    contracts,
    filled,
    province,
)

REPORT, CREATE = "field-report/v1", "createRequest"
COMMUNE, COMMUNE_SYSTEM = "H14.21", "thuc-phan"  # holds no right to receive
CALLED = ("do-thi", "truong-ha", "kinh-te", "mot-cua", "thuc-phan", "phan-anh")
_identities: dict[str, Identity] = {}


@dataclass
class Wire:
    """The adapter of every kind. `sent` has the system and the bytes in its format."""

    contracts: dict[str, CompiledContract]
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    async def call(self, endpoint: Endpoint, outgoing: Outgoing) -> Incoming:
        codec, operation = outgoing.codec, outgoing.operation
        rest = endpoint.kind == "rest"
        write = codec.write_json if rest else codec.write_xml
        query = rest and codec.rest[operation.name].method == "GET"
        body = (
            codec.write_query(operation.request, outgoing.message).encode()
            if query
            else write(operation.request, outgoing.message)
        )
        self.sent.append((endpoint.system, body))
        name = codec.contract.name
        return Incoming(sample(self.contracts[name], operation.answer), body, b"came back", "key-1", 200, 0.1)


@dataclass
class Place:
    """`document` is what `lgsp registry apply` gets. The officers sign its routes, and with `sign` its grants."""

    engine: Engine
    gateway: Gateway
    wire: Wire
    registry: Registry
    document: dict[str, Any]

    def apply(self, *, sign: bool = False) -> None:
        document = province(yaml.safe_dump(self.document, allow_unicode=True))
        with writing(self.engine) as connection:
            applied(document, connection, self.gateway.now)
            if sign:
                approve_all(connection, self.gateway.now)
        self.reload()

    def reload(self) -> Snapshot:
        self.gateway.snapshot = Registry(self.engine).snapshot
        return self.gateway.snapshot

    def grant(self, name: str) -> dict[str, Any]:
        return next(each for each in self.document["grants"] if each["id"] == name)

    def system(self, name: str) -> dict[str, Any]:
        return next(each for each in self.document["systems"] if each["id"] == name)

    def route(self, system: str, contract: str = REPORT, operation: str = CREATE) -> None:
        """Everything of the operation goes to this system."""
        others = [
            each for each in self.document["routes"] if (each["contract"], each["operation"]) != (contract, operation)
        ]
        self.document["routes"] = [*others, {"contract": contract, "operation": operation, "system": system}]

    def call(self, contract: str = REPORT, operation: str = CREATE, message_id: str = "m-1") -> Answered | Refused:
        evidence = contracts()[contract].contract.evidence
        return self.gateway.call(evidence, contract, operation, message_id)

    def refused(
        self, code: str, contract: str = REPORT, operation: str = CREATE, message_id: str = "m-1"
    ) -> dict[str, Any]:
        """The log's entry of the refused call. Nothing was sent, and no intent was written."""
        before = len(self.wire.sent)
        told = self.call(contract, operation, message_id)
        assert isinstance(told, Refused), self.wire.sent
        assert told.failure.code == code, told.failure
        assert len(self.wire.sent) == before, "nothing was sent"
        entries = self.entries(told.received.transfer)
        assert set(entries) == {"refusal"} and entries["refusal"]["failure"] == code
        return cast(dict[str, Any], entries["refusal"])

    def entries(self, transfer: str) -> dict[str, Any]:
        table = tables.log_pending.c
        with self.engine.connect() as connection:
            found = connection.execute(select(table.phase, table.entry).where(table.transfer == transfer))
            return {phase: json.loads(bytes(entry)) for phase, entry in found}


def identity(keys: House, system: str) -> Identity:
    """Made once for all tests."""
    if system not in _identities:
        _identities[system] = keys.identity(system, NOW)
    return _identities[system]


@contextmanager
def place(engine: Engine, folder: Path, keys: House) -> Iterator[Place]:
    """Over a migrated database. Every system of the province has an address, and those of CALLED a key."""
    document = yaml.safe_load(PROVINCE)
    for each in document["systems"]:
        if "endpoint" not in each:
            each["endpoint"] = {"kind": "rest", "url": ENDPOINTS["truong-ha"]}
    text = yaml.safe_dump(document, allow_unicode=True)
    filled(engine, province(text), [identity(keys, name) for name in CALLED])
    journal = Journal(engine, lock_of(engine), "door-1")
    journal.start()
    wire, registry = Wire(contracts()), Registry(engine)
    adapter = cast(Adapter, wire)
    gateway = Gateway(engine, journal, Vault(folder / "keys"), registry.snapshot)
    gateway.forwarder = Forwarder({"rest": adapter, "soap": adapter}, lambda: gateway.now)
    yield Place(engine, gateway, wire, registry, document)
    journal.stop()
