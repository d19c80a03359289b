"""One core verifies every source: an export, a gateway over HTTP, a range. Each change is found and named."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway.audit.log.proofs import newest
from gateway.audit.log.tiles import read_path
from gateway.audit.verify.folder import FolderSource, Wanted, export
from gateway.audit.verify.ranges import NO_ENTRIES
from gateway.audit.verify.remote import RemoteSource
from gateway.audit.verify.sources import BESIDE, DatabaseSource, NoSource, Signed
from gateway.audit.verify.verify import Only, Report, verify
from gateway.client.transport import RawAnswer
from gateway.journal.database import writing
from gateway.journal.schema import tables
from tests.journal.databases import log_row

SIZE = 700
KEPT = 300


class Filled:
    """A log of two checkpoints in a database, and an export of it."""

    def __init__(self, log: Any, folder: Path) -> None:
        self.log = log
        self.folder = folder
        sequencer = log.sequencer(limit=1000)
        sequencer.run_once(log.lease)
        log.pend(*[f"t{at}" for at in range(KEPT)])
        sequencer.run_once(log.lease)
        self.kept = log.file.read()
        log.clock[0] += 100
        log.pend(*[f"t{at}" for at in range(KEPT, SIZE - 1)])
        log.pend("t5", phase="outcome")
        sequencer.run_once(log.lease)

    def export(self, name: str, first: int | None = None, last: int | None = None, *transfers: str) -> Path:
        (place := self.folder / name).mkdir()
        with self.log.engine.connect() as connection:
            top = newest(connection)
            assert top is not None
            wanted = Wanted.rounded(top[0], first, last, transfers)
            export(connection, place, top, self.log.key.vkey, wanted, lambda done: None)
        return place

    def check(self, place: Path, **options: Any) -> Report:
        return verify(FolderSource(place), self.log.key.vkey, **options)

    def database(self, **options: Any) -> Report:
        with self.log.engine.connect() as connection:
            return verify(DatabaseSource(connection), self.log.key.vkey, **options)


@pytest.fixture
def filled(sqlite_log: Any, tmp_path: Path) -> Filled:
    return Filled(sqlite_log, tmp_path)


# --- an export --------------------------------------------------------------------------------------------------------
def test_an_export_is_whole_and_needs_no_database(filled: Filled) -> None:
    place = filled.export("out")
    report = filled.check(place, outside=[("the kept checkpoint", filled.kept)])
    assert (
        report.ok
        and report.size == SIZE
        and report.checked["entries"] == SIZE
        and report.checked["checkpoints from outside"] == 1
    )
    assert report.notes[0].startswith(
        "698 open, an intent without an outcome so far / còn mở, chưa có kết quả: t0 (entry 0)"
    )
    assert len((place / "entries.ndjson").read_bytes().splitlines()) == SIZE
    assert {str(path.relative_to(place)) for path in (place / "tile").rglob("*") if path.is_file()} == {
        *("tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"),
        *("tile/entries/000", "tile/entries/001", "tile/entries/002.p/188"),
    }


def test_each_change_of_an_export_is_named(filled: Filled) -> None:
    good = filled.export("out")

    def changed(name: str, at: int, to: bytes | None = None) -> str:
        place = filled.folder / "changed"
        shutil.copytree(good, place)
        raw = bytearray((place / name).read_bytes())
        raw[at] = to[0] if to else raw[at] ^ 1
        (place / name).write_bytes(raw)
        report = filled.check(place)
        shutil.rmtree(place)
        assert not report.ok
        return str(report.first_wrong)

    assert changed("tile/entries/001", 40).startswith("entry 256 (transfer")
    assert changed("tile/0/002.p/188", 33).startswith("entry 513")
    assert changed("tile/1/000.p/2", 0).startswith("tile/1/000.p/2 (entries 0 to 511)")
    assert changed("entries.ndjson", 30) == "entries.ndjson: what should be entry 0 is not what its bundle holds"
    letter = (good / "checkpoint").read_bytes()[-20:-19]  # of the signature; what comes in its place is base64, too
    assert "signature" in changed("checkpoint", -20, b"A" if letter != b"A" else b"B")
    assert changed("manifest.json", (good / "manifest.json").read_text().index("700")).startswith("the manifest is of ")


def test_half_an_export_is_none_and_a_missing_bundle_is_named(filled: Filled) -> None:
    place = filled.export("out")
    (place / "tile" / "entries" / "001").unlink()
    assert str(filled.check(place).first_wrong).startswith(
        "the checkpoint of the export signs 700 entries; the export holds 256"
    )
    (place / "manifest.json").unlink()
    with pytest.raises(NoSource, match="only half of one"):
        filled.check(place)


def test_what_stops_an_export_leaves_nothing(filled: Filled) -> None:
    place = filled.folder / "stopped"
    place.mkdir()

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with filled.log.engine.connect() as connection, pytest.raises(KeyboardInterrupt):
        top = newest(connection)
        assert top is not None
        export(connection, place, top, filled.log.key.vkey, Wanted.rounded(top[0], None, None, ()), stop)
    assert list(place.iterdir()) == []


def test_a_range_of_an_export(filled: Filled) -> None:
    place = filled.export("out", 260, 300)
    manifest = json.loads((place / "manifest.json").read_text())
    assert (manifest["first"], manifest["stop"], manifest["size"]) == (256, 512, SIZE)  # whole bundles
    assert {path.name for path in (place / "tile" / "0").iterdir()} == {"001", "002.p"}
    report = filled.check(place)
    assert (
        report.ok
        and report.checked["entries"] == 256
        and report.notes[-1].startswith("only entries 256 to 511 of 700 were looked at / chỉ xem")
    )
    assert not filled.check(place, only=Only(100, 120)).ok
    bundle = place / "tile" / "entries" / "001"
    bundle.write_bytes(bundle.read_bytes().replace(b'"t300"', b'"t301"', 1))
    assert filled.check(place).first_wrong == "entry 300 (transfer t301): its bytes are not those that were signed"


def test_the_proofs_of_one_transfer_and_nothing_else(filled: Filled) -> None:
    place = filled.export("out", None, None, "t5")
    assert sorted(path.name for path in (place / "proofs").iterdir()) == [
        *("t5-intent.json", "t5-intent.json.spicy", "t5-intent.tlog-proof"),
        *("t5-outcome.json", "t5-outcome.json.spicy", "t5-outcome.tlog-proof"),
    ]
    assert not (place / "tile").exists() and not (place / "entries.ndjson").exists()
    report = filled.check(place)
    assert (
        report.ok
        and report.checked["proofs"] == 4
        and report.notes[0].startswith("only the 2 entries with proofs of their own were looked at / chỉ xem")
    )
    entry = place / "proofs" / "t5-intent.json"
    entry.write_bytes(entry.read_bytes() + b" ")
    assert str(filled.check(place).first_wrong).startswith("proofs/t5-intent.json: leaf 5 is not under this root")


# --- a range, and checkpoints kept elsewhere --------------------------------------------------------------------------
def test_a_range_is_proved_into_the_signed_checkpoint(filled: Filled) -> None:
    report = filled.database(only=Only(250, 599), outside=[("kept", filled.kept)])
    assert report.ok and report.checked["entries"] == 350 and report.size == SIZE
    assert report.notes[-1].startswith("only entries 250 to 599 of 700 were looked at / chỉ xem")
    assert "700, from 0 to 699" in str(filled.database(only=Only(700)).first_wrong)
    table = tables.log_entry
    with writing(filled.log.engine) as connection:
        row = log_row("t400", "intent", b"forged")
        connection.execute(update(table).where(table.c.idx == 400).values(entry=row.entry, leaf=row.leaf))
    assert filled.database(only=Only(0, 399)).ok, "what was changed lies outside"
    assert (
        filled.database(only=Only(390, 410)).first_wrong
        == "entry 400 (transfer t400, intent): its bytes are not those that were signed"
    )


def test_a_range_of_tiles_that_do_not_lead_to_the_root(filled: Filled) -> None:
    row = log_row("t10", "intent", b"forged")
    table = tables.log_tile
    with filled.log.engine.connect() as connection:
        hashes = bytearray(read_path(connection, "tile/0/000"))
    hashes[320:352] = row.leaf
    with writing(filled.log.engine) as connection:
        entry = tables.log_entry
        connection.execute(update(entry).where(entry.c.idx == 10).values(entry=row.entry, leaf=row.leaf))
        connection.execute(update(table).where(table.c.level == 0, table.c.number == 0).values(hashes=bytes(hashes)))
    report = filled.database(only=Only(5, 15))
    assert report.first_wrong == "tile/0/000 (entries 0 to 255): does not lead to the root that was signed"


def test_a_kept_checkpoint_of_another_history(filled: Filled) -> None:
    forged = filled.log.key.sign(KEPT, b"\x07" * 32)
    for options in ({}, {"only": Only(0, 10)}):
        report = filled.database(outside=[("kept", filled.kept), ("forged", forged)], **options)
        assert report.wrong == ("forged: its root is not that of the first 300 entries",)
    later = filled.log.key.sign(900, b"\x07" * 32)
    assert "signs 900 entries" in str(filled.database(outside=[("later", later)], only=Only(0, 3)).first_wrong)


# --- over HTTP --------------------------------------------------------------------------------------------------------
class Gateway:
    """What a gateway serves, from a log's own tables; `proven` as if a system of the centre asked."""

    base = "https://gateway.example"

    def __init__(self, filled: Filled, proven: bool, gone: tuple[str, ...] = ()) -> None:
        self.filled = filled
        self.proven = proven
        self.gone = gone
        self.asked: list[str] = []

    def checkpoint(self) -> str:
        return str(self.filled.log.file.read())

    def get_all(self, paths: Sequence[str]) -> list[RawAnswer]:
        self.asked += paths
        with self.filled.log.engine.connect() as connection:
            return [
                RawAnswer(404, {}, b"")
                if path in self.gone
                else RawAnswer(200, {}, read_path(connection, path.removeprefix("/audit/")))
                for path in paths
            ]

    def entries(self, paths: Sequence[str]) -> list[bytes | None]:
        assert self.proven
        return [answer.body for answer in self.get_all(paths)]


