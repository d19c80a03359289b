"""What the agent acknowledged is delivered once and in order, whatever happens to the road, to the gateway's answers,
or to the agent itself."""

from __future__ import annotations

import ssl
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.agent.agents import Agent, Road, running, wait

pytestmark = pytest.mark.server
ALERTS = "/incident-alert/v1/alerts"
SOAP_ALERTS = "/soap/incident-alert/v1"
QUESTION = messages.indicator_question(indicator="KT-05", area="04", period="2026-Q3")
Alerts = Callable[[str], list[dict[str, Any]]]


def test_kill_9_amid_fifty_submissions_each_comes_once_and_in_order(
    make: Callable[..., Agent], road: Road, alerts: Alerts, sample: dict[str, Any]
) -> None:
    prefix, secret_words = f"QT-{uuid.uuid4()}", "Nguyễn Thị Ngoãn ở Lũng Pán"
    agent = make("quan-trac", ["incident-alert/v1"], connect=road.at)
    with running(agent):
        assert agent.call("POST", ALERTS, {}).status == 422, "the road is open, the contract is known"
        road.cut()
        taken = []
        for number in range(50):
            told = agent.call(
                "POST",
                ALERTS,
                sample | {"identifier": f"{prefix}-{number:02}", "note": secret_words},
                Idempotency_Key=f"{prefix}-{number}",
            )
            assert told.status == 202 and told.json() == {
                "message": f"{prefix}-{number}",
                "state": "queued",
                "by": "agent",
            }, told
            taken.append(f"{prefix}-{number:02}")
            if number in (11, 30):
                agent.kill()
                agent.start()
        assert agent.lgsp("status") == {"ok": True, "queued": 50, "sent": 0, "dead": 0, "in_doubt": 0}
        kept = b"".join(file.read_bytes() for file in (agent.folder / "state").glob("agent.db*"))
        assert prefix.encode() in kept and "Ngoãn".encode() not in kept and b"Ng\\u" not in kept, (
            "contents are sealed at rest"
        )
        road.mend()
        # an answer makes all due: the queue itself would try again only after its pause
        wait("the gateway answers again", lambda: agent.call("GET", "/transfers").status == 200)
        wait("some to be delivered", lambda: agent.count("sent") >= 1)
        agent.kill()
        assert agent.count("queued") > 0, "killed in the middle"
        agent.start()
        wait("all to be delivered", lambda: agent.count("sent") == 50)
    found = wait("all in the feed", lambda: len(alerts(prefix)) >= 50 and alerts(prefix))
    assert [each["identifier"] for each in found] == taken
    assert {each["note"] for each in found} == {secret_words}
    assert agent.rows("select count(*) from message where length(body) > 0") == [(0,)], (
        "what was delivered is forgotten"
    )


def test_questions_are_never_queued_and_a_full_queue_says_so(
    make: Callable[..., Agent], road: Road, sample: dict[str, Any]
) -> None:
    agent = make("quan-trac", ["incident-alert/v1", "indicator/v1"], connect=road.at, queue={"messages": 2})
    with running(agent):
        agent.call("POST", ALERTS, {})
        agent.call("GET", QUESTION)
        road.cut()
        told = agent.call("GET", QUESTION)
        assert (
            told.status in (503, 504)
            and told.json()["code"] in ("agent.unreachable", "agent.timeout")
            and told.headers["retry-after"]
        )
        asked = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%b</s:Body></s:Envelope>'
        question = messages.indicator_body(indicator="KT-05", area="04", period="2026-Q3").partition(b"?>")[2]
        soap = agent.call("POST", "/soap/indicator/v1", asked % question, Content_Type="text/xml")
        assert soap.status == 500 and (b"agent.unreachable" in soap.body or b"agent.timeout" in soap.body)
        name = f"QT-{uuid.uuid4()}"
        for _ in range(2):  # the same message twice is one
            assert agent.call("POST", ALERTS, sample | {"identifier": name}, Idempotency_Key=name).status == 202
        other = agent.call("POST", ALERTS, sample | {"identifier": name, "note": "khác"}, Idempotency_Key=name)
        assert (other.status, other.json()["code"]) == (409, "agent.other-body")
        assert agent.call("POST", ALERTS, sample).status == 202
        full = agent.call("POST", ALERTS, sample | {"identifier": f"QT-{uuid.uuid4()}"})
        assert (full.status, full.json()["code"], full.headers["retry-after"]) == (503, "agent.queue-full", "60")
        assert agent.count("queued") == 2


