"""`Prefer: respond-async`: a receipt once the intent is committed, one transfer for all repeats, its answer later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from contracts.wire.headers import prefers
from gateway.exchange import exchange as exchanges
from gateway.exchange.queueing import Backlog
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.transfer.stages import Answered, Authenticated, Refused, Requested
from tests.exchange import house as houses
from tests.exchange.house import Call, Gateway, PlainDoor, house, operation_of

QUERY, DISPATCH, SUBMIT = "indicator/v1", "field-report/v1", "incident-alert/v1"


class LaterDoor(PlainDoor):
    """A door whose callers ask for a receipt."""

    def request(self, authenticated: Authenticated) -> Requested:
        return super().request(authenticated)._replace(respond_async=True)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(houses, "PlainDoor", LaterDoor)


def row_of(engine: Engine, transfer: str) -> dict[str, object]:
    with engine.connect() as connection:
        found = connection.execute(
            select(tables.transfer, tables.queue.c.state.label("place"), tables.queue.c.callback)
            .join(tables.queue, tables.queue.c.transfer == tables.transfer.c.id)
            .where(tables.transfer.c.id == transfer)
        )
        return dict(found.mappings().one())


def carried(gateway: Gateway, contract: str, operation: str, evidence: str = "full") -> Answered:
    ended = asyncio.run(gateway.carry(Call(contract, operation), evidence))  # type: ignore[arg-type]
    assert isinstance(ended, Answered), ended
    return ended


@pytest.mark.parametrize("contract", [QUERY, DISPATCH])
def test_the_intent_is_on_disk_before_the_receipt_and_nothing_was_sent(
    database: Engine, tmp_path: Path, later: None, contract: str
) -> None:
    pattern = "query" if contract == QUERY else "dispatch"
    with house(database, tmp_path) as gateway:
        ended = carried(gateway, contract, operation_of(contract, pattern))
        transfer = ended.receipt.transfer
        assert ended.queued and ended.receipt.intent is not None and ended.receipt.outcome is None
        row = row_of(database, transfer)
        assert (row["state"], row["place"], row["pattern"], row["callback"]) == ("queued", "waiting", pattern, None)
        assert {"request", "canonical"} <= gateway.classes(transfer).keys()
        assert set(gateway.entries(transfer)) == {"intent"}
        again = carried(gateway, contract, operation_of(contract, pattern))
        assert again.queued and again.receipt == ended.receipt
        with writing(database) as connection:  # the keeper has it in hand
            connection.execute(update(tables.transfer).values(state="forwarding", process="keeper-1"))
        under_way = carried(gateway, contract, operation_of(contract, pattern))
        assert under_way.queued and under_way.receipt.transfer == transfer


def test_what_ends_here_is_answered_at_once(database: Engine, tmp_path: Path, later: None) -> None:
    """A submission calls nobody. A contract that keeps no bodies could not give the answer later."""
    with house(database, tmp_path) as gateway:
        assert carried(gateway, SUBMIT, operation_of(SUBMIT, "submit")).answer is not None
        assert carried(gateway, QUERY, operation_of(QUERY, "query"), "none").answer is not None


def test_a_full_queue_is_told_and_does_not_grow(database: Engine, tmp_path: Path, later: None) -> None:
    contract, operation = DISPATCH, operation_of(DISPATCH, "dispatch")

    async def many(gateway: Gateway, most: int) -> list[Answered | Refused]:
        backlog = Backlog(database, lambda: gateway.now, most)
        ends = []
        for number in range(8):
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(exchanges, "Backlog", lambda *_: backlog)
                ends.append(await gateway.carry(Call(contract, operation, f"m-{number}")))
            gateway.now += 3.0  # longer than a count is kept
        return ends

    with house(database, tmp_path) as gateway:
        ends = asyncio.run(many(gateway, 5))
        assert [isinstance(each, Answered) and each.queued for each in ends] == [True] * 5 + [False] * 3
        for refused in ends[5:]:
            assert isinstance(refused, Refused)
            assert (refused.failure.code, refused.failure.status) == ("queue.full", 503)
            assert refused.failure.retry_after == 30 and refused.receipt.refusal is not None
        with database.connect() as connection:
            assert connection.scalar(select(func.count()).select_from(tables.queue)) == 5
        other = asyncio.run(gateway.carry(Call(SUBMIT, operation_of(SUBMIT, "submit"))))
        assert isinstance(other, Answered) and other.answer is not None  # what waits for nobody goes on


@pytest.mark.parametrize(
    ("header", "asked"),
    [
        ("respond-async", True),
        ("wait=10, Respond-Async", True),
        ("respond-async; foo=1, return=minimal", True),
        ("respond-asynchronously", False),
        ("x-respond-async", False),
        ("", False),
        (", ".join(["wait=1"] * 2000), False),
    ],
)
def test_the_preference_is_read_as_the_standard_says(header: str, asked: bool) -> None:
    assert prefers({"prefer": header}, "respond-async") is asked
