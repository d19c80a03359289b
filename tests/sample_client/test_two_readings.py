"""The wire profile read twice: what the vendor's clients sign, the house verifies, and the other way round.

`examples/` and `security/` share no code; here, and only here, they meet.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from gateway.sample_client import wssec as theirs_soap
from gateway.sample_client.audit import LogKey, consistent, included, leaf_hash, read_checkpoint
from gateway.sample_client.errors import WrongAnswer, WrongRequest
from gateway.sample_client.httpsig import Message, digest_header
from gateway.sample_client.httpsig import sign_answer as vendor_signs_answer
from gateway.sample_client.httpsig import sign_request as vendor_signs_request
from gateway.sample_client.httpsig import verify_answer as vendor_verifies_answer
from gateway.sample_client.httpsig import verify_request as vendor_verifies_request
from gateway.sample_client.identity import Identity
from gateway.sample_client.signing import Verifier
from gateway.sample_client.wssec import LGSP, SOAP, WSA, BadEnvelope, new_envelope, serialise, sign
from security import http_signatures
from security.keys import SigningKey
from security.transparency import checkpoint, merkle
from security.transparency.checkpoint import NoteKey
from security.wssec import verify
from security.wssec.sign import EnvelopeHeaders

TARGET = "https://localhost:8443/incident-alert/v1/alerts?vung=tr%C3%A0"
BODY = '{"tieuDe":"Cháy tại Chợ Xanh"}'.encode()
SYSTEMS = ["canh-bao", "bao-chay"]
SOAP_SYSTEMS = ["canh-bao", "may-cu"]


def house_key(identity: Identity) -> SigningKey:
    return SigningKey.make(identity.signer.key_id, identity.signer.key, identity.signer.certificate_der)


def pinned(identity: Identity) -> Any:
    key = Verifier(identity.signer.key_id, identity.signer.certificate)
    return lambda key_id: [key] if key_id == key.key_id else []


def asked(identity: Identity, now: int) -> Message:
    headers = {
        "authorization": "Bearer a.b.c",
        "content-type": "application/json",
        "content-digest": digest_header(BODY),
        "idempotency-key": '"m-1"',
    }
    request = Message(headers, "POST", TARGET)
    return Message(
        headers | vendor_signs_request(request, identity.signer, created=now, expires=now + 60, nonce="N" * 24),
        "POST",
        TARGET,
    )


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_house_accepts_a_vendors_request(identities: Any, system: str) -> None:
    identity, now = identities(system), int(time.time())
    request, key = asked(identity, now), house_key(identity).verify_key()
    found = http_signatures.verify_request(
        http_signatures.HttpRequest("POST", TARGET, request.headers, BODY), lambda key_id: key, now
    )
    assert found.key.key_id == identity.signer.key_id and found.nonce == "N" * 24
    with pytest.raises(Theirs):
        http_signatures.verify_request(
            http_signatures.HttpRequest("POST", TARGET, request.headers, BODY + b" "), lambda key_id: key, now
        )


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_vendor_accepts_the_houses_answer(identities: Any, system: str) -> None:
    caller, gateway, now = identities(system), identities("gateway"), int(time.time())
    request = asked(caller, now)
    headers = {
        "content-type": "application/json",
        "lgsp-transfer": "t",
        "lgsp-receipt": "intent=:AAAA:, outcome=:AAAA:",
        "lgsp-checkpoint": ":AAAA:",
    }
    headers |= http_signatures.sign_response(200, headers, b"{}", request.headers, house_key(gateway), now)
    assert (
        vendor_verifies_answer(Message(headers, status=200, request=request), b"{}", pinned(gateway), now).key.key_id
        == "gateway.sign-1"
    )
    with pytest.raises(WrongAnswer):
        vendor_verifies_answer(Message(headers, status=200, request=request), b"[]", pinned(gateway), now)
    with pytest.raises(WrongAnswer):
        vendor_verifies_answer(
            Message(headers | {"lgsp-transfer": "u"}, status=200, request=request), b"{}", pinned(gateway), now
        )


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_provider_accepts_the_houses_call_and_the_house_its_answer(identities: Any, system: str) -> None:
    gateway, provider, now = identities("gateway"), identities(system), int(time.time())
    headers = {
        "content-type": "application/json",
        "idempotency-key": '"t"',
        "lgsp-transfer": "t",
        "lgsp-caller": "H14.7/y-te",
    }
    headers |= http_signatures.sign_request(
        http_signatures.HttpRequest("POST", TARGET, headers, BODY), house_key(gateway), now
    )
    request = Message(headers, "POST", TARGET)
    assert vendor_verifies_request(
        request, BODY, pinned(gateway), now, needed=("lgsp-caller", "content-digest")
    ).covered
    with pytest.raises(WrongRequest):
        vendor_verifies_request(Message(headers, "POST", TARGET + "x"), BODY, pinned(gateway), now)
    answer = {"content-type": "application/json", "content-digest": digest_header(b"{}")}
    answer |= vendor_signs_answer(Message(answer, status=200, request=request), provider.signer, created=now)
    assert http_signatures.verify_response(200, answer, b"{}", headers, house_key(provider).verify_key(), now)
    with pytest.raises(Theirs):
        http_signatures.verify_response(201, answer, b"{}", headers, house_key(provider).verify_key(), now)


@pytest.mark.parametrize("system", SOAP_SYSTEMS)
def test_the_house_accepts_a_vendors_envelope(identities: Any, system: str) -> None:
    identity, now = identities(system), time.time()
    headers = [
        ("Action", "action", "urn:a"),
        ("MessageID", "message-id", "urn:uuid:1"),
        ("To", "to", "https://localhost/"),
    ]
    body = etree.fromstring("<a xmlns='urn:x'><b>Trà Lĩnh</b>\n <!-- c --></a>")
    raw = serialise(sign(new_envelope(body), identity.signer, headers=headers, now=now))
    key = house_key(identity).verify_key()
    found = verify.verify_envelope(etree.fromstring(raw), {key.thumbprint: key}.get, now)
    assert (found.action, found.message_id, found.to) == ("urn:a", "urn:uuid:1", "https://localhost/")
    with pytest.raises(Theirs):
        verify.verify_envelope(etree.fromstring(raw.replace("Lĩnh".encode(), b"Linh")), {key.thumbprint: key}.get, now)


@pytest.mark.parametrize("system", SOAP_SYSTEMS)
def test_a_vendor_accepts_the_houses_envelope(identities: Any, system: str) -> None:
    gateway, now = identities(system), time.time()
    blocks = [verify.caller_block("H14.5", "phan-anh"), verify.receipt_block("t", [("Intent", b"\1" * 32)], "note")]
    raw = verify.sign_envelope(
        '<x:a xmlns:x="urn:x">Đông Khê</x:a>'.encode(),
        house_key(gateway),
        now,
        EnvelopeHeaders(action="urn:a", message_id="urn:uuid:2", relates_to="urn:uuid:1"),
        blocks=blocks,
    )
    key = Verifier("k", gateway.signer.certificate)
    found = theirs_soap.verify(theirs_soap.parse(raw), {key.thumbprint: key}.get, now)
    assert found.text(WSA, "RelatesTo") == "urn:uuid:1" and found.text(LGSP, "Caller") == "H14.5/phan-anh"
    assert found.body is not None and found.body.text == "Đông Khê"
    assert found.headers[f"{{{LGSP}}}Receipt"].findtext(f"{{{LGSP}}}Transfer") == "t"
    with pytest.raises(BadEnvelope):
        theirs_soap.verify(theirs_soap.parse(raw.replace("Khê".encode(), b"Khe")), {key.thumbprint: key}.get, now)
    assert raw.count(f'xmlns:soap="{SOAP}"'.encode()) >= 1


def test_the_log_is_read_alike(province: Any) -> None:
    private = province.authority.log_key
    name = "lgsp.caobang.example/log"
    key = LogKey.parse(NoteKey.make(name, private.public_key()).text())
    tree = merkle.Tree(leaf_hash(f"entry {number}".encode()) for number in range(37))
    for size in (1, 6, 16, 37):
        note = checkpoint.sign(checkpoint.Checkpoint(name, size, tree.root(size)), private, name)
        assert read_checkpoint(note, key).root == tree.root(size)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, tree.at)
            assert included(leaf_hash(f"entry {index}".encode()), index, size, proof, tree.root(size))
            assert not included(leaf_hash(b"another"), index, size, proof, tree.root(size))
        for older in range(1, size + 1):
            assert consistent(
                older, tree.root(older), size, tree.root(size), merkle.consistency_proof(older, size, tree.at)
            )
