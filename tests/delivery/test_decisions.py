"""What a person decides about messages of the queue and transfers in doubt, on a real database of each kind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from contracts.base.errors import Failure
from gateway.audit.verify.complete import check_complete
from gateway.delivery import listing
from gateway.delivery.decisions import NOTES, Act, Decision, decide
from gateway.delivery.listing import Wanted
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.recovery import close_open
from tests.delivery.posting import Post, answering
from tests.delivery.test_deliverer import told

REASON = "the provider was asked by telephone"


def decision(post: Post, transfer: str, act: Act, **more: Any) -> Decision:
    return Decision(transfer=transfer, act=act, reason=REASON, actor="H14.0/lan: desk", at=post.clock[0], **more)


def take(post: Post, transfer: str, act: Act, **more: Any) -> str:
    return decide(post.engine, post.vault, decision(post, transfer, act, **more)).value


async def doubtful(post: Post, **changes: Any) -> str:
    """A message whose provider may have acted."""
    script, post.provider.script = post.provider.script, answering(post.provider, 500)
    transfer = await post.put_aside(idempotent=False, **changes)
    await post.run()
    post.provider.script = script
    assert post.row(transfer)["state"] == "in-doubt"
    return transfer


def wrong_with(post: Post, *transfers: str) -> list[str]:
    """What `audit verify` says of these, but for what this fixture makes up (its bundle's terms and message ids)."""
    with post.engine.connect() as connection:
        found = check_complete(connection).wrong
    made_up = ("idempotent", "its contract", "it was received at", "says size")
    return [each for each in found if any(id in each for id in transfers) and not any(part in each for part in made_up)]


async def test_one_in_doubt_is_settled_as_done(post: Post) -> None:
    transfer = await doubtful(post)
    assert take(post, transfer, Act.DONE) == "answered"
    row, outcome = post.row(transfer), post.entry(transfer, "outcome")
    assert (row["state"], row["status"], row["failure"], row["finished"]) == ("answered", 200, None, post.clock[0])
    assert (
        "failure" not in outcome and "out" not in outcome and set(json.loads(row["receipt"])) == {"intent", "outcome"}
    )
    note = post.entry(transfer, "settled")
    assert note["actor"] == "H14.0/lan: desk"
    assert note["facts"] == {"act": "done", "before": "in-doubt", "provider": "truong-ha", "reason": REASON}
    assert post.queued(transfer)["state"] == "done" and told(post)[transfer] == ("handled", None)
    assert post.body(transfer, "event") and not wrong_with(post, transfer)


async def test_one_in_doubt_is_settled_as_not_done(post: Post) -> None:
    transfer = await doubtful(post)
    assert take(post, transfer, Act.NOT_DONE) == "failed"
    assert post.row(transfer)["failure"] == post.entry(transfer, "outcome")["failure"] == "delivery.not-done"
    assert told(post)[transfer] == ("refused", "delivery.not-done") and not wrong_with(post, transfer)


async def test_a_waiting_message_is_sent_now(post: Post) -> None:
    post.provider.script = answering(post.provider, 503)
    transfer = await post.put_aside()
    await post.run()
    assert post.queued(transfer)["next_at"] > post.clock[0] and await post.run() == 0
    post.provider.script = answering(post.provider)
    assert take(post, transfer, Act.RETRY) == "queued"
    assert post.entry(transfer, "retried")["facts"]["before"] == "queued"
    assert await post.run() == 1 and post.row(transfer)["state"] == "answered"
    assert not wrong_with(post, transfer)


async def test_one_in_doubt_is_sent_again_only_if_the_provider_did_not_act(post: Post) -> None:
    transfer = await doubtful(post)
    with pytest.raises(Failure) as caught:
        take(post, transfer, Act.RETRY)
    assert caught.value.code == "queue.unconfirmed" and post.row(transfer)["state"] == "in-doubt"
    assert take(post, transfer, Act.RETRY, unsent=True) == "queued"
    assert post.entry(transfer, "retried")["facts"]["unsent"] is True
    assert not wrong_with(post, transfer)
    post.provider.script = answering(post.provider)
    assert await post.run() == 1 and post.row(transfer)["state"] == "answered"
    assert not wrong_with(post, transfer)


async def test_what_waits_is_discarded_or_cancelled(post: Post) -> None:
    ends = {Act.DISCARD: "delivery.discarded", Act.CANCEL: "delivery.cancelled"}
    for act, code in ends.items():
        transfer = await post.put_aside()
        assert take(post, transfer, act) == "dead"
        assert post.row(transfer)["failure"] == code and post.queued(transfer)["state"] == "dead"
        assert told(post)[transfer] == ("undelivered", code) and post.entry(transfer, NOTES[act])
        assert not wrong_with(post, transfer)
    assert await post.run() == 0 and not post.provider.seen


@pytest.mark.parametrize("act", list(Act))
async def test_what_has_ended_stays(post: Post, act: Act) -> None:
    post.provider.script = answering(post.provider)
    transfer = await post.put_aside()
    await post.run()
    before = post.row(transfer)
    with pytest.raises(Failure) as caught:
        take(post, transfer, act, unsent=True)
    assert caught.value.code == "queue.ended" and post.row(transfer) == before
    with pytest.raises(Failure) as caught:
        take(post, "01935b6e-0000-7000-8000-999999999999", act)
    assert caught.value.code == "queue.unknown"


@pytest.mark.parametrize(("act", "doubt"), [(Act.DONE, False), (Act.NOT_DONE, False), (Act.DISCARD, True)])
async def test_a_decision_is_for_its_states_only(post: Post, act: Act, doubt: bool) -> None:
    transfer = await doubtful(post) if doubt else await post.put_aside()
    with pytest.raises(Failure) as caught:
        take(post, transfer, act)
    assert caught.value.code == "queue.other-state"


async def test_a_message_under_way_is_left_to_its_worker(post: Post) -> None:
    whole, release = answering(post.provider), asyncio.Event()

    async def slow(request: Any, body: bytes) -> Any:
        await release.wait()
        return await whole(request, body)

    post.provider.script, post.deliverer.timeout = slow, 60.0
    transfer = await post.put_aside()
    assert await post.take() == 1
    for act in Act:
        with pytest.raises(Failure) as caught:
            take(post, transfer, act, unsent=True)
        assert caught.value.code == "queue.under-way"
    release.set()
    await post.deliverer.finish()
    assert post.row(transfer)["state"] == "answered" and len(post.provider.seen) == 1


async def test_what_another_transaction_holds_is_not_waited_for(post: Post) -> None:
    if post.engine.dialect.name == "sqlite":
        return  # one writer at a time: the other waits for it
    transfer = await post.put_aside()
    for table, column in ((tables.queue, tables.queue.c.transfer), (tables.transfer, tables.transfer.c.id)):
        with writing(post.engine) as connection:
            connection.execute(select(table).where(column == transfer).with_for_update())
            with pytest.raises(Failure) as caught:
                await asyncio.to_thread(take, post, transfer, Act.DISCARD)
            assert caught.value.code == "queue.under-way"
    assert take(post, transfer, Act.DISCARD) == "dead"


async def test_two_who_decide_at_once_end_it_once(post: Post) -> None:
    transfer = await doubtful(post)

    def attempt(act: Act) -> str:
        try:
            return take(post, transfer, act)
        except Failure as failure:
            return failure.code

    results = await asyncio.gather(
        *(asyncio.to_thread(attempt, act) for act in (Act.DONE, Act.NOT_DONE, Act.DONE, Act.NOT_DONE))
    )
    ends = [each for each in results if each in ("answered", "failed")]
    assert len(ends) == 1 and set(results) <= {*ends, "queue.ended", "queue.under-way"}
    assert outcomes(post) == {transfer: 1} and not wrong_with(post, transfer)


async def test_a_row_that_was_altered_is_not_decided(post: Post) -> None:
    transfer = await doubtful(post)
    with writing(post.engine) as connection:
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(provider="do-thi"))
    with pytest.raises(Failure) as caught:
        take(post, transfer, Act.DONE)
    assert caught.value.code == "transfer.tampered"


