"""A relay that lies stands between the kit and a running gateway: whatever it changes of an answer is objected to, with
the right error.

The relay is the kit's own transport with a lie in it; what it cannot do (sign as the gateway) an insider does, who
holds the gateway's keys.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from contracts.base.words import Words
from examples.story import World
from gateway.audit.log.logkey import LogKey
from gateway.client import AsyncClient, Identity, LogObjection, NotProven, Refused, RefusedOurs, RefusedTheirs
from gateway.client.errors import CLIENT_NO_CONNECTION
from gateway.client.transport import HttpTransport, RawAnswer
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Keyring
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from security import algorithms
from security.http_signatures import sign_response
from security.keys import SigningKey
from security.pki import authority
from tests.client.relay import Lie, Relay, byte_changed, other

pytestmark = pytest.mark.server
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")
OTHER = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q2")
BODY = messages.indicator_body(indicator="KT-05", area="04", period="2026-Q3")
PROBLEM = {"code": "token.expired", "branch": "theirs", "title": "–", "detail": "–", "next": "–"}


@pytest.fixture
async def kit(world: World, tmp_path: Path) -> AsyncIterator[tuple[AsyncClient, Relay]]:
    who = Identity.load(world.identities / "dieu-hanh")
    relay = Relay(HttpTransport(who.tls(), seconds=10.0, connections=4))
    async with AsyncClient(who, state=tmp_path / "state", transport=relay) as made:
        yield made, relay


ALTERED_REST: dict[str, Lie] = {
    "status": lambda a: a._replace(status=201),
    "status to a refusal": lambda a: a._replace(status=403),
    "body": lambda a: byte_changed(a, b"612.450", b"612.460"),
    "body and digest": lambda a: byte_changed(other(a, content_digest=None), b"612.450", b"612.460"),
    "no body": lambda a: a._replace(body=b""),
    "media type": lambda a: other(a, content_type="text/html"),
    "transfer": lambda a: other(a, lgsp_transfer=str(uuid.uuid4())),
    "receipt": lambda a: other(a, lgsp_receipt=a.headers["lgsp-receipt"].replace("intent", "refusal")),
    "no receipt": lambda a: other(a, lgsp_receipt=None),
    "checkpoint": lambda a: other(
        a, lgsp_checkpoint=":" + base64.b64encode(b"localhost/other\n1\nAAAA\n").decode() + ":"
    ),
    "no checkpoint": lambda a: other(a, lgsp_checkpoint=None),
    "no signature": lambda a: other(a, signature=None, signature_input=None),
    "no value": lambda a: other(a, signature=None),
    "signature": lambda a: other(a, signature=f"sig1=:{base64.b64encode(bytes(64)).decode()}:"),
    "thin list": lambda a: other(a, signature_input=a.headers["signature-input"].replace('"lgsp-receipt" ', "")),
    "unbound": lambda a: other(
        a, signature_input=a.headers["signature-input"].replace(' "signature";req;key="sig1"', "")
    ),
    "tag": lambda a: other(a, signature_input=a.headers["signature-input"].replace("lgsp-answer", "lgsp-request")),
}


@pytest.mark.parametrize("altered", ALTERED_REST)
async def test_an_altered_rest_answer_is_not_proven_and_nothing_of_it_is_kept(
    kit: tuple[AsyncClient, Relay], altered: str
) -> None:
    client, relay = kit
    relay.lie("/indicator/", ALTERED_REST[altered])
    with pytest.raises(NotProven) as objected:
        await client.rest("GET", QUESTION)
    assert objected.value.code == "client.not-proven" and objected.value.what("vi") != objected.value.what("en")
    reason = objected.value.facts["reason"]
    assert not isinstance(reason, Words) or reason.vi != reason.en
    if altered == "signature":
        assert "signature.wrong: Chữ ký" in objected.value.what("vi")
    assert (
        client.witness.kept is None and len([url for url, _, _ in relay.heard if "/indicator/" in url]) == 1
    )  # nor is it asked again


async def test_an_older_answer_is_not_the_answer_to_this_question(kit: tuple[AsyncClient, Relay]) -> None:
    client, relay = kit
    await client.rest("GET", QUESTION)
    older = relay.heard[-1][2]
    relay.lie("/indicator/", lambda _: older)
    for question in (QUESTION, OTHER):
        with pytest.raises(NotProven):
            await client.rest("GET", question)


ALTERED_SOAP: dict[str, Lie] = {
    "status": lambda a: a._replace(status=202),
    "status to a fault": lambda a: a._replace(status=500),
    "body": lambda a: byte_changed(a, b"612.450", b"612.460"),
    "relates to": lambda a: byte_changed(a, b"urn:uuid:", b"urn:uuix:"),
    "transfer": lambda a: byte_changed(a, b"<lgsp:Transfer>0", b"<lgsp:Transfer>1"),
    "receipt taken away": lambda a: a._replace(
        body=a.body[: a.body.index(b"<lgsp:Receipt")] + a.body[a.body.index(b"</lgsp:Receipt>") + 15 :]
    ),
    "no signature": lambda a: a._replace(
        body=a.body[: a.body.index(b"<wsse:Security")] + a.body[a.body.index(b"</wsse:Security>") + 16 :]
    ),
    "media type": lambda a: other(a, content_type="application/json"),
    "no envelope": lambda a: a._replace(body=b"<html/>"),
    "doctype": lambda a: a._replace(body=b"<!DOCTYPE a>" + a.body),
}


@pytest.mark.parametrize("altered", ALTERED_SOAP)
async def test_an_altered_soap_answer_is_not_proven(kit: tuple[AsyncClient, Relay], altered: str) -> None:
    client, relay = kit
    relay.lie("/soap/", ALTERED_SOAP[altered])
    with pytest.raises(NotProven):
        await client.soap("indicator/v1", BODY)
    assert client.witness.kept is None


async def test_an_older_envelope_is_not_the_answer_to_this_message(kit: tuple[AsyncClient, Relay]) -> None:
    client, relay = kit
    await client.soap("indicator/v1", BODY)
    older = relay.heard[-1][2]
    relay.lie("/soap/", lambda _: older)
    with pytest.raises(NotProven) as objected:
        await client.soap("indicator/v1", BODY)
    assert "RelatesTo" in objected.value.what("en")


async def test_an_unsigned_refusal_is_told_as_one(kit: tuple[AsyncClient, Relay]) -> None:
    """A relay can always say no: that nobody proved it is said too, and the message id stays to be used again."""
    client, relay = kit
    forged = RawAnswer(
        422, {"content-type": "application/problem+json"}, json.dumps(PROBLEM | {"code": "message.invalid"}).encode()
    )
    relay.lie("/indicator/", lambda _: forged)
    with pytest.raises(RefusedTheirs) as said:
        await client.rest("GET", QUESTION, message_id="hoi-1")
    assert not said.value.proven and said.value.answer.message_id == "hoi-1"


# --- keys of the gateway ----------------------------------------------------------------------------------------------


def signed_anew(key: SigningKey, **headers: str) -> Callable[[RawAnswer, Mapping[str, str]], RawAnswer]:
    """The insider's lie: other headers, and a signature over them."""

    def lie(answer: RawAnswer, asked: Mapping[str, str]) -> RawAnswer:
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("signature")} | headers
        return answer._replace(headers=kept | sign_response(answer.status, kept, answer.body, asked, key, time.time()))

    return lie


