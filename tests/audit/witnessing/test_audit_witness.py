"""The keeper and its witnesses: a quorum is collected, kept and served; whoever lies, is slow or silent counts for
nothing; what they object to is noted."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import delete, func, select, update

from contracts.base.errors import Ours
from gateway.audit.log.checkpoints import NewestCheckpoint, PublicCheckpoint
from gateway.audit.witnessing.admission import WITNESSES, AdmissionCheck, AdmissionDeadline
from gateway.audit.witnessing.config import Witness, standing
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keeper.revocation_fetch import open_session
from gateway.keeper.witnessing.post import trusting
from security.transparency.checkpoint import Checkpoint, sign, split_note, verify
from security.transparency.cosignature import AddCheckpoint, CosignerKey, cosign, quorum
from tests.audit.witnessing.asking import Asking, answering, honest

NAME = "witness.example/bad"
STATUSES = [301, 307, 400, 403, 404, 409, 500]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as made:
        yield made


def grow(log: Any, count: int = 3) -> None:
    done = log.sequencer().run_once(log.lease)
    log.pend(*[f"t{done.size + at}-{time.monotonic_ns()}" for at in range(count)])
    while log.sequencer().run_once(log.lease).busy:
        pass


def held_size(witness: Any, log: Any) -> int | None:
    """How far a witness has cosigned this log."""
    held = witness.folder.read(log.key.origin)
    return held.checkpoint.size if held is not None and held.checkpoint is not None else None


async def test_a_quorum_is_collected_and_kept(log: Any, session: Any) -> None:
    grow(log, 5)
    async with (
        honest(log.folder / "a", "w.example/a", log.key.vkey) as a,
        honest(log.folder / "b", "w.example/b", log.key.vkey) as b,
    ):
        asking = Asking(log, session, [a.witness, b.witness], needed=2)
        assert await asking.ask() == {}
        [(size, note)] = asking.kept()
        assert size == 5 and asking.file.read_text("utf-8") == note
        assert verify(note, log.key.vkey).size == 5
        assert {each.key.name for each in quorum(note, [a.witness.key, b.witness.key], 2)} == {
            "w.example/a",
            "w.example/b",
        }
        grow(log, 600)
        asking.begin()  # another keeper: the witnesses tell it what they hold (409), and it proves the way from there
        assert await asking.ask() == {} and asking.kept()[-1][0] == 605
        assert held_size(a, log) == held_size(b, log) == 605
        assert len(asking.kept()) == 1, "of those within a minute the last one is kept"
        await asking.ask()
        with log.engine.connect() as connection:
            now = standing(connection, "witnesses")
        assert (now.size, now.behind, now.told, dict(now.trouble or {})) == (605, None, None, {})


def bad_line(kind: str, note: str, key: Ed25519PrivateKey) -> str:
    text, _ = split_note(note)
    now = int(time.time())
    if kind == "another log":
        other = sign(Checkpoint("other.example/log", 3, bytes(32)), key, "other.example/log")
        return cosign(split_note(other)[0], key, NAME, now)
    if kind == "another key":
        line = cosign(text, Ed25519PrivateKey.generate(), NAME, now)
        mine = CosignerKey.make(NAME, key.public_key())
        raw = base64.b64decode(line.rpartition(" ")[2])
        return f"\u2014 {NAME} {base64.b64encode(mine.key_hash + raw[4:]).decode()}\n"
    if kind == "an unknown key":
        return cosign(text, Ed25519PrivateKey.generate(), NAME, now)
    if kind == "an old time":
        return cosign(text, key, NAME, now - 3600)
    if kind == "a time to come":
        return cosign(text, key, NAME, now + 3600)
    return {"garbage": "what?\n", "nothing": "", "too long": "\u2014 x AAAAAAAA\n" * 5000}[kind]


LIES = [
    "another log",
    "another key",
    "an unknown key",
    "an old time",
    "a time to come",
    "garbage",
    "nothing",
    "too long",
]


async def test_a_lie_counts_for_nothing(file_log: Any, session: Any) -> None:
    """Each kind told by a witness of its own, all in one round."""
    log = file_log
    grow(log)

    def liar(kind: str, key: Ed25519PrivateKey) -> Any:
        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            note = AddCheckpoint.from_text((await request.read()).decode()).note
            return web.Response(body=bad_line(kind, note, key).encode())

        return answering(answer)

    async with AsyncExitStack() as stack:
        liars = []
        for kind in LIES:
            key = Ed25519PrivateKey.generate()
            url = await stack.enter_async_context(liar(kind, key))
            liars.append(
                Witness(
                    url,
                    CosignerKey.make(NAME if kind != "an unknown key" else kind.replace(" ", "-"), key.public_key()),
                )
            )
        for each in liars:  # they share a name, as keys of one witness may: alone, and one after the other
            asking = Asking(log, session, [each])
            assert list(await asking.ask()) == [each.key.name]
        assert asking.kept() == [] and not asking.file.exists()


async def test_whoever_does_not_cosign_holds_up_nobody(file_log: Any, session: Any) -> None:
    log, asked = file_log, []
    grow(log)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey) as a:

        def failing(status: int) -> Any:
            async def answer(request: web.BaseRequest) -> web.StreamResponse:
                asked.append((status, request.path))
                return web.Response(status=status, headers={"location": f"{a.witness.url}/add-checkpoint"}, text="no\n")

            return answering(answer)

        async with AsyncExitStack() as stack:
            bad = []
            for status in STATUSES:
                url = await stack.enter_async_context(failing(status))
                bad.append(
                    Witness(url, CosignerKey.make(f"w.example/{status}", Ed25519PrivateKey.generate().public_key()))
                )
            asking = Asking(log, session, [*bad, a.witness])
            assert sorted(await asking.ask()) == sorted(each.key.name for each in bad)
            assert (
                asking.kept()[0][0] == 3
                and len(quorum(asking.kept()[0][1], [each.key for each in asking.witnesses], 1)) == 1
            )
            assert sorted(asked) == [(status, "/add-checkpoint") for status in STATUSES], (
                "no redirect is followed, and nothing is tried over"
            )


async def test_slow_ones_are_not_waited_for(file_log: Any, session: Any) -> None:
    log = file_log
    grow(log)

    never = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with honest(log.folder / "a", "w.example/a", log.key.vkey) as a, answering(answer) as url:
        slow = Witness(url, CosignerKey.make(NAME, Ed25519PrivateKey.generate().public_key()))
        asking = Asking(log, session, [slow, a.witness])
        assert "slower" in (await asking.ask())[NAME]
        assert asking.kept()[0][0] == 3


async def test_a_log_that_was_rolled_back_is_objected_to(file_log: Any, session: Any) -> None:
    """An insider with the database, the checkpoint beside it and the log's key: the witness still holds more."""
    log = file_log
    grow(log, 4)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey) as a:
        asking = Asking(log, session, [a.witness])
        await asking.ask()
        for table in (tables.log_entry, tables.log_tile, tables.checkpoint, tables.cosigned, tables.witness_status):
            with writing(log.engine) as connection:
                connection.execute(delete(table))
        log.file.path.unlink()
        asking.file.unlink()
        grow(log, 2)  # the gateway itself sees nothing wrong with it
        asking.begin()
        assert "taken back" in (await asking.ask())["w.example/a"] and asking.kept() == []
        assert len(asking.noted()) == 1 and "witness-objection" in asking.noted()[0]
        await asking.ask()
        assert len(asking.noted()) == 1, "it is noted once"
        grow(log, 9)  # beyond what the witness holds, and not from there
        assert "forked" in (await asking.ask())["w.example/a"] and asking.kept() == []
        assert held_size(a, log) == 4 and len(a.folder.objections()) == 1


