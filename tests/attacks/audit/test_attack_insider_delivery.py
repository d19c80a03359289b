"""An insider with the database, and without the keys outside it, changes a message that waits: nothing of it is
delivered, to nobody."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Connection, select, update

from gateway.audit.verify.complete import check_complete
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.vault import binding
from security.transparency.entry import Caller, Intent, freeze, salted
from tests.adapters.providers import Provider
from tests.delivery.posting import REQUEST, SALT, Post, answering, post  # noqa: F401  the fixture
from tests.registry.making import ENDPOINTS, House, contracts, filled, province

KIND = pytest.mark.attack("delivery: a waiting message changed with the database alone")
TRANSFER, QUEUE, VAULT, PENDING = tables.transfer, tables.queue, tables.vault, tables.log_pending
ELSEWHERE = "do-thi"  # a system that takes the same contract, and is another agency's
OTHER_BUNDLE = contracts()["incident-alert/v1"].digest
Change = Callable[[Connection, str, str], None]


@pytest_asyncio.fixture
async def elsewhere(post: Post, keys: House) -> AsyncIterator[Provider]:  # noqa: F811
    """A second provider that stands in the registry and answers."""
    gateway, identity = post.provider.gateway, keys.identity(ELSEWHERE, time.time())
    provider = Provider(identity, gateway, identity.sign)
    await provider.start(keys)
    provider.script = answering(provider)
    post.provider.script = answering(post.provider)
    filled(
        post.engine,
        province(endpoints={**ENDPOINTS, "truong-ha": post.provider.url, ELSEWHERE: provider.url}),
        [identity],
        time.time(),
    )
    with post.engine.connect() as connection:
        post.registry.refresh(connection)
    yield provider
    await provider.stop()


# --- what he does: (connection, the transfer that waits, another one of the same agency) ------------------------------
def rows(**changes: Mapping[str, Any]) -> Change:
    def change(connection: Connection, transfer: str, other: str) -> None:
        for name, values in changes.items():
            table = {"transfer": TRANSFER, "queue": QUEUE}[name]
            key = table.c.id if name == "transfer" else table.c.transfer
            filled = {
                one: value.replace("OTHER", other) if isinstance(value, str) else value for one, value in values.items()
            }
            connection.execute(update(table).where(key == transfer).values(filled))

    return change


def forged(connection: Connection, transfer: str, **changes: Any) -> None:
    """Another intent in the place of the true one, with the leaf that its bytes have, and rows that agree with it."""
    values: dict[str, Any] = {"provider": ELSEWHERE, **changes}
    row = connection.execute(select(TRANSFER).where(TRANSFER.c.id == transfer)).one()
    provider = values["provider"]
    entry = freeze(
        Intent(
            transfer,
            row.committed,
            "rest",
            Caller(row.caller_agency, row.caller_system),
            row.contract,
            row.operation,
            row.bundle,
            "m" * 64,
            row.grant_id,
            provider,
            salted(SALT, REQUEST),
        )
    )
    connection.execute(update(PENDING).where(PENDING.c.transfer == transfer).values(entry=entry.entry, leaf=entry.leaf))
    connection.execute(update(TRANSFER).where(TRANSFER.c.id == transfer).values(values))
    connection.execute(update(QUEUE).where(QUEUE.c.transfer == transfer).values(provider=provider))


def entry_pending(connection: Connection, transfer: str, other: str) -> None:
    forged(connection, transfer)


def entry_in_the_log(connection: Connection, transfer: str, other: str) -> None:
    forged(connection, transfer)
    row = connection.execute(select(PENDING).where(PENDING.c.transfer == transfer)).one()
    connection.execute(PENDING.delete().where(PENDING.c.transfer == transfer))
    values = {"transfer": transfer, "phase": row.phase, "entry": row.entry, "leaf": row.leaf}
    connection.execute(tables.log_entry.insert().values(idx=0, sequenced=time.time(), **values))


def entry_taken_away(connection: Connection, transfer: str, other: str) -> None:
    connection.execute(PENDING.delete().where(PENDING.c.transfer == transfer))


def of_another(part: str) -> Change:
    def change(connection: Connection, transfer: str, other: str) -> None:
        sealed = connection.execute(select(VAULT.c.sealed, VAULT.c.size).where(VAULT.c.id == f"{other}/{part}")).one()
        connection.execute(
            update(VAULT).where(VAULT.c.id == f"{transfer}/{part}").values(sealed=sealed[0], size=sealed[1])
        )

    return change


def old_form(connection: Connection, transfer: str, other: str) -> None:
    """As if it had been sealed before bodies were bound to their intent."""
    forged(connection, transfer)
    for part in ("request", "canonical"):
        sealed = connection.execute(select(VAULT.c.sealed).where(VAULT.c.id == f"{transfer}/{part}")).scalar_one()
        connection.execute(update(VAULT).where(VAULT.c.id == f"{transfer}/{part}").values(sealed=bytes(sealed)[33:]))


def bound_anew(connection: Connection, transfer: str, other: str) -> None:
    """With the binding that the forged intent would have."""
    forged(connection, transfer)
    row = connection.execute(select(TRANSFER).where(TRANSFER.c.id == transfer)).one()
    leaf = connection.execute(select(PENDING.c.leaf).where(PENDING.c.transfer == transfer)).scalar_one()
    for part in ("request", "canonical"):
        sealed = connection.execute(select(VAULT.c.sealed).where(VAULT.c.id == f"{transfer}/{part}")).scalar_one()
        made = binding.wrap(binding.of_transfer(bytes(leaf), row), bytes(sealed)[33:])
        connection.execute(update(VAULT).where(VAULT.c.id == f"{transfer}/{part}").values(sealed=made))


FIXED = "transfer, or log: intent"
CHANGES: dict[str, tuple[Change, str, str]] = {
    "queue.provider": (rows(queue={"provider": ELSEWHERE}), "transfer.tampered", "queue.provider"),
    "queue.body_ref": (rows(queue={"body_ref": "OTHER/canonical"}), "transfer.tampered", "queue.body_ref"),
    "transfer.provider": (rows(transfer={"provider": ELSEWHERE}), "transfer.tampered", "queue.provider"),
    "both providers": (
        rows(transfer={"provider": ELSEWHERE}, queue={"provider": ELSEWHERE}),
        "transfer.tampered",
        "transfer.provider",
    ),
    "transfer.contract": (rows(transfer={"contract": "incident-alert/v1"}), "transfer.tampered", "transfer.contract"),
    "transfer.bundle": (rows(transfer={"bundle": OTHER_BUNDLE}), "transfer.tampered", "transfer.bundle"),
    "transfer.operation": (rows(transfer={"operation": "cancelRequest"}), "transfer.tampered", "transfer.operation"),
    "transfer.caller_system": (
        rows(transfer={"caller_system": "do-thi"}),
        "transfer.tampered",
        "transfer.caller_system",
    ),
    "transfer.caller_agency": (
        rows(transfer={"caller_agency": "H14.9"}),
        "transfer.tampered",
        "transfer.caller_agency",
    ),
    "transfer.grant_id": (rows(transfer={"grant_id": "G-0001"}), "transfer.tampered", "transfer.grant_id"),
    "transfer.pattern": (rows(transfer={"pattern": "query"}), "transfer.tampered", FIXED),
    "transfer.idempotent": (rows(transfer={"idempotent": True}), "transfer.tampered", FIXED),
    "transfer.message_id": (rows(transfer={"message_id": "another"}), "transfer.tampered", FIXED),
    "transfer.payload_digest": (rows(transfer={"payload_digest": b"1" * 32}), "transfer.tampered", FIXED),
    "transfer.received": (rows(transfer={"received": 1_795_500_000.5}), "transfer.tampered", FIXED),
    "its entry, pending": (entry_pending, "transfer.tampered", FIXED),
    "its entry, in the log": (entry_in_the_log, "transfer.tampered", FIXED),
    "its entry, taken away": (entry_taken_away, "transfer.tampered", "log: intent"),
    "its body, another's": (of_another("canonical"), "vault.broken", ""),
    "its request, another's": (of_another("request"), "vault.broken", ""),
    "sealed as of old": (old_form, "vault.broken", ""),
    "bound anew": (bound_anew, "vault.broken", ""),
}


@KIND
async def test_what_was_changed_is_not_delivered(
    post: Post,  # noqa: F811
    elsewhere: Provider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All of `CHANGES`, each to a transfer of its own; one that nobody changed goes to whom it is for."""
    other, sound = await post.put_aside(), await post.put_aside()
    ids = {name: await post.put_aside(idempotent=False) for name in CHANGES}
    with writing(post.engine) as connection:
        connection.execute(update(QUEUE).where(QUEUE.c.transfer == other).values(next_at=time.time() + 1e6))
        for name, (change, _, _) in CHANGES.items():
            change(connection, ids[name], other)
    with caplog.at_level(logging.CRITICAL, "lgsp.delivery"):
        while await post.run():
            pass
    assert [seen.header("lgsp-transfer") for seen in post.provider.seen] == [sound] and not elsewhere.seen
    critical = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    told = {}
    for name, transfer in ids.items():
        row, queued = post.row(transfer), post.queued(transfer)
        code = post.entry(transfer, "outcome").get("failure")
        note = post.entry(transfer, code)["facts"]["what"] if code == "transfer.tampered" else ""
        assert any(transfer in one for one in critical), name
        assert {row["failure"], queued["last_failure"]} == {code} and {row["state"], queued["state"]} == {"dead"}, name
        told[name] = code, note
    assert told == {name: (code, what) for name, (_, code, what) in CHANGES.items()}


