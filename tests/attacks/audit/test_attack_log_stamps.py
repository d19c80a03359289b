"""The doors under time-stamps: whatever an authority, a stranger on the way to it or an insider with the database does,
they close and open by proof alone.

The keeper's real task, a real authority (`openssl ts -reply`) on 127.0.0.1, the file that doors read. `every` is 6 s
here: what lacks a stamp for more than 12 s closes the doors (`closed`), and is told by status page and doctor
(`flagged`). Our clock is moved, the authority's is the machine's.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import delete, func, select, update

from gateway.audit.witnessing.admission import STAMPS
from gateway.audit.witnessing.config import witness_states
from gateway.audit.witnessing.verify import Trusted, verify_outside
from gateway.doctor.witnessing import witness_findings
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.witnessing.stamps import Authority as Asked
from gateway.settings import Settings
from security.transparency.checkpoint import NoteKey
from tests.audit.conftest import Log, file_log  # noqa: F401  a fixture
from tests.audit.stamping import Authority, Stamping, grow

EVERY, LATE = 6.0, 13.0
YEARS = 5 * 365 * 86_400.0
_ATTACK = pytest.mark.attack("audit log: the gate of time-stamps")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("tsa"), kind="ec") as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as made:
        yield made


@pytest.fixture
async def stamping(file_log: Log, session: Any, authority: Authority) -> Stamping:  # noqa: F811
    """A log whose entries are stamped, and open doors."""
    authority.reply = authority.by_openssl
    grow(file_log)
    made = Stamping(file_log, session, authority, EVERY)
    assert await made.look() == {} and made.open
    return made


def told(stamping: Stamping, authority: Authority) -> tuple[set[str], list[dict[str, Any]]]:
    """What doctor and status say under `flagged`: codes of findings, and the status page's lines."""
    settings = replace(
        Settings(Path("/nowhere")),
        stamp_policy="flagged",
        stamp_seconds=EVERY,
        stamp_url=authority.url,
        stamp_anchors=str(authority.anchors),
    )
    with stamping.log.engine.connect() as connection:
        return {each.kind.code for each in witness_findings(settings, connection, stamping.clock())}, witness_states(
            connection, settings, stamping.clock()
        )


def noted(stamping: Stamping, what: str) -> int:
    with stamping.log.engine.connect() as connection:
        return sum(
            connection.scalar(select(func.count()).select_from(table).where(table.c.phase == what)) or 0
            for table in (tables.log_entry, tables.log_pending)
        )


async def grown_and_late(stamping: Stamping) -> dict[str, str]:
    """Entries that nobody stamps, for longer than is waited."""
    grow(stamping.log)
    trouble: dict[str, str] = {}
    for _ in range(3):
        trouble = await stamping.look(LATE / 2) or trouble
    return trouble


# --- the authority, and whoever stands on the way to it ---------------------------------------------------------------
def refused(asked: bytes) -> bytes:
    return bytes.fromhex("30053003020102")  # PKIStatus 2, rejection


ANSWERS: dict[str, tuple[Callable[[Authority, list[bytes], Authority], Callable[[bytes], bytes]], str]] = {
    "that of another question (nonce)": (
        lambda own, seen, other: lambda asked: own.by_openssl(asked[:-14] + bytes([asked[-14] ^ 1]) + asked[-13:]),
        "",
    ),
    "a stamp of another checkpoint": (lambda own, seen, other: lambda asked: seen[0], "another digest"),
    "that of a stranger": (lambda own, seen, other: other.by_openssl, "anchor"),
    "a refusal": (lambda own, seen, other: refused, "refused: rejected"),
    "nothing": (lambda own, seen, other: lambda asked: b"", "not an answer"),
}


@_ATTACK
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_that_is_no_stamp_of_this_checkpoint(
    stamping: Stamping, authority: Authority, answer: str, tmp_path: Path
) -> None:
    make, said = ANSWERS[answer]
    authority.reply = make(
        authority, [bytes(row.answer) for row in stamping.rows()], Authority(tmp_path / "other", kind="ec")
    )
    trouble = await grown_and_late(stamping)
    open_before = stamping.open
    assert said in trouble["authority"] and not open_before and len(stamping.rows()) == 1
    codes, [status] = told(stamping, authority)
    assert (
        codes == {"stamp.overdue"} and not status["ok"] and status["size"] == 1 and noted(stamping, "unwitnessed") == 1
    )
    authority.reply = authority.by_openssl
    assert await stamping.look(1.0) == {} and stamping.open and noted(stamping, "witnessed") == 1, (
        "the true one opens them at once"
    )
    assert told(stamping, authority)[0] == set()