def outcomes(post: Post) -> dict[str, int]:
    table = tables.log_pending.c
    counts: dict[str, int] = {}
    with post.engine.connect() as connection:
        for transfer in connection.scalars(select(table.transfer).where(table.phase == "outcome")):
            counts[transfer] = counts.get(transfer, 0) + 1
    return counts


@pytest.mark.parametrize("seed", range(2))
async def test_each_acknowledged_message_ends_once(post: Post, seed: int) -> None:
    """Whatever people decide, in any order, between any tries of the worker."""
    rng = Random(seed)
    transfers = [await post.put_aside(idempotent=rng.random() < 0.5) for _ in range(5)]
    for _ in range(30):
        post.provider.script = answering(post.provider, rng.choice((200, 200, 500, 503, 422)))
        if rng.random() < 0.4:
            await post.run()
            post.clock[0] += rng.choice((0.0, 400.0))
            continue
        try:
            take(post, rng.choice(transfers), rng.choice(list(Act)), unsent=rng.random() < 0.7)
        except Failure as failure:
            assert failure.code in ("queue.ended", "queue.other-state", "queue.unconfirmed"), failure.code
    for transfer in transfers:  # what is left
        state = post.row(transfer)["state"]
        if state in ("in-doubt", "queued"):
            take(post, transfer, Act.DONE if state == "in-doubt" else Act.DISCARD)
    assert outcomes(post) == dict.fromkeys(transfers, 1) and set(told(post)) == set(transfers)
    assert not wrong_with(post, *transfers)


def ids(connection: Connection, wanted: Wanted, limit: int) -> list[str]:
    return [each.transfer for each in listing.first(connection, wanted, limit).messages]


