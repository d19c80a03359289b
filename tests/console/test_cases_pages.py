"""Cases on their pages and by their operations: the whole way of one, and what another agency must not see or do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.cases.calendar import PLAIN
from gateway.console.roles import Role
from tests.console.people import Desk, Reader
from tests.console.test_operations_of_pages import Script

HERE = "/console/cases"
FORM = {"kind": "complaint", "subject": "Thiếu bảng 3", "text": "Đề nghị gửi lại.", "to-H14.3": "yes"}
BODY = {"kind": "complaint", "subject": "Sai số liệu", "text": "Đề nghị sửa.", "receivers": ["H14.3"]}


async def test_a_complaint_is_opened_answered_and_closed(people: Desk) -> None:
    hoa = await people.signed_in("hoa", Role.AGENCY, agency="H14.7")
    binh = await people.signed_in("binh", Role.AGENCY, agency="H14.3")
    assert "Complaint" in Reader((await hoa.get(f"{HERE}/new?kind=complaint")).body).text
    answer = await hoa.post(f"{HERE}/new", **FORM)
    assert answer.status == 303
    place = answer.headers["location"].partition("?")[0]
    assert "Thiếu bảng 3" in Reader((await binh.get(HERE)).body).text
    page = Reader((await binh.get(place)).body)
    assert "working minutes" in page.text and "before working hours" in page.text, "the minutes that count, and why not"
    assert "Đề nghị gửi lại." in page.text and f"{place}/answer" in page.forms and f"{place}/close" not in page.forms
    assert (await binh.post(f"{place}/answer", text="")).status == 422
    assert (await binh.post(f"{place}/answer", text="Đã gửi lại.")).status == 303
    page = Reader((await hoa.get(place)).body)
    assert "Đã gửi lại." in page.text and f"{place}/close" in page.forms and f"{place}/answer" not in page.forms
    assert (await hoa.post(f"{place}/close")).status == 303
    assert "Thiếu bảng 3" not in Reader((await hoa.get(HERE)).body).text
    assert "Thiếu bảng 3" in Reader((await hoa.get(f"{HERE}?view=ended")).body).text


async def test_a_deadline_by_hours_that_were_changed_stands_and_says_so(
    people: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    hoa = await people.signed_in("hoa", Role.AGENCY, agency="H14.7")
    place = (await hoa.post(f"{HERE}/new", **FORM)).headers["location"].partition("?")[0]
    changed = replace(PLAIN, hours={5: ((480, 540),)})  # on Saturdays, where no deadline of before falls
    monkeypatch.setattr("gateway.console.work.cases.of_province", lambda snapshot: changed)
    page = Reader((await hoa.get(place)).body)
    assert "working minutes" not in page.text and "The working hours were changed" in page.text


async def test_another_agency_neither_sees_nor_acts(people: Desk) -> None:
    hoa, binh, lan, xuan = (
        Script(people, name, role, agency=agency)
        for name, role, agency in (
            ("hoa", Role.AGENCY, "H14.7"),
            ("binh", Role.AGENCY, "H14.3"),
            ("lan", Role.OPERATOR, "H14.0"),
            ("xuan", Role.AGENCY, "H14.22"),
        )
    )
    opened = (await hoa.ask("openCase", BODY)).json
    case = opened["case"]
    assert (await xuan.ask("readCase", case=case)).status == 404
    assert (await xuan.ask("listCases")).json["cases"] == []
    for act in ("acknowledge", "answer", "close", "withdraw", "remind"):
        for body in ({"text": "x"}, {"text": "x", "agency": "H14.22"}):
            assert (await xuan.ask("takeCaseStep", body, case=case, act=act)).status == 404
        assert (await xuan.ask("takeCaseStep", {"agency": "H14.3"}, case=case, act=act)).status == 404
    assert (await hoa.ask("takeCaseStep", {"text": "x", "agency": "H14.3"}, case=case, act="answer")).status == 400
    assert (await hoa.ask("takeCaseStep", {"text": "x"}, case=case, act="answer")).status == 403
    assert (await hoa.ask("openCase", {**BODY, "agency": "H14.3", "receivers": ["H14.7"]})).status == 400
    assert (await hoa.ask("openCase", {**BODY, "kind": "guidance"})).status == 403
    assert (await lan.ask("listCases")).json["open"] == 1, "who sees the province sees it"
    seen = (await binh.ask("readCase", case=case)).json
    assert seen["acts"] == {"H14.3": ["acknowledge", "answer"]} and seen["case"]["text"] == BODY["text"]
    taken = await lan.ask("takeCaseStep", {"text": "Đã sửa.", "agency": "H14.3"}, case=case, act="answer")
    assert taken.json["state"] == "answered"
    steps = (await hoa.ask("readCase", case=case)).json["case"]["steps"]
    assert [(each["act"], each["agency"]) for each in steps] == [("open", "H14.7"), ("answer", "H14.3")]


async def test_an_auditor_reads_and_takes_no_step(people: Desk) -> None:
    hoa = Script(people, "hoa", Role.AGENCY, agency="H14.7")
    minh = Script(people, "minh", Role.AUDITOR)
    case = (await hoa.ask("openCase", BODY)).json["case"]
    assert (await minh.ask("readCase", case=case)).status == 200
    assert (await minh.ask("takeCaseStep", {"agency": "H14.3"}, case=case, act="acknowledge")).status == 403
    assert (await minh.ask("openCase", BODY)).status == 403
