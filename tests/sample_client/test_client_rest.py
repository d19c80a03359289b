"""The clients against a small server of the tests' own that keeps the profile, and one that breaks it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import zeep
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.sample_client import curl, rest, soap
from gateway.sample_client.async_rest import AsyncRestClient
from gateway.sample_client.audit import Receipt
from gateway.sample_client.errors import BadIdentity, LogError, NoAnswer, NoProof, WrongAnswer
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import RestClient, TokenRefused
from gateway.sample_client.soap import SoapClient, ZeepSigner, zeep_transport
from gateway.sample_client.transport import readable
from gateway.sample_client.wssec import SOAP12
from gateway.sandbox.standins import traffic
from tests.sample_client.small_door import LEAF, Door


def client(door: Door, system: str = "phan-anh") -> RestClient:
    return RestClient(door.province.identity(system, address=door.url))


@pytest.mark.parametrize("system", ["phan-anh", "bao-chay"])
def test_a_call(door: Door, system: str) -> None:
    one = client(door, system)
    answer = one.call("POST", "/field-report/v1/requests", {"description": "Ổ gà"}, "m-1", "en")
    assert answer.ok and answer.verified
    assert answer.json() == {"path": "/field-report/v1/requests", "body": '{"description":"Ổ gà"}', "language": "en"}
    assert (
        answer.receipt is not None
        and answer.receipt.leaves == {"intent": LEAF, "outcome": LEAF}
        and answer.receipt.transfer == "t-1"
    )
    assert (
        answer.checkpoint is not None
        and one.keeper is not None
        and one.keeper.newest is not None
        and one.keeper.newest.size == 1
    )
    assert door.requests[0].headers["idempotency-key"] == '"m-1"'
    assert one.call("GET", "/indicator/v1/values?area=04&x=%E1%BB%99").json()["path"].endswith("x=%E1%BB%99")
    assert "idempotency-key" not in door.requests[1].headers and door.tokens == 1


def test_async_calls_share_preparing_and_judging(door: Door) -> None:
    one = client(door)

    async def many() -> list[Any]:
        async with AsyncRestClient(one, connections=4) as fast:
            await fast.call("GET", "/first")
            return await asyncio.gather(
                *(fast.call("POST", f"/r/{number}?x=%20", {"n": number}) for number in range(25))
            )

    answers = asyncio.run(many())
    assert all(answer.ok and answer.verified for answer in answers) and door.tokens == 1
    assert len({message.headers["idempotency-key"] for message in door.requests[1:]}) == 25
    door.break_it = "body"
    with pytest.raises(WrongAnswer):
        asyncio.run(many())


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"mutate": lambda headers, body: (headers, body + b" ")}, "Content-Digest"),
        ({"leave_out": ("content-digest",)}, "does not cover"),
        ({"leave_out": ("authorization",)}, "does not cover"),
        ({"created": 30}, "in the future"),
        ({"created": -61}, "expired"),
        ({"lifetime": 120}, "more than 60"),
        ({"token": ""}, "authorization"),
        ({"sign": False}, "no signature"),
    ],
)
def test_misuse_is_refused_and_heard(door: Door, how: dict[str, Any], says: str) -> None:
    answer = client(door).call("POST", "/x", {"a": 1}, **how)
    assert (
        answer.status == 401 and not answer.verified and answer.problem is not None and says in answer.problem["detail"]
    )


def test_certificates_of_ones_own_choice(door: Door) -> None:
    one = client(door)
    assert one.call("GET", "/x", tls=None).problem == {"code": "channel.no-certificate"}
    assert one.call("GET", "/x", tls=door.province.identity("stranger")).ok


def test_sending_twice_is_sending_the_same(door: Door) -> None:
    one = client(door)
    prepared = one.prepare("GET", "/x")
    one.send(prepared)
    one.send(prepared)
    assert door.requests[0].headers["signature"] == door.requests[1].headers["signature"]


@pytest.mark.parametrize("what", ["binding", "unsigned", "body", "receipt"])
def test_a_wrong_answer_is_raised(door: Door, what: str) -> None:
    one = client(door)
    one.call("GET", "/first")
    door.break_it = what
    with pytest.raises(WrongAnswer):
        one.call("POST", "/x", {"a": 1})


def test_a_foreign_gateway_is_not_believed(door: Door) -> None:
    door.key = door.province.identity("stranger")
    with pytest.raises(WrongAnswer, match="not known"):
        client(door).call("GET", "/x")


def test_an_assertion_for_another_audience(door: Door) -> None:
    one = client(door)
    with pytest.raises(TokenRefused, match="401"):
        one.keep_token(one.exchange(one.token_request(aud="https://elsewhere/")))
    with pytest.raises(TokenRefused):
        one.keep_token(one.exchange(one.token_request(exp=int(time.time()) - 5)))


def test_a_receipt_becomes_a_proof_and_the_log_only_grows(door: Door) -> None:
    one = client(door)
    receipt = one.call("GET", "/x").receipt
    assert receipt is not None
    checkpoint, entries = one.prove(receipt)
    assert checkpoint.size == 2 and [(entry.phase, entry.entry) for entry in entries] == [("intent", "entry")]
    newest = one.witness()
    assert newest is not None and newest.size == 2
    with pytest.raises(NoProof, match="no proof of t-2"):
        one.prove(Receipt("t-2"))
    other = client(door, "bao-chay")
    other.prove(other.call("GET", "/x").receipt)  # type: ignore[arg-type]
    door.break_it = "log"
    with pytest.raises(LogError, match="does not go on"):
        other.witness()


def test_a_token_is_renewed_before_it_dies(door: Door) -> None:
    moment = [time.time()]
    one = RestClient(door.province.identity("phan-anh", address=door.url), clock=lambda: moment[0])
    assert one.token() == "token-1" == one.token()
    moment[0] += 560
    assert one.token() == "token-1"
    moment[0] += 15
    assert one.cached_token is None
    moment[0] -= 575
    assert one.token(fresh=True) == "token-2" == one.token()


def test_nobody_there(province: Any) -> None:
    with pytest.raises(NoAnswer, match="did not answer"):
        RestClient(province.identity("phan-anh")).call("GET", "/x")


# --- SOAP -------------------------------------------------------------------------------------------------------------

QUESTION = "<a xmlns='urn:lgsp:contract:indicator:v1'>Đông Khê</a>".encode()


@pytest.mark.parametrize("system", ["canh-bao", "may-cu"])
def test_a_soap_call(door: Door, system: str) -> None:
    answer = SoapClient(door.province.identity(system, address=door.url)).call("indicator/v1", "getValue", QUESTION)
    assert answer.ok and answer.verified and answer.body is not None and answer.body.text == "Đông Khê"
    assert answer.receipt is not None and answer.receipt.outcome == LEAF and answer.checkpoint is not None


@pytest.mark.parametrize("what", ["binding", "unsigned", "body"])
def test_a_wrong_soap_answer_is_raised(door: Door, what: str) -> None:
    door.break_it = what
    with pytest.raises(WrongAnswer):
        SoapClient(door.province.identity("canh-bao", address=door.url)).call("indicator/v1", "getValue", QUESTION)


def test_faults_are_read_whole(door: Door) -> None:
    answer = SoapClient(door.province.identity("canh-bao", address=door.url)).call(
        "indicator/v1", "getValue", QUESTION, leave_out=("body",)
    )
    assert answer.status == 500 and answer.fault is not None and not answer.verified and not answer.ok
    assert (answer.fault.code, answer.fault.problem, answer.fault.transfer) == ("Client", "signature.x", "t-9")
    assert answer.fault.title == {"vi": "Sai", "en": "Wrong"} and answer.fault.next == {"vi": "Ký lại"}
    assert answer.fault.findings == [{"here": "a", "canonical": "b", "got": "", "rule": "r", "expected": "e"}]


def test_no_ed25519_in_soap(door: Door) -> None:
    with pytest.raises(BadIdentity, match="Ed25519"):
        SoapClient(door.province.identity("bao-chay", address=door.url)).call("indicator/v1", "getValue", QUESTION)


WSDL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:t="urn:t"
    xmlns:x="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t">
  <types><x:schema targetNamespace="urn:t" elementFormDefault="qualified">
    <x:element name="ask"><x:complexType><x:sequence><x:element name="area" type="x:string"/></x:sequence></x:complexType></x:element>
  </x:schema></types>
  <message name="m"><part name="parameters" element="t:ask"/></message>
  <portType name="p"><operation name="ask"><input message="t:m"/><output message="t:m"/></operation></portType>
  <binding name="b" type="t:p"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <operation name="ask"><soap:operation soapAction="urn:t:ask"/>
      <input><soap:body use="literal"/></input><output><soap:body use="literal"/></output></operation></binding>
  <service name="s"><port name="p" binding="t:b"><soap:address location="ADDRESS/soap/t/v1"/></port></service>
</definitions>"""  # noqa: E501


