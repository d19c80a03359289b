"""Rows of the log changed by an insider: with the database alone, with the keys of messages and the folder too, with
the log's own key too.

Without the log's key `verify_log` finds it against what was signed. With it the log is consistent in itself, and only
what an agency holds tells: its kept checkpoint, its kit's objection, its receipt. What nobody outside holds anything
of, nobody finds: that is shown as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from gateway.audit.verify.complete import check_complete
from gateway.audit.verify.verify import Report, verify_log
from gateway.client.errors import LogObjection
from gateway.journal.schema import tables
from security.transparency.merkle import leaf_hash
from tests.attacks.audit.insider import HISTORIES, Agency, Gateway, entered, forged, receipt, rewrite

ENTRY, TILE = tables.log_entry, tables.log_tile
WHOLE = 600


def verify(honest: Gateway, inside: Connection, **options: Any) -> Report:
    return verify_log(inside, honest.key.vkey, **{"newest": honest.note, **options})


@pytest.mark.attack("audit log: rows changed with the database alone")
def test_the_honest_log_is_whole(honest: Gateway, inside: Connection, agency: Agency) -> None:
    """Else no finding below would say anything."""
    report = verify(honest, inside, kept=agency.witness.note)
    assert report.ok and report.size == WHOLE and report.checked["checkpoints"] == 4
    assert check_complete(inside).ok
    assert len(agency.prove(receipt(inside, entered(inside)[301].transfer), inside).entries) == 2


# --- the rows alone: bytes, leaf, tile --------------------------------------------------------------------------------
PARTS: dict[str, tuple[set[str], str]] = {
    "its bytes": ({"entry"}, "its bytes are not those that were logged"),
    "its leaf": ({"leaf"}, "its stored leaf hash was changed; its bytes and the tile agree"),
    "its tile": ({"tile"}, "the tile holds another hash than its bytes give"),
    "its bytes and leaf": ({"entry", "leaf"}, "the tile holds another hash than its bytes give"),
    "its leaf and tile": ({"leaf", "tile"}, "its bytes are not those that were logged"),
    "all three": ({"entry", "leaf", "tile"}, "its hashes are not what they give"),
}


@pytest.mark.attack("audit log: rows changed with the database alone")
@pytest.mark.parametrize("at", [0, 255, 256, WHOLE - 1])
@pytest.mark.parametrize("part", PARTS)
def test_one_entry_changed(honest: Gateway, inside: Connection, part: str, at: int) -> None:
    changed, finding = PARTS[part]
    other = forged(entered(inside)[at])
    leaf = leaf_hash(other.entry)
    if "entry" in changed:
        inside.execute(update(ENTRY).where(ENTRY.c.idx == at).values(entry=other.entry))
    if "leaf" in changed:
        inside.execute(update(ENTRY).where(ENTRY.c.idx == at).values(leaf=leaf))
    if "tile" in changed:
        this = (TILE.c.level == 0) & (TILE.c.number == at // 256)
        hashes = bytearray(inside.execute(select(TILE.c.hashes).where(this)).scalar_one())
        hashes[at % 256 * 32 : at % 256 * 32 + 32] = leaf
        inside.execute(update(TILE).where(this).values(hashes=bytes(hashes)))
    report = verify(honest, inside)
    if part == "all three" and at // 256 == WHOLE // 256:
        finding = "its root is not that of the first 600 entries"  # an unfinished tile has none above it
    elif part != "all three":
        finding = f"entry {at} (transfer {other.transfer}, {other.phase}): {finding}"
    assert not report.ok and any(finding in one for one in report.wrong), report.wrong


@pytest.mark.attack("audit log: rows changed with the database alone")
@pytest.mark.parametrize("at", [0, 300, WHOLE - 1])
def test_one_row_deleted(honest: Gateway, inside: Connection, at: int) -> None:
    inside.execute(delete(ENTRY).where(ENTRY.c.idx == at))
    found = verify(honest, inside).wrong
    if at < WHOLE - 1:
        assert found[0].startswith(f"entry {at}: missing; the next one is entry {at + 1}")
    else:
        assert (
            f"the checkpoint beside the database signs {WHOLE} entries; the database holds {at} that follow one another"
            in found
        )


@pytest.mark.attack("audit log: rows changed with the database alone")
def test_one_row_added_at_the_end(honest: Gateway, inside: Connection) -> None:
    last = inside.execute(select(ENTRY).where(ENTRY.c.idx == WHOLE - 1)).one()._asdict()
    inside.execute(insert(ENTRY).values(last | {"idx": WHOLE, "phase": "outcome#2"}))
    assert (
        f"entry {WHOLE} and those behind it: no checkpoint in the database signs them" in verify(honest, inside).wrong
    )


@pytest.mark.attack("audit log: rows changed with the database alone")
@pytest.mark.parametrize("column", ["transfer", "phase", "sequenced"])
def test_what_no_hash_covers(honest: Gateway, inside: Connection, column: str) -> None:
    """The row around an entry: by it entries are searched and proofs are found. Its bytes say what it must be."""
    log = entered(inside)
    at = inside.execute(
        select(ENTRY.c.idx).where(ENTRY.c.transfer == log[301].transfer, ENTRY.c.phase == "intent")
    ).scalar_one()
    root = verify(honest, inside).root
    values: dict[str, Any] = {"transfer": "nobody", "phase": "registry", "sequenced": 1.0}
    inside.execute(update(ENTRY).where(ENTRY.c.idx == at).values({column: values[column]}))
    assert verify(honest, inside).root == root, "the tree is as it was"
    finding = {
        "transfer": f"its bytes are those of transfer {log[at].transfer}",
        "phase": "its bytes are those of a phase intent",
        "sequenced": "its time of sequencing lies before that of the entry before it",
    }[column]
    wrong = check_complete(inside).wrong
    assert any(one.startswith(f"entry {at} ") and one.endswith(finding) for one in wrong), wrong


# --- another history, each hash of it right ---------------------------------------------------------------------------
@pytest.mark.attack("audit log: history rewritten consistently, without the log's key")
@pytest.mark.parametrize("history", HISTORIES)
def test_rewritten_without_the_logs_key(honest: Gateway, inside: Connection, history: str) -> None:
    """Database, folder and the keys of messages: none of them signs a checkpoint."""
    rewrite(inside, HISTORIES[history](entered(inside)))
    report = verify(honest, inside)
    assert not report.ok
    assert any(one.startswith("the checkpoint beside the database") for one in report.wrong)


@pytest.mark.attack("audit log: history rewritten consistently, with the log's own key")
@pytest.mark.parametrize("history", HISTORIES)
def test_rewritten_with_the_logs_own_key(honest: Gateway, inside: Connection, agency: Agency, history: str) -> None:
    """Everything that the gateway has agrees: that is the limit of looking at it alone. What the agency kept does
    not."""
    kept = agency.witness.note
    note = rewrite(inside, HISTORIES[history](entered(inside)), honest.key)
    assert note is not None
    assert verify(honest, inside, newest=note).ok, "nothing inside tells"
    report = verify(honest, inside, newest=note, kept=kept)
    size = len(entered(inside))
    short = f"the kept checkpoint signs {WHOLE} entries; the database holds {size} that follow one another"
    other = f"the kept checkpoint: its root is not that of the first {WHOLE} entries"
    assert report.wrong == (other if size >= WHOLE else short,)
    with pytest.raises(LogObjection) as objected:
        agency.see(note, inside)
    assert objected.value.code == ("client.log-forked" if size >= WHOLE else "client.log-rolled-back")
    assert objected.value.kept.exists() and agency.witness.note == kept


@pytest.mark.attack("audit log: history rewritten consistently, with the log's own key")
@pytest.mark.parametrize("history", ["an entry in the middle edited", "a transfer made never to have been"])
def test_the_receipt_is_the_other_witness(honest: Gateway, inside: Connection, agency: Agency, history: str) -> None:
    """Of an agency that kept no checkpoint: its receipt names leaves that the rewritten log cannot prove. And the rows
    still tell of it."""
    log = entered(inside)
    transfer = log[301].transfer if "edited" in history else log[40].transfer
    held = receipt(inside, transfer)
    rewrite(inside, HISTORIES[history](log), honest.key)
    with pytest.raises(Exception, match=r"the receipt's leaf is not in the log|audit\.not-logged"):
        agency.prove(held, inside)
    wrong = check_complete(inside).wrong
    assert any(transfer in one and ("its receipt names another" in one or "the log has no" in one) for one in wrong), (
        wrong
    )


@pytest.mark.attack("audit log: the limit")
def test_what_nobody_outside_ever_held_anything_of(honest: Gateway, inside: Connection, tmp_path: Path) -> None:
    """With the log's key, and the rows of the transfer gone too, of which no answer was ever given: neither the log nor
    a newcomer tells."""
    log = entered(inside)
    gone = log[40].transfer
    note = rewrite(inside, [each for each in log if each.transfer != gone], honest.key)
    assert note is not None
    for table in (tables.transfer, tables.feed_event):
        column = table.c.id if table is tables.transfer else table.c.transfer
        inside.execute(delete(table).where(column == gone))
    assert verify(honest, inside, newest=note).ok
    Agency(tmp_path / "new", honest.key, note, connection=inside)
    assert [one for one in check_complete(inside).wrong if gone in one] == []
    feed = [one for one in check_complete(inside).wrong if "some are missing" in one]
    assert len(feed) == 1, "the gap in its feed's offsets is the one thing that he forgot"
