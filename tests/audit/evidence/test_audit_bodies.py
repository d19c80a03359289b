"""Nobody reads a body without a reason, and none is read before the log says so; a large one is read in pieces."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select, update

from contracts.base.errors import Failure, Ours
from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from gateway.audit.evidence.reading import Reading, View, view_body
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.vault.vault import Vault
from security.errors import SEAL_BROKEN
from security.seal import CHUNK, Record, seal, unseal_pieces

NOW = 1_795_500_000.0
REASON = "công văn 12/CV-CA"
KEY, CONTEXT = bytes(range(32)), b"t/p"


def put(engine: Engine, vault: Vault, body: bytes, part: str = "request") -> str:
    id = new_id(int(NOW * 1000))
    with writing(engine) as connection:
        connection.execute(insert(tables.vault).values(**vault.seal(id, part, body, NOW)._asdict()))
    return id


def view(
    engine: Engine, vault: Vault, transfer: str, part: str = "request", reason: str = REASON, **more: Any
) -> AbstractContextManager[View]:
    ready = more.pop("ready", lambda meta: None)
    reading = Reading(transfer=transfer, part=part, reason=reason, actor="lan, command line", now=NOW, **more)
    return view_body(engine, vault, reading, ready)


def logged(engine: Engine) -> list[tuple[str, str, dict[str, Any]]]:
    table = tables.log_pending.c
    with engine.connect() as connection:
        return [
            (row[0], row[1], json.loads(row[2]))
            for row in connection.execute(select(table.transfer, table.phase, table.entry))
        ]


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 20 * CHUNK + 7])
def test_a_body_comes_whole_and_its_note_before_it(database: Engine, tmp_path: Path, size: int) -> None:
    vault, body = Vault(tmp_path / "keys"), bytes(index % 251 for index in range(size))
    transfer = put(database, vault, body)
    with view(database, Vault(tmp_path / "keys"), transfer) as found:
        ((about, phase, note),) = logged(database)  # nothing was given out yet
        assert (about, note["kind"], note["what"], note["actor"]) == (
            transfer,
            "note",
            "body-view",
            "lan, command line",
        )
        assert (
            note["facts"] == {"part": "request", "reason": REASON, "size": size, "key": "2026-11-24.m24"}
            and phase == found.note
        )
        assert b"".join(found.pieces) == body and found.size == size


def test_each_reading_is_a_note_of_its_own_about_the_transfer(database: Engine, tmp_path: Path) -> None:
    vault = Vault(tmp_path / "keys")
    transfer = put(database, vault, bytes(200_000))
    for start, stop in ((0, None), (5, 70_000), (199_999, 400_000)):
        with view(database, vault, transfer, start=start, stop=stop) as found:
            assert sum(map(len, found.pieces)) == found.stop - found.start == min(stop or 200_000, 200_000) - start
    rows = logged(database)
    assert {row[0] for row in rows} == {transfer} and len({row[1] for row in rows}) == 3
    assert [row[2]["facts"].get("range") for row in rows] == [None, "5-70000", "199999-200000"]


@pytest.mark.parametrize("reason", ["", "vì cần", " " * 40, "123456789 "])
def test_without_a_reason_nothing_is_read_and_nothing_logged(sqlite: Engine, tmp_path: Path, reason: str) -> None:
    vault = Vault(tmp_path / "keys")
    transfer = put(sqlite, vault, b"body")
    with pytest.raises(Failure) as caught, view(sqlite, vault, transfer, reason=reason):
        raise AssertionError("it was read")
    assert caught.value.code == "vault.no-reason" and logged(sqlite) == []


def test_what_cannot_be_read_is_told_and_not_logged(sqlite: Engine, tmp_path: Path) -> None:
    vault = Vault(tmp_path / "keys")
    transfer = put(sqlite, vault, b"body", "answer")
    with pytest.raises(Failure) as caught, view(sqlite, vault, transfer):
        raise AssertionError("it was read")
    assert caught.value.code == "vault.no-part" and caught.value.facts["parts"] == "answer"
    vault.destroy("2026-11-24.m24", NOW)
    with pytest.raises(Failure) as caught, view(sqlite, vault, transfer, "answer"):
        raise AssertionError("it was read")
    assert caught.value.code == "vault.expired" and caught.value.facts["date"] == rfc3339(NOW)
    assert logged(sqlite) == []


def test_if_the_note_cannot_be_written_nothing_is_read(
    sqlite: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = Vault(tmp_path / "keys")
    transfer = put(sqlite, vault, b"body")
    monkeypatch.setattr(Vault, "pieces", lambda *given, **named: pytest.fail("it was read"))
    with sqlite.begin() as connection:
        connection.exec_driver_sql("DROP TABLE log_pending")
    with pytest.raises(Exception, match="log_pending"), view(sqlite, vault, transfer):
        pass


def test_a_body_that_was_changed_is_told_at_the_piece_that_was(database: Engine, tmp_path: Path) -> None:
    vault, body = Vault(tmp_path / "keys"), bytes(40 * CHUNK)
    transfer = put(database, vault, body)
    with writing(database) as connection:
        sealed = bytearray(connection.scalar(select(tables.vault.c.sealed)) or b"")
        sealed[-10 * CHUNK] ^= 1
        connection.execute(update(tables.vault).values(sealed=bytes(sealed)))
    with view(database, vault, transfer) as found, pytest.raises(Ours) as caught:
        got = 0
        for piece in found.pieces:
            got += len(piece)
    assert caught.value.code == "vault.broken" and 0 < got < len(body) // 2


def test_a_large_body_needs_the_memory_of_a_piece(database: Engine, tmp_path: Path) -> None:
    """48 MiB, in less than a tenth of that (the drivers' own buffers are not Python's, and are not counted)."""
    vault, size = Vault(tmp_path / "keys"), 48 << 20
    transfer = put(database, vault, bytes(size))
    with view(database, vault, transfer) as found:
        tracemalloc.start()
        try:
            assert sum(map(len, found.pieces)) == size
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < size // 8


@given(st.integers(0, 5 * 65536), st.integers(0, 6 * 65536), st.integers(0, 6 * 65536), st.integers(1, 4))
def test_pieces_are_what_the_whole_has_there(size: int, start: int, length: int, chunks: int) -> None:
    plain = (bytes(range(253)) * (size // 253 + 1))[:size]
    sealed = seal(KEY, CONTEXT, plain)

    def read(at: int, count: int) -> bytes:
        assert count <= chunks * (CHUNK + 16)
        return sealed[at : at + count]

    found = unseal_pieces(KEY, CONTEXT, Record(len(sealed), read), start, start + length, chunks=chunks)
    assert b"".join(found) == plain[start : start + length]


@given(st.integers(1, 3 * CHUNK), st.data())
def test_a_record_that_was_cut_or_lengthened_gives_no_pieces(size: int, data: st.DataObject) -> None:
    sealed = seal(KEY, CONTEXT, bytes(size))
    cut = (
        data.draw(st.integers(0, len(sealed) - 1))
        if data.draw(st.booleans())
        else len(sealed) + data.draw(st.integers(1, 100))
    )
    other = (sealed + bytes(100))[:cut]
    with pytest.raises(Ours):
        got = b"".join(
            unseal_pieces(KEY, CONTEXT, Record(len(other), lambda at, count: other[at : at + count]), 0, 1 << 30)
        )
        assert len(got) < size, "all of it came, although it is another record"
        raise SEAL_BROKEN(where="only a part came")