def issued(instance: Settings, system: str, *, issuer: str = "sign", key_id: str = "gateway.sign-9") -> SigningKey:
    private, now = algorithms.new_private(), time.time()
    above = EmbeddedAuthority(instance).issuer(issuer)
    made = authority.issue_signing(above, system, private.public_key(), now)
    return SigningKey.make(key_id, private, made)


def published(key: SigningKey) -> RawAnswer:
    pem = authority.certificate_pem(x509.load_der_x509_certificate(key.certificate_der)).decode()
    return RawAnswer(200, {}, json.dumps({"sign": [{"id": key.key_id, "certificate": pem, "chain": []}]}).encode())


async def test_a_newer_key_is_learnt_under_the_trusted_issuer(
    kit: tuple[AsyncClient, Relay], instance: Settings
) -> None:
    client, relay = kit
    newer = issued(instance, "gateway")
    relay.lies["/indicator/"] = signed_anew(newer)
    relay.before = lambda method, url: published(newer) if url.endswith("/keys") else None
    assert (await client.rest("GET", QUESTION)).proven
    assert (await client.rest("GET", QUESTION)).proven


@pytest.mark.parametrize(("system", "issuer"), [("y-te", "sign"), ("gateway", "tls")])
async def test_a_key_of_another_name_or_issuer_is_not(
    kit: tuple[AsyncClient, Relay], instance: Settings, system: str, issuer: str
) -> None:
    client, relay = kit
    false = issued(instance, system, issuer=issuer)
    relay.lies["/indicator/"] = signed_anew(false)
    relay.before = lambda method, url: published(false) if url.endswith("/keys") else None
    with pytest.raises(NotProven) as objected:
        await client.rest("GET", QUESTION)
    assert "signature.unknown-key" in objected.value.what("en")


