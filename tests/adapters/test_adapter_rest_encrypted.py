"""The REST adapter under a contract whose bodies are encrypted, against a real TLS server that decrypts and encrypts
too."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.errors import Acted
from adapters.model import Endpoint, Incoming, Outgoing, evidence_of
from adapters.rest import RestAdapter
from contracts.wire import jsontext
from security import jose
from security.encryption_keys import DecryptKey
from security.http_signatures import sign_response
from tests.adapters.providers import Provider, drop
from tests.adapters.sides import EncryptedSide
from tests.adapters.test_adapter_rest import TRANSFER
from tests.registry.making import contracts
from tests.security.joseparts import receiver

QUERY = {"dossier": "000.00.22.H14-261118-0007"}


def sample(message: str) -> Any:
    samples = contracts()["dossier-status/v1"].samples
    return next(
        each for each in samples if (each.format, each.message, each.name) == ("mot-cua-json", message, "khai-sinh")
    )


@pytest.fixture(scope="module")
def ours() -> DecryptKey:
    return receiver("gateway", "RSA-2048", time.time())


@pytest.fixture(scope="module")
def theirs() -> DecryptKey:
    return receiver("do-thi", "P-256", time.time())


class Side(EncryptedSide):
    """The provider's side: what it reads of a call, and how it answers."""

    kind = "rest"

    def opened(self, body: bytes) -> jose.Opened:
        gateway = self.provider.gateway
        return jose.Opener([self.theirs]).open(body, {gateway.key_id: gateway.verify_key()}.get, time.time())

    def answered(
        self,
        request: web.Request,
        *,
        to: DecryptKey | None = None,
        by: Any = None,
        media: str = "application/json",
        clear: bool = False,
    ) -> web.Response:
        content = sample("DossierAnswer").raw
        body = (
            content
            if clear
            else jose.seal(content, media, by or self.provider.signer, (to or self.ours).encrypt_key())[0]
        )
        headers = {"content-type": "application/json" if clear else jose.MEDIA_TYPE}
        sent = {name.lower(): value for name, value in request.headers.items()}
        headers |= sign_response(200, headers, body, sent, self.provider.signer, time.time())
        return web.Response(body=body, headers=headers)

    async def ask(self, endpoint: Endpoint) -> Incoming:
        contract = contracts()["dossier-status/v1"]
        operation = contract.contract.operations["getStatus"]
        outgoing = Outgoing(
            TRANSFER, "H14.22/mot-cua-xa", operation, contract.codec("mot-cua-json"), dict(QUERY), 5.0, encrypted=True
        )
        return await RestAdapter(self.session, self.provider.gateway, jose.Opener([self.ours]), time.time).call(
            endpoint, outgoing
        )


@pytest.fixture
def side(provider: Provider, session: aiohttp.ClientSession, ours: DecryptKey, theirs: DecryptKey) -> Side:
    return Side(provider, session, ours, theirs)


async def test_an_encrypted_call_and_its_answer(side: Side) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        side.provider.verified(request, body)
        return side.answered(request)

    incoming = await side.call(script)
    assert incoming.answer == jsontext.read_json(sample("DossierAnswer").canonical)
    (seen,) = side.provider.seen[-1:]
    assert seen.method == "POST" and seen.header("content-type") == jose.MEDIA_TYPE and b"MaHoSo" not in seen.body
    opened = side.opened(seen.body)
    assert json.loads(opened.payload) == {"MaHoSo": QUERY["dossier"]}
    kept = dict(evidence_of(incoming))
    assert kept["forwarded"].endswith(seen.body) and kept["forwarded-opened"] == opened.jws
    # What proves the answer later: the JWS, which the system's own certificate verifies.
    key = side.provider.identity.sign.verify_key()
    proved = jose.verify(kept["provider-answer-opened"], {key.key_id: key}.get, time.time())
    assert proved.payload == sample("DossierAnswer").raw and proved.payload not in kept["provider-answer"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"clear": True}, "not application/jose"),
        ({"to": receiver("gateway", "RSA-2048", time.time())}, "body.decryption"),
        ({"media": "application/xml"}, "not application/json in the JWS"),
        ({"by": "gateway"}, "signature.unknown-key"),
    ],
)
async def test_answers_that_are_not_believed(side: Side, how: dict[str, Any], reason: str) -> None:
    async def script(request: web.Request, body: bytes) -> web.StreamResponse:
        return side.answered(request, **(how if "by" not in how else {"by": side.provider.gateway}))

    failure = await side.failing(script)
    assert (failure.code, failure.facts["reason"]) == ("provider.bad-answer", reason) and failure.acted is Acted.MAYBE
    assert "forwarded-opened" in dict(evidence_of(failure))


async def test_a_system_without_a_key_is_not_asked(side: Side) -> None:
    seen = len(side.provider.seen)
    failure = await side.failing(drop, encrypt_keys=())
    assert (failure.code, failure.acted) == ("provider.no-encryption-key", Acted.NO) and len(side.provider.seen) == seen


async def test_of_a_call_that_was_dropped_the_signed_request_is_kept(side: Side) -> None:
    failure = await side.failing(drop)
    assert failure.code == "provider.dropped" and b"." in dict(evidence_of(failure))["forwarded-opened"]
