"""The queue's worker, with a real database of each kind, a real journal, and a real provider over TLS."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from sqlalchemy import delete, select, update

from adapters.errors import PROVIDER_TIMEOUT, Acted
from contracts.base.errors import Failure
from contracts.wire.jsontext import read_json
from gateway.delivery.queue import Taking, take_due
from gateway.doors.api.transfers import transfer_status
from gateway.journal.database import lock_of, writing
from gateway.journal.logged import failed_tries
from gateway.journal.schema import tables
from gateway.journal.write import Write
from gateway.registry import store
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.stages import OpenTransfer
from security.transparency.entry import salted
from tests.adapters.providers import Script, drop
from tests.delivery.posting import CONTRACT, SALT, Post, answering, raw
from tests.registry.making import bundles


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
    assert (
        entry["sent"] == {"sha256": salted(SALT, sent).sha256.hex(), "size": len(sent)}
        and entry["provider"] == "truong-ha"
    )
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


@pytest.mark.full
async def test_a_slow_provider_holds_up_nobody_else(post: Post) -> None:
    whole, release = answering(post.provider), asyncio.Event()

    async def slow(request: web.Request, body: bytes) -> web.StreamResponse:
        await release.wait()
        return await whole(request, body)

    post.provider.script, post.deliverer.timeout = slow, 60.0
    slow_ones = [await post.put_aside()]
    assert await post.take() == 1  # and does not wait for ever
    slow_ones += [await post.put_aside() for _ in range(7)]
    waiting = await post.put_aside()
    assert await post.take() == 7, "one that is slow leaves the other places of its provider"
    assert await post.take() == 0 and post.row(waiting)["state"] == "queued"  # all are taken
    assert not post.deliverer.rests(), "one that ends leaves its place"
    other = await post.put_aside(provider="do-thi")
    with writing(post.engine) as connection:
        connection.execute(update(tables.queue).where(tables.queue.c.transfer == other).values(provider="do-thi"))
    assert await post.take() == 1
    while post.queued(other)["last_failure"] != "provider.no-endpoint":
        await asyncio.sleep(0.01)
    release.set()
    await post.deliverer.finish()
    assert {post.row(transfer)["state"] for transfer in slow_ones} == {"answered"}
    assert await post.run() == 1 and post.row(waiting)["state"] == "answered"


async def test_what_did_not_arrive_waits_and_is_drained_when_the_system_is_back(post: Post) -> None:
    transfer = await post.put_aside()
    post.provider.script = answering(post.provider, 503, **{"retry-after": "30"})
    assert await post.run() == 1
    queued = post.queued(transfer)
    assert (queued["state"], queued["tries"], queued["last_failure"]) == ("waiting", 2, "provider.fault")
    assert queued["next_at"] >= post.clock[0] + 30 and post.row(transfer)["state"] == "queued"
    assert await post.run() == 0 and post.deliverer.rests()  # not due yet, nor soon
    post.clock[0] += 29.5
    assert await post.run() == 0 and not post.deliverer.rests()
    post.provider.script = answering(post.provider)
    post.clock[0] += 1.5
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
    breaker = post.deliverer.forwarder.breakers.of("truong-ha")
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


async def test_an_overtaken_keeper_takes_nothing(post: Post) -> None:
    transfer = await post.put_aside()
    with writing(post.engine) as connection:
        newer = leases.take(connection, "keeper-2", post.clock[0], over="keeper-1")
    assert newer is not None
    with pytest.raises(Failure) as caught:
        await post.run()
    assert caught.value.code == "audit.lease-lost"
    assert (
        post.row(transfer)["state"] == "queued"
        and post.queued(transfer)["state"] == "waiting"
        and not post.provider.seen
    )


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
        jobs = take_due(post.engine, lock_of(post.engine), post.lease, Taking("keeper-1", post.clock[0], 8))
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
            update(tables.contract_in_force)
            .where(tables.contract_in_force.c.contract == CONTRACT)
            .values(digest=bundles()[1].digest)
        )
        store.set_state(connection, "system", "y-te", False)
    with post.engine.connect() as connection:
        post.registry.refresh(connection)
    post.provider.script = answering(post.provider)
    await post.run()
    assert post.row(transfer)["state"] == "answered"


def wrongly(post: Post) -> Script:
    """An answer that is signed and does not fit the contract: it holds words that nobody may keep."""

    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        post.provider.verified(request, body)
        wrong = {**json.loads(raw("ServiceRequestReceived")), "Nguyễn Văn Kín": "0912345678"}
        return post.provider.signed(request, json.dumps(wrong).encode(), 200, {"content-type": "application/json"})

    return script


async def test_each_failed_try_keeps_its_time_code_and_findings(post: Post) -> None:
    transfer = await post.put_aside()
    post.provider.script = wrongly(post)
    assert await post.run() == 1
    post.clock[0] += 400
    post.provider.script = answering(post.provider, 500)
    assert await post.run() == 1
    assert post.queued(transfer)["last_failure"] == "provider.fault"  # the row has the last code only
    with post.engine.connect() as connection:
        failed = failed_tries(connection, transfer)
    assert [(each["try"], each["failure"]) for each in failed.tries] == [
        (2, "provider.bad-answer"),
        (3, "provider.fault"),
    ]
    assert failed.tries[0]["at"] < failed.tries[1]["at"] and failed.earlier == 0
    (finding,) = failed.tries[0]["findings"]
    assert (finding["here"], finding["rule"]) == ("…", "unknown") and "findings" not in failed.tries[1]
    note = post.entry(transfer, "try-failed")
    assert note["what"] == "try-failed" and note["facts"]["provider"] == "truong-ha"
    assert "Kín" not in json.dumps(note, ensure_ascii=False) and "0912" not in json.dumps(note)
    for party in ("phan-anh", "truong-ha"):
        status = transfer_status(post.engine, transfer, party)
        assert status is not None and status["failedTries"] == failed.tries
    assert transfer_status(post.engine, transfer, "do-thi") is None


async def test_the_list_of_failed_tries_is_bounded(post: Post) -> None:
    transfer, failure = await post.put_aside(), PROVIDER_TIMEOUT(acted=Acted.MAYBE, system="truong-ha")
    open_ = OpenTransfer(transfer, None, "truong-ha")
    for number in range(1, 26):
        note = entries.try_failed(open_, failure, post.clock[0] + number, None, number)
        await post.journal.commit(Write(log=(note._replace(phase=f"try-failed#{number}"),)))
    with post.engine.connect() as connection:
        failed = failed_tries(connection, transfer)
    assert [each["try"] for each in failed.tries] == list(range(6, 26)) and failed.earlier == 5


def told(post: Post) -> dict[str, tuple[str, str | None]]:
    """How each transfer ended, as the events say."""
    with post.engine.connect() as connection:
        events = [json.loads(each) for each in connection.scalars(select(tables.feed_pending.c.event))]
    return {each["id"]: (each["type"].rpartition(":")[2], each.get("lgspfailure")) for each in events}


async def test_each_end_is_told_in_the_feed_once(post: Post) -> None:
    post.provider.script = answering(post.provider)
    handled = await post.put_aside()
    await post.run()
    post.provider.script = answering(post.provider, 422)
    refused = await post.put_aside()
    await post.run()
    post.provider.script = answering(post.provider, 503)
    waiting = await post.put_aside()
    await post.run()
    assert waiting not in told(post)
    for _ in range(4):
        post.clock[0] += 400
        await post.run()
    lost, changed = await post.put_aside(), await post.put_aside()
    with writing(post.engine) as connection:
        connection.execute(delete(tables.vault).where(tables.vault.c.id == f"{lost}/canonical"))
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == changed).values(message_id="other"))
    await post.run()
    assert post.row(changed)["failure"] == "transfer.tampered" and post.row(lost)["failure"] == "vault.not-found"
    assert told(post) == {
        handled: ("handled", None),
        refused: ("refused", "provider.refused"),
        waiting: ("undelivered", "delivery.given-up"),
        lost: ("undelivered", "vault.not-found"),
    }
    assert all(post.body(transfer, "event") for transfer in told(post))