async def test_the_pinned_key_keeps_its_certificate(kit: tuple[AsyncClient, Relay], instance: Settings) -> None:
    client, relay = kit
    false = issued(instance, "gateway", key_id=client.identity.gateway_key.key_id)
    relay.lies["/indicator/"] = signed_anew(false)
    relay.before = lambda method, url: published(false) if url.endswith("/keys") else None
    with pytest.raises(NotProven):
        await client.rest("GET", QUESTION)


# --- the log ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def insider(instance: Settings) -> Callable[[str], Callable[[RawAnswer, Mapping[str, str]], RawAnswer]]:
    """Holds all of the gateway's keys, and shows another checkpoint with an answer."""
    key = Keyring(instance).signing_key()
    return lambda note: signed_anew(key, **{"lgsp-checkpoint": f":{base64.b64encode(note.encode()).decode()}:"})


def note_of(instance: Settings, size: int, root: bytes) -> str:
    return LogKey.open(Keyring(instance).log_key, instance.origin).sign(size, root)


async def test_a_forked_log_is_objected_to_with_both_notes_kept(
    kit: tuple[AsyncClient, Relay], instance: Settings, insider: Any
) -> None:
    client, relay = kit
    await client.rest("GET", QUESTION)
    kept = client.witness.kept
    assert kept is not None
    for size in (kept.size, kept.size + 1):  # the same size with another root; a newer size that does not go on from it
        relay.lies["/indicator/"] = insider(note_of(instance, size, bytes(32)))
        relay.lie(
            "/audit/consistency",
            lambda a: RawAnswer(200, {}, json.dumps({"proof": [base64.b64encode(bytes(32)).decode()]}).encode()),
        )
        for _ in range(2):  # and again at every later call
            with pytest.raises(LogObjection) as objected:
                await client.rest("GET", QUESTION)
        objection = objected.value
        assert objection.code == "client.log-forked" and objection.answer is not None and objection.answer.proven
        evidence = json.loads(objection.kept.read_text("utf-8"))
        assert (evidence["kept"], evidence["shown"]) == (objection.older_note, objection.newer_note)
        assert client.witness.kept == kept
    assert len(client.witness.objections) == 2


async def test_a_log_that_was_rolled_back_is_objected_to_one_that_lags_is_not(
    kit: tuple[AsyncClient, Relay], world: World, instance: Settings, insider: Any
) -> None:
    client, relay = kit
    await client.rest("GET", QUESTION)
    first = client.witness.note
    for _ in range(2):
        await client.prove((await client.rest("GET", QUESTION)).receipt or "")
    kept = client.witness.kept
    assert first is not None and kept is not None and kept.size > int(first.split("\n")[1])
    relay.lies["/indicator/"] = insider(first)
    assert (await client.rest("GET", QUESTION)).proven  # a door that lags shows an older one of the same log
    assert client.witness.kept == kept
    relay.lie("/audit/consistency", lambda a: RawAnswer(404, {}, b"{}"))
    with pytest.raises(LogObjection) as objected:
        await client.rest("GET", QUESTION)
    assert objected.value.code == "client.log-rolled-back" and objected.value.older_note == client.witness.note


