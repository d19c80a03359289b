"""What the database gives to a keeper that does not know of it is delivered once. What it cannot write of a delivery
stays in its hand until it can. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from gateway.delivery import forgotten, worker
from gateway.delivery.queue import Job, Taking, take_due
from gateway.journal import outcomes as written_again
from gateway.journal.database import lock_of, writing
from gateway.journal.errors import JOURNAL_UNAVAILABLE
from gateway.journal.logged import free_phase
from gateway.journal.schema import tables
from gateway.journal.write import Write, Written
from gateway.journal.writer import Journal
from gateway.keeper import recovery
from tests.adapters.providers import drop
from tests.delivery.posting import Post, answering

LOST = OperationalError("COMMIT", {}, Exception("no answer"))


def unanswered(monkeypatch: pytest.MonkeyPatch, *, effect: bool) -> list[Callable[[], list[Job]]]:
    """The next COMMIT that takes messages up gets no answer. `effect`: it has one at once, else when it is called."""
    late: list[Callable[[], list[Job]]] = []

    def lost(*given: Any) -> list[Job]:
        monkeypatch.setattr(worker, "take_due", take_due)
        late.append(lambda: take_due(*given))
        if effect:
            late.pop()()
        raise LOST

    monkeypatch.setattr(worker, "take_due", lost)
    return late


async def test_what_was_taken_up_without_an_answer_is_delivered_once(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    post.provider.script = answering(post.provider)
    transfer = await post.put_aside(idempotent=False)
    unanswered(monkeypatch, effect=True)
    with pytest.raises(OperationalError):
        await post.run()
    assert post.row(transfer)["state"] == "forwarding" and not post.provider.seen
    assert await post.run() == 1 and post.row(transfer)["state"] == "answered"
    assert await post.run() == 0 and len(post.provider.seen) == 1


@pytest.mark.sampled("sqlite*")
async def test_a_commit_that_takes_effect_later_is_found_too(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits for a standby does. What is in hand is not taken up a second time."""
    release, whole = asyncio.Event(), answering(post.provider)

    async def slow(request: web.Request, body: bytes) -> web.StreamResponse:
        await release.wait()
        return await whole(request, body)

    now = [0.0]
    post.deliverer._forgotten = forgotten.Forgotten(post.engine, "keeper-1", lambda: now[0])
    post.provider.script, post.deliverer.timeout = slow, 60.0
    in_hand = await post.put_aside()
    assert await post.take() == 1
    transfer = await post.put_aside()
    (later,) = (unanswered(monkeypatch, effect=False),)
    with pytest.raises(OperationalError):
        await post.take()
    monkeypatch.setattr(worker, "take_due", lambda *_given: [])  # its rows are locked
    now[0] = forgotten.DOUBT_SECONDS - 1
    assert await post.take() == 0
    later[0]()
    assert post.row(transfer)["state"] == "forwarding"
    now[0] = 10 * forgotten.DOUBT_SECONDS  # another keeper led meanwhile
    assert await post.take() == 1
    release.set()
    await post.deliverer.finish(30.0)
    assert {post.row(each)["state"] for each in (in_hand, transfer)} == {"answered"}
    assert sorted(seen.header("lgsp-transfer") for seen in post.provider.seen) == sorted([in_hand, transfer])


class NoEnd:
    """A journal that writes nothing, `stands`: or says so."""

    def __init__(self, journal: Journal, stands: bool = False) -> None:
        self._journal, self._stands = journal, stands

    async def commit(self, write: Write) -> Written:
        if self._stands:
            await self._journal.commit(write)
        raise JOURNAL_UNAVAILABLE(reason="cut")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written_again, "SECONDS", 0.0)
    monkeypatch.setattr(worker, "AGAIN_SECONDS", 0.05)


@pytest.mark.sampled("sqlite*")
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("idempotent", "state"), [(True, "queued"), (False, "in-doubt")])
async def test_an_end_that_cannot_be_written_is_unknown_once_something_can(
    post: Post, monkeypatch: pytest.MonkeyPatch, idempotent: bool, state: str
) -> None:
    """The policy says when it is sent again, as after any failure."""
    post.provider.script = answering(post.provider)
    transfer = await post.put_aside(idempotent=idempotent)
    journal = post.deliverer.journal
    monkeypatch.setattr(post.deliverer, "journal", NoEnd(journal))
    assert await post.take() == 1
    assert (post.row(transfer)["state"], post.row(transfer)["process"]) == ("forwarding", "keeper-1")
    post.deliverer._forgotten.failed()
    assert await post.take() == 0, "it is in hand"
    monkeypatch.setattr(post.deliverer, "journal", journal)
    await post.deliverer.finish(60.0)
    place = post.queued(transfer)
    assert post.row(transfer)["state"] == state and place["tries"] == 2 and len(post.provider.seen) == 1
    assert place["state"] == ("waiting" if idempotent else "dead") and place["last_failure"] == "delivery.fault"
    assert not idempotent or place["next_at"] > post.clock[0]


@pytest.mark.sampled("sqlite*")
@pytest.mark.usefixtures("hasty")
async def test_what_was_put_aside_without_an_answer_is_taken_up_when_its_try_has_ended(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits in the queue already. Else two tries of one message would be out, and one would end the other."""
    post.provider.script = answering(post.provider, 503)
    transfer = await post.put_aside(idempotent=False)
    journal = post.deliverer.journal
    monkeypatch.setattr(post.deliverer, "journal", NoEnd(journal, stands=True))
    assert await post.take() == 1 and post.row(transfer)["state"] == "queued"
    post.clock[0] += 400
    assert await post.take() == 0 and len(post.provider.seen) == 1
    monkeypatch.setattr(post.deliverer, "journal", journal)
    await post.deliverer.finish(60.0)
    assert post.row(transfer)["state"] == "queued", "what came later changed nothing"
    post.provider.script = answering(post.provider)
    assert await post.run() == 1 and post.row(transfer)["state"] == "answered" and len(post.provider.seen) == 2


@pytest.mark.usefixtures("hasty")
async def test_the_database_may_be_away_while_a_failure_is_judged(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again, as often as it takes."""
    asked = []

    def away(*given: Any) -> str:
        asked.append(given)
        if len(asked) < 4:
            raise LOST
        return free_phase(*given)

    monkeypatch.setattr(worker, "free_phase", away)
    post.provider.script = drop
    transfer = await post.put_aside(idempotent=False)
    assert await post.run() == 1 and len(asked) >= 4
    assert post.row(transfer)["state"] == "in-doubt"


async def test_what_a_keeper_took_up_that_leads_no_more_is_left_open(post: Post) -> None:
    """It lives, and may not know of it. Who leads for long enough closes it; what it took up itself it does not."""
    transfer = await post.put_aside(committed=post.clock[0] - 2 * recovery.FORGOTTEN_SECONDS)
    assert take_due(post.engine, lock_of(post.engine), post.lease, Taking("keeper-1", post.clock[0], 10))
    with post.engine.connect() as connection:
        epoch = connection.scalar(select(tables.queue.c.epoch).where(tables.queue.c.transfer == transfer))
        assert epoch == post.lease.epoch
        assert not recovery.has_open_ends(connection, epoch) and not recovery.has_open_ends(connection)
        assert recovery.has_open_ends(connection, epoch + 1)
    with writing(post.engine, lock_of(post.engine)) as connection:
        assert recovery.close_open(connection, post.clock[0], epoch + 1).queued == 1
