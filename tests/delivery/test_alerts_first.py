"""Alerts of the catalogue pass before a full queue of reports to the same system, and those of one sender keep their
order: with real processes, of which the keeper is killed meanwhile, on both databases.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

import pytest
import yaml
from aiohttp import web

from bench.demo import demo_settings
from bench.ports import free_port
from gateway.cli.run import ensure_instance
from gateway.sample_client.identity import Identity
from gateway.sandbox import instance
from gateway.sandbox.standins import messages
from gateway.sandbox.standins.base import serving
from gateway.sandbox.standins.rest_base import RestStandIn
from tests.faults.load import child, until
from tests.faults.test_faults_children import Instance
from tests.journal.databases import KINDS, fresh_url
from tests.registry.making import contracts

pytestmark = pytest.mark.server

ALERTS, REPORTS = "incident-alert/v1", "field-report/v1"
SENDERS = ("thien-tai@caobang.gov.vn", "bao-chay@caobang.gov.vn")
AREA = "01273"
EACH, MANY = 3, 16  # alerts of a sender; reports, twice as many as one system gets at once


@dataclass(slots=True)
class Duty(RestStandIn):
    """An agency's system that takes both. It answers no report before `goes_on`. `came`: alerts by sender and id, and
    reports by their text, in the order in which they were carried out.
    """

    came: list[tuple[str, str]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    goes_on: threading.Event = field(default_factory=threading.Event)

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/requests"):
            self.asked.add(request.headers["lgsp-transfer"])
            while not self.goes_on.is_set():
                await asyncio.sleep(0.05)
        return await RestStandIn._take(self, request)

    def carry_out(self, path: str, content: dict[str, Any], number: int) -> dict[str, Any]:
        if path.endswith("/dispatched-alerts"):
            self.came.append((content["sender"], content["identifier"]))
            return {"receivedAt": "2026-11-27T08:00:00+07:00", "reference": f"TB-{number}"}
        self.came.append(("", content["description"]))
        return {"service_request_id": f"R-{number}", "status": "open"}


def document(url: str) -> str:
    """The province's, where one system more takes alerts and reports."""
    whole: dict[str, Any] = yaml.safe_load(resources.files("gateway.sandbox").joinpath("province.yaml").read_bytes())
    grants = {each["id"]: each for each in whole["grants"]}
    next(each for each in whole["systems"] if each["id"] == "y-te")["endpoint"] = {"kind": "rest", "url": url}
    whole["routes"] = [each for each in whole["routes"] if each["operation"] != "dispatchAlert"]
    for number, (contract, operation) in enumerate([(ALERTS, "dispatchAlert"), (REPORTS, "createRequest")]):
        when = {"when": {"area": [AREA]}} if contract == REPORTS else {}
        whole["routes"].insert(0, {"contract": contract, "operation": operation, "system": "y-te"} | when)
        named = {"id": f"G-910{number}", "agency": "H14.7", "contract": contract, "operations": [operation]}
        whole["grants"].append(copy.deepcopy(grants["G-0013"]) | named)
    sends = {"id": "G-9110", "contract": ALERTS, "operations": ["dispatchAlert"]}
    whole["grants"].append(copy.deepcopy(grants["G-0003"]) | sends)
    return yaml.safe_dump(whole, allow_unicode=True, sort_keys=False)


@pytest.fixture(params=KINDS)
def one(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Instance, int]]:
    place, port = tmp_path_factory.mktemp("alerts"), free_port()
    settings = demo_settings(place / "data")
    if request.param != "sqlite":
        settings = replace(settings, database=fresh_url(request.param, place / "data"))
    file = place / "province.yaml"
    file.write_text(document(f"https://localhost:{port}"), "utf-8")
    monkeypatch.setattr(instance, "PROVINCE", str(file))
    ensure_instance(settings, say_progress=False)
    made = Instance(settings)
    yield made, port
    made.end()


def alert(sender: str, identifier: str) -> dict[str, Any]:
    raw = next(
        each.raw for each in contracts()[ALERTS].samples if each.format == "canonical" and each.message == "Alert"
    )
    return {**json.loads(raw), "sender": sender, "identifier": identifier}


@pytest.mark.full
def test_an_alert_passes_before_a_full_queue_and_those_of_a_sender_keep_their_order(one: tuple[Instance, int]) -> None:
    running, port = one
    client = running.world.rest("phan-anh")

    def sent(path: str, body: dict[str, Any], **headers: str) -> None:
        prepared = client.prepare("POST", path, body, message_id=f"M-{uuid.uuid4()}", token=client.token())
        answer = client.send(replace(prepared, headers={**prepared.headers, **headers}))
        assert answer.status == 202, (answer.status, answer.body[:300])

    duty = Duty(Identity.load(running.settings.identities / "y-te"), port)
    with serving(duty):
        texts = [f"report {number}" for number in range(MANY)]
        for each in texts:
            report = messages.field_report(area=AREA) | {"description": each}
            sent(f"/{REPORTS}/requests", report, prefer="respond-async")
        until("as many reports out as the system gets at once", lambda: len(duty.asked) >= 8)
        alerts = [(sender, f"A-{number}") for number in range(EACH) for sender in SENDERS]
        for sender, identifier in alerts[:2]:
            sent(f"/{ALERTS}/dispatched-alerts", alert(sender, identifier))
        until("the first alert of each, beside them", lambda: len(duty.came) == 2)
        for sender, identifier in alerts[2:]:
            sent(f"/{ALERTS}/dispatched-alerts", alert(sender, identifier))
        os.kill(child(running.pid, "keeper"), signal.SIGKILL)
        until("all alerts", lambda: len(duty.came) >= len(alerts), 120.0)
        assert sorted(duty.came) == sorted(alerts), "no report was before them"
        duty.goes_on.set()
        until("all reports", lambda: len(duty.came) >= len(alerts) + MANY, 180.0)
    for sender in SENDERS:
        came = [identifier for each, identifier in duty.came if each == sender]
        assert came == [f"A-{number}" for number in range(EACH)], "in order, each once"
    assert sorted(text for sender, text in duty.came if not sender) == sorted(texts), "nothing was lost, nothing twice"
