"""The gateway's own adapters call an old system through its agent: only what is proven reaches it, once, and what it
answers is signed for it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from lxml import etree

from adapters.errors import Acted, ProviderFailure
from adapters.http import client_context
from adapters.model import Adapter, Endpoint, Incoming, Outgoing
from adapters.rest import RestAdapter
from adapters.soap import SoapAdapter
from bench.ports import free_port
from contracts.base.ids import new_id
from contracts.wire.jsontext import read_json
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from security.encryption_keys import EncryptKey
from security.jose import Opener
from security.keys import SigningKey, VerifyKey
from security.wssec.decrypt import BodyKeys
from tests.agent.agents import Agent, OldSystem, running
from tests.registry.making import contracts

pytestmark = pytest.mark.server
CONTRACT = "field-report/v1"
TAKEN = {
    "service_request_id": "TH-2026-0007",
    "status": "open",
    "service_notice": "Đã tiếp nhận, cán bộ thôn Pác Bó kiểm tra.",
}
LATE = 2.0


def _answered(_: str, __: bytes) -> tuple[int, str, bytes]:
    return 200, "application/json; charset=utf-8", json.dumps(TAKEN, ensure_ascii=False).encode()


class Gateway:
    """The gateway as one provider sees it: its keys, its adapters, its raw bytes."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, system: str, agent: Agent, kind: Any
    ) -> None:
        keyring = Keyring(settings)
        self.session, self.key, self.keyring = session, keyring.signing_key(), keyring
        key = VerifyKey.from_certificate(
            f"{system}.sign-1", system, (settings.identities / system / "sign.crt").read_bytes()
        )
        side = agent.config["provider"]
        self.port, self.kind = int(side["listen"].rpartition(":")[2]), kind
        self.endpoint = Endpoint(system, kind, side["base"], {key.key_id: key}, {key.thumbprint: key})
        self.settings = settings
        self.encrypted = False

    def encrypted_for(self, keys: tuple[EncryptKey, ...]) -> None:
        """From now on as under a contract whose bodies are encrypted."""
        self.endpoint, self.encrypted = replace(self.endpoint, encrypt_keys=keys), True

    def outgoing(self, transfer: str) -> Outgoing:
        contract = contracts()[CONTRACT]
        name = "do-thi-xml" if self.kind == "soap" else "canonical"
        sample = next(
            each for each in contract.samples if each.message == "ServiceRequest" and each.format == "do-thi-xml"
        )
        operation = contract.contract.operations["createRequest"]
        return Outgoing(
            transfer,
            "H14.5/phan-anh",
            operation,
            contract.codec(name),
            read_json(sample.canonical),
            5.0,
            self.encrypted,
        )

    async def call(self, transfer: str | None = None, *, key: SigningKey | None = None, fault: str = "") -> Incoming:
        signing, own = key or self.key, self.keyring.decrypt_keys()
        adapter: Adapter = RestAdapter(self.session, signing, Opener(own), time.time)
        if self.kind == "soap":
            adapter = SoapAdapter(self.session, signing, BodyKeys(own), time.time)
        return await adapter.call(self.endpoint, self.outgoing(transfer or new_id())._replace(fault=fault))

    async def failing(self, transfer: str | None = None) -> ProviderFailure:
        with pytest.raises(ProviderFailure) as caught:
            await self.call(transfer)
        return caught.value

    async def raw(self, message: bytes, *, who: str = "") -> bytes:
        """These very bytes, over mutual TLS as the gateway, or as another system."""
        folder = self.settings.identities / who
        certificate = (
            (folder / "tls.crt", folder / "tls.key")
            if who
            else (self.keyring.client_certificate, self.keyring.client_key)
        )
        tls = client_context(self.keyring.trust_anchors, *certificate)
        reader, writer = await asyncio.open_connection("localhost", self.port, ssl=tls)
        writer.write(message.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer


def _provider(make: Callable[..., Agent], system: str, kind: str, behind: int) -> Agent:
    agent, port = make(system, [CONTRACT]), free_port()
    del agent.config["caller"]
    agent.config["provider"] = {
        "listen": f"127.0.0.1:{port}",
        "base": f"https://localhost:{port}",
        "system": f"http://127.0.0.1:{behind}",
        "kind": kind,
        "seconds": LATE,
    }
    return agent


@pytest.fixture(scope="module")
def old() -> Iterator[OldSystem]:
    with OldSystem("bi-mat-noi-bo-de-thu-nghiem", _answered).serving() as system:
        yield system


@pytest.fixture(scope="module")
def office(make: Callable[..., Agent], old: OldSystem) -> Agent:
    return _provider(make, "truong-ha", "rest", old.port).start()


@pytest.fixture
def rest(instance: Settings, session: aiohttp.ClientSession, office: Agent, old: OldSystem) -> Gateway:
    old.answer, old.secret = _answered, "bi-mat-noi-bo-de-thu-nghiem"
    return Gateway(instance, session, "truong-ha", office, "rest")


async def test_a_call_reaches_the_old_system_plainly_and_its_answer_comes_back_signed(
    rest: Gateway, old: OldSystem
) -> None:
    transfer, before = new_id(), len(old.calls)
    incoming = await rest.call(transfer)
    assert incoming.answer["service_notice"] == TAKEN["service_notice"]
    path, headers, body = old.calls[before]
    assert path == "/requests" and json.loads(body)["description"] == rest.outgoing(transfer).message["description"]
    assert headers["idempotency-key"] == f'"{transfer}"' and headers["lgsp-caller"] == "H14.5/phan-anh"
    assert headers["authorization"].startswith("Basic ") and not {
        "signature",
        "signature-input",
        "content-digest",
    } & set(headers)


async def test_a_fault_that_a_sandbox_orders_reaches_the_system(rest: Gateway, old: OldSystem) -> None:
    before = len(old.calls)
    await rest.call(new_id())
    await rest.call(new_id(), fault="slow;seconds=0.100")
    assert [headers.get("lgsp-sandbox-fault") for _, headers, _ in old.calls[before:]] == [None, "slow;seconds=0.100"]


async def test_a_repeat_is_answered_from_what_is_kept_and_a_replay_is_refused(
    rest: Gateway, old: OldSystem, office: Agent
) -> None:
    transfer, before = new_id(), len(old.calls)
    first = await rest.call(transfer)
    again = await rest.call(transfer)
    assert first.answer == again.answer and len(old.calls) == before + 1
    replayed = await rest.raw(first.evidence_out)
    assert b" 409 " in replayed.splitlines()[0] and b"agent.replayed" in replayed
    assert b"signature" not in replayed.lower().partition(b"\r\n\r\n")[0], (
        "a signed no would pass for the answer to the call itself"
    )
    office.kill()
    office.start()
    assert b"agent.replayed" in await rest.raw(first.evidence_out), "after a restart too"
    assert (await rest.call(transfer)).answer == first.answer and len(old.calls) == before + 1


async def test_what_is_not_proven_never_reaches_the_old_system(
    rest: Gateway, old: OldSystem, instance: Settings, make: Callable[..., Agent]
) -> None:
    spare = await rest.call()
    fresh, before = spare.evidence_out, len(old.calls)

    async def refused(message: bytes, code: bytes, who: str = "") -> None:
        told = await rest.raw(message, who=who)
        assert code in told and told.split(b" ")[1][:1] == b"4", told
        assert b"\r\nsignature" not in told.lower().partition(b"\r\n\r\n")[0]

    body = fresh.partition(b"\r\n\r\n")[2]
    await refused(fresh[: -len(body)] + body.replace(b'"area":"', b'"area":"9').replace(b"}", b"", 1), b"signature.")
    await refused(fresh.replace(b"H14.5/phan-anh", b"H14.0/dieu-hanh"), b"signature.wrong")
    await refused(fresh.replace(b"POST /requests", b"POST /khac"), b"signature.wrong")
    await refused(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"signature.missing")
    await refused(fresh, b"agent.channel", who="kinh-te")
    stranger = SigningKey.from_pem(
        rest.key.key_id,
        (instance.identities / "kinh-te" / "sign.key").read_bytes(),
        (instance.identities / "kinh-te" / "sign.crt").read_bytes(),
    )
    with pytest.raises(ProviderFailure) as forged:
        await rest.call(key=stranger)
    assert forged.value.acted is Acted.MAYBE and b"signature.wrong" in forged.value.evidence_in
    bare = ssl.create_default_context(cafile=str(rest.keyring.trust_anchors))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        reader, writer = await asyncio.open_connection("localhost", rest.port, ssl=bare)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not await reader.read()
        raise ConnectionResetError
    late = _provider(make, "truong-ha", "rest", old.port)
    late.skew = 600.0
    with running(late):
        stale = await Gateway(instance, rest.session, "truong-ha", late, "rest").failing()
    assert stale.acted is Acted.MAYBE and b"signature.expired" in stale.evidence_in
    assert len(old.calls) == before


async def test_its_faults_become_signed_refusals(rest: Gateway, old: OldSystem) -> None:
    old.answer = lambda *_: (422, "application/json", '{"error": "Xã khác"}'.encode())
    no = await rest.failing()
    assert (no.code, no.acted) == ("provider.refused", Acted.NO) and "Xã khác".encode() in no.evidence_in
    old.answer = lambda *_: (503, "text/plain", b"maintenance")
    assert (await rest.failing()).acted is Acted.NO
    old.secret = "another"
    wrong = await rest.failing()
    assert (wrong.code, wrong.acted) == ("provider.fault", Acted.NO) and b"agent.system-down" in wrong.evidence_in
    old.secret = "bi-mat-noi-bo-de-thu-nghiem"
    old.answer = lambda *_: (302, "text/plain", b"")
    assert (await rest.failing()).acted is Acted.MAYBE


async def test_an_unknown_outcome_is_in_doubt_until_a_person_settles_it(
    rest: Gateway, old: OldSystem, office: Agent
) -> None:
    transfer, before = new_id(), len(old.calls)
    old.answer = lambda *_: (0, "", str(LATE * 2).encode())
    silent = await rest.failing(transfer)
    assert (
        silent.acted is Acted.MAYBE
        and b"agent.system-late" in silent.evidence_in
        and b" 504 " in silent.evidence_in.splitlines()[0]
    )
    old.answer = _answered
    doubt = await rest.failing(transfer)
    assert doubt.acted is Acted.MAYBE and b"agent.in-doubt" in doubt.evidence_in
    assert len(old.calls) == before + 1, "it is not handed over twice"
    assert transfer in [each["id"] for each in office.lgsp("queue")["in_doubt"]] and not office.lgsp("status")["ok"]
    assert office.lgsp("settle", transfer)["ok"]
    assert (await rest.call(transfer)).answer["status"] == "open" and len(old.calls) == before + 2


async def test_an_old_system_that_is_down_has_surely_not_acted(
    make: Callable[..., Agent], instance: Settings, session: aiohttp.ClientSession
) -> None:
    agent = _provider(make, "truong-ha", "rest", free_port())
    with running(agent):
        gateway, transfer = Gateway(instance, session, "truong-ha", agent, "rest"), new_id()
        for _ in range(2):
            down = await gateway.failing(transfer)
            assert (down.code, down.acted, down.facts["provider_status"]) == ("provider.fault", Acted.NO, 503)
            assert b"agent.system-down" in down.evidence_in and b"retry-after: 5" in down.evidence_in.lower()
        assert agent.lgsp("status")["in_doubt"] == 0
        check = {each["name"]: each for each in agent.lgsp("check")["checks"]}
        assert not check["system"]["ok"] and check["gateway"]["ok"]


# --- SOAP -------------------------------------------------------------------------------------------------------------

_ENVELOPE = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>{}</soap:Body></soap:Envelope>'
)
_FAULT = "<soap:Fault><faultcode>soap:{}</faultcode><faultstring>Không nhận</faultstring></soap:Fault>"