@pytest.mark.parametrize("system", ["canh-bao", "may-cu"])
def test_zeep_signs_and_verifies(door: Door, tmp_path: Path, system: str) -> None:
    identity = door.province.identity(system, address=door.url)
    (tmp_path / "t.wsdl").write_text(WSDL.replace("ADDRESS", door.url))
    signer = ZeepSigner(identity)
    foreign = zeep.Client(str(tmp_path / "t.wsdl"), wsse=signer, transport=zeep_transport(identity))
    assert foreign.service.ask(area="Xã Đông Khê & Trà Lĩnh") == "Xã Đông Khê & Trà Lĩnh"
    assert (
        signer.verified
        and signer.receipt is not None
        and signer.receipt.intent == LEAF
        and signer.checkpoint is not None
    )
    for what in ("binding", "unsigned", "body"):
        door.break_it = what
        with pytest.raises(WrongAnswer):
            foreign.service.ask(area="Đông Khê")
    assert not signer.verified


def test_zeep_hears_a_fault(door: Door, tmp_path: Path) -> None:
    identity = door.province.identity("stranger", address=door.url)
    (tmp_path / "t.wsdl").write_text(WSDL.replace("ADDRESS", door.url))
    foreign = zeep.Client(str(tmp_path / "t.wsdl"), wsse=ZeepSigner(identity), transport=zeep_transport(identity))
    with pytest.raises(zeep.exceptions.Fault, match="Chữ ký sai"):
        foreign.service.ask(area="Đông Khê")


