"""The queue's worker, with a real database of each kind, a real journal, and a real provider over TLS."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import Engine, select, update

from adapters.http import Knocker
from adapters.rest import RestAdapter
from contracts.base.errors import Failure
from contracts.wire.jsontext import read_json
from gateway.audit import lease as leases
from gateway.delivery.breaker import Breakers, Rules
from gateway.delivery.forwarder import Forwarder
from gateway.delivery.knocking import Knocking
from gateway.delivery.policy import RetryPolicy
from gateway.delivery.queue import take_due
from gateway.delivery.worker import Deliverer
from gateway.journal import tables
from gateway.journal.database import lock_of, writing
from gateway.journal.write import LogRow, QueueRow, TransferRow, Write
from gateway.journal.writer import Journal
from gateway.registry import store
from gateway.registry.registry import Registry
from gateway.vault.salting import pack
from gateway.vault.vault import Vault
from security.entry import Note, freeze, salted
from security.jose import Opener
from tests.adapters.providers import Provider, Script, drop, session_of, tls_of
from tests.registry.making import ENDPOINTS, House, bundles, contracts, filled, province

SALT = b"0123456789abcdef"
CONTRACT = "field-report/v1"


def raw(message: str) -> bytes:
    return next(each.raw for each in contracts()[CONTRACT].samples if each.format == "canonical" and each.message == message)


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

    async def put_aside(self, *, idempotent: bool = True, tries: int = 1, **changes: Any) -> str:
        """A transfer that a door put aside."""
        self.number += 1
        transfer = f"01935b6e-0000-7000-8000-{self.number:012d}"
        now = self.clock[0]
        row = TransferRow(
            transfer, "queued", "dispatch", "phan-anh", "H14.5", CONTRACT, contracts()[CONTRACT].digest, "createRequest", transfer, b"0" * 32,
            "G-0003", "truong-ha", "door-1", idempotent, now, now,
        )  # fmt: skip
        request = self.vault.seal(transfer, "request", pack(SALT, b"POST / HTTP/1.1\r\n\r\n{}"), now)
        body = self.vault.seal(transfer, "canonical", raw("ServiceRequest"), now)
        entry = freeze(Note(transfer, now, "intent", "gateway"))
        write = Write(
            transfer=row._replace(**changes),
            log=(LogRow(entry.transfer, entry.phase, entry.entry, entry.leaf),),
            vault=(request, body),
            queue=QueueRow(transfer, "truong-ha", body.id, now, tries=tries),
        )
        await self.journal.commit(write)
        return transfer

    async def run(self) -> int:
        return await self.deliverer.run_once(self.lease)

    def row(self, transfer: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            found = connection.execute(select(tables.transfer).where(tables.transfer.c.id == transfer)).mappings().one()
            return dict(found)

    def queued(self, transfer: str) -> dict[str, Any]:
        with self.engine.connect() as connection:
            return dict(connection.execute(select(tables.queue).where(tables.queue.c.transfer == transfer)).mappings().one())

    def entry(self, transfer: str, phase: str) -> dict[str, Any]:
        table = tables.log_pending
        with self.engine.connect() as connection:
            found = connection.execute(select(table.c.entry).where(table.c.transfer == transfer, table.c.phase == phase)).scalar_one()
            value: dict[str, Any] = json.loads(bytes(found))
            return value

    def body(self, transfer: str, part: str) -> bytes:
        with self.engine.connect() as connection:
            return self.vault.open(connection, f"{transfer}/{part}")


@pytest_asyncio.fixture
async def post(database: Engine, tmp_path: Path, keys: House) -> AsyncIterator[Post]:
    now = time.time()
    gateway, identity = keys.identity("gateway", now), keys.identity("truong-ha", now)
    provider = Provider(identity, gateway.sign, identity.sign)
    await provider.start(keys)
    filled(database, province(endpoints={**ENDPOINTS, "truong-ha": provider.url}), [identity], now)
    journal = Journal(database, lock_of(database).path, "keeper-1", kind="keeper")
    journal.start()
    with writing(database) as connection:
        lease = leases.take(connection, "keeper-1", now, seconds=600)
    assert lease is not None
    vault, registry = Vault(tmp_path / "vault"), Registry(database)
    session = session_of(keys, gateway)
    clock = [now]
    forwarder = Forwarder(
        {"rest": RestAdapter(session, gateway.sign, Opener([]), time.time)}, lambda: clock[0], breakers=Breakers(Rules(failures=100)),
        policy=RetryPolicy(tries=4), rng=Random(7),
    )  # fmt: skip
    deliverer = Deliverer(
        database, lock_of(database), journal, vault, registry, forwarder, "keeper-1", lambda: clock[0], timeout=4.0, rng=Random(7)
    )
    yield Post(database, journal, vault, registry, provider, deliverer, lease, clock, tls_of(keys, gateway))
    await session.close()
    await provider.stop()
    await asyncio.to_thread(journal.stop)


def answering(provider: Provider, status: int = 200, **headers: str) -> Script:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        provider.verified(request, body)
        return provider.signed(request, raw("ServiceRequestReceived"), status, {"content-type": "application/json", **headers})

    return script


async def test_what_is_due_is_delivered_and_its_outcome_stands(post: Post) -> None:
    post.provider.script = answering(post.provider)
    transfer = await post.put_aside()
    assert await post.run() == 1
    row = post.row(transfer)
    assert (row["state"], row["status"], row["failure"], row["process"]) == ("answered", 200, None, "keeper-1")
    assert row["answer_ref"] == f"{transfer}/answer" and set(json.loads(row["receipt"])) == {"intent", "outcome"}
    assert read_json(post.body(transfer, "answer")) == read_json(raw("ServiceRequestReceived"))
    assert post.body(transfer, "provider-answer").startswith(b"HTTP/1.1 200 OK\r\n")
    sent = post.body(transfer, "forwarded")
    assert sent.endswith(b"\r\n\r\n" + post.provider.seen[0].body)
    entry = post.entry(transfer, "outcome")
    assert entry["sent"] == {"sha256": salted(SALT, sent).sha256.hex(), "size": len(sent)} and entry["provider"] == "truong-ha"
    assert post.queued(transfer)["state"] == "done" and post.queued(transfer)["tries"] == 2
    assert await post.run() == 0
    seen = post.provider.seen[0]
    assert seen.header("lgsp-caller") == "H14.5/phan-anh" and seen.header("lgsp-transfer") == transfer


async def test_many_at_once_each_once(post: Post) -> None:
    post.provider.script = answering(post.provider)
    transfers = [await post.put_aside() for _ in range(40)]
    taken = [await post.run() for _ in range(6)]
    assert taken == [8, 8, 8, 8, 8, 0]  # at a rate
    assert {post.row(transfer)["state"] for transfer in transfers} == {"answered"}
    assert sorted(seen.header("lgsp-transfer") for seen in post.provider.seen) == transfers


async def test_a_slow_provider_holds_up_nobody_else(post: Post) -> None:
    whole, release = answering(post.provider), asyncio.Event()

    async def slow(request: web.Request, body: bytes) -> web.StreamResponse:
        await release.wait()
        return await whole(request, body)

    post.provider.script = slow
    transfer = await post.put_aside()
    started = time.monotonic()
    assert await post.run() == 1 and time.monotonic() - started < 1.8
    waiting = await post.put_aside()
    assert await post.run() == 0 and post.row(waiting)["state"] == "queued"  # not to the slow one
    other = await post.put_aside(provider="do-thi")
    with writing(post.engine) as connection:
        connection.execute(update(tables.queue).where(tables.queue.c.transfer == other).values(provider="do-thi"))
    assert await post.run() == 1 and post.queued(other)["last_failure"] == "provider.no-endpoint"
    release.set()
    await post.deliverer.finish()
    assert post.row(transfer)["state"] == "answered"
    assert await post.run() == 1 and post.row(waiting)["state"] == "answered"


async def test_what_did_not_arrive_waits_and_is_drained_when_the_system_is_back(post: Post) -> None:
    transfer = await post.put_aside()
    post.provider.script = answering(post.provider, 503, **{"retry-after": "30"})
    assert await post.run() == 1
    queued = post.queued(transfer)
    assert (queued["state"], queued["tries"], queued["last_failure"]) == ("waiting", 2, "provider.fault")
    assert queued["next_at"] >= post.clock[0] + 30 and post.row(transfer)["state"] == "queued"
    assert await post.run() == 0  # not due yet
    post.provider.script = answering(post.provider)
    post.clock[0] += 31
    assert await post.run() == 1
    assert post.row(transfer)["state"] == "answered"


async def test_after_the_last_try_it_is_given_up_with_the_reason(post: Post) -> None:
    transfer = await post.put_aside()
    post.provider.script = answering(post.provider, 503)
    for _ in range(5):
        post.clock[0] += 400
        await post.run()
    row, queued = post.row(transfer), post.queued(transfer)
    assert (row["state"], row["failure"], row["status"]) == ("dead", "delivery.given-up", 502)
    assert (queued["state"], queued["tries"], queued["last_failure"]) == ("dead", 4, "provider.fault")
    entry = post.entry(transfer, "outcome")
    assert entry["failure"] == "delivery.given-up" and entry["status"] == 502
    assert b"503" in post.body(transfer, "provider-answer")
    assert len(post.provider.seen) == 3


@pytest.mark.parametrize(("status", "code"), [(422, "provider.refused"), (404, "provider.not-found")])
async def test_a_signed_refusal_ends_it(post: Post, status: int, code: str) -> None:
    transfer = await post.put_aside()
    post.provider.script = answering(post.provider, status)
    assert await post.run() == 1
    row = post.row(transfer)
    assert (row["state"], row["failure"]) == ("failed", code)
    assert post.queued(transfer)["state"] == "done" and post.entry(transfer, "outcome")["failure"] == code


async def test_what_may_have_been_acted_on_is_tried_again_only_where_that_is_safe(post: Post) -> None:
    safe, unsafe = await post.put_aside(), await post.put_aside(idempotent=False)
    post.provider.script = answering(post.provider, 500)
    assert await post.run() == 2
    assert post.row(safe)["state"] == "queued" and post.queued(safe)["state"] == "waiting"
    row = post.row(unsafe)
    assert (row["state"], row["failure"], row["finished"]) == ("in-doubt", "provider.fault", None)
    assert post.queued(unsafe)["state"] == "dead"
    assert post.entry(unsafe, "in-doubt")["reason"] == "provider.fault"
    assert b"500" in post.body(unsafe, "in-doubt-provider-answer")


async def test_a_second_doubt_has_an_entry_of_its_own(post: Post) -> None:
    transfer = await post.put_aside(idempotent=False)
    post.provider.script = answering(post.provider, 500)
    await post.run()
    with writing(post.engine) as connection:  # a person decided that it is safe to repeat
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(state="queued"))
        connection.execute(update(tables.queue).where(tables.queue.c.transfer == transfer).values(state="waiting"))
    await post.run()
    assert post.entry(transfer, "in-doubt#2")["reason"] == "provider.fault"
    assert post.body(transfer, "in-doubt#2-forwarded")


async def test_a_dropped_connection_is_tried_twice_at_once(post: Post) -> None:
    transfer = await post.put_aside()
    whole = answering(post.provider)

    async def once(request: web.Request, body: bytes) -> web.StreamResponse:
        return await (drop if len(post.provider.seen) == 1 else whole)(request, body)

    post.provider.script = once
    await post.run()
    assert post.row(transfer)["state"] == "answered" and len(post.provider.seen) == 2
    nonces = {seen.header("signature-input") for seen in post.provider.seen}
    assert len(nonces) == 2  # freshly signed


async def test_a_suspended_provider_is_not_called(post: Post) -> None:
    transfer = await post.put_aside()
    with writing(post.engine) as connection:
        store.set_state(connection, "system", "truong-ha", False)
    with post.engine.connect() as connection:
        post.registry.refresh(connection)
    await post.run()
    assert post.queued(transfer)["last_failure"] == "provider.no-endpoint" and not post.provider.seen


async def test_what_cannot_be_opened_is_given_up_at_once(post: Post) -> None:
    transfer = await post.put_aside()
    with writing(post.engine) as connection:
        connection.execute(tables.vault.delete().where(tables.vault.c.id == f"{transfer}/canonical"))
    await post.run()
    assert (post.row(transfer)["state"], post.row(transfer)["failure"]) == ("dead", "vault.not-found")


async def test_an_open_breaker_leaves_the_messages_where_they_are(post: Post) -> None:
    transfer = await post.put_aside()
    breaker = post.deliverer._forwarder.breakers.of("truong-ha")
    for _ in range(100):
        breaker.failed(post.clock[0])
    assert await post.run() == 0
    assert post.queued(transfer)["state"] == "waiting" and post.queued(transfer)["tries"] == 1
    post.provider.script = answering(post.provider)
    others = [await post.put_aside() for _ in range(3)]
    post.clock[0] += 6.0
    assert await post.run() == 1  # one goes ahead; the others wait for it where they are
    assert sorted(post.row(each)["state"] for each in (transfer, *others)) == ["answered", "queued", "queued", "queued"]
    assert await post.run() == 3
    assert {post.row(each)["state"] for each in (transfer, *others)} == {"answered"}


async def test_a_system_that_comes_back_is_drained_whatever_its_messages_had_come_to(post: Post, keys: House) -> None:
    knocking = Knocking(
        post.engine, lock_of(post.engine), post.registry, post.deliverer._forwarder, Knocker(post.tls), lambda: post.clock[0]
    )
    post.provider.script = answering(post.provider)
    port = post.provider.port
    await post.provider.stop()
    breaker = post.deliverer._forwarder.breakers.of("truong-ha")
    breaker.rules = Rules(failures=1, rest=60.0)
    transfers = [await post.put_aside(tries=2) for _ in range(3)]
    assert await post.run() == 3
    with writing(post.engine) as connection:  # as after many tries
        connection.execute(update(tables.queue).values(next_at=post.clock[0] + 300.0))
    assert {post.queued(each)["last_failure"] for each in transfers} <= {"provider.down", "provider.resting"}
    for _ in range(3):
        assert await knocking.run_once(post.lease) == 0  # it is still away
        post.clock[0] += 2.0
        assert await post.run() == 0
    await post.provider.start(keys, port)
    assert await knocking.run_once(post.lease) == 1
    assert [await post.run(), await post.run()] == [1, 2]  # one ahead, then the others
    assert {post.row(each)["state"] for each in transfers} == {"answered"} and len(post.provider.seen) == 3
    post.clock[0] += 2.0
    assert await knocking.run_once(post.lease) == 0  # nothing waits: nobody knocks


async def test_a_system_that_listens_and_fails_is_knocked_at_ever_more_rarely(post: Post) -> None:
    knocks: list[float] = []

    async def knock(_url: str) -> bool:
        knocks.append(post.clock[0])
        return True

    knocking = Knocking(post.engine, lock_of(post.engine), post.registry, post.deliverer._forwarder, knock, lambda: post.clock[0])
    transfer = await post.put_aside()
    for _ in range(300):
        with writing(post.engine) as connection:  # each try finds nobody, though the address listens
            connection.execute(update(tables.queue).values(last_failure="provider.down", next_at=post.clock[0] + 300.0))
        await knocking.run_once(post.lease)
        post.clock[0] += 1.0
    assert 6 <= len(knocks) <= 10 and knocks[-1] - knocks[-2] >= 60.0
    assert post.queued(transfer)["next_at"] > 0


async def test_an_overtaken_keeper_takes_nothing(post: Post) -> None:
    transfer = await post.put_aside()
    with writing(post.engine) as connection:
        newer = leases.take(connection, "keeper-2", post.clock[0], over="keeper-1")
    assert newer is not None
    with pytest.raises(Failure) as caught:
        await post.run()
    assert caught.value.code == "audit.lease-lost"
    assert post.row(transfer)["state"] == "queued" and post.queued(transfer)["state"] == "waiting" and not post.provider.seen


async def test_a_keeper_that_was_declared_dead_writes_no_outcome(post: Post) -> None:
    transfer = await post.put_aside()
    whole = answering(post.provider)

    async def meanwhile(request: web.Request, body: bytes) -> web.StreamResponse:
        with writing(post.engine) as connection:
            connection.execute(update(tables.process).where(tables.process.c.id == "keeper-1").values(state="dead"))
        return await whole(request, body)

    post.provider.script = meanwhile
    await post.run()
    assert post.row(transfer)["state"] == "forwarding"  # for the next keeper, who finds it by its process
    with post.engine.connect() as connection:
        found = connection.execute(select(tables.log_pending).where(tables.log_pending.c.transfer == transfer)).all()
    assert [each.phase for each in found] == ["intent"]


async def test_two_keepers_never_take_the_same_message(post: Post) -> None:
    for _ in range(30):
        await post.put_aside()

    def take() -> list[str]:
        jobs = take_due(post.engine, lock_of(post.engine), post.lease, "keeper-1", post.clock[0], 8, ())
        return [job.transfer for job in jobs]

    taken = [name for part in await asyncio.gather(*(asyncio.to_thread(take) for _ in range(4))) for name in part]
    assert len(taken) == len(set(taken)) and len(taken) >= 8


async def test_a_transfer_that_ended_otherwise_leaves_the_queue(post: Post) -> None:
    transfer = await post.put_aside()
    with writing(post.engine) as connection:
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(state="failed"))
    assert await post.run() == 0
    assert post.queued(transfer)["state"] == "done" and not post.provider.seen


async def test_a_queued_message_keeps_its_contract(post: Post) -> None:
    """The contract in force moved on; the message goes out under the one it came under."""
    transfer = await post.put_aside()
    with writing(post.engine) as connection:
        connection.execute(
            update(tables.contract_in_force).where(tables.contract_in_force.c.contract == CONTRACT).values(digest=bundles()[1].digest)
        )
        store.set_state(connection, "system", "y-te", False)
    with post.engine.connect() as connection:
        post.registry.refresh(connection)
    post.provider.script = answering(post.provider)
    await post.run()
    assert post.row(transfer)["state"] == "answered"
