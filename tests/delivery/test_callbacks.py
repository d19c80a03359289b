"""A system is called back once its transfer has ended: signed, repeated by the policy, and never more often."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import select

from adapters.posting import SignedPosts
from gateway.delivery.breaker import Rules
from gateway.delivery.callbacks import Callbacks
from gateway.delivery.policy import RetryPolicy
from gateway.doors.api.transfers import transfer_status
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from tests.delivery.posting import Post, answering
from tests.registry.making import House


class Registered:
    """The registry as it is, but the callers have an address for callbacks."""

    def __init__(self, post: Post, address: str | None) -> None:
        self._post, self.address = post, address

    @property
    def snapshot(self) -> Any:
        snapshot: Snapshot = self._post.registry.snapshot
        registered = self

        class Seen:
            def system(self, name: str) -> Any:
                system = snapshot.system(name)
                return None if system is None else replace(system, callback=registered.address)

        return Seen()


class Receiver:
    """Takes callbacks, and answers with the given statuses; the last one for ever."""

    def __init__(self, post: Post, *statuses: int) -> None:
        self.post, self.statuses, self.calls = post, list(statuses), list[dict[str, Any]]()
        post.provider.script = self.answer

    async def answer(self, request: web.Request, body: bytes) -> web.StreamResponse:
        self.post.provider.verified(request, body)  # the gateway's signature, over this very address
        self.calls.append(json.loads(body))
        return web.Response(status=self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])


def calling(post: Post, address: str | None = None, **options: Any) -> Callbacks:
    forwarder = post.deliverer.forwarder
    adapter: Any = forwarder._adapters["rest"]
    posts = SignedPosts(adapter.session, adapter.key, adapter.clock)
    registered: Any = Registered(post, address or f"{post.provider.url}/lgsp/callback")
    options.setdefault("rules", Rules(failures=100))
    return Callbacks(
        post.engine, lock_of(post.engine), registered, posts, lambda: post.clock[0], rng=Random(3), **options
    )


async def ended(post: Post, number: int = 1) -> list[str]:
    """Transfers that were delivered and answered, and whose sender wants to be called back."""
    post.provider.script = answering(post.provider)
    transfers = [await post.put_aside() for _ in range(number)]
    for transfer in transfers:
        post.set_queue(transfer, callback="wanted")
    while any(post.queued(each)["state"] != "done" for each in transfers):
        await post.run()
    return transfers


async def test_it_is_called_back_when_it_has_ended_and_once(post: Post, keys: House) -> None:
    open_one = await post.put_aside()
    post.set_queue(open_one, callback="wanted", next_at=post.clock[0] + 1000)
    (transfer,) = await ended(post)
    receiver, callbacks = Receiver(post, 204), calling(post)
    assert await callbacks.run_once(post.lease) == 1
    (told,) = receiver.calls
    assert (told["transfer"], told["state"], told["answer"]) == (transfer, "answered", f"/transfers/{transfer}/answer")
    assert post.queued(transfer)["callback"] == "done" and post.queued(open_one)["callback"] == "wanted"
    assert await callbacks.run_once(post.lease) == 0 and len(receiver.calls) == 1
    assert post.entry(transfer, "callback")["facts"] == {"system": "phan-anh", "tries": 1}
    status = transfer_status(post.engine, transfer, "phan-anh")
    assert status is not None and status["callback"] == {"state": "delivered", "tries": 1}
    receiving = transfer_status(post.engine, transfer, "truong-ha")
    assert receiving is not None and "callback" not in receiving


async def test_a_callback_that_fails_is_repeated_within_the_policy_and_told(post: Post) -> None:
    (transfer,) = await ended(post)
    receiver, callbacks = Receiver(post, 500), calling(post, policy=RetryPolicy(tries=4))
    for _ in range(50):
        await callbacks.run_once(post.lease)
        post.clock[0] += 400.0
    assert len(receiver.calls) == 4 and post.queued(transfer)["callback"] == "dead"
    facts = post.entry(transfer, "callback")["facts"]
    assert facts == {"system": "phan-anh", "tries": 4, "failure": "provider.fault"}
    status = transfer_status(post.engine, transfer, "phan-anh")
    assert status is not None
    assert status["callback"] == {"state": "given-up", "tries": 4, "failure": "provider.fault"}
    assert status["state"] == "answered"  # the answer is there all the same


async def test_a_thousand_callbacks_to_a_dead_system_make_few_calls(post: Post) -> None:
    transfers = await ended(post, 12)
    receiver, callbacks = Receiver(post, 503), calling(post, rules=Rules(failures=5, rest=60.0))
    for _ in range(30):
        await callbacks.run_once(post.lease)
    assert 5 <= len(receiver.calls) <= 8, len(receiver.calls)  # the breaker opened; four may be out together
    assert {post.queued(each)["callback"] for each in transfers} == {"wanted"}


@pytest.mark.attack("callbacks: an address that is not registered")
async def test_without_a_registered_address_nothing_is_called(post: Post) -> None:
    (transfer,) = await ended(post)
    receiver, callbacks = Receiver(post, 200), calling(post, policy=RetryPolicy(tries=1))
    callbacks.registry.address = None  # type: ignore[attr-defined]
    await callbacks.run_once(post.lease)
    assert receiver.calls == [] and post.queued(transfer)["callback_failure"] == "provider.no-callback"


@pytest.mark.attack("callbacks: a receiver that lies")
async def test_a_redirect_is_not_followed_and_a_large_answer_ends_the_call(post: Post) -> None:
    (transfer,) = await ended(post)
    calls: list[str] = []

    async def lying(request: web.Request, body: bytes) -> web.StreamResponse:
        calls.append(request.path)
        if len(calls) == 1:
            return web.Response(status=307, headers={"location": f"{post.provider.url}/elsewhere"})
        return web.Response(status=200, body=b"x" * 200_000)

    post.provider.script = lying
    callbacks = calling(post)
    for _ in range(2):
        await callbacks.run_once(post.lease)
        post.clock[0] += 400.0
    assert calls == ["/base/lgsp/callback"] * 2 and post.queued(transfer)["callback"] == "wanted"
    with post.engine.connect() as connection:
        assert connection.scalar(select(tables.queue.c.callback_tries)) == 2
    await asyncio.sleep(0)