def test_an_answer_whose_checkpoint_cannot_be_kept_is_asked_for_again(
    make: Callable[..., Agent], alerts: Alerts, sample: dict[str, Any]
) -> None:
    """The gateway took the message; that our own disk fails makes it neither lost nor dead."""
    agent = make("quan-trac", ["incident-alert/v1"])
    name = f"QT-{uuid.uuid4()}"
    with running(agent):
        folder = agent.folder / "state" / "checkpoints"
        folder.rmdir()
        told = agent.call("POST", ALERTS, sample | {"identifier": name}, Idempotency_Key=name)
        assert told.status == 202, told
        wait(
            "a try of the queue",
            lambda: agent.rows("select 1 from message where tries > 0 and why like 'client.state%'"),
        )
        assert (agent.count("queued"), agent.count("dead")) == (1, 0)
        folder.mkdir(mode=0o700)
        wait("its delivery", lambda: agent.count("sent") == 1)
    assert len(alerts(name)) == 1


def test_soap_waits_too_and_a_refusal_makes_a_dead_letter(
    make: Callable[..., Agent], road: Road, alerts: Alerts
) -> None:
    agent = make("canh-bao", ["incident-alert/v1"], connect=road.at)
    prefix = f"NCHMF-{uuid.uuid4()}"

    def send(content: bytes, space: str = "http://schemas.xmlsoap.org/soap/envelope/", media: str = "text/xml") -> Any:
        body = (
            f'<s:Envelope xmlns:s="{space}"><s:Body>'.encode() + content.partition(b"?>")[2] + b"</s:Body></s:Envelope>"
        )
        return agent.call("POST", SOAP_ALERTS, body, Content_Type=media)

    with running(agent):
        assert send(messages.cap_alert(status="Nope")).status == 500
        road.cut()
        wrong = messages.cap_alert(identifier=f"{prefix}-0").replace(b">Severe<", b">Worst<")
        for content in (wrong, messages.cap_alert(identifier=f"{prefix}-1")):
            told = send(content)
            assert told.status == 202 and b"<lgsp:Queued" in told.body and b"urn:uuid:" in told.body
        newer = send(
            messages.cap_alert(identifier=f"{prefix}-2"),
            "http://www.w3.org/2003/05/soap-envelope",
            "application/soap+xml",
        )
        assert newer.status == 202 and b"http://www.w3.org/2003/05/soap-envelope" in newer.body
        road.mend()
        wait("the end of all three", lambda: agent.count("queued") == 0)
        counts = agent.lgsp("status")
        assert (counts["sent"], counts["dead"], counts["ok"]) == (2, 1, False)
        (dead,) = agent.lgsp("queue")["messages"]
        assert dead["state"] == "dead" and dead["why"].startswith("message.invalid") and dead["transfer"]
        assert agent.lgsp("retry", dead["id"]) == {"ok": True, "retried": 1}
        wait(
            "the second refusal",
            lambda: agent.rows("select tries from message where state = 'dead'") == [(dead["tries"] + 1,)],
        )
        assert agent.lgsp("discard", dead["id"])["ok"] and agent.count("dead") == 0
    two = wait("two in the feed", lambda: len(alerts(prefix)) >= 2 and alerts(prefix))
    assert [each["identifier"] for each in two] == [
        f"{prefix}-1",
        f"{prefix}-2",
    ]


@pytest.fixture
def tapped(instance: Settings, gateway: tuple[str, int]) -> Iterator[Road]:
    """A road with somebody on it who holds the gateway's TLS key, but not its signing key."""
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(instance.keys / "server.crt", instance.keys / "server.key")
    there = ssl.create_default_context(cafile=str(instance.identities / "quan-trac" / "ca.crt"))
    there.load_cert_chain(instance.identities / "quan-trac" / "tls.crt", instance.identities / "quan-trac" / "tls.key")
    made = Road(gateway, (here, there))
    yield made
    made.close()


