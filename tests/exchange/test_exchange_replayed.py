"""A replay key that is gone, as an insider may delete it: the signed message comes in again, and makes no second
transfer."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, select, update

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import ReplayKey
from gateway.transfer.stages import Answered, Refused
from tests.exchange import house
from tests.registry.making import NOW

CONTRACT, OPERATION = "incident-alert/v1", "submitAlert"


@pytest.mark.attack("a signed message again, after its replay key was deleted")
@pytest.mark.parametrize("change", ["deleted", "altered", "not"])
def test_a_message_whose_replay_key_is_gone(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """One signature gives one key, whenever it comes."""
    monkeypatch.setattr(house, "ReplayKey", lambda _key, until: ReplayKey(b"k" * 32, until))
    with house.house(database, tmp_path) as gateway:
        first = gateway.call("full", CONTRACT, OPERATION, "m-1")
        assert isinstance(first, Answered) and first.failure is None
        table = tables.replay
        with writing(database) as connection:
            if change == "deleted":
                connection.execute(delete(table))
            elif change == "altered":
                connection.execute(update(table).values(key=b"o" * 32, expires=NOW))
        again = gateway.call("full", CONTRACT, OPERATION, "m-1")
        with database.connect() as connection:
            count = connection.scalar(select(func.count()).select_from(tables.transfer))
        assert count == 1, "each message appears once"
        if change == "not":
            assert isinstance(again, Refused) and again.failure.code == "message.replayed"
        else:
            assert isinstance(again, Answered) and again.receipt == first.receipt and again.answer == first.answer
            assert len(gateway.entries(again.requested.received.transfer)) == 1, "it stands in the log as a repeat"
