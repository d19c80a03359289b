"""Client signs, stand-in verifies, over real TLS with client certificates; and what a stand-in refuses."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from gateway.sample_client.errors import NoAnswer, WrongAnswer
from gateway.sample_client.httpsig import Message, sign_request
from gateway.sample_client.rest import RestClient
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.soap_answers import check_answer
from gateway.sample_client.transport import Transport
from gateway.sample_client.wssec import ID, LGSP, SOAP, Scope, Verified, new_envelope, parse, serialise, sign
from gateway.sandbox.simulation.faults import Fault
from gateway.sandbox.standins.base import StandIn, serving
from gateway.sandbox.standins.rest_agency import AREAS, SERIES, RestAgency, look_up
from gateway.sandbox.standins.rest_agency import main as rest_main
from gateway.sandbox.standins.soap_agency import ACTION, NAMESPACE, SoapAgency

NOW = 1795507200.0  # 2026-11-24T08:00:00Z
QUESTION = {"maChiTieu": "KT-05", "maDiaBan": "04", "kyBaoCao": "2026-Q3"}
REPORT = f"""<PhieuPhanAnh xmlns="{NAMESPACE}" phienBan="1.2"><LinhVuc>101</LinhVuc>
<NoiDung>Ổ gà lớn trước số nhà 25 phố Kim Đồng.</NoiDung><ViTri><MaXa>01273</MaXa></ViTri></PhieuPhanAnh>"""


class AsGateway:
    """Calls a stand-in as the gateway does: its certificate, its signature, Lgsp-Transfer and Lgsp-Caller."""

    def __init__(self, province: Any, url: str, system: str) -> None:
        self.identity = province.identity("gateway", system)
        self.rest = RestClient(self.identity, base=url)
        self.url = url

    def ask(self, path: str, body: dict[str, Any], transfer: str | None = None, **how: Any) -> Any:
        transfer = transfer or str(uuid.uuid4())
        headers = {"lgsp-transfer": transfer, "lgsp-caller": "H14.7/y-te"} | how.pop("headers", {})
        return self.rest.call("POST", path, body, transfer, token="", headers=headers, **how)

    def tell(
        self, body: str = REPORT, transfer: str | None = None, action: str = ACTION, **how: Any
    ) -> tuple[int, Verified | None, bytes]:
        message = f"urn:uuid:{transfer or uuid.uuid4()}"
        caller = etree.Element(f"{{{LGSP}}}Caller", nsmap={"lgsp": LGSP})
        caller.text = "H14.5/phan-anh"
        caller.set(ID, "caller")
        headers = [
            ("Action", "action", action),
            ("MessageID", "message-id", message),
            ("To", "to", how.pop("to", self.url + "/dich-vu")),
        ]
        blocks = [] if how.pop("nameless", False) else [caller]
        soap_action = how.pop("soap_action", action)
        mutate = how.pop("mutate", lambda raw: raw)
        raw = mutate(
            serialise(
                sign(
                    new_envelope(parse(body.encode())),
                    self.identity.signer,
                    headers=headers,
                    now=time.time(),
                    blocks=blocks,
                    **how,
                )
            )
        )
        return self.post(raw, message, soap_action)

    def post(self, raw: bytes, message: str, soap_action: str = ACTION) -> tuple[int, Verified | None, bytes]:
        transport = Transport(self.url, self.identity.client_context())
        answer = transport.send(
            "POST", "/dich-vu", {"content-type": "text/xml; charset=utf-8", "soapaction": f'"{soap_action}"'}, raw
        )
        return answer.status, check_answer(parse(answer.body), self.identity, message, time.time()), answer.body

    def control(self, method: str, path: str, content: Any = None) -> Any:
        body = b"" if content is None else json.dumps(content).encode()
        answer = Transport(self.url, self.identity.client_context()).send(
            method, path, {"content-type": "application/json"}, body
        )
        return answer.status, json.loads(answer.body)


def _started(province: Any, kind: type[StandIn], system: str, **how: Any) -> Iterator[AsGateway]:
    stand_in = kind(province.identity(system), **how)
    with serving(stand_in) as url:
        yield AsGateway(province, url, system)


@pytest.fixture
def kinh_te(province: Any) -> Iterator[AsGateway]:
    yield from _started(province, RestAgency, "kinh-te")


@pytest.fixture
def do_thi(province: Any) -> Iterator[AsGateway]:
    yield from _started(province, SoapAgency, "do-thi")


# --- REST -------------------------------------------------------------------------------------------------------------


def test_an_indicator_is_answered_signed(kinh_te: AsGateway) -> None:
    answer = kinh_te.ask("/tra-cuu", QUESTION)
    assert answer.status == 200 and answer.verified
    content = answer.json()
    assert content["giaTri"] == "612,450" and content["canBo"]["hoTen"] and content["tanSuat"] == "Q"
    assert kinh_te.ask("/tra-cuu", QUESTION).json() == content


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/tra-cuu", QUESTION | {"maChiTieu": "KT-99"}, 404, "KHONG_TIM_THAY"),
        ("/tra-cuu", QUESTION | {"maDiaBan": "99999"}, 404, "KHONG_TIM_THAY"),
        ("/tra-cuu", QUESTION | {"kyBaoCao": "2026-13"}, 404, "KHONG_TIM_THAY"),
        ("/tra-cuu", {"maChiTieu": "KT-05"}, 400, "THIEU_THAM_SO"),
        ("/khac", QUESTION, 404, "KHONG_CO_DICH_VU"),
    ],
)
def test_a_no_is_signed_too(kinh_te: AsGateway, path: str, body: dict[str, Any], status: int, code: str) -> None:
    answer = kinh_te.ask(path, body)
    assert (answer.status, answer.json()["maLoi"], answer.verified) == (status, code, True)


def test_a_repeat_is_carried_out_once(kinh_te: AsGateway) -> None:
    transfer = str(uuid.uuid4())
    first, second = (kinh_te.ask("/tra-cuu", QUESTION, transfer) for _ in range(2))
    assert kinh_te.ask("/tra-cuu", QUESTION).status == 200
    assert first.json() == second.json() and first.headers["signature"] != second.headers["signature"]
    conflict = kinh_te.ask("/tra-cuu", QUESTION | {"maChiTieu": "XH-03"}, transfer)
    assert conflict.status == 409 and conflict.verified
    _, seen = kinh_te.control("GET", "/_seen")
    assert (
        seen["records"] == 2
        and seen["transfers"][0] == {"transfer": transfer, "count": 2}
        and seen["calls"] == 4
        and seen["refused"] == 1
    )


def test_requests_that_are_not_the_gateways(kinh_te: AsGateway, province: Any) -> None:
    tampered = kinh_te.ask(
        "/tra-cuu", QUESTION, mutate=lambda headers, body: (headers, body.replace(b"KT-05", b"KT-06"))
    )
    assert tampered.status == 401 and not tampered.verified and "Content-Digest" in tampered.json()["thongBao"]
    no_caller = kinh_te.ask(
        "/tra-cuu",
        QUESTION,
        mutate=lambda headers, body: ({k: v for k, v in headers.items() if k != "lgsp-caller"}, body),
    )
    assert no_caller.status == 401 and "lgsp-caller" in no_caller.json()["thongBao"]
    uncovered = kinh_te.ask("/tra-cuu", QUESTION, leave_out=("content-digest",))
    assert uncovered.status == 401 and "does not cover" in uncovered.json()["thongBao"]
    assert kinh_te.ask("/tra-cuu", QUESTION, created=-90).status == 401
    assert kinh_te.ask("/tra-cuu", QUESTION, sign=False).status == 401
    transfer = {"lgsp-transfer": "t", "lgsp-caller": "H14.7/y-te"}
    prepared = kinh_te.rest.prepare("POST", "/tra-cuu", QUESTION, message_id="m", token="", headers=transfer)
    assert kinh_te.rest.send(prepared).status == 200
    assert "seen before" in kinh_te.rest.send(prepared).json()["thongBao"]
    # a stranger's key under the gateway's certificate, and under its own
    stranger = RestClient(province.identity("stranger", "kinh-te"), base=kinh_te.url)
    answer = stranger.call("POST", "/tra-cuu", QUESTION, "m2", token="", headers=transfer)
    assert answer.status == 401 and not answer.verified
    _, seen = kinh_te.control("GET", "/_seen")
    assert seen["records"] == 1 and seen["refused"] == 7


def test_the_address_that_was_signed_must_be_ours(kinh_te: AsGateway) -> None:
    def elsewhere(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        request = Message(
            {k: v for k, v in headers.items() if not k.startswith("signature")}, "POST", "https://evil.example/tra-cuu"
        )
        now = int(time.time())
        return headers | sign_request(
            request, kinh_te.identity.signer, created=now, expires=now + 60, nonce="A" * 24
        ) | {"host": "evil.example"}, body

    assert kinh_te.ask("/tra-cuu", QUESTION, mutate=elsewhere).status in (400, 401)


def test_no_certificate_no_connection(kinh_te: AsGateway) -> None:
    with pytest.raises(NoAnswer):
        kinh_te.rest.send(kinh_te.rest.prepare("POST", "/tra-cuu", QUESTION, token=""), tls=None)
    plain = http.client.HTTPSConnection("localhost", int(kinh_te.url.rpartition(":")[2]), timeout=60)
    with pytest.raises(ssl.SSLCertVerificationError):
        plain.request("GET", "/_seen")


# --- SOAP -------------------------------------------------------------------------------------------------------------


def test_a_report_is_taken_in_signed(do_thi: AsGateway) -> None:
    status, verified, _ = do_thi.tell()
    assert status == 200 and verified is not None and verified.body is not None
    assert verified.body.tag == f"{{{NAMESPACE}}}KetQuaTiepNhan"
    names = [etree.QName(child).localname for child in verified.body]
    assert names == ["MaHoSo", "TrangThai", "ThongBao", "HenTraLoi", "CoQuanXuLy"]
    assert verified.body.findtext("{*}TrangThai") == "01" and (verified.body.findtext("{*}HenTraLoi") or "")[4] == "/"


@pytest.mark.parametrize("content", ["&#13;", " ", "\n", "&#160;"])
def test_a_report_of_nothing_but_space_is_taken_in_too(do_thi: AsGateway, content: str) -> None:
    """The contract asks for one character, not for a visible one; what it lets through is for the stand-in to take."""
    status, verified, _ = do_thi.tell(REPORT.replace("Ổ gà lớn trước số nhà 25 phố Kim Đồng.", content))
    assert (
        status == 200
        and verified is not None
        and verified.body is not None
        and verified.body.findtext("{*}TrangThai") == "01"
    )


def test_soap_repeats(do_thi: AsGateway) -> None:
    transfer = str(uuid.uuid4())
    numbers = [do_thi.tell(transfer=transfer)[1].body.findtext("{*}MaHoSo") for _ in range(2)]  # type: ignore[union-attr]
    assert numbers[0] == numbers[1] != do_thi.tell()[1].body.findtext("{*}MaHoSo")  # type: ignore[union-attr]
    status, verified, _ = do_thi.tell(REPORT.replace("25", "52"), transfer)
    assert (
        status == 500 and verified is not None and verified.body is not None and verified.body.tag == f"{{{SOAP}}}Fault"
    )
    _, seen = do_thi.control("GET", "/_seen")
    assert seen["records"] == 2 and {"transfer": transfer, "count": 2} in seen["transfers"]


def test_reports_that_cannot_be_taken_in(do_thi: AsGateway) -> None:
    for body, action in (
        (REPORT.replace(">101<", ">999x<"), ACTION),
        (REPORT.replace("01273", ""), ACTION),
        (REPORT.replace("Ổ gà lớn trước số nhà 25 phố Kim Đồng.", ""), ACTION),
        ("<a/>", ACTION),
        (REPORT, "urn:other"),
    ):
        status, verified, _ = do_thi.tell(body, action=action)
        assert (
            status == 500
            and verified is not None
            and verified.body is not None
            and verified.body.findtext("faultcode") == "soap:Client"
        )


def test_envelopes_that_are_not_the_gateways(do_thi: AsGateway, province: Any) -> None:
    refused = [
        do_thi.tell(mutate=lambda raw: raw.replace(b">101<", b">102<")),
        do_thi.tell(scope=Scope(leave_out=("body",))),
        do_thi.tell(scope=Scope(leave_out=("caller",))),
        do_thi.tell(nameless=True),
        do_thi.tell(soap_action="urn:other"),
        do_thi.tell(to="https://evil.example/dich-vu"),
        do_thi.tell(mutate=lambda raw: raw.replace(b"<soap:Envelope", b"<!DOCTYPE x>\n<soap:Envelope", 1)),
        AsGateway.tell(_other(province, do_thi)),
    ]
    for status, verified, raw in refused:
        assert status == 500 and verified is None and b"Fault" in raw
    raw = _raw(do_thi)
    assert do_thi.post(raw, "urn:uuid:x")[0] == 200
    assert do_thi.post(raw, "urn:uuid:x")[1] is None
    _, seen = do_thi.control("GET", "/_seen")
    assert seen["records"] == 1 and seen["refused"] == 9


def _other(province: Any, gateway: AsGateway) -> AsGateway:
    other = AsGateway(province, gateway.url, "do-thi")
    other.identity = province.identity("stranger", "do-thi")
    return other


def _raw(gateway: AsGateway) -> bytes:
    kept: list[bytes] = []
    original, gateway.post = gateway.post, lambda raw, *_: kept.append(raw)  # type: ignore[method-assign,assignment]  # what would be sent is kept
    gateway.tell(transfer="x")
    gateway.post = original  # type: ignore[method-assign]
    return kept[0]


# --- faults -----------------------------------------------------------------------------------------------------------


def test_scripted_faults_rest(kinh_te: AsGateway) -> None:
    def fault(**content: Any) -> None:
        assert kinh_te.control("POST", "/_fault", content)[0] == 200

    fault(kind="bad-signature", count=1)
    with pytest.raises(WrongAnswer):
        kinh_te.ask("/tra-cuu", QUESTION)
    assert kinh_te.ask("/tra-cuu", QUESTION).status == 200
    fault(kind="wrong-status")
    assert kinh_te.ask("/tra-cuu", QUESTION).status == 500
    fault(kind="malformed")
    with pytest.raises(WrongAnswer):
        kinh_te.ask("/tra-cuu", QUESTION).json()
    fault(kind="close")
    with pytest.raises(NoAnswer):
        kinh_te.ask("/tra-cuu", QUESTION)
    fault(kind="slow", seconds=0.3, count=1)
    before = time.monotonic()
    assert kinh_te.ask("/tra-cuu", QUESTION).status == 200 and time.monotonic() - before >= 0.3
    status, content = kinh_te.control("POST", "/_fault", {"kind": "flood"})
    assert status == 400 and "kind is one of" in content["error"]


def test_scripted_faults_soap(do_thi: AsGateway) -> None:
    do_thi.control("POST", "/_fault", {"kind": "bad-signature", "count": 1})
    with pytest.raises(WrongAnswer):
        do_thi.tell()
    do_thi.control("POST", "/_fault", {"kind": "close", "count": 1})
    transfer = str(uuid.uuid4())
    with pytest.raises(NoAnswer):
        do_thi.tell(transfer=transfer)
    # it was carried out all the same: the repeat finds the file
    assert do_thi.tell(transfer=transfer)[0] == 200
    assert do_thi.control("GET", "/_seen")[1]["records"] == 2


def test_a_restart_repeats_nothing(province: Any, tmp_path: Any) -> None:
    transfer, numbers = str(uuid.uuid4()), []
    for _ in range(2):
        for gateway in _started(province, SoapAgency, "do-thi", file=tmp_path / "state.db", fault=Fault("none")):
            numbers.append(gateway.tell(transfer=transfer)[1].body.findtext("{*}MaHoSo"))  # type: ignore[union-attr]
    assert numbers[0] == numbers[1]


# --- figures ----------------------------------------------------------------------------------------------------------


def test_every_series_has_figures_everywhere() -> None:
    periods = {"N": "2025", "Q": "2026-Q2", "T": "2026-09"}
    for code, series in SERIES.items():
        for area in AREAS:
            for frequency in series.frequencies:
                found = look_up(code, area, periods[frequency], NOW)
                assert found is not None and found["tinhTrang"] in (1, 2, 3) and found["donViTinh"] == series.unit
                assert found["giaTri"].replace(",", "", 1).isdigit(), found
                assert found == look_up(code, area, periods[frequency], NOW)


def test_a_period_that_is_not_over_has_no_value() -> None:
    for period in ("2026", "2026-Q4", "2027-Q1"):
        found = look_up("KT-05", "04", period, NOW)
        assert found is not None and found["giaTri"] == "KCS" and found["tinhTrang"] == 9 and "canBo" not in found
    assert look_up("MT-04", "04", "2025-Q1", NOW) is None
    assert look_up("KT-05", "04", "2025", NOW)["tinhTrang"] == 1  # type: ignore[index]


def test_soap_client_reads_an_agency_like_the_gateway(do_thi: AsGateway) -> None:
    """The SOAP client's own sending, where an unproved Fault comes back: no caller is named."""
    answer = SoapClient(do_thi.identity, base=do_thi.url).call(
        "field-report/v1", "createRequest", REPORT.encode(), action=ACTION, path="/dich-vu"
    )
    assert answer.fault is not None and not answer.verified and "lgsp:Caller" in answer.fault.text


@pytest.mark.parametrize(("module", "system"), [("soap_agency", "do-thi"), ("rest_agency", "kinh-te")])
def test_a_stand_in_as_a_program(province: Any, tmp_path: Path, module: str, system: str) -> None:
    ready = tmp_path / "ready.json"
    command = [
        sys.executable,
        "-m",
        f"gateway.sandbox.standins.{module}",
        "--identity",
        str(province.identity(system).folder),
        "--ready-file",
        str(ready),
    ]
    process = subprocess.Popen(
        [*command, "--fault", "wrong-status", "--records", str(tmp_path / "seen.db")], cwd=Path(__file__).parents[3]
    )
    try:
        until = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < until:
            time.sleep(0.02)
        about = json.loads(ready.read_text())
        assert (about["system"], about["pid"]) == (system, process.pid)
        assert about["url"] == f"https://localhost:{about['port']}"
        gateway = AsGateway(province, about["url"], system)
        assert gateway.control("GET", "/_seen")[1]["system"] == system
        assert gateway.rest.exchange(gateway.rest.prepare("POST", "/", {}, token="")).status == 500
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_a_stand_in_without_identity(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rest_main(["--identity", str(tmp_path)]) == 2
    assert "not a complete identity folder" in capsys.readouterr().err
