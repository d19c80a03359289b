"""A caller gets the provider's answer although the database was away when its outcome was to be written."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, text

from adapters.model import Incoming
from contracts.base.errors import Failure
from gateway.exchange import exchange
from gateway.journal import outcomes as written_again
from gateway.journal.errors import JOURNAL_UNAVAILABLE
from gateway.journal.write import Write, Written
from gateway.journal.writer import Journal
from gateway.transfer.stages import Answered
from tests.exchange.house import Call, Gateway, Provider, house, operation_of, sample

QUERY, DISPATCH = "indicator/v1", "field-report/v1"


class Away:
    """A journal that cannot be written for the next `times` attempts, once the provider was called."""

    def __init__(self, journal: Journal, times: float) -> None:
        self.journal, self.times, self.attempts, self.called = journal, times, 0, False

    async def commit(self, write: Write) -> Written:
        if self.called:
            self.attempts += 1
            if self.attempts <= self.times:
                raise JOURNAL_UNAVAILABLE(reason="cut")
        return await self.journal.commit(write)

    @property
    def fenced(self) -> bool:
        return self.journal.fenced


class Called(Provider):
    """Counts its calls, and does something while it is called."""

    calls = 0

    def __init__(self, answer: dict[str, Any], meanwhile: Any, failure: Failure | None = None) -> None:
        super().__init__(answer, failure=failure)
        self.meanwhile = meanwhile

    async def forward(self, *given: Any, **named: Any) -> Incoming:
        self.calls += 1
        await asyncio.to_thread(self.meanwhile)
        return await super().forward(*given, **named)


def provider(gateway: Gateway, contract: str, operation: str, meanwhile: Any) -> Called:
    compiled = gateway.snapshot.contracts[contract]
    return Called(sample(compiled, compiled.contract.operations[operation].answer), meanwhile)


def state(gateway: Gateway) -> list[tuple[str, int | None]]:
    with gateway.engine.connect() as connection:
        return [(row.state, row.status) for row in connection.execute(text("SELECT state, status FROM transfer"))]


def away(gateway: Gateway, contract: str, times: float) -> tuple[Away, Called]:
    """The journal is away for `times` attempts after the call."""
    stub = Away(gateway.journal, times)
    called = provider(
        gateway, contract, operation_of(contract, PATTERN[contract]), lambda: setattr(stub, "called", True)
    )
    gateway.journal, gateway.forwarder = cast(Any, stub), called
    return stub, called


PATTERN = {QUERY: "query", DISPATCH: "dispatch"}


@pytest.mark.parametrize("contract", [QUERY, DISPATCH])
def test_the_outcome_is_written_again_and_the_caller_gets_the_answer(
    database: Engine, tmp_path: Path, contract: str
) -> None:
    with house(database, tmp_path) as gateway:
        stub, called = away(gateway, contract, 3)
        answer = gateway.call("full", contract, operation_of(contract, PATTERN[contract]))
        assert isinstance(answer, Answered) and answer.answer is not None, answer
        assert called.calls == 1 and stub.attempts == 4
        assert state(gateway) == [("answered", 200)]
        assert set(gateway.entries(answer.receipt.transfer)) == {"intent", "outcome"}


def test_connections_that_are_cut_during_the_call_cost_no_answer(database: Engine, tmp_path: Path) -> None:
    if database.dialect.name == "sqlite":
        pytest.skip("there is no connection to lose")

    def cut() -> None:
        with database.connect() as connection:
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.execute(text(ends + " AND pid <> pg_backend_pid()"))

    operation = operation_of(QUERY, "query")
    with house(database, tmp_path) as gateway:
        called = gateway.forwarder = provider(gateway, QUERY, operation, cut)
        answer = gateway.call("full", QUERY, operation)
        assert isinstance(answer, Answered) and answer.answer is not None, answer
        assert called.calls == 1 and state(gateway) == [("answered", 200)]


def test_a_caller_is_not_told_that_nothing_was_forwarded(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database stays away: the caller hears that the provider was called, and the outcome is written later."""
    monkeypatch.setattr(exchange, "patience_of", lambda _engine: 0.3)
    operation = operation_of(QUERY, "query")
    with house(database, tmp_path) as gateway:
        stub, called = away(gateway, QUERY, float("inf"))

        async def told_and_then() -> None:
            answer = await gateway.carry(Call(QUERY, operation), "full")
            assert isinstance(answer, Answered) and answer.failure is not None
            assert answer.failure.code == "transfer.outcome-unwritten" and answer.failure.retry_after
            assert answer.receipt.intent is not None and answer.receipt.outcome is None
            assert state(gateway) == [("forwarding", None)]
            stub.times = 0
            for _ in range(600):
                if state(gateway) == [("answered", 200)]:
                    return
                await asyncio.sleep(0.1)
            raise AssertionError("the outcome was never written")

        asyncio.run(told_and_then())
        assert called.calls == 1


def test_a_transfer_that_recovery_has_closed_is_not_ended_again(database: Engine, tmp_path: Path) -> None:
    """The guard of the unit decides, however often it is written."""
    operation = operation_of(QUERY, "query")
    with house(database, tmp_path) as gateway:
        stub, _ = away(gateway, QUERY, 2)

        def closed() -> None:
            stub.called = True
            with database.begin() as connection:
                connection.execute(text("UPDATE transfer SET state = 'in-doubt', failure = 'x'"))

        gateway.forwarder = provider(gateway, QUERY, operation, closed)
        ended = gateway.call("full", QUERY, operation)
        assert not isinstance(ended, Answered) and ended.failure.code == "journal.fenced"
        assert state(gateway) == [("in-doubt", None)]
        assert "outcome" not in gateway.entries(ended.receipt.transfer)


def test_what_no_repetition_mends_is_told_at_once(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written_again, "SECONDS", 0.0)
    with house(database, tmp_path) as gateway:
        stub, _ = away(gateway, QUERY, float("inf"))
        answer = gateway.call("full", QUERY, operation_of(QUERY, "query"))
        assert isinstance(answer, Answered) and answer.failure is not None
        assert answer.failure.code == "transfer.outcome-unwritten" and stub.attempts == 1
