"""The SOAP adapter under a contract whose bodies are encrypted, against a real TLS server that decrypts and encrypts
too."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.errors import Acted, ProviderFailure
from adapters.model import Endpoint, Incoming, Outgoing, evidence_of
from adapters.soap import SoapAdapter
from contracts.wire import soap
from contracts.wire.jsontext import read_json
from security.algorithms import KeyType, new_private
from security.encryption_keys import DecryptKey
from security.pki.authority import issue_encryption, private_pem
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.adapters.providers import Provider, drop
from tests.adapters.sides import EncryptedSide
from tests.adapters.test_adapter_soap import TRANSFER, answer, fault, outgoing, plain, sample
from tests.registry.making import House


def decrypt_key(keys: House, system: str, kind: KeyType = "RSA-3072") -> DecryptKey:
    private = new_private(kind)
    certificate = issue_encryption(keys.signing, system, private.public_key(), time.time() - 3600)
    return DecryptKey.from_pem(f"{system}.encrypt-1", private_pem(private), certificate)


@pytest.fixture(scope="module")
def ours(keys: House) -> DecryptKey:
    return decrypt_key(keys, "gateway")


@pytest.fixture(scope="module")
def theirs(keys: House) -> DecryptKey:
    return decrypt_key(keys, "do-thi")


class Side(EncryptedSide):
    """The provider's side: what it reads of a call, and how it answers."""

    kind = "soap"

    def opened(self, body: bytes) -> bytes:
        return decrypt_envelope(soap.parse_envelope(body), BodyKeys([self.theirs])).raw

    def answered(
        self, body: bytes, content: bytes, *, hidden: bool = True, to: DecryptKey | None = None, status: int = 200
    ) -> web.Response:
        made = self.provider.envelope(self.opened(body), content, status=status)
        assert isinstance(made.body, bytes)
        raw = encrypt_envelope(made.body, (to or self.ours).encrypt_key()) if hidden else made.body
        return web.Response(body=raw, status=status, content_type="text/xml")

    async def ask(self, endpoint: Endpoint) -> Incoming:
        adapter = SoapAdapter(self.session, self.provider.gateway, BodyKeys([self.ours]), time.time)
        call: Outgoing = outgoing()._replace(encrypted=True)
        return await adapter.call(endpoint, call)


@pytest.fixture
def side(provider: Provider, session: aiohttp.ClientSession, ours: DecryptKey, theirs: DecryptKey) -> Side:
    return Side(provider, session, ours, theirs)


async def test_an_encrypted_call_and_its_answer(side: Side) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return side.answered(body, answer())

    incoming = await side.call(script)
    assert incoming.answer == read_json(sample("ServiceRequestReceived").canonical)
    seen = side.provider.seen[0].body
    gateway = side.provider.gateway
    envelope = verify_envelope(
        soap.parse_envelope(side.opened(seen)), {gateway.thumbprint: gateway.verify_key()}.get, time.time()
    )
    assert envelope.message_id == f"urn:uuid:{TRANSFER}" and envelope.caller == "H14.5/phan-anh"
    kept = dict(evidence_of(incoming))
    # What travelled is kept as it was, unreadable; beside it what the signatures of both sides cover.
    assert kept["forwarded"].endswith(seen) and b"EncryptedData" in kept["provider-answer"]
    for part, signer in (("forwarded-opened", gateway), ("provider-answer-opened", side.provider.identity.sign)):
        verify_envelope(soap.parse_envelope(kept[part]), {signer.thumbprint: signer.verify_key()}.get, time.time())


async def test_a_system_without_an_rsa_key_is_not_called(side: Side, keys: House) -> None:
    for none in ((), (decrypt_key(keys, "do-thi-ec", "P-256"),)):
        failure = await side.failing(drop, none)
        assert (failure.code, failure.acted, failure.facts["kind"]) == ("provider.no-encryption-key", Acted.NO, "RSA")
    assert side.provider.seen == []


async def test_an_answer_in_clear_is_not_believed(side: Side) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return side.answered(body, answer(), hidden=False)

    failure = await side.failing(script)
    assert (failure.code, failure.facts["reason"]) == ("provider.bad-answer", "body.not-encrypted")


async def test_an_answer_for_somebody_else_cannot_be_read(side: Side) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return side.answered(body, answer(), to=side.theirs)

    failure = await side.failing(script)
    assert (failure.code, failure.facts["reason"]) == ("provider.bad-answer", "body.decryption")


async def test_a_changed_ciphertext_cannot_be_read(side: Side) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        made = side.answered(body, answer())
        assert isinstance(made.body, bytes)
        at = made.body.rindex(b"<xenc:CipherValue>") + 60
        changed = made.body[:at] + (b"A" if made.body[at : at + 1] != b"A" else b"B") + made.body[at + 1 :]
        return web.Response(body=changed, content_type="text/xml")

    assert (await side.failing(script)).facts["reason"] == "body.decryption"


async def test_another_signature_under_the_encryption(side: Side, stranger: Any) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        side.provider.signer = stranger.sign
        return side.answered(body, answer())

    failure = await side.failing(script)
    assert failure.code == "provider.bad-signature" and failure.opened_in and failure.opened_out


async def test_faults_are_encrypted_too(side: Side) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return side.answered(body, fault("Client"), status=500)

    failure = await side.failing(script)
    assert (failure.code, failure.acted) == ("provider.refused", Acted.NO)
    assert [part for part, _ in evidence_of(failure)] == [
        "forwarded",
        "provider-answer",
        "forwarded-opened",
        "provider-answer-opened",
    ]


@pytest.mark.parametrize("signed", [True, False])
async def test_a_fault_in_clear_tells_but_proves_nothing(side: Side, signed: bool) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        if signed:
            return side.answered(body, fault("Client"), hidden=False, status=500)
        return web.Response(body=plain(fault("Client")), status=500, content_type="text/xml")

    failure = await side.failing(script)
    assert (failure.code, failure.acted) == ("provider.refused", Acted.MAYBE)


async def test_a_connection_that_drops_leaves_what_was_signed(side: Side) -> None:
    failure = await side.failing(drop)
    assert failure.code == "provider.dropped" and [part for part, _ in evidence_of(failure)] == [
        "forwarded",
        "forwarded-opened",
    ]


async def test_an_encrypted_answer_where_none_is_asked_for(side: Side, ours: DecryptKey) -> None:
    """Under a contract that is signed only, encryption hides what nobody allowed to be hidden."""

    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        raw = sign_envelope(
            answer(),
            side.provider.signer,
            time.time(),
            EnvelopeHeaders(action="urn:x", message_id="urn:y", relates_to=f"urn:uuid:{TRANSFER}"),
        )
        return web.Response(body=encrypt_envelope(raw, ours.encrypt_key()), content_type="text/xml")

    side.provider.script = script
    key = side.provider.identity.sign.verify_key()
    endpoint = Endpoint("do-thi", "soap", side.provider.url, {key.key_id: key}, {key.thumbprint: key})
    with pytest.raises(ProviderFailure) as caught:
        await SoapAdapter(side.session, side.provider.gateway, BodyKeys([ours]), time.time).call(endpoint, outgoing())
    assert caught.value.code == "provider.bad-signature"