async def test_what_lasts_is_told_once_and_closes_the_doors(file_log: Any, session: Any) -> None:
    log, moment = file_log, [time.time()]
    grow(log)
    gate = AdmissionCheck(log.folder / "log" / "licence", lambda: moment[0], 8.0)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey, clock=lambda: moment[0]) as a:
        asking = Asking(log, session, [a.witness], patience=8.0, clock=lambda: moment[0])
        await asking.ask()
        gate()
        moment[0] += 100.0
        await asking.ask()  # an idle log is witnessed, however long
        gate._looked = float("-inf")
        gate()
    grow(log)
    await asking.ask()
    assert asking.noted() == []
    for _ in range(3):
        moment[0] += 4.5
        await asking.ask()
    assert len(asking.noted()) == 1 and '"unwitnessed"' in asking.noted()[0] and "no connection" in asking.noted()[0]
    gate._looked = float("-inf")
    with pytest.raises(Ours) as closed:
        gate()
    assert (closed.value.code, closed.value.status) == ("audit.unwitnessed", 503) and closed.value.retry_after
    with log.engine.connect() as connection:
        assert standing(connection, "witnesses").late(moment[0], 8.0)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey, clock=lambda: moment[0]) as a:
        asking.witnesses = [a.witness]
        asking.begin()
        grow(log)
        await asking.ask()
    assert len(asking.noted()) == 2 and '"witnessed"' in asking.noted()[1]
    gate._looked = float("-inf")
    gate()