def over_http(filled: Filled, proven: bool, **options: Any) -> Report:
    return verify(RemoteSource(Gateway(filled, proven)), filled.log.key.vkey, **options)  # type: ignore[arg-type]


def test_over_http_hashes_are_for_everybody_and_it_is_said_that_entries_were_not_looked_at(filled: Filled) -> None:
    report = over_http(filled, False, outside=[("kept", filled.kept)])
    assert report.ok and report.checked == {"entries": 0, "tiles": 4, "checkpoints": 1, "checkpoints from outside": 1}
    assert report.notes == (NO_ENTRIES,)
    table = tables.log_tile
    with writing(filled.log.engine) as connection:
        connection.execute(update(table).where(table.c.level == 0, table.c.number == 1).values(hashes=b"\x01" * 8192))
    assert str(over_http(filled, False).first_wrong).startswith("tile/0/001 (entries 256 to 511): does not lead to")


def test_over_http_with_entries(filled: Filled) -> None:
    assert over_http(filled, True).checked["entries"] == SIZE
    report = over_http(filled, True, only=Only(600))
    assert report.ok and report.checked["entries"] == 100
    table = tables.log_entry
    with writing(filled.log.engine) as connection:
        connection.execute(
            update(table).where(table.c.idx == 650).values(entry=log_row("t650", "intent", b"forged").entry)
        )
    finding = "entry 650 (transfer t650): the tile holds another hash than its bytes give"
    assert over_http(filled, True).first_wrong == finding


