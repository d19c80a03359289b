"""What is not in the log is not told: a process that the keeper took for dead neither refuses nor repeats as if nothing
had been."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select, update

from contracts.base.errors import Ours
from gateway.exchange.errors import MESSAGE_REPLAYED
from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of, migrate, open_engine, writing
from gateway.journal.schema import tables
from gateway.journal.writer import Journal
from gateway.registry.registry import Registry
from gateway.registry.snapshot import Snapshot
from gateway.transfer import entries
from gateway.transfer.stages import Face, Received
from gateway.vault.salting import pack, unpack
from gateway.vault.vault import Vault


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    engine = open_engine(f"sqlite:///{tmp_path / 'lgsp.db'}")
    migrate(engine)
    made = Journal(engine, lock_of(engine), "door-1")
    made.start()
    yield made
    made.stop()
    engine.dispose()


def exchange_over(journal: Journal, tmp_path: Path) -> Exchange:
    """With all that a refusal needs; nothing is forwarded here."""
    engine = journal._engine
    return Exchange(
        journal, Vault(tmp_path / "keys"), cast(Any, None), engine, "door-1", str, lambda: 1_800_000_000.0, 1.0
    )


def received(snapshot: Snapshot) -> Received:
    return Received(
        "t-1", 1_800_000_000.0, Face.REST, "GET", "/x", "https://localhost/x", "", {}, b"", None, "127.0.0.1", snapshot
    )


def declare_dead(journal: Journal) -> None:
    with writing(journal._engine) as connection:
        connection.execute(update(tables.process).where(tables.process.c.id == "door-1").values(state="dead"))


def logged(journal: Journal) -> list[str]:
    with journal._engine.connect() as connection:
        return list(connection.scalars(select(tables.log_pending.c.phase)))


def test_a_refusal_is_logged_and_then_told(journal: Journal, tmp_path: Path) -> None:
    exchange, snapshot = exchange_over(journal, tmp_path), Registry(journal._engine).snapshot
    told = asyncio.run(exchange.refusals.refuse(received(snapshot), MESSAGE_REPLAYED()))
    assert told.failure.code == "message.replayed" and told.receipt.refusal is not None
    assert logged(journal) == ["refusal"]


def test_a_process_declared_dead_does_not_hand_out_a_receipt_of_what_it_could_not_log(
    journal: Journal, tmp_path: Path
) -> None:
    exchange, snapshot = exchange_over(journal, tmp_path), Registry(journal._engine).snapshot
    declare_dead(journal)
    told = asyncio.run(exchange.refusals.refuse(received(snapshot), MESSAGE_REPLAYED()))
    assert told.failure.code == "journal.fenced" and told.receipt.refusal is None
    assert logged(journal) == []


def test_what_a_dead_process_would_tell_of_a_repeat_is_not_told(journal: Journal, tmp_path: Path) -> None:
    exchange = exchange_over(journal, tmp_path)
    declare_dead(journal)
    with pytest.raises(Ours) as fault:
        asyncio.run(exchange.refusals.log(entries.note("repeat", {}, 1_800_000_000.0)))
    assert fault.value.code == "journal.fenced" and logged(journal) == []


def test_evidence_keeps_its_salt() -> None:
    assert unpack(pack(b"s" * 16, b"\r\nbody\r\n")) == (b"s" * 16, b"\r\nbody\r\n")
    with pytest.raises(ValueError, match="without its salt"):
        unpack(b"body")