@KIND
async def test_what_was_delivered_is_not_sent_a_second_time(post: Post, elsewhere: Provider) -> None:  # noqa: F811
    """Put back into the queue as if nothing had been: the log has its outcome."""
    transfer = await post.put_aside()
    assert await post.run() == 1 and len(post.provider.seen) == 1
    with writing(post.engine) as connection:
        again = {"state": "queued", "status": None, "finished": None, "receipt": None, "answer_ref": None}
        connection.execute(update(TRANSFER).where(TRANSFER.c.id == transfer).values(again))
        connection.execute(update(QUEUE).where(QUEUE.c.transfer == transfer).values(state="waiting", next_at=0.0))
    assert await post.run() == 1
    assert len(post.provider.seen) == 1 and not elsewhere.seen
    assert (post.row(transfer)["state"], post.row(transfer)["failure"]) == ("dead", "transfer.tampered")
    assert post.entry(transfer, "outcome").get("failure") is None, "the log's word stands"
    assert post.entry(transfer, "transfer.tampered")["facts"]["what"] == "transfer.state"
    with post.engine.connect() as connection:
        assert any(transfer in one for one in check_complete(connection).wrong)


@KIND
async def test_a_message_that_was_sealed_before_there_were_bindings(post: Post, elsewhere: Provider) -> None:  # noqa: F811
    """It is delivered; what it has is held against its rows all the same."""
    transfer, sent_on = await post.put_aside(old=True), await post.put_aside(old=True)
    other_request = await post.put_aside(old=True)
    with writing(post.engine) as connection:
        connection.execute(update(QUEUE).where(QUEUE.c.transfer == sent_on).values(provider=ELSEWHERE))
        entry = json.loads(
            connection.execute(select(PENDING.c.entry).where(PENDING.c.transfer == other_request)).scalar_one()
        )
        came_in = salted(SALT, b"another")
        caller = Caller(entry["caller"]["agency"], entry["caller"]["system"])
        facts = (entry["contract"], entry["operation"], entry["bundle"], "m" * 64, entry["grant"], entry["provider"])
        frozen = freeze(Intent(other_request, time.time(), "rest", caller, *facts, came_in))
        connection.execute(
            update(PENDING).where(PENDING.c.transfer == other_request).values(entry=frozen.entry, leaf=frozen.leaf)
        )
    assert await post.run() == 3
    assert [seen.header("lgsp-transfer") for seen in post.provider.seen] == [transfer] and not elsewhere.seen
    assert post.row(transfer)["state"] == "answered"
    assert {post.row(each)["failure"] for each in (sent_on, other_request)} == {"transfer.tampered"}