async def test_a_row_that_claims_more_than_is_proved_opens_nothing(log: Any, session: Any) -> None:
    """An insider with the database alone, before each look, in a keeper that goes on and in one that has just
    started."""
    moment = [time.time()]
    gate = AdmissionCheck(log.folder / "log" / "licence", lambda: moment[0], 8.0)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey, clock=lambda: moment[0]) as a:
        grow(log)
        asking = Asking(log, session, [a.witness], patience=8.0, clock=lambda: moment[0])
        await asking.ask()
    grow(log)
    for at in range(6):
        with writing(log.engine) as connection:
            size = connection.scalar(select(func.max(tables.checkpoint.c.size)))
            connection.execute(
                update(tables.witness_status).values(
                    size=size, at=moment[0], behind=None if at % 2 else moment[0] + 1e6
                )
            )
        if at == 3:
            asking.begin()
        moment[0] += 5.0
        await asking.ask()
        with log.engine.connect() as connection:
            assert standing(connection, "witnesses").size == 3, "the row is corrected"
    gate._looked = float("-inf")
    with pytest.raises(Ours):
        gate()
    said = [each for each in log_notes(log) if '"vouching-unproved"' in each]
    assert len(said) == 2, "once for each keeper"


def log_notes(log: Any) -> list[str]:
    with log.engine.connect() as connection:
        return [
            bytes(each).decode()
            for table in (tables.log_entry, tables.log_pending)
            for each in connection.scalars(select(table.c.entry))
        ]


def test_a_licence_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    licence = AdmissionDeadline(tmp_path / "licence", frozenset({WITNESSES}))
    licence.extend(WITNESSES, 1.0)
    assert (tmp_path / "licence").stat().st_mode & 0o777 == 0o600
    (tmp_path / "licence").unlink()
    (tmp_path / "licence").mkdir()  # in its place nothing can be put
    with pytest.raises(OSError):
        licence.extend(WITNESSES, 2.0)
    assert [each.name for each in tmp_path.iterdir()] == ["licence"]


@pytest.mark.parametrize("text", ["", "never\n", "nan\n", "inf\n"])
def test_a_gate_without_a_licence_is_closed(tmp_path: Any, text: str) -> None:
    if text:
        (tmp_path / "licence").write_text(text)
    with pytest.raises(Ours):
        AdmissionCheck(tmp_path / "licence", time.time, 60.0)()


def test_a_licence_of_a_clock_that_leapt_ahead_opens_nothing_when_it_is_right_again(tmp_path: Path) -> None:
    """No keeper runs any more that could take it back: neither now, nor when that time comes, nor in a door that starts
    meanwhile."""
    moment, ahead, longest = [1_000_000.0], 86_400.0, 60.0
    path = tmp_path / "licence"
    AdmissionDeadline(path, frozenset({WITNESSES})).extend(WITNESSES, moment[0] + ahead + longest)
    door = AdmissionCheck(path, lambda: moment[0], longest)
    for later in (0.0, ahead / 2):
        moment[0] += later
        for gate in (door, AdmissionCheck(path, lambda: moment[0], longest)):
            gate._looked = float("-inf")
            with pytest.raises(Ours):
                gate()
    moment[0] += ahead / 2
    with pytest.raises(Ours):
        door()
    AdmissionDeadline(path, frozenset({WITNESSES})).extend(
        WITNESSES, moment[0] + longest + 1.0
    )  # a keeper whose clock is a second ahead
    door._looked = float("-inf")
    door()


def certificate(folder: Path) -> tuple[Path, Path]:
    """For 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "witness")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    )
    (folder / "tls.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "tls.pem", folder / "tls.key"


async def test_over_tls_with_an_authority_of_the_instance(file_log: Any, session: Any) -> None:
    log = file_log
    grow(log)
    shown, key = certificate(log.folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(shown, key)
    async with honest(log.folder / "a", "w.example/a", log.key.vkey, tls=tls) as a:
        assert a.witness.url.startswith("https://")
        asking = Asking(log, session, [a.witness])
        assert await asking.ask() == {"w.example/a": "its TLS certificate is not trusted"} and asking.kept() == []
        asking.task.tls = trusting(shown)
        assert await asking.ask() == {} and asking.kept()[0][0] == 3


async def test_who_lost_the_lease_keeps_nothing(file_log: Any, session: Any) -> None:
    log = file_log
    grow(log)
    old, new = log.lease, log.lead("keeper-2")
    async with honest(log.folder / "a", "w.example/a", log.key.vkey) as a:
        asking = Asking(log, session, [a.witness])
        with pytest.raises(Ours) as lost:
            await asking.ask(old)
        assert lost.value.code == "audit.lease-lost" and asking.kept() == [] and not asking.file.exists()
        await asking.ask(new)
        assert asking.kept()[0][0] == 3


async def test_readers_get_the_cosigned_checkpoint_while_it_is_near(file_log: Any, session: Any) -> None:
    log, moment = file_log, [time.time()]
    grow(log)

    def shown() -> str:
        return PublicCheckpoint(NewestCheckpoint(log.file.path), asking.file, 60.0, lambda: moment[0]).note()

    async with honest(log.folder / "a", "w.example/a", log.key.vkey) as a:
        asking = Asking(log, session, [a.witness])
        assert shown() == log.file.read()
        await asking.ask()
        assert shown() == asking.file.read_text("utf-8") and "w.example/a" in shown()
    grow(log)
    assert "w.example/a" in shown(), "a little behind"
    moment[0] += 61.0
    assert shown() == log.file.read()
