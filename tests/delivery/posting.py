"""All that a keeper has for delivering: a real database of each kind, a real journal, and a real provider over TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import pytest_asyncio
from aiohttp import web
from sqlalchemy import Engine, select, update

from adapters.rest import RestAdapter
from bench.ports import free_ports
from gateway.delivery.breaker import Breakers, Rules
from gateway.delivery.forwarder import Forwarder
from gateway.delivery.policy import RetryPolicy
from gateway.delivery.worker import Deliverer
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow, QueueRow, TransferRow, Write
from gateway.journal.writer import Journal
from gateway.registry.registry import Registry
from gateway.transfer import lease as leases
from gateway.vault import binding
from gateway.vault.salting import pack
from gateway.vault.vault import Vault
from security.jose import Opener
from security.transparency.entry import Caller, Intent, freeze, salted
from tests.adapters.providers import Provider, Script, session_of, tls_of
from tests.registry.making import ENDPOINTS, House, contracts, filled, province

SALT = b"0123456789abcdef"
REQUEST = b"{}"
CONTRACT = "field-report/v1"


def raw(message: str) -> bytes:
    return next(
        each.raw for each in contracts()[CONTRACT].samples if each.format == "canonical" and each.message == message
    )


@dataclass
class Post:
    """All that a keeper has, with a provider at the other end."""

    engine: Engine
    journal: Journal
    vault: Vault
    registry: Registry
    provider: Provider
    deliverer: Deliverer
    lease: leases.Lease
    clock: list[float]
    tls: ssl.SSLContext
    number: int = 0
    made: list[str] = field(default_factory=list)

    async def put_aside(
        self,
        *,
        idempotent: bool = True,
        tries: int = 1,
        old: bool = False,
        place: Mapping[str, Any] = MappingProxyType({}),
        **changes: Any,
    ) -> str:
        """A transfer that a door put aside; `old` as one did before bodies were sealed with what decides them. `place`
        are columns of its row in the queue.
        """
        self.number += 1
        transfer = f"01935b6e-0000-7000-8000-{self.number:012d}"
        now = self.clock[0]
        row = TransferRow(
            transfer,
            "queued",
            "dispatch",
            "phan-anh",
            "H14.5",
            CONTRACT,
            contracts()[CONTRACT].digest,
            "createRequest",
            transfer,
            b"0" * 32,
            "G-0003",
            "truong-ha",
            "door-1",
            idempotent,
            now,
            now,
        )._replace(**changes)
        entry = freeze(
            Intent(
                transfer,
                now,
                "rest",
                Caller(row.caller_agency, row.caller_system),
                row.contract,
                row.operation,
                row.bundle,
                "m" * 64,
                row.grant_id,
                row.provider,
                salted(SALT, REQUEST),
            )
        )
        bound = None if old else binding.of_transfer(entry.leaf, row)
        head = b"POST / HTTP/1.1\r\n\r\n"
        request = self.vault.seal(transfer, "request", pack(SALT, head + REQUEST), now, bound=bound)
        body = self.vault.seal(transfer, "canonical", raw("ServiceRequest"), now, bound=bound)
        write = Write(
            transfer=row,
            log=(LogRow(entry.transfer, entry.phase, entry.entry, entry.leaf),),
            vault=(request, body),
            queue=QueueRow(transfer, row.provider or "", body.id, now, tries=tries)._replace(**place),
        )
        await self.journal.commit(write)
        return transfer

    async def take(self) -> int:
        """One round: it waits a while for what it takes up, and leaves the slow ones going on."""
        return await self.deliverer.run_once(self.lease)

    async def run(self) -> int:
        """A round, and then until what was taken up has come to its end, however slow the machine is."""
        taken = await self.take()
        await self.deliverer.finish(30.0)
        return taken

    def row(self, transfer: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            found = connection.execute(select(tables.transfer).where(tables.transfer.c.id == transfer)).mappings().one()
            return dict(found)

    def set_queue(self, transfer: str, **values: Any) -> None:
        """As earlier tries left it."""
        if values:
            with writing(self.engine) as connection:
                connection.execute(update(tables.queue).where(tables.queue.c.transfer == transfer).values(**values))

    def queued(self, transfer: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return dict(
                connection.execute(select(tables.queue).where(tables.queue.c.transfer == transfer)).mappings().one()
            )

    def entry(self, transfer: str, phase: str) -> dict[str, Any]:
        table = tables.log_pending
        with self.engine.connect() as connection:
            found = connection.execute(
                select(table.c.entry).where(table.c.transfer == transfer, table.c.phase == phase)
            ).scalar_one()
            value: dict[str, Any] = json.loads(bytes(found))
            return value

    def body(self, transfer: str, part: str) -> bytes:
        with self.engine.connect() as connection:
            return self.vault.open(connection, f"{transfer}/{part}")


@cache
def _same() -> tuple[int, float]:
    """The provider's port and the time of the province, one for all tests of a process: else each of them would fill
    its registry anew, instead of copying that of the first."""
    return free_ports(1)[0], time.time()


@pytest_asyncio.fixture
async def post(database: Engine, tmp_path: Path, keys: House) -> AsyncIterator[Post]:
    now = time.time()
    gateway, identity = keys.identity("gateway", now), keys.identity("truong-ha", now)
    provider = Provider(identity, gateway.sign, identity.sign)
    port, began = _same()
    await provider.start(keys, port)
    filled(database, province(endpoints={**ENDPOINTS, "truong-ha": provider.url}), [identity], began)
    journal = Journal(database, lock_of(database).path, "keeper-1", kind="keeper")
    journal.start()
    with writing(database) as connection:
        lease = leases.take(connection, "keeper-1", now, seconds=600)
    assert lease is not None
    vault, registry = Vault(tmp_path / "vault"), Registry(database)
    session = session_of(keys, gateway)
    clock = [now]
    forwarder = Forwarder(
        {"rest": RestAdapter(session, gateway.sign, Opener([]), time.time)},
        lambda: clock[0],
        breakers=Breakers(Rules(failures=100)),
        policy=RetryPolicy(tries=4),
        rng=Random(7),
    )
    deliverer = Deliverer(
        database,
        lock_of(database),
        journal,
        vault,
        registry,
        forwarder,
        "keeper-1",
        lambda: clock[0],
        timeout=4.0,
        rng=Random(7),
    )
    yield Post(database, journal, vault, registry, provider, deliverer, lease, clock, tls_of(keys, gateway))
    await session.close()
    await provider.stop()
    await asyncio.to_thread(journal.stop)


def answering(provider: Provider, status: int = 200, **headers: str) -> Script:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        provider.verified(request, body)
        return provider.signed(
            request, raw("ServiceRequestReceived"), status, {"content-type": "application/json", **headers}
        )

    return script
