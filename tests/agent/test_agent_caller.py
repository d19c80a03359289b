"""An old system calls its agent plainly, by REST and by SOAP: what it gets is what the gateway proved, and what is
wrong is told in its own protocol."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import uuid
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Any

import pytest
import requests
import zeep
from lxml import etree
from requests.auth import HTTPBasicAuth
from zeep.transports import Transport

from examples.story.world import World
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.agent.agents import Agent, running, wait

pytestmark = pytest.mark.server
ALERTS = "/incident-alert/v1/alerts"
SOAP_ALERTS = "/soap/incident-alert/v1"
QUESTION = {"indicator": "KT-05", "area": "04", "period": "2026-Q3"}
SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
LGSP = "{urn:lgsp:wire:1}"
Alerts = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def stations(make: Callable[..., Agent]) -> Agent:
    return make("quan-trac", ["incident-alert/v1"]).start()


@pytest.fixture(scope="module")
def warnings(make: Callable[..., Agent]) -> Agent:
    """A system whose own format is CAP 1.2 by SOAP."""
    return make("canh-bao", ["incident-alert/v1"]).start()


@pytest.fixture(scope="module")
def centre(make: Callable[..., Agent]) -> Agent:
    return make("dieu-hanh", ["indicator/v1", "incident-alert/v1"], hosts=["may-chu"]).start()


def envelope(content: bytes, space: str = SOAP11, header: str = "") -> bytes:
    content = content.partition(b"?>")[2] if content.startswith(b"<?xml") else content
    head = f"<s:Header>{header}</s:Header>" if header else ""
    return f'<s:Envelope xmlns:s="{space}">{head}<s:Body>'.encode() + content + b"</s:Body></s:Envelope>"


def problem_of(fault: bytes) -> str:
    code = etree.fromstring(fault).find(f".//{LGSP}Code")
    assert code is not None and code.text
    return code.text


def test_curl_without_a_key_hands_an_alert_in(
    stations: Agent, alerts: Alerts, sample: dict[str, Any], world: World
) -> None:
    name = f"QT-{uuid.uuid4()}"
    (stations.folder / "alert.json").write_bytes(
        _json(sample | {"identifier": name, "note": "Mưa đá, gió giật tại bản Ngườm Khuổi"})
    )
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "-i",
            "--noproxy",
            "*",
            "-H",
            f"Lgsp-Agent-Secret: {stations.secret}",
            "-H",
            "Content-Type: application/json",
        ]
        + [
            "-H",
            f'Idempotency-Key: "{name}"',
            "--data-binary",
            f"@{stations.folder / 'alert.json'}",
            stations.base + ALERTS,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("HTTP/1.1 200 "), done.stdout
    transfer = next(
        line.split(": ")[1].strip() for line in done.stdout.splitlines() if line.startswith("lgsp-transfer")
    )
    assert "lgsp-receipt: intent=:" in done.stdout and "lgsp-checkpoint: :" in done.stdout
    (found,) = wait("the alert in the feed", lambda: alerts(name))
    assert found["note"] == "Mưa đá, gió giật tại bản Ngườm Khuổi"
    shown = world.lgsp("audit", "show", transfer, "--data", str(world.data))["entries"]
    assert {each["caller"]["system"] for each in shown if "caller" in each} == {"quan-trac"}, (
        "the log names the system behind the agent"
    )


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value, ensure_ascii=False).encode()


def test_a_repeat_gets_the_gateways_stored_answer(stations: Agent, alerts: Alerts, sample: dict[str, Any]) -> None:
    name = f"QT-{uuid.uuid4()}"
    first, again = (
        stations.call("POST", ALERTS, sample | {"identifier": name}, Idempotency_Key=name) for _ in range(2)
    )
    assert first.status == again.status == 200 and first.body == again.body
    assert len(wait("it in the feed", lambda: alerts(name))) == 1
    other = stations.call("POST", ALERTS, sample | {"identifier": name, "note": "khác"}, Idempotency_Key=name)
    assert (other.status, other.json()["code"]) == (409, "message.other-body")


def test_the_gateways_refusals_come_through_as_they_are(stations: Agent, warnings: Agent) -> None:
    told = stations.call("POST", ALERTS, {"identifier": 5}, Accept_Language="en")
    assert told.status == 422 and told.headers["content-type"] == "application/problem+json"
    problem = told.json()
    assert problem["code"] == "message.invalid" and problem["transfer"] == told.headers["lgsp-transfer"]
    assert {"here": "identifier", "rule": "type"}.items() <= next(
        f for f in problem["findings"] if f["here"] == "identifier"
    ).items()
    assert problem["title"] == problem["messages"]["en"]["title"] != problem["messages"]["vi"]["title"]
    wrong = messages.cap_alert().replace(
        b"<cap:urgency>Expected</cap:urgency>", b"<cap:urgency>Perhaps</cap:urgency>", 1
    )
    for space, media, status in (
        (SOAP11, "text/xml; charset=utf-8", 500),
        (SOAP12, "application/soap+xml; charset=utf-8", 400),
    ):
        fault = warnings.call("POST", SOAP_ALERTS, envelope(wrong, space), Content_Type=media)
        assert fault.status == status and fault.headers["content-type"].startswith(media.partition(";")[0])
        assert problem_of(fault.body) == "message.invalid"
        assert etree.fromstring(fault.body).find(f".//{LGSP}Finding") is not None
        assert f"{{{space}}}Fault" == etree.fromstring(fault.body)[-1][0].tag


def test_plain_soap_of_both_versions_is_carried(warnings: Agent, alerts: Alerts) -> None:
    prefix = f"NCHMF-{uuid.uuid4()}"
    for number, (space, media) in enumerate(((SOAP11, "text/xml"), (SOAP12, "application/soap+xml")), 1):
        body = envelope(messages.cap_alert(identifier=f"{prefix}-{number}"), space)
        told = warnings.call("POST", SOAP_ALERTS, body, Content_Type=media)
        assert told.status == 200, told.body
        root = etree.fromstring(told.body)
        assert root.tag == f"{{{space}}}Envelope" and root[-1][0].tag.endswith("submitAlertResponse")
        assert b"Signature" not in told.body
    assert len(wait("both in the feed", lambda: len(alerts(prefix)) == 2 and alerts(prefix))) == 2


def test_zeep_as_a_plain_client_of_the_wsdl_that_the_agent_serves(centre: Agent) -> None:
    session = requests.Session()
    session.trust_env = False
    session.auth = HTTPBasicAuth("nen-tang", centre.secret)
    client = zeep.Client(f"{centre.base}/soap/indicator/v1?wsdl", transport=Transport(session=session))
    for service in (client.service, client.bind("IndicatorService", "IndicatorPort12")):
        value = service.getValue(**QUESTION)
        assert value.value["_value_1"] == Decimal("612.450")
        assert value.responsible, "the centre's grant has the field"
    with pytest.raises(zeep.exceptions.Fault) as refused:
        client.service.getValue(**QUESTION | {"period": "2026-Q9"})
    assert "message.invalid" in etree.tostring(refused.value.detail).decode()


@pytest.mark.parametrize("path", ["/feeds/incident-alert/v1", "/feeds/events?feeds=incident-alert/v1"])
def test_events_of_a_feed_come_through_the_agent_as_they_come(
    centre: Agent, stations: Agent, sample: dict[str, Any], path: str
) -> None:
    head = {"lgsp-agent-secret": centre.secret, "accept": "text/event-stream"}
    page = centre.call("GET", path + ("&" if "?" in path else "?") + "limit=1").json()
    names = [f"QT-{uuid.uuid4()}" for _ in range(2)]
    assert stations.call("POST", ALERTS, sample | {"identifier": names[0]}).status == 200

    def events(after: str) -> Generator[tuple[str, dict[str, Any]]]:
        session = requests.Session()
        session.trust_env = False
        with session.get(
            centre.base + path, headers=head | {"last-event-id": after}, stream=True, timeout=60
        ) as answer:
            assert answer.status_code == 200 and answer.headers["content-type"] == "text/event-stream"
            cursor = ""
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"id: "):
                    cursor = line[4:].decode()
                elif line.startswith(b"data: "):
                    yield cursor, json.loads(line[6:])

    stream = events(page["next"])
    cursor = next(at for at, event in stream if event["data"]["identifier"] == names[0])
    assert stations.call("POST", ALERTS, sample | {"identifier": names[1]}).status == 200
    assert any(event["data"]["identifier"] == names[1] for _, event in stream)  # in the same stream
    stream.close()
    again = events(cursor)
    assert all(event["data"]["identifier"] != names[0] for _, event in itertools.islice(again, 1))
    again.close()
    other = centre.call("GET", path.replace("incident-alert", "field-report"), accept="text/event-stream")
    assert other.json()["code"] == "agent.address"  # the agent is not configured for it
    bad = centre.call("GET", path, **{"accept": "text/event-stream", "last-event-id": "x"})
    assert bad.json()["code"] in ("feed.bad-cursor", "api.invalid")


@pytest.mark.parametrize("face", ["rest", "soap"])
def test_a_question_that_is_answered_later(centre: Agent, face: str) -> None:
    """The addresses of the gateway's receipt are addresses of the agent: the old system fetches state and answer."""
    if face == "rest":
        taken = centre.call("GET", messages.indicator_question(**QUESTION), prefer="respond-async, wait=1")
        assert taken.json()["status"] == taken.headers["location"]
    else:
        inner = messages.indicator_body(**QUESTION).partition(b"?>")[2]
        body = b'<e:Envelope xmlns:e="%s"><e:Body>%s</e:Body></e:Envelope>' % (SOAP11.encode(), inner)
        taken = centre.call("POST", "/soap/indicator/v1", body, content_type="text/xml", prefer="respond-async")
        assert b"Queued" in taken.body
    assert (taken.status, taken.headers["preference-applied"]) == (202, "respond-async")
    own = taken.headers["location"]
    assert own == f"/transfers/{taken.headers['lgsp-transfer']}"
    wait("the end of the transfer", lambda: centre.call("GET", own).json()["state"] == "answered")
    answer = centre.call("GET", f"{own}/answer")
    assert answer.status == 200 and b"612.450" in answer.body
    at_once = centre.call("GET", messages.indicator_question(**QUESTION))
    assert at_once.status == 200 and "preference-applied" not in at_once.headers


