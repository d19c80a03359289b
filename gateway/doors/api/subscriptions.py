"""Serves `/subscriptions`: a component system subscribes to feeds, which are then pushed to its URL (`gateway.push`).

Invariant: a subscription of another system is answered exactly as one that does not exist.
Invariant: an act, its entry of the log and the key against replay are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.times import rfc3339
from gateway.doors.api.errors import API_REPLAYED, FEED_UNKNOWN
from gateway.doors.api.services import ApiRequest, Services
from gateway.doors.reply import Reply
from gateway.exchange.quotas import GrantQuery, decide
from gateway.feeds.places import Times, bounds, check, cursor_at, moment, offsets
from gateway.journal.append import apply
from gateway.journal.database import writing
from gateway.journal.errors import JOURNAL_FENCED
from gateway.journal.write import Verdict, Write
from gateway.push import keys, store
from gateway.push.addresses import Networks
from gateway.push.errors import SUBSCRIPTION_FROM
from gateway.push.records import Cause, Subscription
from gateway.push.store import By, Wanted
from gateway.registry.parts.grants import FEED

Change = Callable[[Connection, By], tuple[int, dict[str, Any]]]
MOST: Final = 100  # events of one delivery, where the subscriber names no number


async def list_subscriptions(services: Services, request: ApiRequest) -> Reply:
    def listed() -> list[dict[str, Any]]:
        with services.engine.connect() as connection:
            found = store.of_system(connection, request.proven.system.id)
            return [shown(connection, services, each) for each in found]

    return _reply(200, {"subscriptions": await services.readers.run(request.owner, listed)})


async def read_subscription(services: Services, request: ApiRequest) -> Reply:
    def found() -> dict[str, Any]:
        with services.engine.connect() as connection:
            return shown(connection, services, store.find(connection, _id(request), request.proven.system.id))

    return _reply(200, await services.readers.run(request.owner, found))


async def subscribe(services: Services, request: ApiRequest) -> Reply:
    body, system = request.json, request.proven.system
    contract = request.snapshot.contract(body["feed"])
    if contract is None or not contract.contract.fed:
        raise FEED_UNKNOWN(contract=body["feed"])
    decide(GrantQuery(request.snapshot, system.agency, contract.contract, FEED, request.received.at))
    Networks(services.settings.push_networks).check_url(body["url"])

    def change(connection: Connection, by: By) -> tuple[int, dict[str, Any]]:
        wanted = Wanted(
            system=system.id,
            contract=body["feed"],
            url=body["url"],
            form=body.get("form", "webhooks"),
            most=body.get("most", MOST),
            position=_position(connection, body["feed"], body),
        )
        hash_id = services.exchange.hash_id
        subscription, new = store.create(connection, wanted, by, hash_id)
        if not keys.in_force(connection, hash_id, by.at):  # so that the answer names the key of the challenge
            keys.make(connection, hash_id, by.at)
        return 201 if new else 200, shown(connection, services, subscription)

    return await _changed(services, request, change)


async def end_subscription(services: Services, request: ApiRequest) -> Reply:
    def change(connection: Connection, by: By) -> tuple[int, dict[str, Any]]:
        found = store.find(connection, _id(request), request.proven.system.id)
        return 200, shown(connection, services, store.end(connection, found, by, services.exchange.hash_id))

    return await _changed(services, request, change)


async def pause_subscription(services: Services, request: ApiRequest) -> Reply:
    return await _act(services, request, store.pause)


async def resume_subscription(services: Services, request: ApiRequest) -> Reply:
    return await _act(services, request, store.resume)


async def move_subscription(services: Services, request: ApiRequest) -> Reply:
    url = request.json["url"]
    Networks(services.settings.push_networks).check_url(url)
    return await _act(
        services, request, lambda connection, each, by, hash_id: store.move(connection, each, url, by, hash_id)
    )


async def replay_subscription(services: Services, request: ApiRequest) -> Reply:
    def change(connection: Connection, by: By) -> tuple[int, dict[str, Any]]:
        hash_id = services.exchange.hash_id
        before = store.locked(connection, _id(request), hash_id, request.proven.system.id)
        position = _position(connection, before.contract, request.json)
        after, again = store.replay(connection, before, position, by, hash_id)
        return 200, {**shown(connection, services, after), "again": again}

    return await _changed(services, request, change)


Act = Callable[[Connection, Subscription, By, Callable[[str], str]], Subscription]


async def _act(services: Services, request: ApiRequest, act: Act) -> Reply:
    def change(connection: Connection, by: By) -> tuple[int, dict[str, Any]]:
        hash_id = services.exchange.hash_id
        before = store.locked(connection, _id(request), hash_id, request.proven.system.id)
        return 200, shown(connection, services, act(connection, before, by, hash_id))

    return await _changed(services, request, change)


async def _changed(services: Services, request: ApiRequest, change: Change) -> Reply:
    """Runs a change in one transaction with the key against replay."""
    caller = request.proven
    by = By(caller.system.name, services.clock(), Cause.SUBSCRIBER)

    def changed() -> tuple[int, dict[str, Any]]:
        with writing(services.engine) as connection:
            (written,) = apply(connection, [Write(replay=caller.replay)])
            if written.verdict is Verdict.REPLAYED:
                raise API_REPLAYED()
            if written.verdict is not Verdict.COMMITTED:
                raise JOURNAL_FENCED(retry_after=1)
            return change(connection, by)

    return _reply(*await services.readers.run(request.owner, changed))


def shown(connection: Connection, services: Services, subscription: Subscription) -> dict[str, Any]:
    """A subscription as its owner sees it."""
    now, hash_id = services.clock(), services.exchange.hash_id
    waits = store.waiting(connection, subscription)
    name = subscription.contract
    return {
        "id": subscription.id,
        "feed": name,
        "url": subscription.url,
        "form": subscription.form,
        "most": subscription.most,
        "state": subscription.state,
        "cause": subscription.cause or None,
        "verified": _time(subscription.verified),
        "created": rfc3339(subscription.created),
        "position": cursor_at(connection, name, subscription.position),
        "reached": cursor_at(connection, name, subscription.reached),
        "replays": subscription.replays,
        "waiting": waits.events,
        "lagSeconds": 0.0 if waits.oldest is None else round(max(0.0, now - waits.oldest), 3),
        "taken": _time(subscription.taken),
        "failing": _time(subscription.failing),
        "failure": subscription.failure,
        "nextTry": rfc3339(subscription.next_at) if subscription.tries else None,
        "keys": [each.public for each in keys.in_force(connection, hash_id, now)],
    }


def _position(connection: Connection, contract: str, body: dict[str, Any]) -> int:
    """The offset of the last event that is not wanted."""
    given = [name for name in ("from", "after", "since") if name in body]
    if len(given) > 1:
        raise SUBSCRIPTION_FROM(why=f"{', '.join(given)} are several places")
    if "after" in body:
        offset = offsets(connection, body["after"], (contract,))[contract]
        if offset:
            check(connection, contract, offset)
        return offset
    if "since" in body:
        since = moment(body["since"])
        if since is None:
            raise SUBSCRIPTION_FROM(why="`since` is not a time with its zone")
        return bounds(connection, contract, None, Times(since=since)).low
    return store.start_of(connection, contract, body.get("from", "now"))


def _id(request: ApiRequest) -> str:
    id: str = request.params["subscription"]
    return id


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)


def _reply(status: int, content: dict[str, Any]) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(content, ensure_ascii=False).encode())


HANDLERS: Final = {
    "listSubscriptions": list_subscriptions,
    "subscribe": subscribe,
    "readSubscription": read_subscription,
    "endSubscription": end_subscription,
    "pauseSubscription": pause_subscription,
    "resumeSubscription": resume_subscription,
    "moveSubscription": move_subscription,
    "replaySubscription": replay_subscription,
}
