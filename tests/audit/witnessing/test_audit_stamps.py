"""Time-stamps: the question is openssl's own, the answers of a real authority are proved here and by `openssl ts
-verify`, and nothing else passes."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from rfc3161_client import VerifierBuilder, decode_timestamp_response
from sqlalchemy import insert, select, update

from gateway.audit.witnessing.admission import STAMPS
from gateway.audit.witnessing.config import standing
from gateway.audit.witnessing.verify import Trusted, verify_outside, write_stamp
from gateway.journal import jobs
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.witnessing.post import Unreached
from gateway.keeper.witnessing.stamps import ORDER
from gateway.keeper.witnessing.stamps import Authority as Asked
from security.pki import der
from security.pki.timestamp import Stamp, Unstamped, nonce_of, question, read
from security.transparency.checkpoint import NoteKey
from tests.audit.stamping import DAY, Authority, Stamping, grow, verified_by_openssl
from tests.size import examples

DIGEST = hashlib.sha256(b"a checkpoint").digest()
NONCE = 0x1234_5678_9ABC_DEF0_1234


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with Authority(tmp_path_factory.mktemp("tsa")) as made:
        yield made


@pytest.fixture(scope="module")
def answer(authority: Authority) -> bytes:
    return authority.by_openssl(question(DIGEST, NONCE))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as made:
        yield made


def test_the_question_is_that_of_openssl(tmp_path: Path) -> None:
    """Byte for byte but for the nonce, which openssl chooses."""
    (tmp_path / "data").write_bytes(b"a checkpoint")
    command = [
        "openssl",
        "ts",
        "-query",
        "-data",
        str(tmp_path / "data"),
        "-sha256",
        "-cert",
        "-out",
        str(tmp_path / "q"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    theirs = (tmp_path / "q").read_bytes()
    assert question(DIGEST, nonce_of(theirs)) == theirs


@given(st.integers(1, 1 << 128))
def test_nonces_of_every_length(nonce: int) -> None:
    assert nonce_of(question(DIGEST, nonce)) == nonce


@given(st.binary(max_size=300), st.sampled_from([der.OCTETS, der.SEQUENCE, der.SET]))
def test_der_is_read_as_it_is_written(content: bytes, tag: int) -> None:
    made = der.element(tag, content)
    assert der.only(made, tag) == content
    with pytest.raises(der.BadDer):
        der.only(made + b"\0", tag)
    with pytest.raises(der.BadDer):
        der.only(made[:-1], tag)


@given(st.binary(max_size=60))
def test_whatever_comes_it_is_der_or_it_is_refused(data: bytes) -> None:
    for read_it in (
        lambda: list(der.each(data)),
        lambda: der.oid(data),
        lambda: der.time(data),
        lambda: der.integer(data),
    ):
        try:
            read_it()
        except der.BadDer:
            pass


@pytest.mark.parametrize(
    "options", [{}, {"chain": False}, {"kind": "ec"}, {"chain": False, "kind": "ec", "ess": "sha1"}], ids=str
)
def test_a_real_authority_is_believed(tmp_path: Path, options: dict[str, Any]) -> None:
    authority = Authority(tmp_path, **options)
    answer = authority.by_openssl(question(DIGEST, NONCE))
    stamp = read(answer, DIGEST, authority.trusted, nonce=NONCE)
    assert abs(stamp.time - time.time()) < 60 and stamp.authority == "CN=Stamps" and stamp.policy == "1.2.3.4.1"
    if not options.get("chain", True):  # a third reader, of those answers that it can read
        theirs = decode_timestamp_response(answer)
        builder = VerifierBuilder(nonce=NONCE)
        for each in authority.trusted:
            root = each.issuer == each.subject
            builder = builder.add_root_certificate(each) if root else builder.add_intermediate_certificate(each)
        assert builder.build().verify(theirs, DIGEST) and theirs.tst_info.gen_time.timestamp() == stamp.time


def test_what_answers_something_else_is_refused(authority: Authority, answer: bytes) -> None:
    anchors = authority.trusted
    for digest, nonce, said in ((bytes(32), NONCE, "another digest"), (DIGEST, NONCE + 1, "nonce")):
        with pytest.raises(Unstamped, match=said):
            read(answer, digest, anchors, nonce=nonce)
    with pytest.raises(Unstamped, match="anchor"):
        read(answer, DIGEST, [], nonce=NONCE)
    with pytest.raises(Unstamped, match="refused: rejected"):
        read(
            authority.by_openssl(
                question(DIGEST, NONCE).replace(
                    bytes.fromhex("0609608648016503040201"), bytes.fromhex("0609608648016503040202")
                )
            ),
            DIGEST,
            anchors,
            nonce=NONCE,
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ends": -DAY}, "anchor"),
        ({"uses": [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]}, "alone"),
        ({"critical": False}, "alone"),
    ],
    ids=["its certificate has ended", "a certificate for more than stamps", "a use that is not critical"],
)
def test_an_authority_that_may_not_stamp(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    authority = Authority(tmp_path, kind="ec", **options)
    try:
        answer = authority.by_openssl(question(DIGEST, NONCE))
    except subprocess.CalledProcessError:  # openssl itself refuses to stamp with such a certificate
        assert said == "alone"
        return
    with pytest.raises(Unstamped, match=said):
        read(answer, DIGEST, authority.trusted, nonce=NONCE)


@settings(max_examples=examples(100), deadline=None)
@given(place=st.integers(0, 5000), flip=st.integers(1, 255))
def test_one_byte_changed_anywhere(authority: Authority, answer: bytes, place: int, flip: int) -> None:
    """It is refused, or what is proved is what was proved before: bytes that mean nothing (an unsigned hint) may
    differ, nothing else."""
    place %= len(answer)
    changed = answer[:place] + bytes([answer[place] ^ flip]) + answer[place + 1 :]
    sound = read(answer, DIGEST, authority.trusted, nonce=NONCE)
    try:
        found = read(changed, DIGEST, authority.trusted, nonce=NONCE)
    except Unstamped:
        return
    assert found == sound and isinstance(found, Stamp)


# --- the task ---------------------------------------------------------------------------------------------------------


async def test_openssl_accepts_the_stamps(log: Any, session: Any, authority: Authority, tmp_path: Path) -> None:
    grow(log)
    stamping = Stamping(log, session, authority)
    assert await stamping.look() == {}
    [row] = stamping.rows()
    assert row.note == log.file.read() and row.size == 1 and row.authority == "CN=Stamps"
    files = write_stamp(tmp_path, row)
    note, asked, answer = (files[name] for name in ("checkpoint", "checkpoint.tsq", "checkpoint.tsr"))
    assert note.read_text("utf-8") == log.file.read()
    assert verified_by_openssl(answer, authority.anchors, "-data", str(note))
    assert verified_by_openssl(answer, authority.anchors, "-queryfile", str(asked))
    note.write_text(note.read_text("utf-8").replace("\n1\n", "\n2\n"), "utf-8")
    assert not verified_by_openssl(answer, authority.anchors, "-data", str(note))
    assert not verified_by_openssl(answer, authority.folder / "tsa.pem", "-queryfile", str(asked))
    asked_before = authority.asked
    await stamping.look(3700.0)
    assert authority.asked == asked_before, "an idle log is not stamped again"
    grow(log)
    await stamping.look(60.0)
    assert [each.size for each in stamping.rows()] == [1, 2]


async def test_a_clock_that_is_far_off_is_flagged(file_log: Any, session: Any, authority: Authority) -> None:
    grow(file_log)
    stamping = Stamping(file_log, session, authority)
    stamping.moment = 7200.0
    said = re.search(r"by (-\d+) s", (await stamping.look())["clock"])
    assert said is not None and abs(int(said[1]) + 7200) <= 30 and len(stamping.rows()) == 1
    with file_log.engine.connect() as connection:
        assert "clock" in dict(standing(connection, STAMPS).trouble or {})


async def test_a_stamp_for_another_digest_or_nonce_is_not_kept(
    file_log: Any, session: Any, authority: Authority
) -> None:
    grow(file_log)
    stamping = Stamping(file_log, session, authority, every=100.0)
    earlier = authority.by_openssl(question(DIGEST, NONCE))
    try:
        for reply, said in (
            (lambda asked: earlier, "digest"),
            (
                lambda asked: authority.by_openssl(
                    question(hashlib.sha256((file_log.file.read() or "").encode()).digest(), NONCE)
                ),
                "nonce",
            ),
            (lambda asked: b"", "not an answer"),
            (lambda asked: b"x" * 100_000, "longer"),
        ):
            authority.reply = reply
            assert said in (await stamping.look(40.0))["authority"]
        assert stamping.rows() == []
        await stamping.look(200.0)
        with file_log.engine.connect() as connection:
            notes = connection.scalars(
                select(tables.log_pending.c.entry).where(tables.log_pending.c.phase == "unwitnessed")
            )
            assert [json.loads(each)["facts"]["what"] for each in notes] == ["stamps"]
    finally:
        authority.reply = authority.by_openssl
    assert (
        list(await stamping.look(400.0)) == ["clock"] and len(stamping.rows()) == 1
    )  # it was this test that moved ours


async def test_a_row_that_claims_more_than_is_stamped(log: Any, session: Any, authority: Authority) -> None:
    grow(log)
    stamping = Stamping(log, session, authority)
    await stamping.look()
    grow(log)
    with writing(log.engine) as connection:
        connection.execute(update(tables.witness_status).values(size=2))
    await stamping.look(60.0)
    with log.engine.connect() as connection:
        assert standing(connection, STAMPS).size == stamping.tracker.now.size == 1 and len(stamping.rows()) == 1


async def test_nobody_there(file_log: Any, session: Any, authority: Authority) -> None:
    grow(file_log)
    stamping = Stamping(file_log, session, authority)
    away = Asked(session, "http://127.0.0.1:1/", authority.trusted, time.time)
    with pytest.raises(Unreached):
        await away.stamp(1, "note")
    stamping.task.authority = away
    assert await stamping.look() == {"authority": "no connection"}


# --- checking what is stored ------------------------------------------------------------------------------------------


async def test_stored_stamps_are_checked_with_anchors_from_outside(
    file_log: Any, session: Any, authority: Authority, tmp_path: Path
) -> None:
    log = file_log
    grow(log)
    await Stamping(log, session, authority).look()
    key, table = NoteKey.from_text(log.key.vkey), tables.stamp

    def check(anchors: list[x509.Certificate]) -> Any:
        with log.engine.connect() as connection:
            return verify_outside(connection, key, key.name, Trusted(anchors=anchors))

    found = check(authority.trusted)
    assert found.ok and found.checked == {"time-stamps": 1} and found.newest == {"time-stamps": 1}
    assert "anchor" in check(Authority(tmp_path / "other", kind="ec").trusted).wrong[0]
    with log.engine.connect() as connection:
        row = dict(connection.execute(select(table)).mappings().one())
    other = log.key.sign(1, bytes(32))
    for values, said in (
        ({"note": row["note"] + "\u2014 x AAAAAAAA\n"}, "not the one that was stamped"),
        ({"size": 2}, "disagree"),
        ({"note": other, "digest": hashlib.sha256(other.encode()).digest()}, "no longer goes on"),
        ({"answer": row["answer"][:-1] + bytes([row["answer"][-1] ^ 1])}, "signature is wrong"),
        ({"question": question(row["digest"], 7)}, "nonce"),
    ):
        with writing(log.engine) as connection:
            connection.execute(update(table).values(**values))
        assert said in check(authority.trusted).wrong[0]
        with writing(log.engine) as connection:
            connection.execute(table.delete())
            connection.execute(insert(table).values(**row))
    with writing(log.engine) as connection:
        connection.execute(table.delete())
    assert check(authority.trusted).wrong == ("there are no time-stamps",)


async def test_who_operates_has_the_newest_checkpoint_stamped_before_it_is_due(
    file_log: Any, session: Any, authority: Authority
) -> None:
    def ordered() -> jobs.Job:
        with file_log.engine.connect() as connection:
            return jobs.newest(connection, ORDER)[0]

    def order() -> None:
        with writing(file_log.engine) as connection:
            jobs.add(connection, ORDER, "log", ("H14.0/minh: console", ""), time.time())

    stamping = Stamping(file_log, session, authority)
    grow(file_log)
    await stamping.look()
    assert len(stamping.rows()) == 1
    order()
    await stamping.look()  # neither due, nor is there a newer checkpoint
    assert len(stamping.rows()) == 2 and (ordered().state, ordered().facts["size"]) == ("done", stamping.rows()[1].size)
    table = tables.log_pending.c
    with file_log.engine.connect() as connection:
        (note,) = connection.scalars(select(table.entry).where(table.phase == ORDER))
    assert json.loads(bytes(note))["actor"] == "H14.0/minh: console"
    stamping.asked = replace(stamping.asked, url="http://localhost:1")
    stamping.begin()
    order()
    await stamping.look()
    assert ordered().state == "done" and ordered().facts["trouble"] and len(stamping.rows()) == 2