@pytest.mark.parametrize("looks", [listing.LOOKS, 2])
async def test_the_lists_show_exactly_what_fits(post: Post, looks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`looks`: also where a page that looks for a failure is short."""
    monkeypatch.setattr(listing, "LOOKS", looks)
    waiting = [await post.put_aside() for _ in range(5)]
    doubt = [await doubtful(post)]
    post.provider.script = answering(post.provider, 503)
    with writing(post.engine) as connection:
        step = update(tables.queue).where(tables.queue.c.transfer.in_(waiting[3:]))
        connection.execute(step.values(last_failure="provider.down"))
        connection.execute(update(tables.queue).where(tables.queue.c.transfer == waiting[0]).values(state="waiting"))
    dead = [waiting.pop(0)]
    take(post, dead[0], Act.DISCARD)
    with post.engine.connect() as connection:
        queued = [each for each in waiting if post.row(each)["state"] == "queued"]
        assert ids(connection, Wanted("waiting"), 10) == sorted(queued)
        assert ids(connection, Wanted("in-doubt"), 10) == doubt
        assert ids(connection, Wanted("dead"), 10) == dead
        assert ids(connection, Wanted("waiting", failure="provider.down"), 10) == waiting[2:]
        assert ids(connection, Wanted("waiting", failure="provider.down"), 1) == waiting[2:3]
        assert not ids(connection, Wanted("waiting", failure="no.such"), 10)
        provider = str(post.row(waiting[0])["provider"])
        assert ids(connection, Wanted("waiting", provider), 10) == sorted(queued)
        assert ids(connection, Wanted("in-doubt", provider), 10) == doubt
        for state in listing.STATES:
            assert not ids(connection, Wanted(state, provider="no-such"), 10)
            assert listing.count(connection, state) == len(ids(connection, Wanted(state), 10))
        assert listing.count(connection, "waiting") == len(queued)
        first = listing.page(connection, Wanted("waiting"), None, 2)
        assert first.next is not None
        second = listing.page(connection, Wanted("waiting"), first.next, 10)
        assert [each.transfer for each in first.messages + second.messages] == sorted(queued) and second.next is None
        assert listing.one(connection, doubt[0]).acts == (Act.DONE, Act.NOT_DONE, Act.RETRY)  # type: ignore[union-attr]


_KILLED = """
import sys, time
from pathlib import Path
from sqlalchemy import event
from gateway.delivery import decisions
from gateway.journal.database import open_engine
from gateway.vault.vault import Vault
engine = open_engine(sys.argv[1])
real = decisions.apply
def apply(connection, units):
    written = real(connection, units)
    print("ready", flush=True)
    time.sleep(60)
    return written
decisions.apply = apply
decisions.decide(engine, Vault(Path(sys.argv[2])), decisions.Decision(
    transfer=sys.argv[3], act=decisions.Act(sys.argv[4]), reason="asked by telephone", actor="lan", at=time.time()))
"""


@pytest.mark.server
@pytest.mark.parametrize("act", [Act.DONE, Act.RETRY])
async def test_a_process_killed_in_the_middle_decides_nothing(post: Post, act: Act) -> None:
    transfer = await doubtful(post) if act is Act.DONE else await post.put_aside()
    before, place = post.row(transfer), post.queued(transfer)
    url = post.engine.url.render_as_string(hide_password=False)
    folder = str(Path(post.vault.keys.where("2026-11-24.m24")).parent)
    child = await asyncio.to_thread(
        lambda: subprocess.Popen(
            [sys.executable, "-c", _KILLED, url, folder, transfer, act.value],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert (await asyncio.to_thread(child.stdout.readline)).strip() == "ready"
        child.kill()
        child.wait(60)
    deadline = time.monotonic() + 60
    while True:  # PostgreSQL notices the closed connection in its own time
        try:
            take(post, transfer, act)
            break
        except Failure as failure:
            assert failure.code == "queue.under-way" and time.monotonic() < deadline
            assert (post.row(transfer), post.queued(transfer)) == (before, place)
            await asyncio.sleep(0.05)
    assert len([each for each in notes(post, transfer) if each in ("settled", "retried")]) == 1
    assert not wrong_with(post, transfer)


def notes(post: Post, transfer: str) -> list[str]:
    table = tables.log_pending.c
    with post.engine.connect() as connection:
        return list(connection.scalars(select(table.phase).where(table.transfer == transfer).order_by(table.id)))


async def test_a_retried_message_of_a_keeper_that_dies_is_in_doubt_again(post: Post) -> None:
    transfer = await doubtful(post)
    take(post, transfer, Act.RETRY, unsent=True)
    with writing(post.engine) as connection:  # the keeper took it up, and died
        connection.execute(
            update(tables.transfer)
            .where(tables.transfer.c.id == transfer)
            .values(state="forwarding", process="keeper-gone")
        )
        connection.execute(
            update(tables.queue).where(tables.queue.c.transfer == transfer).values(state="leased", epoch=1)
        )
        close_open(connection, post.clock[0])
    assert post.row(transfer)["state"] == "in-doubt"
    assert take(post, transfer, Act.NOT_DONE) == "failed" and not wrong_with(post, transfer)
