"""Encrypted bodies by SOAP through a real door: the client of `examples/`, which knows only the wire page, and zeep
with its plugin."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import zeep
import zeep.exceptions
from lxml import etree

from contracts.wire.soap import parse_envelope
from examples.story import World
from gateway.sample_client.soap import SoapClient, ZeepSigner, zeep_transport
from gateway.sample_client.wscrypt import is_encrypted
from gateway.sample_client.wssec import SOAP, SOAP12
from gateway.sandbox.standins.messages import cap_alert
from security.keys import VerifyKey
from security.wssec.verify import verify_envelope
from tests.story.evidence import evidence

pytestmark = pytest.mark.server

DOSSIERS = "dossier-status/v1"
ACTION = "urn:caobang:mot-cua:1:DongBoHoSo"
SAMPLE = (
    Path(__file__).parents[2] / "contracts/catalogue/dossier-status/v1/samples/mot-cua-xml/DossierStatus.dat-dai.xml"
)


def status() -> bytes:
    """A change of status as the older one-stop system tells it, with an id of its own."""
    return SAMPLE.read_bytes().replace(b"H14.21-261105-0042.7", f"H14.22-{uuid.uuid4()}".encode())


both = pytest.mark.parametrize("soap", [SOAP, SOAP12], ids=["1.1", "1.2"])


@pytest.fixture
def client(world: World) -> Callable[[str], SoapClient]:
    return lambda soap: SoapClient(world.identity("mot-cua-xa"), soap=soap)


@both
def test_encrypted_both_ways(soap: str, client: Callable[[str], SoapClient]) -> None:
    caller = client(soap)
    prepared = caller.prepare(DOSSIERS, "submitStatus", status(), action=ACTION, encrypt_it=True)
    assert b"NguoiNop" not in prepared.request.body
    raw = caller.exchange(prepared)
    assert is_encrypted(etree.fromstring(raw.body)) and b"acceptedAt" not in raw.body
    answer = caller.judge(prepared, raw)
    assert answer.ok and answer.verified and answer.receipt is not None and answer.receipt.outcome, answer.fault


@both
def test_a_repeat_gets_its_answer_encrypted_anew(soap: str, client: Callable[[str], SoapClient]) -> None:
    caller, body, name = client(soap), status(), f"urn:uuid:{uuid.uuid4()}"
    one, two = (
        caller.call(DOSSIERS, "submitStatus", body, action=ACTION, message_id=name, encrypt_it=True) for _ in range(2)
    )
    assert one.ok and two.ok and one.body is not None and two.body is not None and one.raw != two.raw
    assert etree.tostring(one.body) == etree.tostring(two.body)


@both
def test_what_is_demanded_and_what_is_not(soap: str, client: Callable[[str], SoapClient], world: World) -> None:
    caller = client(soap)
    plain = caller.call(DOSSIERS, "submitStatus", status(), action=ACTION)
    assert plain.fault is not None and plain.fault.problem == "body.not-encrypted"
    alerts = SoapClient(world.identity("canh-bao"), soap=soap).call(
        "incident-alert/v1", "submitAlert", cap_alert(), encrypt_it=True
    )
    assert alerts.fault is not None and alerts.fault.problem == "body.encryption-unexpected"


@both
def test_a_refusal_that_speaks_of_the_content_is_encrypted(soap: str, client: Callable[[str], SoapClient]) -> None:
    caller = client(soap)
    wrong = status().replace(b"<mc:TrangThai>5<", b"<mc:TrangThai>93<")
    prepared = caller.prepare(DOSSIERS, "submitStatus", wrong, action=ACTION, encrypt_it=True)
    raw = caller.exchange(prepared)
    assert b"mc:HoSo" not in raw.body and b"EncryptedData" in raw.body
    answer = caller.judge(prepared, raw)
    assert answer.fault is not None and answer.verified and answer.fault.problem == "message.invalid"
    assert answer.fault.findings[0]["here"].endswith("mc:TrangThai")


@both
@pytest.mark.parametrize("which", [0, 1], ids=["the wrapped key", "the ciphertext"])
def test_what_cannot_be_decrypted(soap: str, which: int, client: Callable[[str], SoapClient]) -> None:
    caller = client(soap)

    def spoil(headers: dict[str, str], content: bytes) -> tuple[dict[str, str], bytes]:
        root = etree.fromstring(content)
        value = list(root.iter("{http://www.w3.org/2001/04/xmlenc#}CipherValue"))[which]
        raw = bytearray(base64.b64decode(value.text or ""))
        raw[20] ^= 1
        value.text = base64.b64encode(bytes(raw)).decode()
        return headers, etree.tostring(root)

    answer = caller.call(DOSSIERS, "submitStatus", status(), action=ACTION, encrypt_it=True, mutate=spoil)
    assert answer.fault is not None and answer.fault.problem == "body.decryption" and not answer.fault.findings


@both
def test_a_signature_that_does_not_hold_under_the_encryption(soap: str, client: Callable[[str], SoapClient]) -> None:
    answer = client(soap).call(DOSSIERS, "submitStatus", status(), action=ACTION, encrypt_it=True, leave_out=("body",))
    assert answer.fault is not None and answer.fault.problem == "signature.not-covering"


def test_the_evidence_proves_without_the_key(client: Callable[[str], SoapClient], world: World) -> None:
    """What travelled is kept as it was; beside it what the signature covers, so that it can be verified when the
    gateway's key is long gone."""
    caller = client(SOAP)
    prepared = caller.prepare(DOSSIERS, "submitStatus", status(), action=ACTION, encrypt_it=True)
    answer = caller.send(prepared)
    assert answer.receipt is not None
    travelled, opened = evidence(world, answer.receipt.transfer)
    assert travelled.endswith(prepared.request.body)
    key = VerifyKey.from_certificate("k", "mot-cua-xa", caller.identity.signer.certificate_der)
    root = parse_envelope(opened)
    created = root.findtext(".//{*}Created")
    assert created is not None
    found = verify_envelope(root, {key.thumbprint: key}.get, datetime.fromisoformat(created).timestamp())
    assert found.message_id == prepared.message_id and b"NguoiNop" in etree.tostring(found.body)


@pytest.mark.parametrize("port", ["DossierStatusPort", "DossierStatusPort12"])
def test_zeep_with_its_plugin(port: str, world: World) -> None:
    identity = world.identity("mot-cua-xa")
    signer = ZeepSigner(identity, encrypt_it=True)
    address = f"{identity.gateway}/contracts/{DOSSIERS}/formats/mot-cua-xml/service.wsdl"
    client = zeep.Client(address, wsse=signer, transport=zeep_transport(identity))
    service = client.bind("DossierStatusService", port)
    with client.settings(raw_response=False):
        answer = service.submitStatus(
            lanCapNhat=f"H14.22-{uuid.uuid4()}",
            HoSo={
                "SoBienNhan": "H14.22-261124-0001",
                "MaThuTuc": "1.012756",
                "TenThuTuc": "Đăng ký khai sinh",
                "DonVi": "H14.21",
                "NguoiNop": "Mã Văn Thưởng",
                "TrangThai": "5",
                "ThoiDiem": "20/11/2026 08:59:40",
                "NgayNhan": "05/11/2026",
                "GioNhan": "07:45:00",
                "NgayHen": "15/12/2026",
                "GioHen": "17:00:00",
                "CanBo": "*KR*",
                "LePhi": "100000",
                "TrucTuyen": "0",
            },
        )
    assert signer.verified and answer is not None