def test_nothing_is_read_by_the_word_of_a_note_that_is_not_the_logs(filled: Filled, tmp_path: Path) -> None:
    from gateway.audit.log.logkey import LogKey

    stranger = LogKey.open(tmp_path / "stranger.key", filled.log.key.origin)
    for proven in (True, False):
        gateway = Gateway(filled, proven)
        gateway.checkpoint = lambda: stranger.sign(10**17, b"\x01" * 32)  # type: ignore[method-assign]
        report = verify(RemoteSource(gateway), filled.log.key.vkey)  # type: ignore[arg-type]
        assert not report.ok and report.checked["tiles"] == 0 and gateway.asked == []
        assert (
            str(report.first_wrong).startswith("the checkpoint that is served: no signature by")
            and "nothing can be proved" in report.wrong[1]
        )


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one(filled: Filled) -> None:
    gateway = Gateway(filled, False, gone=("/audit/tile/0/002.p/188",))
    note = filled.log.file.read()
    filled.log.pend(*[f"u{at}" for at in range(100)])
    filled.log.sequencer().run_once(filled.log.lease)
    gateway.checkpoint = lambda: str(note)  # type: ignore[method-assign]  # the older one, through a cache
    report = verify(RemoteSource(gateway), filled.log.key.vkey)  # type: ignore[arg-type]
    assert report.ok and report.size == SIZE and "/audit/tile/0/002" in gateway.asked


# --- what entries must be ---------------------------------------------------------------------------------------------
def written(log: Any, *rows: bytes, phases: Sequence[str] = ()) -> Report:
    """A log whose sequencer was made to take these bytes."""
    from gateway.journal.append import append
    from gateway.journal.write import LogRow
    from security.transparency.merkle import leaf_hash

    log.sequencer().run_once(log.lease)
    with writing(log.engine) as connection:
        made = [
            LogRow("t", phases[at] if phases else f"{'intent' if at == 0 else at}", raw, leaf_hash(raw))
            for at, raw in enumerate(rows)
        ]
        append(connection, made)
    log.sequencer().run_once(log.lease)
    found: Report = log.verify()
    return found