def test_a_question_by_rest_and_the_documents_with_the_agents_own_address(centre: Agent, instance: Settings) -> None:
    told = centre.call("GET", messages.indicator_question(**QUESTION))
    assert told.status == 200 and b'"value":612.450' in told.body
    own = f"/transfers/{told.headers['lgsp-transfer']}"
    assert centre.call("GET", own).json()["state"] == "answered"
    assert centre.call("GET", f"{own}/answer").body == told.body
    assert own.rpartition("/")[2] in [each["transfer"] for each in centre.call("GET", "/transfers").json()["transfers"]]
    feed = centre.call("GET", "/feeds/incident-alert/v1?limit=1")
    assert feed.status == 200 and "events" in feed.json()
    openapi = centre.call("GET", "/contracts/indicator/v1/openapi.json", secret="").json()
    assert openapi["servers"] == [{"url": f"{centre.base}/indicator/v1"}]
    operation = openapi["paths"]["/values"]["post"]
    assert [each["name"] for each in operation["parameters"]] == ["Idempotency-Key"] and operation["security"][0] == {
        "agentSecret": []
    }
    wsdl = centre.call("GET", "/soap/indicator/v1?wsdl", secret="")
    assert (
        f'location="{centre.base}/soap/indicator/v1"'.encode() in wsdl.body and instance.base.encode() not in wsdl.body
    )
    kept = set((centre.folder / "state" / "documents").iterdir())
    for query in ("?lang=a", "?lang=b", "?x"):
        assert centre.call(
            "GET", f"/contracts/indicator/v1/openapi.json{query}", secret="", Host="may-chu:8181"
        ).json()["servers"] == [{"url": "http://may-chu:8181/indicator/v1"}]
    assert set((centre.folder / "state" / "documents").iterdir()) == kept, (
        "whoever asks without the secret fills no disk"
    )


