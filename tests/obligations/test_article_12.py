"""Article 12: what agencies that supply data do."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree
from sqlalchemy import Engine

from contracts.base.errors import Failure
from examples.story import refusals
from examples.story.exchange import ALERTS, read_feed
from examples.story.world import World
from gateway.registry.changes import contacting
from gateway.registry.seals.mark import Mark
from gateway.registry.seals.sealing import Seal, changing
from gateway.sample_client.rest import Answer
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from tests.obligations.calls import ALERT, accepted, case, granted, handling_of, steps_of
from tests.obligations.persons import person
from tests.registry.making import NOW, filled, province

pytestmark = pytest.mark.server


@pytest.mark.obligation("12.1")
def test_wrong_data_are_refused_with_the_path_in_the_senders_own_format(world: World) -> None:
    """Article 12.1: a wrong type and an unknown code are refused; each finding names field and rule."""
    refusals.wrong_type(world)
    refusals.unknown_code(world)


@pytest.mark.obligation("12.1")
def test_the_feed_tells_how_complete_and_how_late_a_message_is(world: World) -> None:
    """Article 12.1: with one optional field less, the completeness that travels with the event is less."""
    whole, gap = messages.fire_alarm(), messages.fire_alarm()
    del gap["ghiChu"]
    sent = [accepted(world.rest("bao-chay").call("POST", ALERT, each)) for each in (whole, gap)]

    def both() -> list[tuple[int, int]] | None:
        found = {each["id"]: each for each in read_feed(world, ALERTS)}
        if not set(sent) <= found.keys():
            return None
        assert all(int(found[each]["lgspage"]) >= 0 for each in sent)
        shares = [found[each]["lgspcompleteness"].split("/") for each in sent]
        return [(int(have), int(of)) for have, of in shares]

    one, other = world.wait("both in the feed", both)
    assert one[1] == other[1] and one[0] == other[0] + 1


STEPS = "urn:lgsp:contract:handling-report:v1"
SYSTEMS = {"H14.3": "do-thi", "H14.0": "dieu-hanh"}  # by day and at night
CONTACT = {"office": "Văn phòng", "phone": "0206 000 0077", "email": "truc@thucphan.caobang.example"}


@pytest.mark.obligation("12.3")
def test_an_agency_names_contacts_with_days_and_a_missing_one_is_told(world: World, instance: Settings) -> None:
    """Article 12.3: contacts are set with days and a reason; a duty that nobody has is named to whoever operates."""
    operator, path = person(world, instance, "operator"), "/api/agencies/H14.21"

    def set_to(*contacts: dict[str, Any]) -> dict[str, Any]:
        answer = operator.ask("POST", f"{path}/contacts", {"contacts": contacts, "reason": "Thay đầu mối của phường"})
        assert answer.status_code == 204, answer.text
        shown: dict[str, Any] = operator.read(path)["agency"]
        return shown

    (before,) = operator.read(path)["agency"]["contacts"]
    try:
        named = {**CONTACT, "name": "Hoàng Thị B", "duties": ["supplies-data"], "valid_until": "2099-12-31"}
        shown = set_to(named)
        assert shown["contacts"] == [{**named, "holds": True}] and shown["missing_duties"] == ["takes-alerts"]
        findings = world.lgsp("doctor", "--data", str(world.data))["findings"]
        assert "contacts.duty-missing" in {each["code"] for each in findings}
        assert set_to(named, {**CONTACT, "duties": ["takes-alerts"]})["missing_duties"] == []
    finally:
        set_to({name: value for name, value in before.items() if name != "holds"})


@pytest.mark.obligation("12.3 (both duties)")
def test_no_system_is_live_without_a_contact_for_both_duties(sqlite: Engine, tmp_path: Path) -> None:
    """Article 12.3 (both duties): in production a change that leaves a live system without one of them is refused."""
    filled(sqlite, province(), [])
    seal = Seal(b"k" * 32, "localhost/contacts", Mark(tmp_path / "registry"), production=True)
    only = contacting.parse([{**CONTACT, "duties": ["takes-alerts"]}])
    with pytest.raises(Failure) as refused, changing(sqlite, seal) as act:
        contacting.set_contacts(act, "H14.7", only, ("nguoi-van-hanh", "Đầu mối đã nghỉ hưu"), NOW)
    assert refused.value.code == "registry.contact-duty" and refused.value.facts["agency"] == "H14.7"


ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = "Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other".split()  # of CAP 1.2


@pytest.mark.obligation("12.2")
def test_every_kind_of_alert_leads_to_an_agency_also_at_night(world: World) -> None:
    """Article 12.2: at night each kind of alert has an agency; what no rule fits goes to the duty desk."""

    tomorrow = date.today() + timedelta(days=2)  # a question about the past has no answer before the instance began

    def agencies(kind: str, hour: str) -> dict[str, str]:
        words = ("route", "explain", ALERTS, "--kind", kind, "--area", "01288", "--at", f"{tomorrow}T{hour}")
        found = world.lgsp(*words, "--data", str(world.data))
        return {each["agency"]: each["why"] for each in found["competent"]}

    night = {kind: agencies(kind, "02:00") for kind in CATEGORIES}
    assert all(night.values())
    assert night["Fire"] == {"H14.6": "rule"} and night["Other"] == {"H14.0": "duty-desk"}
    assert night["Met"] == {"H14.0": "outside-hours"} and agencies("Met", "10:00") == {"H14.2": "rule"}


@pytest.mark.obligation("12.2")
def test_the_agency_reports_its_steps_back_by_rest_and_soap(world: World) -> None:
    """Article 12.2: an agency takes a report in by REST and finishes it by SOAP; an illegal step is refused and
    named."""
    report = messages.field_report(area="01288")
    transfer = accepted(world.rest("phan-anh").call("POST", "/field-report/v1/requests", report))
    handling = handling_of(world, transfer)
    agency = SYSTEMS[handling["agency"]]

    def steps(step: str, **more: str) -> Answer:
        message = {"handling": handling["handling"], "step": step, **more}
        return world.rest(agency).call("POST", "/handling-report/v1/steps", message)

    early = steps("finish", reason="Đã thay bóng đèn")
    world.refusal("too early", "workflow.not-now", early)
    assert accepted(steps("accept")) and handling_of(world, transfer, 2)["state"] == "accepted"
    body = etree.Element(f"{{{STEPS}}}reportStep", nsmap={"xl": STEPS})
    for name, text in (("handling", handling["handling"]), ("step", "finish"), ("reason", "Đã thay bóng đèn")):
        etree.SubElement(body, f"{{{STEPS}}}{name}").text = text
    answer = world.soap(agency).call("handling-report/v1", "reportStep", etree.tostring(body))
    assert answer.ok, answer.fault

    last = handling_of(world, transfer, 3)
    assert (last["state"], last["by"], last["shown"]) == ("done", handling["agency"], "closed")
    world.refusal(
        "another's",
        "handling.unknown",
        world.rest("bao-chay").call(
            "POST", "/handling-report/v1/steps", {"handling": handling["handling"], "step": "reopen", "reason": "x"}
        ),
    )


@pytest.mark.obligation("12.4")
def test_a_definition_changes_from_a_period_on_and_old_ones_keep_theirs(world: World, tmp_path: Path) -> None:
    """Article 12.4: a quarterly indicator became monthly; old periods keep the definition, which nobody can change."""
    data = ("--data", str(world.data))
    figures = world.lgsp("indicator", "show", "KT-11", "--from", "2025", *data)["figures"]
    held = {each["period"]: (each["version"], each["frequency"]) for each in figures}
    assert held["2025-Q4"] == (1, "Q") and held["2026-01"] == (2, "M") and "2026-Q1" not in held
    document = yaml.safe_load((ROOT / "gateway" / "sandbox" / "indicators.yaml").read_text("utf-8"))
    (old,) = (each for each in document["indicators"] if each["code"] == "KT-05")
    file = tmp_path / "later.yaml"
    file.write_text(yaml.safe_dump({"indicators": [{**old, "unit": "triệu đồng"}]}, allow_unicode=True), "utf-8")
    refused = world.lgsp("indicator", "define", str(file), "--reason", "Đổi đơn vị tính của kỳ cũ", *data)
    assert refused["error"]["code"] == "indicator.invalid" and "2025-Q1" in refused["error"]["what"]


@pytest.mark.obligation("12.2 (first sentence)")
def test_a_request_for_data_becomes_a_grant_or_is_refused_with_a_reason(world: World, instance: Settings) -> None:
    """Article 12.2 (first sentence): the centre answers a request for data by the grant that it became, which two
    officers signed, or by a refusal with its reason. An answer without a decision is refused."""
    agency = person(world, instance, "agency", "H14.21")
    wanted = {
        "kind": "data-request",
        "reference": "contract:indicator/v1",
        "subject": "Chỉ tiêu",
        "text": "Nhận theo luồng",
    }
    one, other = (agency.post("/api/cases", wanted, 201)["case"] for _ in range(2))
    said = ("--text", "Đã xem xét")
    assert case(world, "answer", one, *said)["error"]["code"] == "case.decision"
    unknown = case(world, "answer", one, *said, "--decision", "granted", "--link", "grant:G-none")
    assert unknown["error"]["code"] == "case.link"
    with granted(world, instance, agency="H14.21", contract="indicator/v1", operations=["feed"]) as grant:
        done = case(world, "answer", one, *said, "--decision", "granted", "--link", f"grant:{grant}")
        assert done["state"] == "answered"
    assert case(world, "answer", other, "--text", "Không thuộc nhiệm vụ", "--decision", "refused")["ok"]
    answers = [agency.read(f"/api/cases/{each}")["case"]["steps"][1] for each in (one, other)]
    assert [each["decision"] for each in answers] == ["granted", "refused"]
    assert answers[0]["link"] == f"grant:{grant}" and answers[1]["text"] == "Không thuộc nhiệm vụ"
    assert steps_of(instance, one) == [("open", "H14.21"), ("answer", "H14.0")]