@_ATTACK
async def test_a_silent_authority(stamping: Stamping, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the question and says nothing; the keeper waits for a while, and holds nobody up."""
    monkeypatch.setattr("gateway.keeper.witnessing.stamps.ASK_SECONDS", 0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        true, stamping.asked = stamping.asked, Asked(stamping.asked.session, address, authority.trusted, stamping.clock)
        stamping.task.authority = stamping.asked
        trouble = await grown_and_late(stamping)
        assert trouble == {"authority": "no answer within 0.2 s"} and not stamping.open
        stamping.begin()  # a keeper that starts anew has what is kept to go by, and no more
        await stamping.look(1.0)
        assert not stamping.open and told(stamping, authority)[0] == {"stamp.overdue"}
    stamping.asked = stamping.task.authority = true
    assert await stamping.look(1.0) == {} and stamping.open


@_ATTACK
@pytest.mark.parametrize("ahead", [YEARS, -YEARS, 3600.0], ids=["years ahead", "years behind", "an hour ahead"])
async def test_the_authoritys_clock(file_log: Log, session: Any, authority: Authority, ahead: float) -> None:  # noqa: F811
    """Its stamps are kept, for whose clock is wrong a third party must judge. They open no door, now or after a start,
    however often the keeper starts."""
    authority.reply = authority.by_openssl
    grow(file_log)
    stamping = Stamping(file_log, session, authority, EVERY)
    stamping.moment = -ahead
    assert "prove nothing" in (await stamping.look())["clock"] and len(stamping.rows()) == 1
    await stamping.look(LATE)
    assert not stamping.open
    codes, [status] = told(stamping, authority)
    assert codes == {"stamp.overdue"} and "differ by" in status["trouble"]["clock"] and status["size"] == 0
    grow(file_log)
    authority.reply = lambda asked: b""
    for _ in range(3):
        stamping.begin()
        await stamping.look(1.0)
        assert not stamping.open, "a time to come is not made younger by a start"
    key = NoteKey.from_text(file_log.key.vkey)
    with file_log.engine.connect() as connection:
        found = verify_outside(connection, key, key.name, Trusted(anchors=authority.trusted))
    assert found.ok and "the authority's clock and ours differed by" in found.notes[0]
    authority.reply = authority.by_openssl
    stamping.moment = 0.0
    stamping.begin()
    await stamping.look(1.0)
    assert stamping.open


@_ATTACK
@pytest.mark.parametrize("way", ["ahead, and back", "back"])
async def test_our_own_clock_set_back(stamping: Stamping, authority: Authority, way: str) -> None:
    """Whoever moves it opens nothing: entries without a stamp close the doors as late as ever by the clock that there
    is."""
    await stamping.look()  # idle: nothing is waited for
    authority.reply = lambda asked: b""
    stamping.moment = YEARS if way != "back" else 0.0
    grow(stamping.log)
    await stamping.look()
    stamping.moment -= YEARS
    for _ in range(3):
        await stamping.look(LATE / 2)
    assert not stamping.open
    authority.reply = authority.by_openssl
    stamping.moment = 0.0
    await stamping.look(EVERY)
    await stamping.look(EVERY)
    assert stamping.open


async def test_a_clock_put_right_by_minutes_closes_no_door(stamping: Stamping, authority: Authority) -> None:
    stamping.moment = 240.0
    grow(stamping.log)
    assert "differ by" in (await stamping.look())["clock"] and len(stamping.rows()) == 2
    stamping.moment = 0.0
    grow(stamping.log)
    for _ in range(4):
        await stamping.look(EVERY)
        assert stamping.open
    assert len(stamping.rows()) == 3


# --- an insider with the database alone -------------------------------------------------------------------------------
STAMP, STATUS, POINT, ENTRY = tables.stamp, tables.witness_status, tables.checkpoint, tables.log_entry


def replayed(connection: Any, stamping: Stamping) -> None:
    """The old stamp once more, as one of the newest checkpoint."""
    row = dict(connection.execute(select(STAMP)).mappings().first())
    del row["id"]
    newest = connection.execute(select(POINT.c.size, POINT.c.note).order_by(POINT.c.size.desc()).limit(1)).one()
    connection.execute(STAMP.insert().values(row | {"size": newest.size, "received": stamping.clock()}))
    connection.execute(
        STAMP.insert().values(row | {"size": newest.size, "note": newest.note, "received": stamping.clock()})
    )


INSIDER: dict[str, Callable[[Any, Stamping], object]] = {
    "the row claims the newest": lambda connection, stamping: connection.execute(
        update(STATUS).values(
            size=select(func.max(POINT.c.size)).scalar_subquery(),
            at=stamping.clock(),
            behind=None,
            told=1.0,
            trouble="{}",
        )
    ),
    "the row deleted": lambda connection, stamping: connection.execute(delete(STATUS)),
    "the old stamp replayed": replayed,
    "the stamps deleted": lambda connection, stamping: connection.execute(delete(STAMP)),
    "checkpoints deleted down to what is stamped": lambda connection, stamping: connection.execute(
        delete(POINT).where(POINT.c.size > 1)
    ),
    "entries too": lambda connection, stamping: (
        connection.execute(delete(POINT).where(POINT.c.size > 1)),
        connection.execute(delete(ENTRY).where(ENTRY.c.idx >= 1)),
        connection.execute(delete(tables.log_pending)),
    ),
}


@_ATTACK
@pytest.mark.parametrize("start", [False, True], ids=["going on", "started anew"])
@pytest.mark.parametrize("attack", INSIDER)
async def test_no_row_opens_the_doors(stamping: Stamping, authority: Authority, attack: str, start: bool) -> None:
    """The authority is kept away meanwhile; before each of his looks the keeper finds the rows as he likes them."""
    authority.reply = lambda asked: b""
    await grown_and_late(stamping)
    assert not stamping.open
    for _ in range(3):
        with writing(stamping.log.engine) as connection:
            INSIDER[attack](connection, stamping)
        if start:
            stamping.begin()
        await stamping.look(1.0)
        assert not stamping.open
    if attack.startswith("the row"):
        await stamping.look(
            LATE
        )  # a keeper that starts takes the row's word for since when it was told, and no further
        assert told(stamping, authority)[0] == {"stamp.overdue"} and told(stamping, authority)[1][0]["size"] == 1, (
            "the row is put right"
        )


@_ATTACK
async def test_stamps_deleted(stamping: Stamping, authority: Authority, file_log: Log) -> None:  # noqa: F811
    """Of those that went, verify tells by how far the log was stamped; a keeper that starts counts what is left, says
    so, and asks anew."""
    grow(file_log)
    await stamping.look(EVERY + 1)
    open_before = stamping.open
    assert [row.size for row in stamping.rows()] == [1, 2] and open_before
    with writing(file_log.engine) as connection:
        connection.execute(delete(STAMP).where(STAMP.c.size == 2))
    key = NoteKey.from_text(file_log.key.vkey)
    with file_log.engine.connect() as connection:
        wrong = verify_outside(connection, key, key.name, Trusted(anchors=authority.trusted)).wrong
    assert wrong == (
        "time-stamps: 2 entries were confirmed from outside, and what is here proves 1: rows were deleted, or that "
        "one was changed",
    )
    authority.reply = lambda asked: b""
    stamping.begin()
    await stamping.look(LATE)
    open_before = stamping.open
    assert not open_before and noted(stamping, "vouching-unproved") == 1
    with file_log.engine.connect() as connection:
        [entry] = connection.scalars(
            select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "vouching-unproved")
        )
    assert json.loads(entry)["facts"] == {"what": STAMPS, "claimed": 2, "size": 1}
    authority.reply = authority.by_openssl
    await stamping.look(EVERY)
    assert stamping.open and stamping.rows()[-1].size >= 2


@_ATTACK
async def test_stamps_of_a_log_that_ended_are_none_of_this_one(stamping: Stamping, authority: Authority) -> None:
    """They stay in their table; they prove nothing here, and are not wrong."""
    with writing(stamping.log.engine) as connection:
        note = stamping.log.key.sign(7, bytes(32)).replace(stamping.log.key.origin, "localhost/before")
        row = dict(connection.execute(select(STAMP)).mappings().one())
        connection.execute(STAMP.insert().values(row | {"id": 9, "size": 7, "note": note}))
    key = NoteKey.from_text(stamping.log.key.vkey)
    with stamping.log.engine.connect() as connection:
        assert verify_outside(connection, key, key.name, Trusted(anchors=authority.trusted)).ok
    assert stamping.log.verify().ok