@pytest.mark.parametrize("shown", ["", "sai", "bi-mat-noi-bo-de-thu-nghie", "bi-mật"])
def test_without_the_local_secret_nothing_is_carried(
    stations: Agent, shown: str, alerts: Alerts, sample: dict[str, Any]
) -> None:
    name = f"QT-{uuid.uuid4()}"
    told = stations.call("POST", ALERTS, sample | {"identifier": name}, secret=shown)
    assert (told.status, told.json()["code"]) == (401, "agent.secret") and told.headers["www-authenticate"].startswith(
        "Basic"
    )
    soap = stations.call(
        "POST", SOAP_ALERTS, envelope(messages.cap_alert(identifier=name)), secret=shown, Content_Type="text/xml"
    )
    assert soap.status == 500 and problem_of(soap.body) == "agent.secret"
    assert not alerts(name) and stations.secret not in stations.said.read_text()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("POST", "/indicator/v1/values"),
        ("GET", "/contracts"),
        ("POST", "/oauth/token"),
        ("GET", "/incident-alert/v1/../x"),
        ("GET", "/transfers/..%2Fx"),
        ("POST", "/incident-alert//v1/alerts"),
        ("GET", "/audit/checkpoint"),
        ("PUT", "/feeds/indicator/v1"),
    ],
)
def test_another_address_is_refused(stations: Agent, method: str, path: str) -> None:
    sent = requests.Request(method, stations.base, headers={"Lgsp-Agent-Secret": stations.secret}).prepare()
    sent.url = stations.base + path  # as it stands: the library would tidy it
    with requests.Session() as session:
        session.trust_env = False
        told = session.send(sent, timeout=60)
    assert (told.status_code, told.json()["code"]) == (404, "agent.address")


