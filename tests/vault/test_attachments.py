"""Large contents of a transfer: kept once in pieces, put back where they were, and gone if there is no transfer."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Engine, delete, select, update

from contracts.base.errors import Ours
from contracts.base.ids import new_id
from contracts.wire.attachments import Spool
from contracts.wire.lifting import lift_json
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.pieces import Files, check_pieces
from gateway.journal.database import lock_of
from gateway.journal.schema import tables
from gateway.keeper.tasks.loose_contents import PATIENCE, LooseContents
from gateway.transfer import lease as leases
from gateway.vault import attachments
from gateway.vault.vault import Vault
from tests.contracts.wire.test_attachments import BIG
from tests.vault.test_vault import NOW, store

PIECE = 50_000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "PIECE", PIECE)


def kept(engine: Engine, vault: Vault, transfer: str) -> tuple[bytes, bytes]:
    """(the message as it was, what is left of it) with its contents in the vault."""
    whole = json.dumps({"a": base64.b64encode(BIG).decode(), "b": base64.b64encode(BIG[::-1]).decode()}).encode()
    spool = Spool(io.BytesIO())
    rest = lift_json(io.BytesIO(whole), spool, 10_000)
    store(engine, *attachments.sealed(vault, transfer, attachments.pieces(spool), NOW, "m24"))
    store(engine, vault.seal(transfer, attachments.PART, attachments.listed(spool), NOW))
    store(engine, vault.seal(transfer, "canonical", rest, NOW))
    return whole, rest


def test_put_back_where_they_were(database: Engine, tmp_path: Path) -> None:
    vault = Vault(tmp_path / "keys")
    whole, rest = kept(database, vault, "t-1")
    opener = attachments.opener(database, vault)
    assert b"".join(attachments.restored(opener, "t-1", rest)) == whole
    assert b"".join(attachments.restored(opener, "t-2", rest)) == rest  # another transfer's
    spool = attachments.stored(opener, "t-1")
    assert spool is not None
    for each in spool.attachments:
        assert hashlib.sha256(b"".join(spool.contents(each))).digest() == each.sha256
    with database.connect() as connection:
        meta = attachments.meta(vault, connection, "t-1/canonical")
        assert meta is not None and meta.size == len(whole)
        for start, stop in ((0, None), (1, 7), (50_000, 150_001), (len(whole) - 3, None), (5, 5)):
            assert b"".join(attachments.view(vault, connection, meta, start, stop)) == whole[start:stop]


def _gone(engine: Engine, piece: str, other: str) -> None:
    with engine.begin() as connection:
        connection.execute(delete(tables.vault).where(tables.vault.c.id == piece))


def _swapped(engine: Engine, piece: str, other: str) -> None:
    with engine.begin() as connection:
        sealed = connection.scalar(select(tables.vault.c.sealed).where(tables.vault.c.id == other))
        connection.execute(update(tables.vault).where(tables.vault.c.id == piece).values(sealed=sealed))


@pytest.mark.parametrize("change", [_gone, _swapped])
def test_a_piece_that_is_not_there_or_anothers(database: Engine, tmp_path: Path, change: Any) -> None:
    vault = Vault(tmp_path / "keys")
    _, rest = kept(database, vault, "t-1")
    change(database, "t-1/attachments.1", "t-1/attachments.0")
    with pytest.raises(Ours) as caught:
        b"".join(attachments.restored(attachments.opener(database, vault), "t-1", rest))
    assert caught.value.code in ("vault.not-found", "vault.broken")


def _cut(engine: Engine, piece: str, other: str) -> None:
    with engine.begin() as connection:
        sealed = connection.scalar(select(tables.vault.c.sealed).where(tables.vault.c.id == piece))
        change = update(tables.vault).where(tables.vault.c.id == piece)
        connection.execute(change.values(sealed=bytes(sealed or b"")[:-100]))


def _nothing(engine: Engine, piece: str, other: str) -> None:
    pass


@pytest.mark.attack("log: rows")
@pytest.mark.parametrize(
    ("change", "open_all", "found"),
    [
        (_nothing, False, ""),
        (_nothing, True, ""),
        (_gone, False, "its piece t-1/attachments.1 is gone"),
        (_cut, False, "its piece t-1/attachments.1 has"),
        (_swapped, True, "its piece t-1/attachments.1 does not open"),
    ],
)
def test_verification_finds_what_happened_to_a_piece(
    database: Engine, tmp_path: Path, change: Any, open_all: bool, found: str
) -> None:
    vault = Vault(tmp_path / "keys")
    kept(database, vault, "t-1")
    change(database, "t-1/attachments.1", "t-1/attachments.0")
    wrong = Findings()
    with database.connect() as connection:
        check_pieces(connection, wrong, Files(vault, open_all))
    assert len(wrong.wrong) == bool(found) and found in "".join(wrong.wrong), wrong.wrong
    assert wrong.checked == {"pieces of large files": -(-2 * len(BIG) // PIECE)}


def test_what_a_dead_process_left_is_removed_later(
    database: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "check", lambda connection, lease: None)
    vault, old, new = Vault(tmp_path / "keys"), new_id(int(NOW * 1000)), new_id(int((NOW + 1000) * 1000))
    for transfer in (old, new):
        spool = Spool(io.BytesIO())
        spool.add([b"x" * 120_000])
        store(database, *attachments.sealed(vault, transfer, attachments.pieces(spool), NOW, "m24"))
    clock = [NOW + PATIENCE + 500]
    job = LooseContents(database, cast(Any, lock_of(database)), lambda: clock[0])

    def left() -> set[str]:
        with database.connect() as connection:
            return {each.partition("/")[0] for each in connection.scalars(select(tables.vault.c.id))}

    job._remove(cast(Any, None))
    assert left() == {new}
    clock[0] += 1000
    job._remove(cast(Any, None))
    assert left() == set()
