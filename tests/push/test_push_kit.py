"""What a receiver does: the kit verifies both forms and answers the challenge; so does a program that is not ours."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.client.errors import NotProven
from gateway.client.webhooks import ONE, SEVERAL, Delivery, Trust, receive
from gateway.journal.write import FeedRow, Write
from security import webhooks
from security.jose import MEDIA_TYPE, Opener
from tests.doors.api.client import World
from tests.doors.api.test_api_feeds_encrypted import enrolled
from tests.push.receiving import Receiver, call, filled, pushing, row, run, subscribed
from tests.registry.making import House

NOW = 1_795_503_600.0
KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
URL = "https://receiver.example/hook"
TRUST = Trust(URL, [webhooks.public_text(KEY.public_key())])
BODY = b'[{"id":"1"},{"id":"2"}]'


def signed(body: bytes = BODY, key: Ed25519PrivateKey = KEY, at: float = NOW, kind: str = SEVERAL) -> dict[str, str]:
    return {"Content-Type": kind, **webhooks.signed("d-1", int(at), body, [key])}


def test_a_delivery_is_taken_only_as_it_was_signed_and_while_it_is_fresh() -> None:
    assert receive(signed(), BODY, TRUST, NOW) == Delivery("d-1", ({"id": "1"}, {"id": "2"}))
    named = {name.upper(): value for name, value in signed().items()}
    assert receive(named, BODY, TRUST, NOW + 299).status == 204
    wrong = {
        "another key": (signed(key=OTHER), BODY, NOW),
        "another body": (signed(), BODY + b" ", NOW),
        "another id": ({**signed(), "webhook-id": "d-2"}, BODY, NOW),
        "another time": ({**signed(), "webhook-timestamp": str(int(NOW) + 1)}, BODY, NOW),
        "too old": (signed(), BODY, NOW + 302),
        "from the future": (signed(), BODY, NOW - 302),
        "no signature": ({"Content-Type": SEVERAL}, BODY, NOW),
        "a symmetric one": ({**signed(), "webhook-signature": "v1," + "A" * 88}, BODY, NOW),
        "an endless time": ({**signed(), "webhook-timestamp": "9" * 18}, BODY, NOW),
        "not JSON": (signed(b"{"), b"{", NOW),
        "another type": (signed(kind="text/html"), BODY, NOW),
        "no events": (signed(b"[1]"), b"[1]", NOW),
    }
    for what, (headers, body, now) in wrong.items():
        with pytest.raises(NotProven, match="client.webhook"):
            receive(headers, body, TRUST, now)
            pytest.fail(what)


def test_a_challenge_is_echoed() -> None:
    body = json.dumps({"id": "c", "type": "urn:lgsp:push:challenge", "data": {"challenge": "abc"}}).encode()
    taken = receive(signed(body, kind=ONE), body, TRUST, NOW)
    assert taken.events == () and (taken.status, json.loads(taken.answer)) == (200, {"challenge": "abc"})


@pytest.mark.parametrize("form", ["webhooks", "rfc9421"])
async def test_a_receiver_of_the_kit_follows_a_feed(world: World, keys: House, receiver: Receiver, form: str) -> None:
    sent = await filled(world, 3)
    taken: dict[str, Delivery] = {}
    id = await subscribed(world, receiver, form=form, most=2)
    key = world.gateway.sign.verify_key()
    known = (await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")).json["keys"]
    trust = Trust(receiver.url, known, find_key=lambda name: key if name == key.key_id else None)

    async def take(request: web.Request, body: bytes) -> web.StreamResponse:
        delivery = receive(dict(request.headers), body, trust, time.time())
        taken[delivery.id] = delivery
        return web.Response(status=delivery.status, body=delivery.answer)

    receiver.behave = take
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 3)
    assert [event["id"] for each in taken.values() for event in each.events] == sent


async def test_a_delivery_of_an_encrypted_contract_is_for_the_receivers_key(
    world: World, keys: House, receiver: Receiver
) -> None:
    own, transfer = enrolled(world, "dieu-hanh", 1, time.time() - 3600), "01935b6e-0000-7000-8000-000000000001"
    wish = {"feed": "dossier-status/v1", "url": receiver.url, "from": "start"}
    answer = await call(world, "dieu-hanh", "POST", "/subscriptions", wish)
    assert answer.status == 201
    event = {"specversion": "1.0", "id": transfer, "source": "urn:lgsp:system:mot-cua", "type": "x", "time": "x"}
    body = world.vault.seal(transfer, "canonical", b'{"code":"private"}', time.time())
    row_of_feed = FeedRow("dossier-status/v1", transfer, json.dumps(event), body.id)
    await world.journal.commit(Write(vault=(body,), feed=(row_of_feed,)))
    world.sequence()
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, answer.json["id"]).position == 1)
    ((headers, sealed),) = receiver.deliveries
    assert headers["content-type"] == MEDIA_TYPE and b"private" not in sealed
    key = world.gateway.sign.verify_key()
    trust = Trust(receiver.url, answer.json["keys"], lambda name: key if name == key.key_id else None, Opener([own]))
    (taken,) = receive(headers, sealed, trust, time.time()).events
    assert taken["id"] == transfer
    with pytest.raises(NotProven):
        receive(headers, sealed, Trust(receiver.url, answer.json["keys"]), time.time())


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed: it verifies no webhook")
async def test_a_program_that_is_not_ours_verifies_a_delivery(world: World, keys: House, receiver: Receiver) -> None:
    await filled(world, 2)
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 2)
    (key,) = (await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")).json["keys"]
    ((headers, body),) = receiver.deliveries
    for text, held in ((body.decode(), True), (body.decode() + " ", False)):
        given = json.dumps({"headers": headers, "body": text, "key": key})
        script = Path(__file__).parent / "node" / "verify.mjs"
        done = subprocess.run(["node", str(script)], input=given, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout) is held


async def test_a_foreign_library_of_standard_webhooks_verifies_a_delivery(
    world: World, keys: House, receiver: Receiver
) -> None:
    """authweave-webhooks knows the asymmetric form. It takes three signatures, and bodies of 256 KiB, at most."""
    library = pytest.importorskip("authweave_webhooks", reason="authweave-webhooks is not installed (Python 3.12)")
    replay = pytest.importorskip("authweave_core")
    await filled(world, 2)
    id = await subscribed(world, receiver)
    async with pushing(world, keys) as pusher:
        await run(pusher, world, lambda: row(world, id).position == 2)
    known = (await call(world, "dieu-hanh", "GET", f"/subscriptions/{id}")).json["keys"]
    ((headers, body),) = receiver.deliveries

    def verifier(texts: list[str]) -> Any:
        raw = tuple(library.Ed25519PublicKey(base64.b64decode(each.removeprefix("whpk_"))) for each in texts)
        named = {"environment": "test", "owner": "dieu-hanh", "endpoint": receiver.url}
        document = library.PublicKeyDocument(version="1", not_before=0, retire_after=None, keys=raw, **named)
        return library.StandardWebhooksVerifier(
            library.StaticPublicKeyResolver(document),
            replay_store=replay.InMemoryReplayStore(capacity=100, time_source=time.monotonic),
            time_source=lambda: int(time.time()),
            **{f"expected_{name}": value for name, value in named.items()},
        )

    ours = verifier(known)
    taken = await ours.verify(headers=headers, body=body)
    assert headers["webhook-id"] == taken.webhook_id and len(json.loads(taken.body)) == 2 and not taken.replay_detected
    assert (await ours.verify(headers=headers, body=body)).replay_detected
    other = webhooks.public_text(OTHER.public_key())
    for theirs, shown, content in ((verifier([other]), headers, body), (ours, headers, body + b" ")):
        with pytest.raises(library.WebhookVerificationError):
            await theirs.verify(headers=shown, body=content)
