"""A vendor moves her clock: what she signs and holds is judged by it, and nobody and nothing else is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from tests.commandline import lgsp
from tests.story.joining_client import Client
from tests.story.test_joining import QUESTION, REPORT, Vendor
from tests.story.test_joining import first as first
from tests.story.test_joining import sandbox as sandbox
from tests.story.test_joining import second as second

pytestmark = pytest.mark.server
DAY = 86_400
CLOCK = "/sandbox/api/clock"


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
    time.sleep(1.5)  # every door takes up the registry twice in a second
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
    question = f'<getValue xmlns="{namespace}"><indicator>KT-05</indicator><area>04</area><period>2026-Q3</period></getValue>'
    soap = moved.client.soap("indicator/v1", namespace, question.encode())
    assert soap.status_code == 200 and "lgsp-time" in soap.headers, soap.text
    # Her entries bear both times, nobody else's a second one.
    mine = entries(sandbox, answer.headers["lgsp-transfer"])
    assert mine and all(at(each["clock"]) - at(each["at"]) == pytest.approx(30 * DAY, abs=0.01) for each in mine)
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


def test_the_log_holds(sandbox: Settings, first: Vendor) -> None:
    done = lgsp("audit", "verify", "--data", str(sandbox.data), "--json")
    assert done.code == 0, done.out + done.err
    shown = lgsp("sandbox", "clock", first.told["tenant"], "--data", str(sandbox.data), "--json")
    assert shown.code == 0 and json.loads(shown.out)["ahead"] == 0, shown.out
    moved = lgsp("sandbox", "clock", first.told["tenant"], "--days", "1", "--data", str(sandbox.data), "--json")
    assert moved.code == 0 and json.loads(moved.out)["ahead"] == DAY, moved.out
    assert lgsp("sandbox", "clock", "H14.2", "--days", "1", "--data", str(sandbox.data)).code != 0
