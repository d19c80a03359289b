"""Files beside documents in both databases: what waits is counted, what nobody names is removed, pieces are found."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, insert, select

from contracts.base.errors import Policy
from contracts.base.ids import new_id
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.pieces import Files, check_pieces
from gateway.journal.append import append
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.tasks.loose_bodies import LooseBodies
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.vault import opaque_bodies as bodies
from gateway.vault.attachments import PIECE
from gateway.vault.vault import Vault
from tests.vault.test_vault import NOW, store


def kept(engine: Engine, vault: Vault, at: float, whole: bool = True) -> str:
    body, size = new_id(int(at * 1000)), PIECE + 3
    with writing(engine) as connection:
        bodies.reserve(connection, body, "H14.2", size, bodies.first_waiting(at, 24.0), 3 * size)
        note = entries.note(bodies.RECEIVED, {"size": size}, at, about=body)
        if whole:
            append(connection, [note])
    for number, data in enumerate((b"x" * PIECE, b"end")):
        store(engine, bodies.sealed_piece(vault, body, number, data, at, "m24"))
    described = bodies.Described("H14.2", "a", "c/v1", "o", "text/plain", size, "00" * 32, "00")
    if whole:
        store(engine, bodies.sealed_description(vault, body, described, note.leaf, at, "m24"))
    return body


def test_waiting_and_removal(database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "check", lambda connection, lease: None)
    vault = Vault(tmp_path / "keys")
    used, unused, broken = (kept(database, vault, NOW, whole) for whole in (True, True, False))
    with pytest.raises(Policy) as full:
        kept(database, vault, NOW)
    assert full.value.code == "body.waiting" and full.value.retry_after
    with writing(database) as connection:
        connection.execute(insert(tables.opaque_use).values(body=used, transfer="t-1"))
    late = kept(database, vault, NOW + 1000)  # one does not wait any more
    clock = [NOW + bodies.GRACE + 1]
    job = LooseBodies(database, cast(Any, lock_of(database)), lambda: clock[0], 24.0)

    def left() -> set[str]:
        assert asyncio.run(job.run_once(cast(Any, None))) in (0, 1)
        with database.connect() as connection:
            rows = set(connection.scalars(select(tables.opaque_body.c.id)))
            assert rows == {each.partition("/")[0] for each in connection.scalars(select(tables.vault.c.id))}
        return rows

    assert left() == {used, unused, late}
    clock[0] += 24 * 3600
    assert left() == {used, late}
    wrong = Findings()
    with database.connect() as connection:
        check_pieces(connection, wrong, Files(vault, True))
    assert wrong.checked == {"pieces of large files": 4}
    assert wrong.wrong == [f"file {each}: what is sealed has another digest" for each in (used, late)]
    assert broken not in left()
