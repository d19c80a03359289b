"""What a witness said is noted in the log once, also where the transaction that notes it gets no answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, delete
from sqlalchemy.exc import OperationalError

from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.witnessing import coverage
from tests.audit.witnessing.asking import Asking, honest
from tests.audit.witnessing.test_audit_witness import grow

LOST = OperationalError("COMMIT", {}, Exception("no answer"))


@pytest.mark.parametrize("stands", [True, False])
async def test_an_objection_is_noted_once_although_the_database_gave_no_answer(
    file_log: Any, monkeypatch: pytest.MonkeyPatch, stands: bool
) -> None:
    log = file_log

    @contextmanager
    def lost(*given: Any) -> Iterator[Connection]:
        with writing(*given) as connection:
            yield connection
            if not stands:
                raise LOST
        raise LOST

    grow(log, 4)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey) as a, open_session() as session:
        asking = Asking(log, session, [a.witness])
        await asking.ask()
        for table in (tables.log_entry, tables.log_tile, tables.checkpoint, tables.cosigned, tables.witness_status):
            with writing(log.engine) as connection:
                connection.execute(delete(table))
        log.file.path.unlink()
        asking.file.unlink()
        grow(log, 2)
        asking.begin()
        monkeypatch.setattr(coverage, "writing", lost)
        with pytest.raises(OperationalError):
            await asking.ask()
        assert len(asking.noted()) == stands
        monkeypatch.setattr(coverage, "writing", writing)
        for _ in range(2):
            await asking.ask()
            assert len(asking.noted()) == 1 and "witness-objection" in asking.noted()[0]
