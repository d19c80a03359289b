"""Files beside documents of a contract with encrypted bodies: encrypted by the sender for the gateway, and by the
gateway for whoever fetches one; nothing in clear, nothing that is not whole."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from contracts.base.ids import new_id
from contracts.wire.body_references import BodyReference, body_reference
from gateway.exchange.opaque_bodies import OpaqueBodies
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.vault import opaque_bodies
from gateway.vault.attachments import PIECE, opener
from security import jose
from security.encryption_keys import DecryptKey
from security.file_encryption import MEDIA_TYPE, RECORD, FileOpener, FileSealer, file_key, new_key
from security.jose import Opener
from tests.doors.api.client import Answer, World, ask, opened
from tests.doors.api.test_api_bodies import fetch, nothing_stays, signed_upload, stated
from tests.doors.api.test_api_bodies import upload as upload_in_clear
from tests.doors.api.test_api_feeds_encrypted import enrolled
from tests.registry.making import PROVINCE, House
from tests.security.joseparts import receiver

TARGET = "/bodies?contract=dossier-status/v1&operation=submitStatus"
CLEAR = "/bodies?contract=incident-alert/v1&operation=submitAlert"
DATA = os.urandom(PIECE) * 5 + b"the end"
PART = "  - id: G-0009\n    agency: "


class Sealing(World):
    """A world whose gateway decrypts, in which canh-bao hands in dossiers and dieu-hanh reads them."""

    gateway_key: DecryptKey
    mine: DecryptKey
    reader: DecryptKey


@pytest_asyncio.fixture
async def world(tmp_path: Path, keys: House) -> AsyncIterator[Sealing]:
    text = PROVINCE.replace(f"{PART}H14.5", f"{PART}H14.2")
    async with opened(tmp_path, keys, text) as made:
        made.__class__ = Sealing
        assert isinstance(made, Sealing)
        since = time.time() - 3600
        made.gateway_key = receiver("gateway", "RSA-2048")
        made.services.rest.opener = Opener([made.gateway_key])
        made.mine, made.reader = (enrolled(made, name, 1, since) for name in ("canh-bao", "dieu-hanh"))
        yield made


def sealed(world: Sealing, data: bytes = DATA, media: str = "video/mp4", **of: Any) -> bytes:
    key, signer = new_key(len(data), media), world.identities[of.get("signer", "canh-bao")].sign
    return FileSealer(key.sealed(signer, of.get("to", world.gateway_key).encrypt_key()), key).add(data)


async def upload(world: Sealing, sent: bytes, target: str = TARGET, media: str = MEDIA_TYPE) -> Answer:
    headers = await signed_upload(world, stated(sent), target=target, media=media)
    headers["content-length"] = str(len(sent))
    certificate = world.identities["canh-bao"].tls_der
    return await ask(world.app, "POST", target, headers, sent, chunks=5, certificate=certificate)


def opens(world: Sealing, key: DecryptKey) -> Callable[[bytes], jose.Opened]:
    gateway = world.gateway.sign
    known = {gateway.key_id: gateway.verify_key()}.get
    return lambda body: Opener([key]).open(body, known, time.time())


async def named(world: Sealing, sent: bytes) -> tuple[str, BodyReference]:
    answer, transfer = await upload(world, sent), new_id()
    assert answer.status == 201 and answer.headers["content-type"] == jose.MEDIA_TYPE, answer.body
    reference = body_reference(json.loads(opens(world, world.mine)(answer.body).payload)["reference"])
    assert reference is not None and reference.sha256.encode() not in answer.body
    message = {"event": "e-1", "dossier": {"note": str(reference)}}
    await world.hand_in(transfer, message, contract="dossier-status/v1", type="submitStatus")
    with writing(world.engine) as connection:
        connection.execute(insert(tables.opaque_use).values(body=reference.body, transfer=transfer))
    world.sequence()
    return transfer, reference


def read(world: Sealing, key: DecryptKey, body: bytes, pieces: int = 77_777) -> tuple[bytes, str]:
    reading = FileOpener(lambda head: file_key(opens(world, key)(head)))
    parts = [reading.feed(body[at : at + pieces]) for at in range(0, len(body), pieces)]
    plain = b"".join(parts) + reading.end()
    assert reading.key is not None
    return plain, reading.key.media_type


async def test_a_file_is_encrypted_on_both_ways(world: Sealing) -> None:
    transfer, reference = await named(world, sealed(world))
    assert (reference.size, reference.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    described = opaque_bodies.description(opener(world.engine, world.vault), reference.body)
    assert described is not None and described.encrypted and described.media_type == "video/mp4"
    with world.engine.connect() as connection:
        entry = tables.log_entry.c
        note = connection.execute(select(entry.entry).where(entry.phase == opaque_bodies.RECEIVED)).scalar_one()
    facts = json.loads(bytes(note))["facts"]
    salted = hashlib.sha256(bytes.fromhex(described.salt) + DATA).hexdigest()
    assert (facts["size"], facts["sha256"]) == (len(DATA), salted)
    for system, key in (("canh-bao", world.mine), ("dieu-hanh", world.reader)):
        answer = await fetch(world, transfer, reference.body, system)
        assert answer.status == 200 and answer.headers["content-type"] == MEDIA_TYPE, answer.body[:300]
        assert answer.headers["content-length"] == str(len(answer.body)) and "repr-digest" not in answer.headers
        assert read(world, key, answer.body) == (DATA, "video/mp4")
        assert DATA[:64] not in answer.body and b"video" not in answer.body.partition(b"\n")[0]
    again = await fetch(world, transfer, reference.body, "dieu-hanh")  # under a key of its own
    assert again.body[-RECORD:] != answer.body[-RECORD:] and read(world, world.reader, again.body)[0] == DATA


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (PIECE - 3, PIECE + 2), (3 * PIECE + 5, len(DATA))])
async def test_a_part_of_a_file_is_a_part_of_what_it_is_in_clear(world: Sealing, start: int, stop: int) -> None:
    transfer, reference = await named(world, sealed(world))
    answer = await fetch(world, transfer, reference.body, "dieu-hanh", f"bytes={start}-{stop - 1}")
    assert (answer.status, answer.headers["content-range"]) == (206, f"bytes {start}-{stop - 1}/{len(DATA)}")
    assert read(world, world.reader, answer.body)[0] == DATA[start:stop]


@pytest.mark.attack("large bodies")
@pytest.mark.parametrize("change", ["cut", "reordered", "dropped", "repeated", "changed"])
async def test_a_changed_file_leaves_nothing(world: Sealing, change: str) -> None:
    """Signed anew as it is now: the digest holds, the records do not."""
    sent = sealed(world)
    begin = sent.index(b"\n") + 22
    parts = [sent[at : at + RECORD] for at in range(begin, len(sent), RECORD)]
    made = {
        "cut": parts[:-1],
        "reordered": [parts[1], parts[0], *parts[2:]],
        "dropped": parts[:70] + parts[71:],
        "repeated": parts[:70] + parts[69:],
        "changed": [*parts[:-1], parts[-1][:-1] + bytes([parts[-1][-1] ^ 1])],
    }
    answer = await upload(world, sent[:begin] + b"".join(made[change]))
    assert (answer.status, answer.json["code"]) == (400, "body.decryption"), answer.body
    nothing_stays(world)


@pytest.mark.attack("large bodies")
async def test_what_is_not_encrypted_for_the_gateway_by_the_caller_leaves_nothing(world: Sealing) -> None:
    other = receiver("gateway", "RSA-2048")  # has the name of the gateway's key
    head = sealed(world, b"x").partition(b"\n")[0]
    for sent, code in (
        (sealed(world, to=other), "body.decryption"),
        (sealed(world, to=world.reader), "body.decryption"),
        (sealed(world, signer="dieu-hanh"), "channel.mismatch"),
        (sealed(world, media="video"), "body.media-type"),
        (DATA, "body.encryption-profile"),
        (head, "body.encryption-profile"),
    ):
        answer = await upload(world, sent)
        assert answer.json["code"] == code, answer.body
        nothing_stays(world)


async def test_a_replaced_key_opens_files_until_it_expires(world: Sealing) -> None:
    newer, sent = receiver("gateway-2", "RSA-2048"), sealed(world)
    world.services.rest.opener = Opener([newer])  # the older one has expired
    assert (await upload(world, sent)).json["code"] == "body.decryption"
    nothing_stays(world)
    world.services.rest.opener = Opener([newer, world.gateway_key])
    for each in (sent, sealed(world, to=newer)):
        assert (await upload(world, each)).status == 201


@pytest.mark.attack("large bodies")
async def test_a_file_in_clear_is_refused_where_the_contract_encrypts(world: Sealing) -> None:
    answer = await upload_in_clear(world, target=TARGET)
    assert (answer.status, answer.json["code"]) == (400, "body.not-encrypted"), answer.body
    answer = await upload(world, sealed(world), target=CLEAR)
    assert (answer.status, answer.json["code"]) == (400, "body.encryption-unexpected"), answer.body
    nothing_stays(world)


@pytest.mark.attack("large bodies")
async def test_without_a_key_of_the_receiver_nothing_goes(world: Sealing) -> None:
    transfer, reference = await named(world, sealed(world))
    with writing(world.engine) as connection:
        for name in ("canh-bao", "dieu-hanh"):
            store.revoke_key(connection, f"{name}.encrypt-1", time.time())
        world.services.registry.refresh(connection)
    assert (await upload(world, sealed(world))).json["code"] == "encryption.no-key"
    read_before = len(world.logged(opaque_bodies.FETCHED))
    answer = await fetch(world, transfer, reference.body, "canh-bao")
    assert (answer.status, answer.json["code"]) == (403, "encryption.no-key")
    assert len(world.logged(opaque_bodies.FETCHED)) == read_before
    for system in ("do-thi", "thuc-phan"):  # to others it does not exist, with or without a key
        assert (await fetch(world, transfer, reference.body, system)).json["code"] == "body.unknown"


async def test_the_key_of_the_newest_registration_is_used(world: Sealing) -> None:
    newer = enrolled(world, "dieu-hanh", 2, time.time() - 60)
    transfer, reference = await named(world, sealed(world))
    body = (await fetch(world, transfer, reference.body, "dieu-hanh")).body
    assert read(world, newer, body)[0] == DATA
    with world.engine.connect() as connection:
        stored = [bytes(each) for each in connection.scalars(select(tables.vault.c.sealed))]
    assert not any(DATA[:64] in each or b"video/mp4" in each for each in stored)


@pytest.mark.attack("large bodies")
async def test_what_came_in_clear_is_not_named_once_the_contract_encrypts(world: Sealing) -> None:
    answer = await upload_in_clear(world)
    reference = body_reference(answer.json["reference"])
    assert reference is not None
    system = world.services.registry.snapshot.systems["canh-bao"]
    known = OpaqueBodies(world.engine, world.vault, time.time, lambda requested: False)
    for protection, wrong in (("signed", []), ("encrypted", ["note"])):
        contract = SimpleNamespace(name="incident-alert/v1", protection=protection)
        requested: Any = SimpleNamespace(
            caller=system, contract=SimpleNamespace(contract=contract), operation=SimpleNamespace(name="submitAlert")
        )
        assert known._wrong(requested, [("note", reference)]) == wrong
