"""A vendor with software of her own follows what the page says: joins, calls by REST and SOAP, provides, and meets
another vendor nowhere."""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.x509 import load_pem_x509_certificate
from lxml import etree

from bench.demo import demo_settings, running
from bench.ports import free_ports
from gateway.settings import Settings
from tests.commandline import lgsp
from tests.conformance.bad.provider import Provider, serve
from tests.conformance.bad.wire import Keys
from tests.story.joining_client import Client, provider, shell, soap_provider
from tests.story.vendor import Vendor

pytestmark = [pytest.mark.full, pytest.mark.server]

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "contracts" / "catalogue" / "field-report" / "v1" / "samples" / "canonical"
REPORT = (SAMPLES / "ServiceRequest.den-duong-tat.json").read_bytes()
TAKEN = (SAMPLES / "ServiceRequestReceived.da-tiep-nhan.json").read_bytes()
QUESTION = "/indicator/v1/values?indicator=KT-05&area=04&period=2026-Q3"
MINUTE = 30  # calls
DAY = 86_400
CLOCK, CONFORMANCE, FAULTS = (f"/sandbox/api/{each}" for each in ("clock", "conformance", "faults"))
PROVIDER: dict[str, Any] = {"role": "both", "contracts": ["field-report/v1"]}
TOOLS = {"curl": ("openssl",), "Python": ("python3",), "Node": ("node",), "Java": ("java", "javac")}
TOLD = ({"REST"}, {"REST", "SOAP"})


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = demo_settings(tmp_path_factory.mktemp("joining") / "lgsp-data")
    settings = replace(settings, provider_seconds=20.0)  # what a test plays is slow on a busy machine
    settings = replace(settings, sandbox_join="open", push_networks="127.0.0.0/8", sandbox_vendor_minute=MINUTE)
    with running(settings):
        yield settings