def test_traffic_goes_round(door: Door, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for system in traffic.SYSTEMS:
        (tmp_path / system).symlink_to(door.province.identity(system, address=door.url).folder)
    assert traffic.main(["--identities", str(tmp_path), "--every", "0", "--count", "10", "--seed", "1"]) == 0
    assert capsys.readouterr().out == ""
    assert traffic.main(["--identities", str(tmp_path), "--every", "0", "--count", "5", "--verbose"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert {"/incident-alert/v1/alerts", "/field-report/v1/requests"} < {
        message.target.removeprefix(door.url) for message in door.requests
    }
    door.break_it = "unsigned"
    assert traffic.main(["--identities", str(tmp_path), "--every", "0", "--count", "5"]) == 1
    assert traffic.main(["--identities", str(tmp_path / "none"), "--count", "1"]) == 2


# --- command lines ----------------------------------------------------------------------------------------------------


def test_rest_command(door: Door, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(door.province.identity("phan-anh", address=door.url).folder)
    assert rest.main(["--identity", folder, "GET", "/indicator/v1/values?area=xã"]) == 0
    out = capsys.readouterr().out
    assert "status     200" in out and "transfer   t-1" in out and LEAF.hex() in out and "x%C3%A3" in out
    (tmp_path / "body.json").write_text('{"a": 1}')
    assert rest.main(["--identity", folder, "--body", str(tmp_path / "body.json"), "--id", "m-1", "POST", "/x"]) == 0
    assert rest.main(["--identity", str(tmp_path), "GET", "/x"]) == 2
    assert rest.main(["--identity", folder, "--body", str(tmp_path / "missing"), "POST", "/x"]) == 2
    with pytest.raises(SystemExit) as stopped:
        rest.main(["--identity", folder, "GET", "no-slash"])
    assert stopped.value.code == 2
    assert "WrongCall" not in capsys.readouterr().err
    asked = len(door.requests)
    for path, command in (
        ("/feeds/incident-alert/v1/export?form=csv", "lgsp client feed-export incident-alert/v1 FILE"),
        ("/feeds/incident-alert/v1?after=c1&form=events", "lgsp client feed incident-alert/v1 --follow"),
    ):
        assert rest.main(["--identity", folder, "GET", path]) == 2
        assert f"use `{command}`" in capsys.readouterr().err and len(door.requests) == asked
    door.break_it = "body"
    assert rest.main(["--identity", folder, "GET", "/x"]) == 2
    assert "WrongAnswer" in capsys.readouterr().err


def test_a_curl_command_can_be_run(door: Door, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(door.province.identity("phan-anh", address=door.url).folder)
    (tmp_path / "body.json").write_text('{"a": "Đông Khê"}', "utf-8")
    assert (
        curl.main(["--identity", folder, "--body", str(tmp_path / "body.json"), "--id", "m-1", "POST", "/x?y=xã"]) == 0
    )
    assert not door.requests
    done = subprocess.run(["sh", "-c", capsys.readouterr().out], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["body"] == '{"a": "Đông Khê"}', done.stderr
    assert curl.main(["--identity", folder, "--body", str(tmp_path / "none"), "POST", "/x"]) == 2


def test_soap_12_is_spoken_and_heard(door: Door, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    identity = door.province.identity("canh-bao", address=door.url)
    answer = SoapClient(identity, soap=SOAP12).call("indicator/v1", "getValue", QUESTION)
    assert answer.ok and answer.verified and answer.body is not None and answer.body.text == "Đông Khê"
    (tmp_path / "ask.xml").write_bytes(QUESTION)
    assert soap.main(["--identity", str(identity.folder), "--soap12", "--file", str(tmp_path / "ask.xml")]) == 0
    assert "Đông Khê" in capsys.readouterr().out
    newer = WSDL.replace("ADDRESS", door.url).replace(
        "http://schemas.xmlsoap.org/wsdl/soap/", "http://schemas.xmlsoap.org/wsdl/soap12/"
    )
    (tmp_path / "t.wsdl").write_text(newer)
    signer = ZeepSigner(identity)
    foreign = zeep.Client(str(tmp_path / "t.wsdl"), wsse=signer, transport=zeep_transport(identity))
    assert foreign.service.ask(area="Xã Đông Khê") == "Xã Đông Khê" and signer.verified
    door.break_it = "body"
    with pytest.raises(WrongAnswer):
        foreign.service.ask(area="Đông Khê")


def test_soap_command(door: Door, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = str(door.province.identity("canh-bao", address=door.url).folder)
    (tmp_path / "alert.xml").write_bytes(QUESTION)
    assert soap.main(["--identity", folder, "--file", str(tmp_path / "alert.xml")]) == 0
    out = capsys.readouterr().out
    assert "status     200" in out and "Đông Khê" in out and LEAF.hex() in out
    stranger = str(door.province.identity("stranger", address=door.url).folder)
    assert soap.main(["--identity", stranger, "--file", str(tmp_path / "alert.xml")]) == 1
    assert "fault      signature.x" in capsys.readouterr().out
    (tmp_path / "alert.xml").write_text("<!DOCTYPE a><a/>")
    assert soap.main(["--identity", folder, "--file", str(tmp_path / "alert.xml")]) == 2


# --- identity folders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["tls.key", "sign.key", "sign.crt", "ca.crt", "gateway-sign.crt", "system.json"])
def test_an_incomplete_identity_is_named(province: Any, tmp_path: Path, broken: str) -> None:
    folder = shutil.copytree(province.identity("phan-anh").folder, tmp_path / "identity")
    (folder / broken).unlink()
    with pytest.raises(BadIdentity, match=r"not a complete identity folder .*\. docs/client\.md lists"):
        Identity.load(folder)


def test_identities_that_contradict_themselves(province: Any, tmp_path: Path) -> None:
    folder = shutil.copytree(province.identity("phan-anh").folder, tmp_path / "identity")
    (folder / "sign.crt").write_bytes(province.parties["kinh-te"].sign_pem)
    with pytest.raises(BadIdentity, match=r"not a pair\. Put the certificate"):
        Identity.load(folder)
    shutil.copy(province.identity("phan-anh").folder / "sign.crt", folder)
    # a certificate under the anchor's name that the anchor never signed
    other = type(province.authority)(tmp_path)
    leaf = x509.load_pem_x509_certificate(other.leaf("gateway sign", province.parties["gateway"].sign))
    (folder / "gateway-sign.crt").write_bytes(
        b"".join(item.public_bytes(Encoding.PEM) for item in (leaf, province.authority.issuer))
    )
    with pytest.raises(BadIdentity, match=r"not signed by the authority .* Do not use it\. Ask the operator"):
        Identity.load(folder)


def test_a_log_key_is_needed_to_prove(door: Door) -> None:
    identity = door.province.identity("may-cu", address=door.url)
    (identity.folder / "log.vkey").unlink()
    without = RestClient(Identity.load(identity.folder))
    assert without.keeper is None and without.witness() is None
    with pytest.raises(LogError, match="log.vkey"):
        without.prove(Receipt("t"))


def test_a_client_in_a_program_with_many_open_files_sees_a_closed_connection() -> None:
    """`select()` refuses descriptors above 1023; the connection's may be above."""
    own, other = socket.socketpair()
    with own, other:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 2_048)), hard))
        with socket.socket(fileno=fcntl.fcntl(own, fcntl.F_DUPFD_CLOEXEC, 1_100)) as high:
            assert high.fileno() >= 1_100
            assert not readable(high)
            other.close()
            assert readable(high)
