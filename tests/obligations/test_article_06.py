"""Article 6: what the agency that runs the gateway does."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path

import pypdf
import pytest
from sqlalchemy import Engine

from examples.story import exchange, refusals
from examples.story.exchange import INDICATOR, QUESTION
from examples.story.world import World
from gateway.cases import reading
from gateway.indicators.periods import Period
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from security.grants.windows import VIETNAM
from tests.cases.making import BUILD, CENTRE, DAY, office
from tests.following import everywhere
from tests.obligations.calls import accepted, case, entries, event_of, sample, steps_of, today
from tests.obligations.persons import person

pytestmark = pytest.mark.server

QUERY = messages.indicator_question(**QUESTION)


@pytest.mark.obligation("6.1d")
def test_a_foreign_soap_client_works_from_the_served_description(world: World) -> None:
    """Article 6.1d: zeep asks by the served WSDL in SOAP 1.1 and 1.2; the answer is valid by the served XSD."""
    exchange.soap_query(world)


@pytest.mark.obligation("6.1e")
def test_a_suspended_consumer_is_refused_and_let_in_again(world: World, instance: Settings) -> None:
    """Article 6.1e: a suspended consumer is refused with the reason, the refusal is logged; resumed, it is answered."""
    client, data = world.rest("y-te"), ("--data", str(world.data))
    assert client.call("GET", QUERY).ok
    reason = ("--reason-vi", "Vượt mục đích đã nêu", "--reason-en", "Used beyond its purpose")
    assert world.lgsp("access", "suspend", "G-0006", *reason, *data)["ok"]
    try:
        everywhere(instance)
        answer = client.call("GET", QUERY)
        assert "Vượt mục đích đã nêu" in world.refusal("suspended", "access.suspended", answer, status=403)
    finally:
        assert world.lgsp("access", "resume", "G-0006", *data)["ok"]
    everywhere(instance)
    assert entries(world, world.refused["suspended"])["refusal"]["failure"] == "access.suspended"
    assert client.call("GET", QUERY).ok


@pytest.mark.obligation("6.1e")
def test_processing_in_a_component_system_is_watched(world: World) -> None:
    """Article 6.1e: a report is routed by its area; its state tells that one agency answered, and one is waited for."""
    call = world.rest("phan-anh").call
    done = accepted(call("POST", refusals.REQUESTS, messages.field_report(area="01273")))
    waits = accepted(call("POST", refusals.REQUESTS, messages.field_report(area="01392")))
    found = world.lgsp("audit", "journey", done, "--data", str(world.data))["journeys"]
    found += world.lgsp("audit", "journey", waits, "--data", str(world.data))["journeys"]
    states = {each["transfer"]: (each["state"]["provider"], each["state"]["state"]) for each in found}
    assert states[done] == ("do-thi", "answered")
    assert states[waits] in (("truong-ha", "queued"), ("truong-ha", "forwarding"))


@pytest.mark.obligation("6.1đ")
def test_the_report_says_how_the_gateway_itself_ran(world: World, tmp_path: Path) -> None:
    """Article 6.1đ: a report has a section on running and security: entries by kind, backups, drills, stops."""
    day, file = today(), tmp_path / "figures.json"
    words = ("--from", day, "--until", day, "--format", "json", "--out", str(file), "--data", str(world.data))
    world.lgsp("report", "make", *words)
    (section,) = (each for each in json.loads(file.read_bytes())["sections"] if each["id"] == "running")
    facts = {each["id"]: each["value"] for each in section["facts"]}
    assert facts["entries"] > 0 and {"backups", "drills", "ended", "altered"} <= facts.keys()


@pytest.mark.obligation("6.1c")
def test_a_value_is_the_same_by_feed_page_and_door_and_a_missing_one_names_its_owner(
    world: World, instance: Settings
) -> None:
    """Article 6.1c: a value is the same in the feed, for persons and for systems; who owes a missing one is named."""
    values = sample(world, INDICATOR, "IndicatorValues")
    values["values"] = [{**values["values"][0], "note": f"{uuid.uuid4()}"}]
    sent = accepted(world.rest("so-lieu").call("POST", f"/{INDICATOR}/values", values))
    value = event_of(world, sent, INDICATOR)["data"]["values"][0]
    asked = f"?indicator={value['indicator']}&area=04&from={value['period']}&until={value['period']}"
    (system,) = world.rest("dieu-hanh").call("GET", f"/feeds/{INDICATOR}/figures{asked}").json()["figures"]
    (page,) = person(world, instance, "centre").read(f"/api/indicators{asked}")["figures"]
    assert float(value["value"]) == float(system["value"]) == float(page["value"])
    missing = world.lgsp("indicator", "missing", "--data", str(world.data))["missing"]
    assert "H14.4" in {each["owner"] for each in missing if each["state"] == "missing"}
    assert {each["state"] for each in missing} <= {"missing", "absent"}, "those handed in without a value are owed too"


@pytest.mark.obligation("6.1c")
def test_the_written_report_has_the_values_that_fell_due(world: World, tmp_path: Path) -> None:
    """Article 6.1c: the written report has a value as it was handed in, and names who owes a missing one."""
    now = datetime.now(VIETNAM).date()
    quarter = Period("Q", Period.at("Q", now).number - 2)  # its value fell due in the last 300 days
    values = sample(world, INDICATOR, "IndicatorValues")
    values["values"] = [
        {**values["values"][0], "indicator": "KT-05", "area": "04", "period": str(quarter), "frequency": "Q",
         "value": 987.25, "note": f"{uuid.uuid4()}"}
    ]  # fmt: skip
    event_of(world, accepted(world.rest("so-lieu").call("POST", f"/{INDICATOR}/values", values)), INDICATOR)
    days = ("--from", f"{now - timedelta(days=300)}", "--until", f"{now}", "--data", str(world.data))
    made = {form: tmp_path / f"report.{form}" for form in ("json", "pdf")}
    for form, file in made.items():
        world.lgsp("report", "make", *days, "--format", form, "--out", str(file))
    (section,) = (each for each in json.loads(made["json"].read_bytes())["sections"] if each["id"] == "indicators")
    tables = {each["id"]: each["rows"] for each in section["tables"]}
    (row,) = (each for each in tables["values"] if each[:3] == ["KT-05", "04", str(quarter)])
    assert float(row[3]) == 987.25
    assert "H14.4" in {each[0] for each in tables["owed"] if each[4] == "missing"}
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(made["pdf"]).pages)
    assert "987,25" in text and "Chưa nộp" in text


@pytest.mark.obligation("6.1c (second half)")
def test_a_task_has_a_state_and_a_deadline(world: World, instance: Settings) -> None:
    """Article 6.1c (second half): the centre gives a task with a deadline; the agency takes and answers it, and the
    centre closes it. Each step is in the log."""
    centre, agency = person(world, instance, "centre"), person(world, instance, "agency", "H14.3")
    wanted = {"kind": "task", "receivers": ["H14.3"], "days": 3, "subject": "Thay đèn", "text": "Thay đèn đường"}
    assert agency.post("/api/cases", {**wanted, "receivers": ["H14.7"]}, 403)["code"] == "case.sender"
    task = centre.post("/api/cases", wanted, 201)
    path = f"/api/cases/{task['case']}"

    def state() -> str:
        (found,) = (
            each for each in centre.read("/api/cases?view=all&kind=task")["cases"] if each["id"] == task["case"]
        )
        assert found["due"] == task["due"] and not found["overdue"]
        return str(found["state"])

    assert state() == "open"
    agency.post(f"{path}/acknowledge", {})
    assert state() == "acknowledged"
    agency.post(f"{path}/answer", {"text": "Đã thay 12 bóng đèn"})
    assert state() == "answered"
    centre.post(f"{path}/close", {})
    assert state() == "closed"
    acts = [("open", "H14.0"), ("acknowledge", "H14.3"), ("answer", "H14.3"), ("close", "H14.0")]
    assert steps_of(instance, task["case"]) == acts


@pytest.mark.obligation("6.1c (second half)")
def test_a_task_that_is_not_done_is_overdue(sqlite: Engine, tmp_path: Path) -> None:
    """Article 6.1c (second half): a task is overdue after its deadline, and no longer once it is answered."""
    here = office(sqlite, tmp_path)
    task = here.open(CENTRE, "task", BUILD, days=3)

    def counted() -> dict[str, int]:
        with sqlite.connect() as connection:
            return reading.counts(connection, None, here.now)

    assert counted() == {"open": 1, "overdue": 0}
    here.now += 7 * DAY
    assert counted() == {"open": 1, "overdue": 1}
    answered = here.answer(BUILD, task)
    assert here.act(CENTRE, answered, "close").state == "closed" and counted() == {"open": 0, "overdue": 0}


@pytest.mark.obligation("6.2b")
def test_a_notice_shows_which_agency_has_received_it(world: World, instance: Settings) -> None:
    """Article 6.2b: guidance goes to several agencies; who has received it is shown. A question gets an answer."""
    subject = ("--subject", "Hướng dẫn kết nối", "--text", "Dùng chứng thư mới từ ngày mai")
    notice = case(world, "open", "guidance", "--to", "H14.7", "--to", "H14.3", *subject)["case"]
    person(world, instance, "agency", "H14.7").post(f"/api/cases/{notice}/acknowledge", {})
    receivers = person(world, instance, "centre").read(f"/api/cases/{notice}")["case"]["receivers"]
    received = {code: each["acknowledged"] is not None for code, each in receivers.items()}
    assert received == {"H14.7": True, "H14.3": False}
    asked = case(world, "open", "information", "--to", "H14.4", "--subject", "Số liệu quý", "--text", "Gửi bảng 3")[
        "case"
    ]
    person(world, instance, "agency", "H14.4").post(f"/api/cases/{asked}/answer", {"text": "Bảng 3 đã gửi"})
    assert case(world, "show", asked)["case"]["steps"][1]["text"] == "Bảng 3 đã gửi"
    assert steps_of(instance, notice) == [("open", "H14.0"), ("acknowledge", "H14.7")]
    assert steps_of(instance, asked) == [("open", "H14.0"), ("answer", "H14.4")]
