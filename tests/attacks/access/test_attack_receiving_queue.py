"""The queue sends what its provider may still receive, as its grants show it at that moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, update

from contracts.wire.jsontext import read_json
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.restore_lock import WINDOW, confirm, hold
from security.grants.grants import Grant
from tests.delivery.posting import Post, answering, raw
from tests.registry.making import approve_all

GRANT = "G-0013"  # the commune receives field reports
NOT_GRANTED = "route.not-granted"


def change(post: Post, what: Callable[[Connection], object]) -> None:
    with writing(post.engine) as connection:
        what(connection)
        store.raise_revision(connection)
    with post.engine.connect() as connection:
        post.registry.refresh(connection)


def propose(post: Post, **changes: Any) -> None:
    def anew(connection: Connection) -> None:
        row: Grant = replace(granting.content_of(connection, GRANT), **changes)
        granting.propose(connection, granting.Proposal(row), post.clock[0])
        approve_all(connection, post.clock[0])

    change(post, anew)


def revoked(connection: Connection) -> None:
    granting.revoke(connection, GRANT, 0.0)


def suspended(connection: Connection) -> None:
    store.set_state(connection, "grant", GRANT, active=False)


def without_role(connection: Connection) -> None:
    connection.execute(update(tables.agency).where(tables.agency.c.code == "H14.22").values(roles="[]"))


def of_another_agency(connection: Connection) -> None:
    """The system that waits for the message is a ward's now."""
    connection.execute(update(tables.system).where(tables.system.c.id == "truong-ha").values(agency="H14.21"))


@pytest.mark.attack("receiving without a grant")
@pytest.mark.parametrize("how", [revoked, suspended, without_role, of_another_agency], ids=lambda each: each.__name__)
async def test_what_was_revoked_since_intake_is_not_sent(post: Post, how: Callable[[Connection], object]) -> None:
    if how is without_role:
        propose(post, agency=None, role="commune")
    transfer = await post.put_aside()
    change(post, how)
    post.provider.script = answering(post.provider)
    assert await post.run() == 1
    assert not post.provider.seen and post.row(transfer)["state"] == "queued"
    queued = post.queued(transfer)
    assert (queued["state"], queued["last_failure"]) == ("waiting", NOT_GRANTED)


@pytest.mark.attack("receiving without a grant")
async def test_it_ends_under_the_reason_and_no_retry_sends_it(post: Post) -> None:
    """Neither further tries, nor a person who settles a doubt as safe to repeat, nor one who sets it waiting again."""
    transfer = await post.put_aside()
    change(post, revoked)
    post.provider.script = answering(post.provider)
    with writing(post.engine) as connection:  # in doubt, and settled: it may be sent again
        connection.execute(update(tables.transfer).where(tables.transfer.c.id == transfer).values(state="queued"))
        connection.execute(update(tables.queue).where(tables.queue.c.transfer == transfer).values(state="waiting"))
    for _ in range(5):
        post.clock[0] += 400
        await post.run()
    row, queued = post.row(transfer), post.queued(transfer)
    assert (row["state"], row["failure"]) == ("dead", NOT_GRANTED) and queued["state"] == "dead"
    assert queued["last_failure"] == NOT_GRANTED and post.entry(transfer, "outcome")["failure"] == NOT_GRANTED
    post.set_queue(transfer, state="waiting", next_at=post.clock[0])
    await post.run()
    assert not post.provider.seen


async def test_once_it_is_granted_again_it_is_sent(post: Post) -> None:
    transfer = await post.put_aside()
    change(post, suspended)
    post.provider.script = answering(post.provider)
    await post.run()
    change(post, lambda connection: store.set_state(connection, "grant", GRANT, active=True))
    post.clock[0] += 400
    assert await post.run() == 1 and post.row(transfer)["state"] == "answered"


@pytest.mark.attack("receiving what a grant hides")
async def test_a_field_that_was_hidden_since_intake_is_not_sent(post: Post) -> None:
    transfer = await post.put_aside()
    propose(post, fields=("*", "!email"))
    post.provider.script = answering(post.provider)
    await post.run()
    assert post.row(transfer)["state"] == "answered"
    whole, (seen,) = read_json(raw("ServiceRequest")), post.provider.seen
    assert read_json(seen.body) == whole | {"email": {"absent": "not-permitted"}} and "absent" not in whole["email"]
    assert read_json(post.body(transfer, "canonical")) == whole, "the evidence of what came in stays whole"


@pytest.mark.attack("receiving without a grant")
async def test_a_restored_registry_sends_nothing_until_somebody_confirms_and_then_what_it_grants(post: Post) -> None:
    """The backup is from before the grant was signed again; its queue holds a message."""
    transfer = await post.put_aside()
    change(post, suspended)
    change(post, lambda connection: hold(connection, post.clock[0], {}))
    post.provider.script = answering(post.provider)
    assert await post.run() == 0
    change(post, confirm)
    post.clock[0] += WINDOW + 1
    assert await post.run() == 1
    assert not post.provider.seen and post.queued(transfer)["last_failure"] == NOT_GRANTED
