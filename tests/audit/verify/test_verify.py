"""Every way to change a log is found, and the entry is named; proofs lead to the checkpoint."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update

from contracts.base.errors import Theirs
from gateway.audit.log.proofs import consistency, inclusions
from gateway.audit.log.tiles import read_path
from gateway.journal.database import writing
from gateway.journal.schema import tables
from security.transparency.checkpoint import LogProof, NoteKey
from security.transparency.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from security.transparency.tiles import entries_path, parse_bundle, tile_path, tiles_of
from tests.journal.databases import log_row

ENTRY = tables.log_entry
SIZE = 530


@pytest.fixture
def filled(log: Any) -> Any:
    log.sequencer().run_once(log.lease)
    log.pend(*[f"t{at}" for at in range(300)])
    log.sequencer().run_once(log.lease)
    log.clock[0] += 100
    log.pend(*[f"t{at}" for at in range(300, SIZE)])
    log.sequencer().run_once(log.lease)
    return log


def change(log: Any, *statements: Any) -> Any:
    with writing(log.engine) as connection:
        for statement in statements:
            connection.execute(statement)
    report = log.verify()
    assert not report.ok
    return report


def at(idx: int) -> Any:
    return update(ENTRY).where(ENTRY.c.idx == idx)


def test_a_whole_log_is_whole(filled: Any) -> None:
    seen: list[int] = []
    report = filled.verify(on_progress=seen.append, kept=filled.file.read())
    assert report.ok and report.first_wrong is None and report.size == SIZE
    assert report.checked == {"entries": SIZE, "tiles": 4, "checkpoints": 2, "checkpoints from outside": 2}
    assert seen[-1] == SIZE


def test_one_byte_of_an_entry(filled: Any) -> None:
    entry = bytearray(log_row("t123", "intent").entry)
    entry[-3] ^= 1
    report = change(filled, at(123).values(entry=bytes(entry)))
    assert report.first_wrong == "entry 123 (transfer t123, intent): its bytes are not those that were logged"


def test_one_byte_of_a_leaf(filled: Any) -> None:
    assert "entry 7 (transfer t7, intent): its stored leaf hash" in str(
        change(filled, at(7).values(leaf=b"\x01" * 32)).first_wrong
    )


@pytest.mark.parametrize("with_leaf", [True, False])
def test_entry_and_leaf_changed_together(filled: Any, with_leaf: bool) -> None:
    forged = log_row("t500", "intent", b"forged")
    values = {"entry": forged.entry, "leaf": forged.leaf} if with_leaf else {"entry": forged.entry}
    assert str(change(filled, at(500).values(**values)).first_wrong).startswith("entry 500 (transfer t500, intent)")


def test_one_byte_of_a_tile(filled: Any) -> None:
    with filled.engine.connect() as connection:
        hashes = bytearray(read_path(connection, tile_path(0, 1)))
    hashes[32 * 10] ^= 1
    table = tables.log_tile
    report = change(filled, update(table).where(table.c.level == 0, table.c.number == 1).values(hashes=bytes(hashes)))
    assert report.first_wrong == "entry 266 (transfer t266, intent): the tile holds another hash than its bytes give"


def test_a_tile_of_a_higher_level(filled: Any) -> None:
    table = tables.log_tile
    report = change(filled, update(table).where(table.c.level == 1).values(hashes=b"\x09" * 64))
    assert "tile/1/000.p/2 (entries 0 to 511)" in str(report.first_wrong)


def test_everything_rewritten_consistently_is_told_by_the_checkpoint(filled: Any) -> None:
    """Entry, leaf and tiles all agree; only what was signed does not."""
    forged = log_row("t0", "intent", b"forged")
    with filled.engine.connect() as connection:
        first = forged.leaf + read_path(connection, tile_path(0, 0))[32:]
        upper = (
            root_of([first[i : i + 32] for i in range(0, len(first), 32)])
            + read_path(connection, tile_path(1, 0, 2))[32:]
        )
    table = tables.log_tile
    report = change(
        filled,
        at(0).values(entry=forged.entry, leaf=forged.leaf),
        update(table).where(table.c.level == 0, table.c.number == 0).values(hashes=first),
        update(table).where(table.c.level == 1).values(hashes=upper),
    )
    assert "its root is not that of the first 300 entries" in str(report.first_wrong)


@pytest.mark.parametrize("idx", [0, 255, 256, 528])
def test_a_deleted_entry(filled: Any, idx: int) -> None:
    assert str(change(filled, delete(ENTRY).where(ENTRY.c.idx == idx)).first_wrong).startswith(f"entry {idx}: missing")


def test_a_deleted_entry_with_the_rest_moved_up(filled: Any) -> None:
    with writing(filled.engine) as connection:
        connection.execute(delete(ENTRY).where(ENTRY.c.idx == 100))
        for idx in range(101, SIZE):
            connection.execute(at(idx).values(idx=idx - 1))
    assert str(filled.verify().first_wrong).startswith("entry 100 (transfer t101, intent)")


def test_an_inserted_entry(filled: Any) -> None:
    with writing(filled.engine) as connection:
        for idx in reversed(range(200, SIZE)):
            connection.execute(at(idx).values(idx=idx + 1))
        row = log_row("new", "intent")
        connection.execute(
            insert(ENTRY).values(idx=200, transfer="new", phase="intent", entry=row.entry, leaf=row.leaf, sequenced=0.0)
        )
    assert str(filled.verify().first_wrong).startswith("entry 200 (transfer new, intent)")


def test_two_entries_in_each_others_place(filled: Any) -> None:
    report = change(
        filled, at(10).values(idx=-1), at(20).values(idx=10), update(ENTRY).where(ENTRY.c.idx == -1).values(idx=20)
    )
    assert str(report.first_wrong).startswith("entry 10 (transfer t20, intent)")


def test_a_truncated_log(filled: Any) -> None:
    report = change(filled, delete(ENTRY).where(ENTRY.c.idx >= 500))
    assert "530 entries; the database holds 500" in str(report.wrong)


def test_rolled_back_to_an_earlier_checkpoint(filled: Any) -> None:
    with filled.engine.connect() as connection:
        tile = read_path(connection, tile_path(0, 1))[: 44 * 32]
        upper = read_path(connection, tile_path(1, 0, 1))
    tile_table = tables.log_tile
    report = change(
        filled,
        delete(ENTRY).where(ENTRY.c.idx >= 300),
        delete(tables.checkpoint).where(tables.checkpoint.c.size > 300),
        delete(tile_table).where(tile_table.c.number == 2),
        update(tile_table).where(tile_table.c.level == 0, tile_table.c.number == 1).values(hashes=tile),
        update(tile_table).where(tile_table.c.level == 1).values(hashes=upper),
    )
    assert report.wrong == (
        "the checkpoint beside the database signs 530 entries; the database holds 300 that follow one another",
    )
    assert filled.verify(newest=None).ok  # only what stands outside can tell


def test_an_added_entry_that_nobody_signed(filled: Any) -> None:
    row = log_row("new", "intent")
    values = {"idx": SIZE, "transfer": "new", "phase": "intent", "entry": row.entry, "leaf": row.leaf, "sequenced": 0.0}
    report = change(filled, insert(ENTRY).values(**values))
    assert any("no checkpoint in the database signs them" in one for one in report.wrong)


def test_tiles_beyond_the_log(filled: Any) -> None:
    assert "beyond" in str(
        change(filled, insert(tables.log_tile).values(level=0, number=9, hashes=b"\x00" * 32)).first_wrong
    )


def test_another_key_or_origin_is_not_trusted(filled: Any, make_log: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    stranger = NoteKey.make("localhost/lgsp-test", Ed25519PrivateKey.generate().public_key()).text()
    with filled.engine.connect() as connection:
        from gateway.audit.verify.verify import verify_log

        assert not verify_log(connection, stranger, newest=filled.file.read()).ok
        assert not verify_log(connection, filled.key.vkey, origin="elsewhere/log").ok


def test_a_changed_note_in_the_database(filled: Any) -> None:
    with filled.engine.connect() as connection:
        note = connection.execute(text("SELECT note FROM checkpoint WHERE size = 300")).scalar_one()
    table = tables.checkpoint
    report = change(filled, update(table).where(table.c.size == 300).values(note=note.replace("\n300\n", "\n301\n")))
    assert str(report.first_wrong).startswith("checkpoint 300 of the database")


# --- proofs -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("idx", [0, 1, 255, 256, 511, 512, 529])
def test_inclusion_leads_to_the_newest_checkpoint(filled: Any, idx: int) -> None:
    with filled.engine.connect() as connection:
        (proof,) = inclusions(connection, f"t{idx}")
    size, root = filled.key.verify(proof.note)
    assert (size, proof.index, proof.phase) == (SIZE, idx, "intent")
    verify_inclusion(leaf_hash(proof.entry), idx, size, list(proof.hashes), root)
    read = LogProof.from_text(proof.text())
    assert read == LogProof.from_text(proof.text(header=False)) and read.index == idx and read.hashes == proof.hashes


def test_consistency_from_every_older_size(filled: Any) -> None:
    tree = [leaf_hash(log_row(f"t{number}", "intent").entry) for number in range(SIZE)]
    for old in [*range(0, SIZE, 37), 1, 255, 256, 257, 512, SIZE]:
        with filled.engine.connect() as connection:
            proof = consistency(connection, old)
        size, root = filled.key.verify(proof.note)
        verify_consistency(old, size, root_of(tree[:old]), root, list(proof.hashes))


def test_what_is_not_there_is_theirs(filled: Any) -> None:
    with filled.engine.connect() as connection:
        with pytest.raises(Theirs):
            inclusions(connection, "nobody")
        with pytest.raises(Theirs):
            consistency(connection, SIZE + 1)
        for path in (
            "tile/0/003",
            "tile/0/../x",
            "tile/0/002.p/19",
            "tile/1/000.p/3",
            "tile/2/000.p/1",
            "tile/entries/002.p/19",
        ):
            with pytest.raises(Theirs):
                read_path(connection, path)


def test_tiles_and_entries_by_path(filled: Any) -> None:
    leaves = [leaf_hash(log_row(f"t{number}", "intent").entry) for number in range(SIZE)]
    with filled.engine.connect() as connection:
        for level, number, width in tiles_of(SIZE):
            hashes = read_path(connection, tile_path(level, number, width))
            assert len(hashes) == 32 * width
            if level == 0:
                assert hashes == b"".join(leaves[number * 256 : number * 256 + width])
        assert read_path(connection, tile_path(0, 0, 7)) == b"".join(leaves[:7])
        bundle = parse_bundle(read_path(connection, entries_path(2, 18)))
        assert bundle == [log_row(f"t{number}", "intent").entry for number in range(512, SIZE)]
        assert len(parse_bundle(read_path(connection, entries_path(1)))) == 256
        assert connection.execute(select(tables.log_pending.c.id)).first() is None