def test_a_tampered_answer_never_reaches_the_old_system(
    make: Callable[..., Agent], tapped: Road, alerts: Alerts, sample: dict[str, Any]
) -> None:
    agent = make("quan-trac", ["incident-alert/v1"], connect=tapped.at)
    name = f"QT-{uuid.uuid4()}"
    with running(agent):
        honest = agent.call("POST", ALERTS, sample | {"identifier": f"{name}-0"})
        assert honest.status == 200, honest
        tapped.tamper = lambda data: data.replace(b'"acceptedAt":"2', b'"acceptedAt":"1').replace(
            b'"state"', b'"State"'
        )
        told = agent.call("POST", ALERTS, sample | {"identifier": f"{name}-1"})
        assert told.status == 202 and told.json()["by"] == "agent", "what cannot be proved is no answer: it waits"
        question = agent.call("GET", f"/transfers/{honest.headers['lgsp-transfer']}")
        assert (question.status, question.json()["code"]) == (
            502,
            "agent.bad-answer",
        ) and b"accepted" not in question.body
        tapped.tamper = lambda data: data.replace(b"\r\nSignature", b"\r\nX-Signature").replace(
            b"\r\nsignature", b"\r\nx-signature"
        )
        stripped = agent.call("GET", f"/transfers/{honest.headers['lgsp-transfer']}")
        assert (stripped.status, stripped.json()["code"]) == (502, "agent.bad-answer")
        tapped.tamper = lambda data: data
        assert agent.lgsp("retry", "--all")["ok"]
        wait("it to be delivered", lambda: agent.count("sent") == 1)
    assert len(alerts(name)) == 2, "the one that was answered twice stands in the feed once"
    assert "client.not-proven" in agent.said.read_text()


def test_nothing_overtakes_what_waits(
    make: Callable[..., Agent], road: Road, alerts: Alerts, sample: dict[str, Any]
) -> None:
    """While the road flickers and callers go on, each lane keeps its order."""
    agent = make("quan-trac", ["incident-alert/v1"], connect=road.at)
    prefix, stop, statuses = f"QT-{uuid.uuid4()}", threading.Event(), list[int]()

    def through() -> int:
        return agent.count("sent") + statuses.count(200)

    def flicker() -> None:
        """The road is open until something came through, however slow that is."""
        while not stop.is_set():
            before = through()
            wait("something to come through", lambda: stop.is_set() or through() > before)  # noqa: B023
            road.cut()
            stop.wait(0.2)
            road.mend()

    with running(agent):
        agent.call("POST", ALERTS, {})
        thread = threading.Thread(target=flicker)
        thread.start()
        while len(statuses) < 30 or not {200, 202} <= set(statuses) and len(statuses) < 300:
            statuses.append(agent.call("POST", ALERTS, sample | {"identifier": f"{prefix}-{len(statuses):03}"}).status)
        assert thread.is_alive(), "something came through each time"
        stop.set()
        thread.join()
        wait("an empty queue", lambda: agent.count("queued") == 0)
    assert set(statuses) == {200, 202}
    found = wait("all in the feed", lambda: len(alerts(prefix)) >= len(statuses) and alerts(prefix))
    assert [each["identifier"] for each in found] == [f"{prefix}-{number:03}" for number in range(len(statuses))]


@pytest.mark.full
def test_what_waits_too_long_is_dead_and_a_person_may_let_it_wait_again(
    make: Callable[..., Agent], road: Road, alerts: Alerts, sample: dict[str, Any]
) -> None:
    agent, name = make("quan-trac", ["incident-alert/v1"], connect=road.at, queue={"days": 5e-5}), f"QT-{uuid.uuid4()}"
    with running(agent):
        agent.call("POST", ALERTS, {})
        road.cut()
        assert agent.call("POST", ALERTS, sample | {"identifier": name}, Idempotency_Key=name).status == 202
        wait("its end", lambda: agent.count("dead") == 1)
        (dead,) = agent.lgsp("queue")["messages"]
        assert dead["why"].startswith("agent.too-old") and dead["tries"] >= 2
        road.mend()
        again = agent.call("POST", ALERTS, sample | {"identifier": name}, Idempotency_Key=name)
        assert again.status == 200, "the system's own repeat goes through, dead letter or not"
        assert agent.lgsp("retry", name)["ok"]
        wait("its delivery", lambda: agent.count("sent") == 1)
    assert len(alerts(name)) == 1


def test_a_second_agent_on_the_same_state_is_refused(make: Callable[..., Agent]) -> None:
    agent = make("quan-trac", ["incident-alert/v1"])
    with running(agent):
        again = Agent(agent.folder, agent.config)
        with pytest.raises(AssertionError, match="another agent works"):
            again.start()
        again.stop()
        assert agent.call("POST", ALERTS, {}).status == 422
