"""Contracts whose bodies are encrypted, for old systems that know nothing of it: in clear on the host, hidden on the
network, both ways."""

from __future__ import annotations

import json
import ssl
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contracts.base.ids import new_id
from gateway.settings import Settings
from security.encryption_keys import EncryptKey
from tests.agent.agents import Agent, OldSystem, Road, running, wait
from tests.agent.test_agent_provider import Gateway, _answered, _provider, _soap_answer

pytestmark = pytest.mark.server
DOSSIERS = "dossier-status/v1"
ACTION = "urn:caobang:mot-cua:1:DongBoHoSo"
SAMPLE = (
    Path(__file__).parents[2] / "contracts/catalogue/dossier-status/v1/samples/mot-cua-xml/DossierStatus.dat-dai.xml"
)
ENVELOPE = '<s:Envelope xmlns:s="{}"><s:Body>{}</s:Body></s:Envelope>'


@pytest.fixture
def tapped(instance: Settings, gateway: tuple[str, int]) -> Iterator[Road]:
    """Somebody on the road who ends TLS, as a proxy may: what it sees is what is protected by encrypted bodies
    alone."""
    identity = instance.identities / "mot-cua-xa"
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(instance.keys / "server.crt", instance.keys / "server.key")
    there = ssl.create_default_context(cafile=str(identity / "ca.crt"))
    there.load_cert_chain(identity / "tls.crt", identity / "tls.key")
    made = Road(gateway, (here, there))
    yield made
    made.close()


def test_an_old_caller_of_an_encrypted_contract(make: Callable[..., Agent], tapped: Road) -> None:
    agent = make("mot-cua-xa", [DOSSIERS], connect=tapped.at)
    heard: list[bytes] = []

    def hear(data: bytes) -> bytes:
        heard.append(data)
        return data

    tapped.tamper = hear

    def send(text: str, space: str = "http://schemas.xmlsoap.org/soap/envelope/", media: str = "text/xml") -> Any:
        headers = (
            {"Content_Type": media, "SOAPAction": f'"{ACTION}"'}
            if "xmlsoap" in space
            else {"Content_Type": f'{media}; action="{ACTION}"'}
        )
        return agent.call("POST", f"/soap/{DOSSIERS}", ENVELOPE.format(space, text).encode(), **headers)

    sample = SAMPLE.read_text("utf-8").partition("?>")[2].strip()

    def dossier() -> str:
        return sample.replace("H14.21-261105-0042.7", f"H14.22-{uuid.uuid4()}")

    with running(agent):
        for space, media in (
            ("http://schemas.xmlsoap.org/soap/envelope/", "text/xml"),
            ("http://www.w3.org/2003/05/soap-envelope", "application/soap+xml"),
        ):
            told = send(dossier(), space, media)
            assert told.status == 200 and b"acceptedAt" in told.body and b"EncryptedData" not in told.body, told.body
        fault = send(dossier().replace("<mc:TrangThai>5<", "<mc:TrangThai>93<"))
        assert fault.status == 500 and b"message.invalid" in fault.body and b"TrangThai" in fault.body
        tapped.cut()
        assert send(dossier()).status == 202
        tapped.mend()
        wait("its delivery", lambda: agent.count("sent") == 1)
        openapi = agent.call("GET", f"/contracts/{DOSSIERS}/openapi.json", secret="").body
        assert b"application/jose" not in openapi and b"application/json" in openapi
    seen = b"".join([*tapped.came, *heard])
    calls = b"".join(part for part in tapped.came if b"/contracts/" not in part)
    assert seen.count(b"EncryptedData") >= 8 and b"NguoiNop" not in calls and b"acceptedAt>" not in b"".join(heard)


@pytest.mark.parametrize(
    ("system", "kind", "answer"), [("truong-ha", "rest", _answered), ("do-thi", "soap", _soap_answer)]
)
async def test_an_old_provider_of_an_encrypted_contract(
    make: Callable[..., Agent],
    instance: Settings,
    session: aiohttp.ClientSession,
    system: str,
    kind: str,
    answer: Any,
) -> None:
    with OldSystem("bi-mat-noi-bo-de-thu-nghiem", answer).serving() as old:
        agent = _provider(make, system, kind, old.port)
        with running(agent):
            gateway = Gateway(instance, session, system, agent, kind)
            key = EncryptKey.from_certificate(
                f"{system}.encrypt-1", system, (instance.identities / system / "encrypt.crt").read_bytes()
            )
            gateway.encrypted_for((key,))
            transfer = new_id()
            first, again = await gateway.call(transfer), await gateway.call(transfer)
            assert first.answer == again.answer and len(old.calls) == 1
            words = str(gateway.outgoing(transfer).message["description"]).split(",")[0].encode()
            assert words in old.calls[0][2] or json.dumps(words.decode())[1:-1].encode() in old.calls[0][2], (
                "in clear at the old system"
            )
            travelled = first.evidence_out + first.evidence_in
            assert words not in travelled and str(first.answer["service_request_id"]).encode() not in travelled
            at = first.evidence_out.rindex(b"." if kind == "rest" else b"</xenc:CipherValue>") - 20
            changed = first.evidence_out[:at] + bytes([first.evidence_out[at] ^ 1]) + first.evidence_out[at + 1 :]
            refused = await gateway.raw(changed)
            assert b"signature." in refused or b"body.decryption" in refused or b"body.encryption-profile" in refused
            old.answer = lambda *_: (422, "application/json", '{"error": "Hồ sơ của bà Ngoãn"}'.encode())
            if kind == "rest":
                no = await gateway.failing()
                assert "Ngoãn".encode() not in no.evidence_in, "what a refusal says is hidden too"
            assert len(old.calls) == (2 if kind == "rest" else 1)