def test_what_cannot_be_carried_is_refused_in_the_callers_protocol(stations: Agent) -> None:
    def code(told: Any) -> tuple[int, str]:
        return told.status, told.json()["code"] if "json" in told.headers["content-type"] else problem_of(told.body)

    assert code(stations.call("POST", ALERTS, b"x" * 400_001)) == (413, "agent.body-too-large")
    assert code(stations.call("POST", ALERTS, b"x", Content_Encoding="gzip")) == (415, "agent.body-encoded")
    assert code(stations.call("POST", ALERTS, b"{}", Idempotency_Key='"a b"')) == (400, "agent.message-id")
    soap = {"Content_Type": "text/xml"}
    assert code(stations.call("POST", SOAP_ALERTS, b"x" * 400_001, **soap)) == (500, "agent.body-too-large")
    assert code(stations.call("POST", SOAP_ALERTS, b"<a/>", Content_Type="text/plain")) == (500, "agent.media-type")
    assert code(stations.call("POST", SOAP_ALERTS, b"<!DOCTYPE a><a/>", **soap)) == (500, "xml.doctype")
    assert code(stations.call("POST", SOAP_ALERTS + "x", b"<a/>", **soap)) == (500, "agent.address")
    wsse = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    signed = envelope(b"<a/>", header=f'<w:Security xmlns:w="{wsse}"/>')
    assert code(stations.call("POST", SOAP_ALERTS, signed, **soap)) == (500, "agent.envelope")
    demanding = envelope(b"<a/>", header='<x:Giao xmlns:x="urn:x" s:mustUnderstand="1"/>')
    assert code(stations.call("POST", SOAP_ALERTS, demanding, **soap)) == (500, "agent.envelope")
    assert code(stations.call("POST", SOAP_ALERTS, envelope(b"<a/>", SOAP12), Content_Type="application/soap+xml")) == (
        400,
        "soap.unknown-body",
    )


@pytest.mark.full
def test_a_body_that_does_not_come_ends_the_call_and_not_the_agent(stations: Agent) -> None:
    host, port = stations.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as slow:
        slow.sendall(
            (
                f"POST {ALERTS} HTTP/1.1\r\nHost: localhost\r\nLgsp-Agent-Secret: "
                f"{stations.secret}\r\nContent-Length: 1000\r\n\r\n{{"
            ).encode()
        )
        answer = b""
        while part := slow.recv(65536):
            answer += part
        assert b" 408 " in answer.splitlines()[0] and b"agent.body-too-slow" in answer
    assert stations.call("POST", ALERTS, {}).status == 422


def test_a_wrong_clock_is_named(make: Callable[..., Agent], sample: dict[str, Any]) -> None:
    ahead = make("quan-trac", ["incident-alert/v1"], skew=600.0)
    with running(ahead):
        told = ahead.call("POST", ALERTS, sample | {"identifier": f"QT-{uuid.uuid4()}"})
    assert told.status == 401 and told.json()["code"] in ("token.from-future", "signature.from-future")
    assert told.headers["lgsp-proven"] == "false", "the gateway signs nothing for whoever proved nothing"


def test_check_says_what_is_wrong(stations: Agent, make: Callable[..., Agent]) -> None:
    well = stations.lgsp("check")
    assert well["ok"], well
    assert {each["name"] for each in well["checks"]} >= {
        "secret",
        "identity",
        "gateway",
        "clock",
        "token",
        "log",
        "tls.crt",
        "queue",
    }
    lost = make("quan-trac", ["incident-alert/v1"], connect="127.0.0.1:9")
    lost.folder.mkdir(parents=True)
    (lost.folder / "local.secret").write_text("ngan\n")
    (lost.folder / "local.secret").chmod(0o644)
    lost.file.write_text(_json(lost.config | {"secret": "local.secret"}).decode())
    found = {each["name"]: each for each in lost.lgsp("check")["checks"]}
    assert not found["secret"]["ok"] and "644" in found["secret"]["what"]
    assert not found["gateway"]["ok"] and found["identity"]["ok"]