GOOD = b'{"at":"2026-11-25T00:00:00Z","kind":"intent","transfer":"t","v":1}'


@pytest.mark.parametrize(
    ("raw", "wrong"),
    [
        (GOOD.replace(b",", b", ", 1), "is not canonical JSON (RFC 8785)"),
        (b'{"v":1,' + GOOD[1:].replace(b',"v":1', b""), "is not canonical JSON (RFC 8785)"),
        (GOOD.replace(b'"v":1', b'"v":1,"v":1'), "is not canonical JSON (RFC 8785)"),
        (GOOD.replace(b'"v":1', b'"v":1.0'), "is not canonical JSON (RFC 8785)"),
        (GOOD.replace(b'"v":1', b'"v":90071992547409931'), "is not canonical JSON (RFC 8785)"),
        (GOOD.replace(b'"v":1', b'"v":2'), "is of version 2; known here is 1"),
        (GOOD.replace(b'"v":1', b'"v":true'), "is of version True; known here is 1"),
        (GOOD.replace(b'"intent"', b'"other"'), "is of no known kind: 'other'"),
        (GOOD.replace(b"T00:00", b" 00:00"), "lacks its transfer, or its time as RFC 3339 writes it"),
        (GOOD.replace(b'"transfer":"t"', b'"transfer":"u"'), "stands under another transfer than it names"),
        (GOOD.replace(b'"intent"', b'"repeat"'), "stands under the phase intent, and is repeat"),
        (b"[]", "is no JSON object"),
        (b"\xff", "is not canonical JSON (RFC 8785)"),
    ],
)
def test_an_entry_of_another_form_is_named(sqlite_log: Any, raw: bytes, wrong: str) -> None:
    assert written(sqlite_log, raw).first_wrong == f"entry 0 (transfer t, intent): {wrong}"


def test_an_outcome_without_an_intent(sqlite_log: Any) -> None:
    assert written(sqlite_log, GOOD.replace(b"intent", b"outcome"), phases=["outcome"]).first_wrong == (
        "entry 0: is an outcome without an intent before it"
    )


def test_times_of_sequencing_that_go_back_are_found(filled: Filled) -> None:
    table = tables.log_entry
    with writing(filled.log.engine) as connection:
        connection.execute(update(table).where(table.c.idx >= 600).values(sequenced=1.0))
    assert "entry 600 (transfer t600, intent): was sequenced" in str(filled.database().first_wrong)


def test_a_second_entry_of_a_phase_is_named_whatever_the_source(filled: Filled) -> None:
    filled.log.pend("t3")
    filled.log.sequencer().run_once(filled.log.lease)
    for report in (filled.database(), filled.check(filled.export("out"))):
        assert report.ok and "1 came a second time" in report.notes[0], report


def test_a_log_is_checked_while_it_grows(log: Any, tmp_path: Path) -> None:
    """On both databases: what came after the beginning is left for the next time."""
    filled = Filled(log, tmp_path)

    class Growing(DatabaseSource):
        def records(self, start: int, stop: int) -> Any:
            log.pend(*[f"g{at}-{time.monotonic()}" for at in range(200)])
            log.sequencer().run_once(log.lease)
            return super().records(start, stop)

    with log.engine.connect() as connection:
        report = verify(Growing(connection), log.key.vkey)
        assert not connection.in_transaction(), "no reader holds the database up"
    assert report.ok and report.size == SIZE
    assert filled.database().size == SIZE + 200


def test_a_transaction_that_was_handed_over_is_read_in_and_left_open(filled: Filled) -> None:
    """Whoever began it sees the tables as it wants them to be seen, such as by a view that goes with the
    transaction."""
    with filled.log.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY VIEW log_entry AS SELECT * FROM main.log_entry WHERE idx < 300")
        report = verify(DatabaseSource(connection), filled.log.key.vkey)
        assert (
            connection.in_transaction()
            and report.checked["entries"] == 300
            and "signs 700 entries" in str(report.wrong)
        )
    assert filled.database().ok


def test_a_table_that_says_something_of_the_log_is_one_more_function(filled: Filled) -> None:
    def cosigned(connection: Connection) -> Iterator[Signed | str]:
        yield Signed("the note that somebody else keeps", filled.log.key.sign(500, b"\x01" * 32))
        yield "cosignature 7: of a witness that nobody named"

    with filled.log.engine.connect() as connection:
        report = verify(DatabaseSource(connection, (*BESIDE, cosigned)), filled.log.key.vkey)
    assert report.wrong == (
        "cosignature 7: of a witness that nobody named",
        "the note that somebody else keeps: its root is not that of the first 500 entries",
    )
