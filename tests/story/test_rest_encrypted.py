"""Encrypted bodies by REST through real doors: the client of `examples/`, which knows only the wire page, and what it
can do wrong."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from examples.story import World
from gateway.sample_client.jose import seal
from gateway.sample_client.rest import RestClient
from gateway.sandbox.standins.messages import dossier_status, fire_alarm
from security import jose
from security.keys import VerifyKey
from tests.story.evidence import evidence

pytestmark = pytest.mark.server

STATUSES = "/dossier-status/v1/statuses"


@pytest.fixture
def client(world: World) -> RestClient:
    return RestClient(world.identity("mot-cua"))


def code(answer: Any) -> str:
    assert answer.problem is not None and answer.verified, answer.body
    return str(answer.problem["code"])


def test_encrypted_both_ways(client: RestClient) -> None:
    prepared = client.prepare("POST", STATUSES, dossier_status(), encrypt_it=True)
    assert b"ChuHoSo" not in prepared.body
    raw = client.exchange(prepared)
    assert raw.headers["content-type"] == "application/jose" and b"acceptedAt" not in raw.body
    answer = client.judge(prepared, raw)
    assert (
        answer.ok
        and answer.verified
        and answer.receipt is not None
        and set(answer.receipt.leaves) == {"intent", "outcome"}
    )


def test_a_repeat_is_known_by_what_is_in_it_and_answered_anew(client: RestClient) -> None:
    status, name = dossier_status(), str(uuid.uuid4())
    sent = [client.prepare("POST", STATUSES, status, message_id=name, encrypt_it=True) for _ in range(2)]
    raw = [client.exchange(each) for each in sent]
    assert sent[0].body != sent[1].body and raw[0].body != raw[1].body
    assert [client.judge(*each).body for each in zip(sent, raw, strict=True)] == [
        client.judge(sent[0], raw[0]).body
    ] * 2
    other = client.call("POST", STATUSES, status | {"NoiDungXuLy": "Nội dung khác"}, message_id=name, encrypt_it=True)
    assert other.status == 409 and code(other) == "message.other-body"


def test_the_same_bytes_twice_are_a_replay(client: RestClient) -> None:
    prepared = client.prepare("POST", STATUSES, dossier_status(), encrypt_it=True)
    assert client.send(prepared).ok
    assert code(client.send(prepared)) == "message.replayed"


def test_what_is_demanded_and_what_is_not(client: RestClient, world: World) -> None:
    assert code(client.call("POST", STATUSES, dossier_status())) == "body.not-encrypted"
    fire = RestClient(world.identity("bao-chay"))
    assert (
        code(fire.call("POST", "/incident-alert/v1/alerts", fire_alarm(), encrypt_it=True))
        == "body.encryption-unexpected"
    )
    assert code(client.call("POST", STATUSES + "?loai=1", dossier_status(), encrypt_it=True)) == "query.unexpected"


def test_a_refusal_that_speaks_of_the_content_is_encrypted(client: RestClient) -> None:
    prepared = client.prepare("POST", STATUSES, dossier_status() | {"TrangThaiHoSo": 93}, encrypt_it=True)
    raw = client.exchange(prepared)
    assert raw.headers["content-type"] == "application/jose" and raw.status == 422
    answer = client.judge(prepared, raw)
    assert (
        code(answer) == "message.invalid"
        and answer.problem is not None
        and answer.problem["findings"][0]["here"] == "TrangThaiHoSo"
    )


def spoiled(client: RestClient, change: Any) -> Any:
    """A request whose signature and digest hold over what `change` makes of the encrypted body."""
    made = client.prepare("POST", STATUSES, dossier_status(), encrypt_it=True).body
    return client.call("POST", STATUSES, change(made), content_type="application/jose")


def with_header(body: bytes, **changed: Any) -> bytes:
    head, *rest = body.split(b".")
    header = json.loads(base64.urlsafe_b64decode(head + b"==")) | changed
    return b".".join([base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"="), *rest])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda body: with_header(body, zip="DEF"), "body.encryption-profile"),
        (lambda body: with_header(body, alg="RSA1_5"), "body.encryption-profile"),
        (lambda body: with_header(body, jku="https://evil.example/keys"), "body.encryption-profile"),
        (lambda body: with_header(body, crit=["exp"]), "body.encryption-profile"),
        (lambda body: with_header(body, kid="other.encrypt-1"), "body.decryption"),
        (lambda body: body[:-4] + (b"AAAA" if body[-4:] != b"AAAA" else b"AAAQ"), "body.decryption"),
        (lambda body: body[:400] + (b"A" if body[400:401] != b"A" else b"B") + body[401:], "body.decryption"),
        (lambda body: body.rpartition(b".")[0], "body.encryption-profile"),
    ],
)
def test_what_is_refused_over_the_wire(client: RestClient, change: Any, expected: str) -> None:
    answer = spoiled(client, change)
    assert answer.status == 400 and code(answer) == expected


def test_the_jws_of_another_system(client: RestClient, world: World) -> None:
    other, mine = world.identity("bao-chay"), world.identity("mot-cua")
    assert mine.encryption is not None
    keys = mine.encryption
    for signer, media_type, expected in (
        (other.signer, "application/json", "channel.mismatch"),
        (mine.signer, "application/xml", "body.media-type"),
        (mine.signer, "application/jose", "body.media-type"),
    ):
        body = seal(json.dumps(dossier_status()).encode(), media_type, signer, keys.gateway_key_id, keys.gateway)
        assert code(client.call("POST", STATUSES, body, content_type="application/jose")) == expected


def test_a_system_without_a_key_hears_it_before_anything_is_done(world: World) -> None:
    """In clear, for there is nothing to encrypt it for."""
    revoked = world.lgsp(
        "registry", "revoke", "phan-anh.encrypt-1", "--reason", "superseded", "--data", str(world.data)
    )
    assert revoked["ok"] and revoked["revoked"]
    client = RestClient(world.identity("phan-anh"))

    def refusal() -> Any:
        prepared = client.prepare("POST", STATUSES, dossier_status(), encrypt_it=True)
        raw = client.exchange(prepared)
        answer = client.judge(prepared, raw)
        return (raw, answer) if code(answer) == "encryption.no-key" else None

    raw, answer = world.wait("the revocation at the doors", refusal)
    assert answer.status == 403 and raw.headers["content-type"] == "application/problem+json"
    assert answer.receipt is not None and set(answer.receipt.leaves) == {"refusal"}


def test_the_evidence_proves_without_the_key(client: RestClient, world: World) -> None:
    """What travelled is kept as it was; beside it the JWS, which the sender's certificate alone verifies."""
    prepared = client.prepare("POST", STATUSES, dossier_status(), encrypt_it=True)
    answer = client.send(prepared)
    assert answer.receipt is not None
    travelled, opened = evidence(world, answer.receipt.transfer)
    assert travelled.endswith(prepared.body)
    signer = client.identity.signer
    key = VerifyKey.from_certificate(signer.key_id, "mot-cua", signer.certificate_der)
    found = jose.verify(opened, {key.key_id: key}.get, key.valid_from + 1)
    assert "Đàm Thị Nhuần" in json.loads(found.payload)["ChuHoSo"]
