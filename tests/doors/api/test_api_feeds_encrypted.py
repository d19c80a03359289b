"""The feed of a contract whose bodies are encrypted: for whom its pages are, and that a page is nobody's without a
key."""

from __future__ import annotations

import base64
import json
import time

from gateway.journal.database import writing
from gateway.registry import store
from security.algorithms import new_private
from security.encryption_keys import DecryptKey
from security.jose import MEDIA_TYPE, Opener
from security.pki.authority import issue_encryption, make_issuer, make_root, private_pem
from tests.doors.api.client import World
from tests.doors.api.streams import streamed

FEED = "/feeds/dossier-status/v1"


def enrolled(world: World, system: str, number: int, since: float) -> DecryptKey:
    private, name = new_private(), f"{system}.encrypt-{number}"
    certificate = issue_encryption(
        make_issuer(make_root("Root", since), "Signing", since), system, private.public_key(), since
    )
    with writing(world.engine) as connection:
        store.add_key(connection, name, system, "encrypt", certificate)
        world.services.registry.refresh(connection)
    return DecryptKey.from_pem(name, private_pem(private), certificate)


async def test_a_reader_without_a_key_is_refused_before_anything_is_read(world: World) -> None:
    answer = await world.signed("dieu-hanh", FEED)
    assert (answer.status, answer.json["code"]) == (403, "encryption.no-key") and "signature" in answer.headers
    assert world.logged("feed-read") == [] and world.logged("refusal")[-1]["failure"] == "encryption.no-key"


async def test_a_page_is_for_the_readers_newest_key(world: World) -> None:
    now = time.time()
    older, newer = enrolled(world, "dieu-hanh", 1, now - 7200), enrolled(world, "dieu-hanh", 2, now - 3600)
    answer = await world.signed("dieu-hanh", FEED)
    assert answer.status == 200 and answer.headers["content-type"] == MEDIA_TYPE, answer.body
    gateway = world.gateway.sign
    opened = Opener([newer, older]).open(answer.body, {gateway.key_id: gateway.verify_key()}.get, now)
    assert opened.media_type == "application/json" and json.loads(opened.payload)["contract"] == "dossier-status/v1"
    assert json.loads(_head(answer.body))["kid"] == "dieu-hanh.encrypt-2"
    with writing(world.engine) as connection:
        store.revoke_key(connection, "dieu-hanh.encrypt-2", now)
        world.services.registry.refresh(connection)
    again = await world.signed("dieu-hanh", FEED)
    assert json.loads(_head(again.body))["kid"] == "dieu-hanh.encrypt-1"
    other = await world.signed("dieu-hanh", "/feeds/incident-alert/v1")
    assert other.headers["content-type"] == "application/json"  # of a contract that is signed only


async def test_each_event_of_a_stream_is_for_the_readers_key(world: World) -> None:
    now = time.time()
    async with streamed(world, "dieu-hanh", f"{FEED}?form=events") as refused:
        await refused.until(lambda each: each.ended)
    assert (refused.status, refused.json["code"]) == (403, "encryption.no-key")
    key = enrolled(world, "dieu-hanh", 1, now - 3600)
    transfer = "01935b6e-0000-7000-8000-000000000001"
    await world.hand_in(transfer, {"id": "private"}, contract="dossier-status/v1", type="submitDossier")
    world.sequence()
    async with streamed(world, "dieu-hanh", f"{FEED}?form=events") as stream:
        await stream.until(lambda each: each.events)
    (event,) = stream.events
    gateway = world.gateway.sign
    opened = Opener([key]).open(event.data, {gateway.key_id: gateway.verify_key()}.get, now)
    assert (event.type, opened.media_type, json.loads(opened.payload)["id"]) == ("jose", "application/json", transfer)
    assert b"private" not in stream.raw


def _head(body: bytes) -> bytes:
    head = body.split(b".")[0]
    return base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4))
