"""Open311 clients that others wrote hand reports in through an agent and see their status; what is wrong is refused in
GeoReport's words."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree

from examples.story.world import World
from gateway.sandbox.standins import messages
from tests.agent.agents import Agent, Road, running, wait
from tests.nodepackages import installed

pytestmark = pytest.mark.server
AREA = "01273"  # its reports go to the urban system, which answers at once
REPORT = {
    "service_code": "duong-sa",
    "attribute[area]": AREA,
    "description": "Ổ gà lớn trước số nhà 25 <phố Kim Đồng> & chợ",
    "address_string": "25 phố Kim Đồng",
    "lat": "22.66590",
    "long": "106.25790",
    "first_name": "Hằng",
    "phone": "0912 000 417",
}


@pytest.fixture(scope="module")
def city(make: Callable[..., Agent]) -> Agent:
    return make("phan-anh", ["field-report/v1"], open311=True).start()


def post(agent: Agent, form: dict[str, str], path: str = "/requests.json") -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(agent.base + path, data=form, timeout=60, headers={"Accept-Language": "en"})


def keyed(agent: Agent) -> str:
    return agent.base.replace("http://", f"http://open311:{agent.secret}@")


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`three` was written for Python 2, whose `ifilter` is the `filter` of today. Nothing else of it is changed."""
    monkeypatch.setattr(itertools, "ifilter", filter, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    return importlib.import_module("three")


def test_three_hands_a_report_in_and_sees_its_status(city: Agent, three: Any) -> None:
    client = three.Three(keyed(city), api_key=city.secret)
    assert client.discovery()["endpoints"][0]["url"] == city.base
    services = {each["service_code"]: each for each in client.services()}
    assert services["duong-sa"]["service_name"] == "Đường sá hư hỏng"
    (attribute,) = client.services("duong-sa")["attributes"]
    assert attribute["code"] == "area" and {"key": AREA, "name": "Phường Thục Phán"} in attribute["values"]
    (taken,) = client.post("duong-sa", **{name: value for name, value in REPORT.items() if name != "service_code"})
    assert taken["service_request_id"].startswith("SXD-") and taken["service_notice"]
    (shown,) = client.request(taken["service_request_id"])
    assert shown["status"] == "open" and shown["description"] == REPORT["description"]
    assert (shown["lat"], shown["long"], shown["address"]) == (22.6659, 106.2579, "25 phố Kim Đồng")
    assert shown["agency_responsible"] and shown["expected_datetime"] and shown["service_name"] == "Đường sá hư hỏng"
    assert shown["service_request_id"] in [each["service_request_id"] for each in client.requests("duong-sa")]
    assert client.requests("cay-xanh") == [] and client.requests(status="closed") == []
    said = json.dumps(client.requests(), ensure_ascii=False)
    assert "Hằng" not in said and "0912" not in said


def handlings(world: World) -> list[dict[str, Any]]:
    """All open ones of the agency for roads: other tests leave many."""
    listed: list[dict[str, Any]] = []
    cursor: tuple[str, ...] = ()
    while True:
        words = ("--agency", "H14.3", "--kind", "duong-sa", "--limit", "200", *cursor, "--data", str(world.data))
        page = world.lgsp("handling", "list", *words)
        listed += page["handlings"]
        if not page["next"]:
            return listed
        cursor = ("--cursor", page["next"])


def test_the_status_comes_from_the_handling(city: Agent, three: Any, world: World) -> None:
    client = three.Three(keyed(city), api_key=city.secret)
    (taken,) = client.post("duong-sa", **{name: value for name, value in REPORT.items() if name != "service_code"})
    number = taken["service_request_id"]

    def stands(words: str) -> dict[str, Any]:
        """The report, once its status says this."""
        found: list[dict[str, Any]] = wait(
            words, lambda: [each for each in client.request(number) if each["status_notes"] == words]
        )
        return found[0]

    shown = stands("Đã chuyển")
    assert shown["status"] == "open" and shown["expected_datetime"]
    newest = max(handlings(world), key=lambda each: each["opened"])["handling"]
    for step, reason in (("accept", ""), ("finish", "đã vá xong")):
        said = ["--reason", reason] if reason else []
        world.lgsp("handling", "step", newest, step, "--agency", "H14.3", *said, "--data", str(world.data))
    assert stands("Đã xử lý xong: đã vá xong")["status"] == "closed"
    updates = city.call("GET", f"/servicerequestupdates.json?service_request_id={number}").json()
    assert {each["service_request_id"] for each in updates} == {number}
    assert [each["status"] for each in updates] == ["CLOSED", "OPEN", "OPEN"]
    xml = etree.fromstring(city.call("GET", "/servicerequestupdates.xml").body)
    assert number in [each.text for each in xml.iterfind("request_update/service_request_id")]


def test_npm_open311_does_the_same(city: Agent) -> None:
    folder = Path(__file__).parent / "node" / "open311"
    place = installed(folder, "npm open311 is")
    command = ["node", str(folder / "report.js"), str(place), f"{keyed(city)}/", city.secret]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    number = said["submitted"][0]["service_request_id"]
    assert said["request"][0]["service_request_id"] == number and said["request"][0]["status"] == "open"
    assert number in [each["service_request_id"] for each in said["requests"]]


@pytest.mark.parametrize("form", ["json", "xml"])
def test_georeport_reads_what_is_there(city: Agent, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    taken = post(city, REPORT | {"api_key": city.secret}, f"/requests.{form}")
    assert taken.status_code == 200
    number = (
        taken.json()[0]["service_request_id"]
        if form == "json"
        else etree.fromstring(taken.content).findtext(".//service_request_id")
    )
    client = importlib.import_module("georeport.georeport").GeoReport(keyed(city), output_format=form)
    assert "duong-sa" in [each["service_code"] for each in client.get_service_list()]
    definition = client.get_service_definition("duong-sa")
    assert definition["service_code"] == "duong-sa"
    shown = client.get_service_request(number)
    assert shown["service_request_id"] == number and shown["description"] == REPORT["description"]
    listed = client.get_service_requests(service_code="duong-sa,cay-xanh", start_date="2020-01-01T00:00:00Z")
    assert number in [each["service_request_id"] for each in (listed if isinstance(listed, list) else [listed])]


@pytest.mark.full
def test_a_report_of_an_outage_has_a_token_until_the_agency_answered(make: Callable[..., Agent], road: Road) -> None:
    with running(make("phan-anh", ["field-report/v1"], connect=road.at, open311=True)) as agent:
        assert agent.call("GET", "/services.json").status == 200
        wait("the documents", lambda: agent.call("GET", "/contracts/field-report/v1").status == 200)
        road.cut()
        (taken,) = post(agent, REPORT | {"api_key": agent.secret}).json()
        token = taken["token"]
        assert "service_request_id" not in taken
        (waits,) = agent.call("GET", f"/tokens/{token}.json").json()
        assert waits == {"token": token}
        (shown,) = agent.call("GET", f"/requests/{token}.json").json()
        assert shown["service_request_id"] == token and shown["status"] == "open"
        road.mend()
        known = wait(
            "its number", lambda: agent.call("GET", f"/tokens/{token}.json").json()[0].get("service_request_id")
        )
        (shown,) = agent.call("GET", f"/requests/{known}.json").json()
        assert shown["service_request_id"] == known and shown["agency_responsible"]


def test_what_is_wrong_is_refused_in_the_words_of_the_standard(city: Agent) -> None:
    key = {"api_key": city.secret}

    def refused(form: dict[str, str], status: int, word: str) -> None:
        answer = post(city, form)
        assert answer.status_code == status, answer.text
        (error,) = answer.json()
        assert error["code"] == status and word in error["description"], error

    refused(REPORT, 401, "agent.secret")
    refused(REPORT | {"api_key": "x" * 20}, 401, "agent.secret")
    refused(REPORT | key | {"attribute[area]": "99999"}, 400, "area")
    refused(REPORT | key | {"attribute[area]": ""}, 400, "attribute[area]")
    refused(REPORT | key | {"service_code": "troi"}, 400, "service_code")
    refused(REPORT | key | {"lat": "1e999999"}, 400, "lat")
    refused(REPORT | key | {"mood": "bad"}, 400, "mood")
    refused(REPORT | key | {"description": "x" * 70_000}, 413, "65536")
    assert city.call("GET", "/requests.json", secret="").status == 401
    assert city.call("GET", f"/requests.json?api_key={city.secret}", secret="").status == 200
    for path in ("/requests/none.json", "/tokens/none.xml", "/services/none.json"):
        assert city.call("GET", path).status == 404, path
    for path in ("/requests.json?start_date=yesterday", f"/requests.json?page_size={'9' * 5000}"):
        assert city.call("GET", path).status == 400, path
    assert city.call("POST", "/services.json", b"").status == 404
    assert etree.fromstring(city.call("GET", "/requests/none.xml").body).findtext("error/code") == "404"


def test_an_agent_that_was_not_asked_to_serves_none_of_it(make: Callable[..., Agent]) -> None:
    with running(make("phan-anh", ["field-report/v1"])) as agent:
        for path in ("/discovery.json", "/services.json", "/requests.json"):
            assert agent.call("GET", path).status == 404, path
        body = messages.field_report(area=AREA) | {"lat": None}
        assert agent.call("POST", "/requests.json", {k: str(v) for k, v in body.items()}).status == 404
