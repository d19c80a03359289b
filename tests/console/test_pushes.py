"""Feeds by webhook at the desk: the list, one subscription, and what an operator decides; the same by program."""

from __future__ import annotations

import time
from functools import partial

from sqlalchemy import update

from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.schema.push_tables import push_subscription
from gateway.push import store
from gateway.push.records import Cause
from gateway.push.store import By, Wanted
from security.transparency.entry import keyed
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script
from tests.push.receiving import acts, filled

REASON = "its agency asked for it by telephone"
URL = "https://receiver.example/hook?secret=7"


async def subscribed(people: Desk) -> str:
    """A subscription that the gateway paused, since its receiver failed for too long."""
    await filled(people.world, 3)
    hash_id, now = partial(keyed, people.world.services.keyring.hash_key()), time.time()
    wanted = Wanted("dieu-hanh", "incident-alert/v1", URL, "webhooks", 100, 0)
    with writing(people.world.engine) as connection:
        made, _ = store.create(connection, wanted, By("H14.0/dieu-hanh", now, Cause.SUBSCRIBER), hash_id)
        attempt = store.Attempt(now, "x", 3, 12, 500, "push.not-taken")
        assert store.failed(connection, made, attempt, now)
        store.pause(connection, store.find(connection, made.id), By("gateway", now, Cause.DEAD), hash_id)
    return made.id


async def test_the_pages_say_what_waits_and_whom_to_tell(people: Desk) -> None:
    id = await subscribed(people)
    minh = await people.signed_in("minh", Role.OPERATOR)
    home = Reader((await minh.get("/console")).body)
    assert f"/console/subscriptions/{id}" in home.links and "paused: its receiver fails" in home.text
    assert "push.not-taken" in home.text
    listed = Reader((await minh.get("/console/subscriptions")).body)
    assert id[-12:] in listed.text and "paused: its receiver fails" in listed.text and "dieu-hanh" in listed.text
    one = Reader((await minh.get(f"/console/subscriptions/{id}")).body)
    assert "3 events wait" in one.text and "push.not-taken" in one.text and "secret" not in one.text
    assert {f"/console/subscriptions/{id}/{act}" for act in ("resume", "end")} <= set(one.forms)
    refused = await minh.post(f"/console/subscriptions/{id}/resume", reason="short")
    assert refused.status == 422 or refused.status == 400, refused.status
    moved = await minh.post(f"/console/subscriptions/{id}/resume", reason=REASON)
    assert moved.status == 303 and moved.headers["location"].startswith(f"/console/subscriptions/{id}")
    entry = acts(people.world, id)[-1]
    assert (entry["act"], entry["reason"], entry["state"]) == ("resumed", REASON, "unverified")
    with writing(people.world.engine) as connection:
        connection.execute(update(push_subscription).values(url="https://thief.example/"))
    changed = Reader((await minh.get(f"/console/subscriptions/{id}")).body)
    assert "changed in the database" in changed.text and f"/console/subscriptions/{id}/pause" not in changed.forms
    assert (await minh.get("/console/subscriptions/01935b6e-0000-7000-8000-999999999999")).status == 404


async def test_a_program_does_the_same(people: Desk) -> None:
    id = await subscribed(people)
    minh = Script(people, "minh", Role.OPERATOR)
    (listed,) = (await minh.get("listPushes"))["subscriptions"]
    assert (listed["id"], listed["waiting"], listed["cause"], listed["altered"]) == (id, 3, "dead", False)
    one = await minh.get("readPush", subscription=id)
    assert one["attempts"][0]["failure"] == "push.not-taken" and one["contact"]
    assert (await minh.ask("readPush", subscription=id[:-1] + "x")).status == 400
    ended = await minh.get("decidePush", {"reason": REASON}, subscription=id, how="end")
    assert ended == {"subscription": id, "state": "ended"} and minh.done == {"listPushes", "readPush", "decidePush"}
    assert (await minh.ask("decidePush", {"reason": REASON}, subscription=id, how="pause")).status == 409
    assert acts(people.world, id)[-1]["act"] == "ended"