async def test_a_log_that_does_not_prove_itself_is_waited_for_and_then_objected_to(
    kit: tuple[AsyncClient, Relay], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, relay = kit
    await client.rest("GET", QUESTION)
    kept = client.witness.kept
    relay.lie("/audit/consistency", lambda a: RawAnswer(503, {}, b"{}"))
    assert (await client.prove((await client.rest("GET", QUESTION)).receipt or "")).checkpoint.size
    assert client.witness.kept == kept and client.witness.pending
    older = (client.witness.note or "").encode()
    relay.lie("/audit/checkpoint", lambda a: a._replace(body=older))  # as a door that lags, or that hides the newer one
    with monkeypatch.context() as impatient, pytest.raises(LogObjection) as objected:
        impatient.setattr("gateway.client.audit.checkpoint_monitor.PATIENCE", -1.0)
        await client.check_log()
    assert objected.value.code == "client.log-unproven"
    del relay.lies["/audit/consistency"]
    assert (await client.check_log()) != kept and not client.witness.pending


async def test_a_note_by_another_key_is_objected_to(
    kit: tuple[AsyncClient, Relay], tmp_path: Path, insider: Any, instance: Settings
) -> None:
    client, relay = kit
    strange = LogKey.open(tmp_path / "other.key", instance.origin)
    relay.lies["/indicator/"] = insider(strange.sign(10**6, bytes(32)))
    with pytest.raises(LogObjection) as objected:
        await client.rest("GET", QUESTION)
    assert objected.value.code == "client.log-key" and objected.value.kept.exists()


async def test_a_receipt_that_the_log_does_not_hold_is_not_proved(kit: tuple[AsyncClient, Relay]) -> None:
    client, relay = kit
    answer = await client.rest("GET", QUESTION)
    assert answer.receipt is not None
    forged = type(answer.receipt)(answer.receipt.transfer, {**answer.receipt.leaves, "outcome": bytes(32)})
    with pytest.raises(NotProven) as objected:
        await client.prove(forged, seconds=1.0)
    assert "outcome" in objected.value.what("en")


# --- lost and repeated ------------------------------------------------------------------------------------------------


async def test_a_lost_answer_is_asked_for_again_under_the_same_id(world: World, tmp_path: Path) -> None:
    """The gateway acted, and the relay lost what it said: the repeat has a fresh signature, and the provider sees the
    message once."""
    who = Identity.load(world.identities / "phan-anh")
    relay = Relay(HttpTransport(who.tls(), seconds=10.0, connections=4))
    before, lost = world.seen("do-thi")["records"], [2]

    def lose(answer: RawAnswer) -> RawAnswer:
        if lost[0]:
            lost[0] -= 1
            raise CLIENT_NO_CONNECTION(sent=True, method="POST", url="–", reason="lost")
        return answer

    relay.lie("/requests", lose)
    async with AsyncClient(who, state=tmp_path, transport=relay) as client:
        answer = await client.rest("POST", "/field-report/v1/requests", messages.field_report(area="01273"))
    sent = [headers for url, headers, _ in relay.heard if "/requests" in url]
    assert (
        len(sent) == 3
        and len({each["idempotency-key"] for each in sent}) == 1
        and len({each["signature"] for each in sent}) == 3
    )
    assert answer.proven and world.seen("do-thi")["records"] == before + 1


async def test_a_token_that_ended_is_renewed_once(kit: tuple[AsyncClient, Relay]) -> None:
    client, relay = kit
    ended = RawAnswer(401, {"content-type": "application/problem+json"}, json.dumps(PROBLEM).encode())
    refused = [1]

    def refuse(answer: RawAnswer) -> RawAnswer:
        refused[0] -= 1
        return ended if refused[0] >= 0 else answer

    relay.lie("/indicator/", refuse)
    assert (await client.rest("GET", QUESTION)).proven
    assert len([url for url, _, _ in relay.heard if url.endswith("/oauth/token")]) == 2
    refused[0] = 100
    with pytest.raises(Refused) as gone:
        await client.rest("GET", QUESTION)
    assert gone.value.code == "token.expired" and refused[0] == 98  # once more, not for ever


async def test_who_is_told_to_wait_waits_and_not_for_ever(kit: tuple[AsyncClient, Relay]) -> None:
    client, relay = kit
    busy = [2]
    document = json.dumps(PROBLEM | {"code": "journal.busy", "branch": "ours"}).encode()

    def refuse(answer: RawAnswer) -> RawAnswer:
        busy[0] -= 1
        return (
            RawAnswer(503, {"content-type": "application/problem+json", "retry-after": "0"}, document)
            if busy[0] >= 0
            else answer
        )

    relay.lie("/indicator/", refuse)
    assert (await client.rest("GET", QUESTION)).proven and busy[0] == -1
    relay.lie("/indicator/", lambda a: RawAnswer(503, {"retry-after": "3600"}, document))
    with pytest.raises(RefusedOurs) as later:
        await client.rest("GET", QUESTION)
    assert later.value.retry_after == 3600