@pytest.fixture(scope="module")
def first(sandbox: Settings, tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    return Vendor(sandbox, tmp_path_factory.mktemp("vendors") / "mot", "Công ty Một")


@pytest.fixture(scope="module")
def second(sandbox: Settings, tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    return Vendor(sandbox, tmp_path_factory.mktemp("vendors") / "hai", "Công ty Hai")


def test_her_own_software_asks_and_hands_in(first: Vendor) -> None:
    answer = first.client.rest("GET", QUESTION)
    assert answer.status_code == 200 and answer.json()["value"], answer.text
    answer = first.client.rest("POST", "/field-report/v1/requests", REPORT, "bao-01")
    assert answer.status_code in (200, 202), answer.text


def test_her_own_software_speaks_soap(first: Vendor) -> None:
    namespace = "urn:lgsp:contract:indicator:v1"
    body = (
        f'<getValue xmlns="{namespace}"><indicator>KT-05</indicator><area>04</area><period>2026-Q3</period></getValue>'
    )
    answer = first.client.soap("indicator/v1", namespace, body.encode())
    assert answer.status_code == 200 and "getValueResponse" in answer.text, answer.text


@pytest.mark.parametrize("tool", TOOLS)
def test_the_calls_of_the_page_run_as_they_stand(first: Vendor, tool: str, tmp_path: Path) -> None:
    """Each text in a folder that has the credentials and nothing else. .NET is not to be had here (docs/client.md)."""
    missing = [each for each in TOOLS[tool] if shutil.which(each) is None]
    if missing:
        pytest.skip(f"the first calls in {tool} need {', '.join(missing)}")
    tenant = first.curl("GET", "/sandbox/api/systems", None)
    calls = [each for each in tenant["systems"][0]["calls"] if each["operation"] in ("getValue", "createRequest")]
    assert {each["protocol"] for each in calls if tool in each["commands"]} == {"REST", "SOAP"} & TOLD[tool == "Python"]
    for number, call in enumerate(calls):
        if tool in call["commands"]:
            fresh = tmp_path / str(number)
            fresh.mkdir()
            for file in first.folder.iterdir():
                if file.name == "system.json" or file.suffix in (".crt", ".key"):
                    shutil.copy(file, fresh)
            done = shell(call["commands"][tool], fresh)
            assert done.returncode == 0, f"{call['operation']} {tool}\n{done.stdout}{done.stderr}"


def test_what_the_page_of_a_contract_shows_is_what_the_tenant_is_told(sandbox: Settings, first: Vendor) -> None:
    shown = subprocess.run(
        ["curl", "--silent", "--header", "accept: text/html", f"{sandbox.desk}/contracts/field-report/v1?lang=en"],
        capture_output=True,
        text=True,
        check=True,
    )
    tenant = first.curl("GET", "/sandbox/api/systems", None)
    texts = [text for each in tenant["systems"][0]["calls"] if each["contract"] == "field-report/v1"
             for text in each["commands"].values()]  # fmt: skip
    assert texts and all(text in html.unescape(shown.stdout) for text in texts)


def test_her_provider_is_called_for_her_calls_alone(sandbox: Settings, first: Vendor, second: Vendor) -> None:
    (port,) = free_ports(1)
    wanted = {**PROVIDER, "address": f"https://localhost:{port}/nhan"}
    told = first.curl("PUT", f"/sandbox/api/systems/{first.told['system']}", wanted)
    assert told["hosts"] == ["localhost", "127.0.0.1"]
    first.certify(told)
    with provider(first.client, port, TAKEN) as seen:
        answer = first.client.rest("POST", "/field-report/v1/requests", REPORT, "bao-cua-toi")
        assert answer.status_code == 200 and answer.json() == json.loads(TAKEN), answer.text
        assert seen.callers == [f"{first.told['tenant']}/{first.told['system']}"]
        for other in (second.client, Client(sandbox.identities / "phan-anh")):
            answer = other.rest("POST", "/field-report/v1/requests", REPORT, "bao-cua-nguoi-khac")
            assert answer.status_code in (200, 202), answer.text
        assert len(seen.callers) == 1
    mine = first.client.rest("GET", "/transfers").json()
    assert mine["transfers"] and first.told["system"] not in json.dumps(second.client.rest("GET", "/transfers").json())


def test_her_provider_conforms_and_its_certificate_holds_without_the_gateway(sandbox: Settings, first: Vendor) -> None:
    """By curl she starts the run and takes its certificate; by bash and openssl, as the pages say, she checks it."""
    (port,) = free_ports(1)
    address = f"https://localhost:{port}/nhan"
    first.curl("PUT", f"/sandbox/api/systems/{first.told['system']}", {**PROVIDER, "address": address})
    server = serve(Provider(Keys.load(first.folder), address), port, first.folder)
    try:
        wanted = {"system": first.told["system"], "contract": "field-report/v1", "role": "provider"}
        run = first.curl("POST", CONFORMANCE, {**wanted, "software": "Phần mềm Một", "version": "3.2"})
        until = time.monotonic() + 180
        while not (told := first.curl("GET", f"{CONFORMANCE}/{run['id']}", None))["certified"]:
            assert (not told["over"] or told["passed"]) and time.monotonic() < until, told
            time.sleep(0.5)
    finally:
        server.shutdown()
        server.server_close()
    made = first.curl("GET", f"{CONFORMANCE}/{run['id']}/certificate", None)
    facts = json.loads(made["entry"])["facts"]
    assert (facts["software"], facts["version"]) == ("Phần mềm Một", "3.2")
    assert facts["cases"] == len(told["report"]["results"]) > 50
    script = next(each for each in _texts(sandbox, "audit-log") if each.startswith("# by-hand.sh"))
    commands = next(each for each in _texts(sandbox, "sandbox") if "bash by-hand.sh" in each)
    first.client.file("by-hand.sh").write_text(script, "utf-8")
    for text, holds in ((made["entry"], True), (made["entry"].replace("3.2", "3.3"), False)):
        first.client.file("certificate.json").write_text(json.dumps({**made, "entry": text}), "utf-8")
        done = shell(commands, first.folder)
        assert (done.returncode == 0) == holds == ("under its checkpoint" in done.stdout), done.stdout + done.stderr
    gateway = load_pem_x509_certificate(first.client.file("gateway-sign.crt").read_bytes()).public_key()
    signed = jwt.PyJWS().decode(made["signature"], gateway, algorithms=["ES256"])  # type: ignore[arg-type]
    assert signed == made["entry"].encode()


def _texts(sandbox: Settings, guide: str) -> list[str]:
    """What a page of the documentation shows to be copied."""
    page = subprocess.run(
        ["curl", "--silent", "--fail", f"{sandbox.desk}/docs/en/{guide}"], capture_output=True, text=True, check=True
    ).stdout
    found = etree.HTML(page).iterfind(".//pre")
    return ["".join(map(str, each.itertext())) for each in found]


def test_her_provider_by_soap_is_called_too(second: Vendor) -> None:
    """Registered with SOAP, it gets an envelope of the gateway, and its signed answer comes back as JSON to a caller by
    REST."""
    (port,) = free_ports(1)
    wanted = {**PROVIDER, "protocol": "soap", "address": f"https://localhost:{port}/nhan"}
    second.certify(second.curl("PUT", f"/sandbox/api/systems/{second.told['system']}", wanted))
    with soap_provider(second.client, port, json.loads(TAKEN)) as seen:
        answer = second.client.rest("POST", "/field-report/v1/requests", REPORT, "bao-qua-soap")
        assert answer.status_code == 200 and answer.json() == json.loads(TAKEN), answer.text
    assert seen.callers == [f"{second.told['tenant']}/{second.told['system']}"]


def test_another_vendor_sees_and_disturbs_nothing(first: Vendor, second: Vendor) -> None:
    sent = first.client.rest("POST", "/indicator/v1/values", _values("11.5"), "gia-tri-1")
    assert sent.status_code == 200, sent.text
    transfer = sent.headers["lgsp-transfer"]
    for path in (f"/transfers/{transfer}", f"/audit/proof/{transfer}"):
        assert second.client.rest("GET", path).status_code in (403, 404)
    assert second.client.rest("GET", "/feeds/indicator/v1").status_code == 403
    # The same business keys, other values: neither takes nor corrects the other's.
    other = second.client.rest("POST", "/indicator/v1/values", _values("22.5"), "gia-tri-1")
    assert other.status_code == 200, other.text
    assert json.loads(second.client.rest("GET", "/feeds").text)["feeds"] == []


def _values(value: str) -> bytes:
    place = ROOT / "contracts" / "catalogue" / "indicator" / "v1" / "samples" / "canonical"
    sample = next(place.glob("IndicatorValues.*.json")).read_text("utf-8")
    content = json.loads(sample)
    for each in content["values"]:
        each["value"] = float(value)
    return json.dumps(content).encode()


@pytest.fixture
def moved(first: Vendor) -> Iterator[Vendor]:
    """Thirty days ahead; afterwards on real time again."""
    told = move(first, days=30)
    assert told["ahead"] == 30 * DAY
    first.client.ahead = told["ahead"]
    yield first
    first.client.ahead = 0
    move(first, reset=True)


def move(vendor: Vendor, **how: Any) -> Any:
    told = vendor.curl("PUT", CLOCK, how)
    time.sleep(3.0)  # every door takes up the registry twice in a second
    return told


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def entries(settings: Settings, transfer: str) -> list[dict[str, Any]]:
    done = lgsp("audit", "show", transfer, "--data", str(settings.data), "--json")
    assert done.code == 0, done.out
    return list(json.loads(done.out)["entries"])


def test_her_calls_go_by_her_clock_and_others_by_real_time(
    sandbox: Settings, moved: Vendor, second: Vendor, tmp_path: Path
) -> None:
    late = Client(moved.client.folder)  # signs by real time
    refused = late._asked(late.session())
    assert refused.status_code in (400, 401) and "expired" in refused.json()["code"], refused.text
    assert at(refused.headers["lgsp-time"]) - time.time() == pytest.approx(30 * DAY, abs=30)
    # By REST and SOAP, at once.
    answer = moved.client.rest("POST", "/field-report/v1/requests", REPORT, "bao-ngay-mai")
    assert answer.status_code in (200, 202), answer.text
    created = int(answer.headers["signature-input"].partition("created=")[2].partition(";")[0])
    assert created - time.time() == pytest.approx(30 * DAY, abs=30)  # she verifies by her own clock
    namespace = "urn:lgsp:contract:indicator:v1"
    question = (
        f'<getValue xmlns="{namespace}"><indicator>KT-05</indicator><area>04</area><period>2026-Q3</period></getValue>'
    )
    soap = moved.client.soap("indicator/v1", namespace, question.encode())
    assert soap.status_code == 200 and "lgsp-time" in soap.headers, soap.text
    # Her entries bear both times, nobody else's a second one.
    every = entries(sandbox, answer.headers["lgsp-transfer"])
    mine = [each for each in every if each.get("what") != "handling"]  # of the agency that handles it
    assert mine
    for each in mine:
        assert at(each.get("clock", each["at"])) - at(each["at"]) == pytest.approx(30 * DAY, abs=0.01), each
    handled = moved.client.rest("GET", f"/handlings?transfer={answer.headers['lgsp-transfer']}")
    assert handled.status_code == 200 and "lgsp-time" in handled.headers, handled.text  # the gateway's own API
    assert not any(each["overdue"] for each in handled.json()["handlings"]), "it came after the clock was moved"
    other = second.client.rest("POST", "/field-report/v1/requests", REPORT, "bao-hom-nay")
    assert other.status_code in (200, 202) and "lgsp-time" not in other.headers
    assert not any("clock" in each for each in entries(sandbox, other.headers["lgsp-transfer"]))
    phan_anh = Client(sandbox.identities / "phan-anh")
    assert phan_anh.rest("GET", "/transfers").status_code == 200  # a system of the province
    # The kit learns the time from the gateway's answers.
    for clock, code in (("gateway", 0), ("host", 11)):
        command = ("client", "call", "GET", QUESTION, "--identity", str(moved.client.folder), "--state", str(tmp_path))
        done = lgsp(*command, "--clock", clock)
        assert (done.code == 0) == (code == 0), done.out + done.err


def test_her_certificates_end_by_her_clock_and_tls_does_not(moved: Vendor) -> None:
    told = move(moved, days=340)  # beyond the year for which they hold
    moved.client.ahead = told["ahead"]
    refused = moved.client._asked(moved.client.session())
    assert refused.status_code == 401 and refused.json()["code"] == "signature.key-expired", refused.text


def test_nothing_of_the_time_that_was_left_is_accepted_again(sandbox: Settings, first: Vendor) -> None:
    try:
        _nothing_is_accepted_again(sandbox, first)
    finally:
        first.client.ahead = 0
        move(first, reset=True)


def _nothing_is_accepted_again(sandbox: Settings, first: Vendor) -> None:
    told = move(first, hours=1)
    first.client.ahead = told["ahead"]
    session = first.client.session()
    token = first.client.token(session)
    url, headers = first.client.signed("GET", QUESTION, token=token)
    assert session.get(url, headers=headers).status_code == 200
    assert session.get(url, headers=headers).json()["code"] == "message.replayed"
    spare = first.client.signed("GET", QUESTION, token=token)
    move(first, reset=True)
    first.client.ahead = 0
    for address, sent in ((url, headers), spare):
        again = session.get(address, headers=sent)
        assert again.status_code == 401 and "future" in again.json()["code"], again.text
    # A token of that time opens nothing, however fresh the signature is.
    address, sent = first.client.signed("GET", QUESTION, token=token)
    again = session.get(address, headers=sent)
    assert again.status_code == 401 and again.json()["code"] == "token.from-future", again.text
    assert first.client.rest("GET", QUESTION).status_code == 200
    # Forward once more: the replayed call is known still.
    told = move(first, hours=1)
    first.client.ahead = told["ahead"]
    again = session.get(url, headers=headers)
    assert again.status_code in (401, 409) and again.json()["code"] in ("message.replayed", "signature.expired")
    first.client.ahead = 0
    move(first, reset=True)


def test_the_log_explains_every_second_time(sandbox: Settings, first: Vendor) -> None:
    done = lgsp("audit", "verify", "--data", str(sandbox.data), "--json")
    assert done.code == 0, done.out + done.err
    shown = lgsp("sandbox", "clock", first.told["tenant"], "--data", str(sandbox.data), "--json")
    assert shown.code == 0 and json.loads(shown.out)["ahead"] == 0, shown.out
    moved = lgsp("sandbox", "clock", first.told["tenant"], "--days", "1", "--data", str(sandbox.data), "--json")
    assert moved.code == 0 and json.loads(moved.out)["ahead"] == DAY, moved.out
    assert lgsp("sandbox", "clock", "H14.2", "--days", "1", "--data", str(sandbox.data)).code != 0
    move(first, reset=True)


def test_two_vendors_at_once_disturb_neither_each_other_nor_the_province(
    sandbox: Settings, first: Vendor, second: Vendor
) -> None:
    """Each orders a fault of the same operation, moves her clock and calls; one calls until her quota is used up."""
    province = Client(sandbox.identities / "y-te")

    def attack(vendor: Vendor, hours: int, **fault: Any) -> tuple[list[requests.Response], list[float]]:
        vendor.curl("POST", FAULTS, {"operation": "indicator/v1 getValue", **fault})
        vendor.client.ahead = move(vendor, hours=hours)["ahead"]
        times, answers = [], []
        for _ in range(4):
            began = time.monotonic()
            answers.append(vendor.client.rest("GET", QUESTION))
            times.append(time.monotonic() - began)
        return answers, times

    with ThreadPoolExecutor(2) as both:
        broken = both.submit(attack, first, 3, kind="wrong-status")
        slow = both.submit(attack, second, 50, kind="slow", seconds=1, calls=2)
        theirs = [province.rest("GET", QUESTION) for _ in range(6)]
    (hers, _), (others, waited) = broken.result(), slow.result()
    assert [each.json()["code"] for each in hers] == ["provider.fault"] * 4, hers[0].text
    assert [each.status_code for each in others] == [200] * 4 and min(waited[:2]) >= 1
    for answers, hours in ((hers, 3), (others, 50)):
        for each in answers:
            assert at(each.headers["lgsp-time"]) - time.time() == pytest.approx(hours * 3600, abs=60)
    assert all(each.status_code == 200 and "lgsp-time" not in each.headers for each in theirs)
    # The quota of one is hers alone; nobody's clock gives her another.
    flood = [second.client.rest("GET", QUESTION) for _ in range(2 * MINUTE)]
    refused = [each for each in flood if each.status_code == 429]
    assert refused and refused[0].json()["code"] == "sandbox.quota"
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    first.curl("DELETE", FAULTS, None)
    for vendor in (first, second):
        move(vendor, reset=True)
        vendor.client.ahead = 0
    assert first.client.rest("GET", QUESTION).status_code == 200 == province.rest("GET", QUESTION).status_code


def test_the_kit_joins_by_one_command_and_goes_on_where_it_was(sandbox: Settings, tmp_path: Path) -> None:
    out, asked = tmp_path / "identity", ["--name", "Công ty Ba", "--contact", "a@b.example", "--json"]
    command = ["client", "join", sandbox.desk, *asked, "--contract", "indicator/v1", "--out", str(out)]
    done = lgsp(*command)
    assert done.code == 0, done.out + done.err
    told = json.loads(done.out)
    assert told["calls"] and oct((out / "tenant.json").stat().st_mode)[-3:] == "600"
    Client(out).wait()
    asked_of_it = lgsp("client", "call", "GET", QUESTION, "--identity", str(out))
    assert asked_of_it.code == 0, asked_of_it.out + asked_of_it.err
    certificate = (out / "tls.crt").read_bytes()
    again = json.loads(lgsp(*command).out)
    assert again["system"] == told["system"]  # nobody is admitted twice
    assert (out / "tls.crt").read_bytes() == certificate, "nor certified"
    other = lgsp(*command, "--contract", "field-report/v1")
    assert other.code == 2 and told["tenant"] in other.out, other.out
    plain = lgsp("client", "join", "http://sandbox.example", *asked, "--contract", "indicator/v1", "--out", str(out))
    assert plain.code == 2 and "https" in plain.out
    mine = json.loads(lgsp("client", "my-calls", "--identity", str(out), "--outcome", "ok", "--json").out)
    assert {each["contract"] for each in mine["calls"]} == {"indicator/v1"}
    shown = lgsp("client", "my-calls", mine["calls"][0]["id"], "--identity", str(out))
    assert shown.code == 0 and "passed       signature" in shown.out, shown.out + shown.err


def test_the_log_says_who_approved(sandbox: Settings, first: Vendor) -> None:
    done = lgsp("audit", "verify", "--data", str(sandbox.data), "--json")
    assert done.code == 0, done.out + done.err
    listed = json.loads(lgsp("access", "list", "--data", str(sandbox.data), "--json").out)
    own = [each for each in listed["grants"] if each["holder"] == first.told["tenant"]]
    assert own and all(each["approved_by"] == ["sandbox-self-service"] for each in own)