def _soap_answer(_: str, __: bytes) -> tuple[int, str, bytes]:
    contract = contracts()[CONTRACT]
    sample = next(
        each for each in contract.samples if each.message == "ServiceRequestReceived" and each.format == "do-thi-xml"
    )
    content = contract.codec("do-thi-xml").write_xml("ServiceRequestReceived", read_json(sample.canonical)).decode()
    return 200, "text/xml; charset=utf-8", ('<?xml version="1.0"?>\n' + _ENVELOPE.format(content)).encode()


async def test_a_soap_system_that_cannot_sign(
    make: Callable[..., Agent], instance: Settings, session: aiohttp.ClientSession
) -> None:
    with OldSystem("bi-mat-noi-bo-de-thu-nghiem", _soap_answer).serving() as old:
        agent = _provider(make, "do-thi", "soap", old.port)
        with running(agent):
            gateway, transfer = Gateway(instance, session, "do-thi", agent, "soap"), new_id()
            incoming = await gateway.call(transfer)
            assert incoming.answer["service_request_id"] and (await gateway.call(transfer)).answer == incoming.answer
            assert len(old.calls) == 1
            _, headers, body = old.calls[0]
            envelope = etree.fromstring(body)
            assert len(envelope) == 1 and len(envelope[0]) == 1 and b"Signature" not in body, (
                "a plain envelope, its Body alone"
            )
            assert headers["idempotency-key"] == f'"urn:uuid:{transfer}"' and headers["soapaction"].startswith('"')
            sample = gateway.outgoing(transfer)
            assert sample.codec.read_xml("ServiceRequest", envelope[0][0]) == sample.message

            replayed = await gateway.raw(incoming.evidence_out)
            assert b"agent.replayed" in replayed and b"<ds:Signature" not in replayed
            forged = await gateway.raw(incoming.evidence_out.replace(b"H14.5/phan-anh", b"H14.0/dieu-han"))
            assert b"signature.digest-mismatch" in forged and len(old.calls) == 1

            old.answer = lambda *_: (500, "text/xml", _ENVELOPE.format(_FAULT.format("Client")).encode())
            no = await gateway.failing()
            assert (no.code, no.acted) == ("provider.refused", Acted.NO)
            for status, media, content in (
                (500, "text/xml", _ENVELOPE.format(_FAULT.format("Server")).encode()),
                (500, "text/html", b"<html>oops"),
                (200, "text/xml", b"<a/>"),
            ):
                old.answer = lambda *_, told=(status, media, content): told
                assert (await gateway.failing()).acted is Acted.MAYBE
            assert agent.lgsp("status")["in_doubt"] == 2, "a 200 that is no envelope was an answer nevertheless"
