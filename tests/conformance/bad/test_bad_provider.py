"""Each seeded fault of the provider shows on the wire as itself and as nothing else; the good provider shows none."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import unicodedata
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree

from tests.conformance.bad import content, soap_wire, wire
from tests.conformance.bad.provider import Provider, serve
from tests.conformance.bad.small_gateway import Got, call_fields, post, two_sides
from tests.conformance.bad.wire import Keys, Unproven

ROOT = Path(__file__).parents[3]
WATER = Path(__file__).parent / "contract" / "water-reading" / "v1"
FAULTS = yaml.safe_load((Path(__file__).parent / "faults.yaml").read_text("utf-8"))["faults"]
LONG = "Ổ gà lớn trước số nhà 25 phố Kim Đồng, xe máy đã ngã hai lần; dãy đèn tắt đã ba đêm. " * 15
REPORT = {"service_code": "duong-sa", "area": "01392", "description": LONG, "phone": {"absent": "unknown"}}
STATUSES = {"open", "in_progress", "closed", "rejected"}


def of(side: str, over: str, contract: str = "field-report/v1") -> list[str]:
    return [
        each["id"] for each in FAULTS if (each["side"], each["contract"]) == (side, contract) and over in each["over"]
    ]


@contextmanager
def running(fault: str | None) -> Iterator[tuple[Provider, Keys]]:
    gateway, system = two_sides()
    provider = Provider(system, "", fault, slow_seconds=5.0)
    server = serve(provider, 0)
    provider.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield provider, gateway
    finally:
        server.shutdown()
        server.server_close()


def told(text: str, answer: str) -> set[str]:
    """The faults of a quoted text. `answer` is what came back of it."""
    if unicodedata.is_normalized("NFC", answer) is False:
        return {"nfd"}
    if answer.isascii():
        return {"diacritics-dropped"}
    return set() if answer.endswith(text) else {"text-cut"}


def of_content(answer: dict[str, Any]) -> set[str]:
    seen = set()
    if set(answer) - set(content.ORDER):
        seen.add("unknown-field")
    if "status" not in answer:
        seen.add("required-missing")
    elif answer["status"] not in STATUSES:
        seen.add("wrong-code")
    notice = answer["service_notice"]
    seen |= told(LONG, notice) if isinstance(notice, str) else {"wrong-type"}
    return seen | (set() if answer["expected_datetime"] == "2026-11-30T17:00:00+07:00" else {"date-form"})


class Rest:
    """Calls the provider by REST as the gateway does, and names what it sees."""

    def __init__(self, provider: Provider, gateway: Keys) -> None:
        self.provider, self.keys = provider, gateway
        self.address = provider.endpoint + "/requests"
        self.timeout = 1.0 if provider.fault == "too-slow" else 30.0

    def send(
        self, message: dict[str, Any], message_id: str = "", *, age: int = 0, sent: dict[str, str] | None = None
    ) -> Got:
        body = json.dumps(message, ensure_ascii=False).encode()
        fields = (
            sent
            if sent is not None
            else call_fields(self.keys, self.address, body, message_id or str(uuid.uuid4()), age=age)
        )
        return post(self.address, fields, body, self.timeout)

    def proof(self, got: Got) -> set[str]:
        if "signature" not in got.fields:
            return {"answer-unsigned"}
        if "content-digest" not in got.fields:
            return {"digest-missing"}
        try:
            wire.check_answer(self.keys, got.status, got.fields, got.body, got.sent)
        except Unproven as wrong:
            return {"answer-unbound"} if "does not cover" in str(wrong) else {"other-key"}
        return set()

    def seen(self) -> set[str]:
        first_id = str(uuid.uuid4())
        try:
            first = self.send(REPORT, first_id)
        except TimeoutError:
            return {"too-slow"}
        except (http.client.HTTPException, ConnectionError):
            return {"closes"}
        if first.status == 500:
            return {"absent-refused"} if self.send({**REPORT, "phone": "0912 000 417"}).status == 200 else {"broken"}
        if len(first.body) > 5_000_000:
            return {"too-large"}
        seen = self.proof(first)
        if first.fields["content-type"] != "application/json":
            seen.add("wrong-content-type")
        answer = json.loads(first.body)
        seen |= of_content(answer)
        repeat = json.loads(self.send(REPORT, first_id).body)
        if repeat.get("service_request_id") != answer["service_request_id"]:
            seen.add("repeat-twice")
        elif repeat != answer:
            seen.add("repeat-other-answer")
        refused = self.send({**REPORT, "service_code": "khac"})
        if b"Traceback" in refused.body:
            seen.add("stack-trace")
        elif refused.status == 200:
            seen.add("refusal-with-200")
        return seen | self.unproven()

    def unproven(self) -> set[str]:
        seen, body = set(), json.dumps(REPORT, ensure_ascii=False).encode()
        good = call_fields(self.keys, self.address, body, str(uuid.uuid4()))
        bare = {name: value for name, value in good.items() if not name.startswith("signature")}
        if self.send(REPORT, sent=bare).status == 200:
            seen.add("unsigned-taken")
        if self.send({**REPORT, "area": "01273"}, sent=good).status == 200:
            seen.add("digest-ignored")
        fresh = call_fields(self.keys, self.address, body, str(uuid.uuid4()))
        if [self.send(REPORT, sent=fresh).status for _ in range(2)] == [200, 200]:
            seen.add("replay-taken")
        return seen | ({"old-signature-taken"} if self.send(REPORT, age=3600).status == 200 else set())


class Soap:
    """The same by SOAP 1.1, with `do-thi-xml`."""

    def __init__(self, provider: Provider, gateway: Keys) -> None:
        self.provider, self.keys = provider, gateway
        self.timeout = 1.0 if provider.fault == "too-slow" else 30.0

    def envelope(self, message_id: str = "", kind: str = "101", age: int = 0) -> bytes:
        root = etree.Element(f"{{{content.DT}}}PhieuPhanAnh", phienBan="1.2")
        etree.SubElement(root, f"{{{content.DT}}}LinhVuc").text = kind
        etree.SubElement(root, f"{{{content.DT}}}NoiDung").text = LONG
        etree.SubElement(etree.SubElement(root, f"{{{content.DT}}}ViTri"), f"{{{content.DT}}}MaXa").text = "01273"
        headers = {"Action": f"{content.DT}:TiepNhanPhanAnh", "MessageID": message_id or soap_wire.new_id()}
        headers["To"] = self.provider.endpoint
        return soap_wire.seal(self.keys, root, headers, now=soap_wire.utc_now() - timedelta(seconds=age))

    def send(self, envelope: bytes) -> Got:
        fields = {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{content.DT}:TiepNhanPhanAnh"'}
        return post(self.provider.endpoint + "/", fields, envelope, self.timeout)

    def answer(self, got: Got) -> dict[str, str]:
        """The members of KetQuaTiepNhan by local names, as they are."""
        return {
            str(etree.QName(each).localname): each.text or "" for each in soap_wire.body_of(soap_wire.parse(got.body))
        }

    def seen(self) -> set[str]:
        first_id = soap_wire.new_id()
        try:
            first = self.send(self.envelope(first_id))
        except TimeoutError:
            return {"too-slow"}
        except (http.client.HTTPException, ConnectionError):
            return {"closes"}
        if len(first.body) > 5_000_000:
            return {"too-large"}
        envelope = soap_wire.parse(first.body)
        seen = self.proof(envelope)
        if soap_wire.header(envelope, soap_wire.WSA, "RelatesTo") != first_id:
            seen.add("soap-no-relates-to")
        if not first.fields["content-type"].startswith("text/xml"):
            seen.add("wrong-content-type")
        if etree.QName(soap_wire.body_of(envelope)).namespace != content.DT:
            seen.add("soap-namespace")
        answer = self.answer(first)
        names = {here: name for name, here in content.ORDER.items()}
        codes = {code: name for name, code in content.XML_STATUS.items()}
        canonical: dict[str, Any] = {names.get(here, here): value for here, value in answer.items()}
        if "status" in canonical:
            canonical["status"] = codes.get(canonical["status"], "?")
        if canonical["expected_datetime"] == "2026/11/30 17:00:00":
            canonical["expected_datetime"] = "2026-11-30T17:00:00+07:00"
        seen |= of_content(canonical)
        repeat = self.answer(self.send(self.envelope(first_id)))
        if repeat.get("MaHoSo") != answer["MaHoSo"]:
            seen.add("repeat-twice")
        elif repeat != answer:
            seen.add("repeat-other-answer")
        refused = self.send(self.envelope(kind="999"))
        if b"Traceback" in refused.body:
            seen.add("stack-trace")
        elif refused.status == 200:
            seen.add("soap-fault-with-200")
        return seen | self.unproven()

    def proof(self, envelope: Any) -> set[str]:
        try:
            soap_wire.unseal(self.keys, envelope, now=soap_wire.utc_now())
        except Unproven as wrong:
            return {"soap-body-unsigned"} if "does not cover" in str(wrong) else {"other-key"}
        return set()

    def unproven(self) -> set[str]:
        seen = set()
        bare = soap_wire.parse(self.envelope())
        for signature in bare.findall(f".//{{{soap_wire.DS}}}Signature"):
            parent = signature.getparent()
            assert parent is not None
            parent.remove(signature)
        if self.send(etree.tostring(bare)).status == 200:
            seen.add("unsigned-taken")
        if self.send(self.envelope().replace(b">01273<", b">01279<")).status == 200:
            seen.add("digest-ignored")
        fresh = self.envelope()
        if [self.send(fresh).status for _ in range(2)] == [200, 200]:
            seen.add("replay-taken")
        return seen | ({"old-signature-taken"} if self.send(self.envelope(age=3600)).status == 200 else set())


@pytest.mark.parametrize("fault", [None, *of("provider", "rest")])
def test_by_rest_a_fault_shows_as_itself(fault: str | None) -> None:
    with running(fault) as (provider, gateway):
        assert Rest(provider, gateway).seen() == ({fault} if fault else set())


@pytest.mark.parametrize("fault", [None, *of("provider", "soap")])
def test_by_soap_a_fault_shows_as_itself(fault: str | None) -> None:
    with running(fault) as (provider, gateway):
        assert Soap(provider, gateway).seen() == ({fault} if fault else set())


def water(provider: Provider, gateway: Keys, station: int) -> dict[str, Any]:
    address = provider.endpoint + "/tra-cuu"
    body = json.dumps({"tram": station, "luc": "24/11/2026 07:00:00"}).encode()
    got = post(address, call_fields(gateway, address, body, str(uuid.uuid4())), body)
    wire.check_answer(gateway, got.status, got.fields, got.body, got.sent)
    assert got.status == 200
    return dict(json.loads(got.body))


@pytest.mark.parametrize("fault", [None, *of("provider", "rest", "water-reading/v1")])
def test_on_a_contract_of_its_own_a_fault_shows_as_itself(fault: str | None) -> None:
    with running(fault) as (provider, gateway):
        whole, broken = water(provider, gateway, 11), water(provider, gateway, 12)
    seen = set()
    if broken["mucNuoc"] != "KXD":
        seen.add("water-absent-as-zero")
    if "," not in whole["mucNuoc"]:
        seen.add("water-level-point")
    elif float(whole["mucNuoc"].replace(",", ".")) > 400:
        seen.add("water-out-of-range")
    if whole["luc"] != "24/11/2026 07:00:00":
        seen.add("water-time-iso")
    if not isinstance(whole["thuoc"], int):
        seen.add("water-number-as-text")
    if whole["xuThe"] not in {"L", "D", "X"}:
        seen.add("water-trend-code")
    assert seen == ({fault} if fault else set())
    # the contract itself takes what is good; 0 for what is absent only the sample of station 12 shows
    assert fits(whole) is (fault in {None, "water-absent-as-zero"})


def fits(reading: dict[str, Any]) -> bool:
    """Whether the contract takes a Reading in `tram-json`."""
    command = [sys.executable, "-m", "gateway", "contract", "try", str(WATER), "-", "--format", "tram-json"]
    text = json.dumps(reading).encode()
    return subprocess.run([*command, "--message", "Reading"], input=text, cwd=ROOT, capture_output=True).returncode == 0


def test_a_repeat_is_carried_out_twice_only_where_that_is_the_fault() -> None:
    for fault, acts in (("repeat-twice", 2), ("repeat-other-answer", 1), (None, 1)):
        with running(fault) as (provider, gateway):
            rest = Rest(provider, gateway)
            assert [rest.send(REPORT, "t-7").status for _ in range(2)] == [200, 200]
            assert provider.carried_out == ["t-7"] * acts


def test_a_provider_that_closes_has_acted() -> None:
    with running("closes") as (provider, gateway):
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            Rest(provider, gateway).send(REPORT, "t-8")
        assert provider.carried_out == ["t-8"]
