"""A change of policy, grants or routes holds for what is decided afterwards. What was decided stays as it was.

It is not sent again, opened again or judged again. On both databases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from sqlalchemy import Connection, select, text, update

from contracts.base.errors import Failure
from gateway.delivery import decisions
from gateway.delivery.decisions import Act, Decision
from gateway.delivery.policy import RetryPolicy
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper import recovery
from gateway.registry import store
from gateway.registry.changes import granting
from tests.delivery.posting import CONTRACT, Post, answering
from tests.registry.making import approve_all

RECEIVES, DAY = "G-0013", 86_400.0
WIDE = RetryPolicy(tries=1000, seconds=365 * DAY, longest=1.0)


def everything(post: Post) -> dict[str, list[tuple[Any, ...]]]:
    """All that says how transfers stand, and all that was logged of them."""
    shown = {
        name: select(*table.columns)
        for name, table in {"transfer": tables.transfer, "queue": tables.queue, "vault": tables.vault}.items()
    }
    shown["log"] = select(*tables.log_pending.columns).where(text("entry IS NOT NULL"))
    with post.engine.connect() as connection:
        return {name: sorted(tuple(row) for row in connection.execute(each)) for name, each in shown.items()}


def change(post: Post, what: Callable[[Connection], object]) -> None:
    with writing(post.engine) as connection:
        what(connection)
        store.raise_revision(connection)
    with post.engine.connect() as connection:
        post.registry.refresh(connection)


async def decided(post: Post) -> dict[str, str]:
    """A transfer for each way in which one ends, by its state."""
    ends = {}
    for state, status, idempotent in [("answered", 200, True), ("failed", 422, True), ("in-doubt", 500, False)]:
        ends[state] = await post.put_aside(idempotent=idempotent)
        post.provider.script = answering(post.provider, status)
        await post.run()
    ends["dead"] = await post.put_aside(tries=3)
    post.provider.script = answering(post.provider, 503)
    await post.run()
    ends["discarded"] = await post.put_aside()
    await post.run()
    decision = Decision(transfer=ends["discarded"], act=Act.DISCARD, reason="old", actor="H14.0/lan", at=post.clock[0])
    decisions.decide(post.engine, post.vault, decision)
    for state, transfer in ends.items():
        assert post.row(transfer)["state"] == {"discarded": "dead"}.get(state, state)
    return ends


def wider_policy(post: Post) -> None:
    """Far more tries, and far more time."""
    post.deliverer.forwarder.policy = WIDE  # type: ignore[misc]


def narrower_policy(post: Post) -> None:
    post.deliverer.forwarder.policy = RetryPolicy(tries=1, seconds=1.0)  # type: ignore[misc]


def grant_gone(post: Post) -> None:
    change(post, lambda connection: granting.revoke(connection, RECEIVES, 0.0))


def grant_narrower(post: Post) -> None:
    def anew(connection: Connection) -> None:
        row = replace(granting.content_of(connection, RECEIVES), fields=("service_code", "area"))
        granting.propose(connection, granting.Proposal(row), post.clock[0])
        approve_all(connection, post.clock[0])

    change(post, anew)


def off_and_on(post: Post, kind: Literal["grant", "system"], id: str) -> None:
    def turn(active: bool) -> None:
        change(post, lambda connection: store.set_state(connection, kind, id, active=active))

    turn(False)
    turn(True)


def grant_back(post: Post) -> None:
    """What was missing for a while is there again."""
    off_and_on(post, "grant", RECEIVES)


def other_route(post: Post) -> None:
    change(post, lambda connection: connection.execute(update(tables.route).values(system="do-thi")))


def system_back(post: Post) -> None:
    off_and_on(post, "system", "truong-ha")


@pytest.mark.parametrize(
    "changed",
    [wider_policy, narrower_policy, grant_gone, grant_narrower, grant_back, other_route, system_back],
)
async def test_what_was_decided_stays_as_it_was(post: Post, changed: Callable[[Post], None]) -> None:
    ends = await decided(post)
    before, calls = everything(post), len(post.provider.seen)
    changed(post)
    post.provider.script = answering(post.provider)
    for _ in range(5):
        post.clock[0] += DAY
        assert await post.run() == 0, "nothing is due"
        with writing(post.engine) as connection:
            recovery.close_open(connection, post.clock[0])
    assert len(post.provider.seen) == calls, "nothing is sent again"
    after = everything(post)
    for name, rows in before.items():
        assert after[name] == rows, f"{name} of {ends} changed with the policy"


@pytest.mark.parametrize("state", ["answered", "failed", "discarded"])
async def test_what_ended_is_not_opened_by_a_person_either(post: Post, state: str) -> None:
    """Whatever the policy allows now."""
    ends = await decided(post)
    wider_policy(post)
    before = everything(post)
    decision = Decision(transfer=ends[state], act=Act.RETRY, reason="again", actor="H14.0/lan", at=post.clock[0])
    with pytest.raises(Failure):
        decisions.decide(post.engine, post.vault, decision)
    assert everything(post) == before


async def test_what_waits_goes_where_its_intent_says_under_the_policy_of_now(post: Post) -> None:
    """A message that is not decided yet: its provider is, by the entry of its intent; its next try is not."""
    waiting = await post.put_aside()
    other_route(post)
    narrower_policy(post)
    post.provider.script = answering(post.provider, 503)
    assert await post.run() == 1 and post.row(waiting)["provider"] == "truong-ha"
    assert [each.header("lgsp-transfer") for each in post.provider.seen] == [waiting]
    assert (post.row(waiting)["state"], post.row(waiting)["failure"]) == ("dead", "delivery.given-up")
    assert post.row(waiting)["contract"] == CONTRACT
    wider_policy(post)
    post.provider.script = answering(post.provider)
    post.clock[0] += DAY
    assert await post.run() == 0 and len(post.provider.seen) == 1, "given up is decided"
