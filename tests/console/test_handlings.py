"""Handlings for people: who sees which, which steps somebody may take, and what the pages show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.console.roles import Role
from gateway.console.work import handlings
from gateway.journal.append import apply
from gateway.journal.database import writing
from gateway.journal.write import Write
from gateway.workflow import steps
from gateway.workflow.records import Actor, Opened, read_row, steps_of
from gateway.workflow.steps import Before
from tests.console.people import Desk, Reader
from tests.console.test_operations import call, token
from tests.console.test_signing_in import notes
from tests.exchange.house import sample
from tests.registry.making import contracts

ALERTS, REPORTS = "incident-alert/v1", "field-report/v1"
TRANSFER = "01935b6e-0000-7000-8000-00000000000{}"
HOUR = 3600.0


def opened(people: Desk, number: int, contract: str = REPORTS, **more: Any) -> str:
    """A handling of the builders, of a report by the field-report application."""
    desk = people.desk()
    office = replace(handlings.office_of(desk), clock=lambda: people.now() - more.pop("ago", 0.0))
    values: dict[str, Any] = {
        "agency": "H14.3",
        "system": "do-thi",
        "sender_agency": "H14.5",
        "sender_system": "phan-anh",
    }
    values |= {"kind": "chieu-sang", "area": "01273", "transfer": TRANSFER.format(number), "at": people.now()} | more
    if "message" in Opened._fields:
        values["message"] = "m-1"
    unit = steps.opening(
        office, Opened(contract=contracts()[contract], **{k: v for k, v in values.items() if k != "ago"})
    )
    with writing(people.world.engine) as connection:
        apply(connection, [unit.write])
    return unit.handled.row.id


async def test_an_agency_works_by_the_pages_alone(people: Desk) -> None:
    id = opened(people, 1)
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.3")
    page = Reader((await lan.get("/console/handlings")).body).text
    assert id[-12:] in page and "Sent to the agency" in page and "Department of Construction" in page
    one = (await lan.get(f"/console/handlings/{id}")).body.decode()
    assert 'name="step" value="accept"' in one and 'value="cancel"' not in one, "the sender or the centre cancels"
    assert "<svg" in one and "Which minutes count, and why" in one
    taken = await lan.post(f"/console/handlings/{id}/steps", step="accept")
    assert taken.status == 303
    after = Reader((await lan.get(taken.headers["location"])).body).text
    assert "The step was taken. Sender, agency and centre see it." in after
    await lan.post(f"/console/handlings/{id}/steps", step="finish", reason="the lamp burns again")
    page = Reader((await lan.get(f"/console/handlings/{id}")).body).text
    assert "the lamp burns again" in page and "H14.3/lan" in page and "What can be done now" not in page
    assert id[-12:] not in Reader((await lan.get("/console/handlings")).body).text
    assert id[-12:] in Reader((await lan.get("/console/handlings?list=ended")).body).text


async def test_steps_that_the_process_does_not_know_are_refused_and_named(people: Desk) -> None:
    id = opened(people, 1)
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.3")
    for form, status, code in (
        ({"step": "begin"}, 409, "workflow.not-now"),
        ({"step": "fly"}, 404, "workflow.no-step"),
        ({"step": "cancel", "reason": "no"}, 403, "workflow.other-party"),
        ({"step": "refuse"}, 422, "handling.no-reason"),
        ({"step": "forward", "reason": "not ours", "to": "H99"}, 422, "handling.no-target"),
    ):
        answer = await lan.post(f"/console/handlings/{id}/steps", **form)
        assert code in answer.body.decode(), (form, answer.status, status)


async def test_each_sees_its_own_and_the_centre_all(people: Desk) -> None:
    id = opened(people, 1)
    other = opened(people, 2, agency="H14.22", system="truong-ha")
    for name, role, agency, sees in (
        ("builder", Role.AGENCY, "H14.3", {id}),
        ("sender", Role.AGENCY, "H14.5", {id, other}),
        ("commune", Role.AGENCY, "H14.22", {other}),
        ("health", Role.AGENCY, "H14.7", set[str]()),
        ("centre", Role.CENTRE, "H14.0", {id, other}),
    ):
        people.add(name, role, agency=agency)
        mine = token(people, name)
        listed = (await call(people, mine, "GET", "/api/handlings")).json
        assert {each["handling"] for each in listed["handlings"]} == sees, name
        for each in (id, other):
            answer = await call(people, mine, "GET", f"/api/handlings/{each}")
            assert answer.status == (200 if each in sees else 404), (name, answer.json)


async def test_the_nearest_deadline_comes_first_and_what_is_overdue_is_marked(people: Desk) -> None:
    late = opened(people, 1, ALERTS, agency="H14.6", system=None, sender_agency="H14.2", ago=HOUR)
    soon = opened(people, 2, ALERTS, agency="H14.6", system=None, sender_agency="H14.2")
    report = opened(people, 3)
    people.add("centre", Role.CENTRE, agency="H14.0")
    mine = token(people, "centre")
    listed = (await call(people, mine, "GET", "/api/handlings")).json
    assert [each["handling"] for each in listed["handlings"]] == [late, soon, report]
    assert [each["overdue"] for each in listed["handlings"]] == [True, False, False]
    assert {each["agency"]: (each["open"], each["overdue"]) for each in listed["counts"]} == {
        "H14.6": (2, 1), "H14.3": (1, 0)
    }  # fmt: skip
    overdue = (await call(people, mine, "GET", "/api/handlings?list=overdue")).json["handlings"]
    assert [each["handling"] for each in overdue] == [late]
    first = (await call(people, mine, "GET", "/api/handlings?limit=1")).json
    rest = (await call(people, mine, "GET", f"/api/handlings?limit=5&cursor={first['next']}")).json
    assert [each["handling"] for each in (*first["handlings"], *rest["handlings"])] == [late, soon, report]
    tu = await people.signed_in("tu", Role.CENTRE, agency="H14.0")
    page = (await tu.get("/console/handlings")).body.decode()
    assert 'class="badge bad">deadline is over' in page and "due soon" not in page  # it has just begun
    people.moved += 12 * 60  # three quarters of it are used up; the report has hours
    page = (await (await people.sign_in_anew("tu")).get("/console/handlings")).body.decode()
    assert page.count('class="badge warn">due soon') == 1
    one = (await call(people, mine, "GET", f"/api/handlings/{report}")).json
    state = one["deadlines"]["state"]
    counted = sum(each["minutes"] for each in state["stretches"] if each["counted"])
    assert counted == state["minutes"] == 210 and all(each["words"]["vi"] for each in state["stretches"])


async def test_a_step_by_the_interface_is_that_of_the_persons_agency(people: Desk) -> None:
    id = opened(people, 1)
    people.add("sender", Role.AGENCY, agency="H14.5")
    people.add("builder", Role.AGENCY, agency="H14.3")
    people.add("auditor", Role.AUDITOR)
    refused = await call(people, token(people, "sender"), "POST", f"/api/handlings/{id}/steps", {"step": "accept"})
    assert refused.json["code"] == "workflow.other-party"
    reader = await call(people, token(people, "auditor"), "POST", f"/api/handlings/{id}/steps", {"step": "accept"})
    assert reader.status == 403
    body = {"step": "forward", "reason": "a road of the commune", "to": "H14.22"}
    moved = await call(people, token(people, "builder"), "POST", f"/api/handlings/{id}/steps", body)
    assert moved.status == 200 and (moved.json["agency"], moved.json["state"]) == ("H14.22", "sent")
    seen = await call(people, token(people, "builder", 2), "GET", f"/api/handlings/{id}")
    assert seen.status == 200 and seen.json["possible"] == [], "who forwarded it sees what became of it"
    assert [each["step"] for each in seen.json["steps"]] == ["@open", "forward"]


@pytest.mark.parametrize("wrong", ["list=none", "cursor=x", "kind=" + "x" * 101])
async def test_wrong_questions(people: Desk, wrong: str) -> None:
    tu = await people.signed_in("tu", Role.CENTRE, agency="H14.0")
    assert (await tu.get(f"/console/handlings?{wrong}")).status == 400


async def test_systems_read_their_own_by_the_exchange(people: Desk) -> None:
    """Sender and handling agency see a handling, the centre sees all, nobody else any."""
    id = opened(people, 1, sender_agency="H14.2", sender_system="canh-bao")
    other = opened(people, 2, agency="H14.22", system="truong-ha")
    world = people.world
    world.services.vault = handlings.office_of(people.desk()).vault
    for system, sees in (("canh-bao", {id}), ("do-thi", {id}), ("dieu-hanh", {id, other}), ("thuc-phan", set[str]())):
        page = (await world.signed(system, "/handlings")).json
        assert {each["handling"] for each in page["handlings"]} == sees, system
        for each in (id, other):
            answer = await world.signed(system, f"/handlings/{each}")
            assert answer.status == (200 if each in sees else 404), (system, answer.json)
            if answer.status == 200:
                assert answer.json["steps"][0]["step"] == "@open" and "state" in answer.json["deadlines"]
            else:
                assert answer.json["code"] == "handling.unknown"
    first = (await world.signed("dieu-hanh", "/handlings?limit=1&list=all")).json
    rest = (await world.signed("dieu-hanh", f"/handlings?after={first['next']}&list=all")).json
    assert len(first["handlings"]) == len(rest["handlings"]) == 1 and rest["next"] is None
    steps_ = {each["step"] for each in (await world.signed("do-thi", f"/handlings/{id}")).json["possible"]}
    assert "accept" in steps_ and "cancel" not in steps_
    assert (await world.signed("do-thi", "/handlings?after=1.x")).status == 400
    assert (await world.signed("do-thi", "/handlings?after=99999999999999999999.1")).status == 400


async def test_who_handles_a_message_reads_it_without_personal_data_and_the_log_notes_it(people: Desk) -> None:
    report = sample(contracts()[REPORTS], "ServiceRequest")
    report |= {"description": "Đèn <b>tắt</b>", "phone": "0912345678"}
    vault = handlings.office_of(people.desk()).vault
    body = vault.seal(TRANSFER.format(1), "canonical", json.dumps(report, default=float).encode(), people.now())
    with writing(people.world.engine) as connection:
        apply(connection, [Write(vault=(body,))])
    id = opened(people, 1)
    for name, agency, status in (("builder", "H14.3", 200), ("health", "H14.7", 404), ("sender", "H14.5", 200)):
        people.add(name, Role.AGENCY, agency=agency)
        answer = await call(people, token(people, name), "POST", f"/api/handlings/{id}/message", {})
        assert answer.status == status, answer.json
        if status == 200:
            values = {each["path"]: each["values"] for each in answer.json["fields"]}
            assert values["description"] == ["Đèn <b>tắt</b>"] and "phone" in answer.json["withheld"]
            assert b"0912345678" not in answer.body
    viewed: list[Any] = [*notes(people, "body-view")]
    assert [each["facts"]["reason"] for each in viewed] == [f"handling {id}"] * 2
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.3")
    assert "Đèn" not in (await lan.get(f"/console/handlings/{id}")).body.decode()
    moved = await lan.post(f"/console/handlings/{id}/message")
    assert moved.status == 303 and len(notes(people, "body-view")) == 3
    shown = (await lan.get(moved.headers["location"])).body.decode()
    assert "Đèn &lt;b&gt;tắt" in shown and "0912345678" not in shown and "phone" in shown
    tu = await people.signed_in("tu", Role.AGENCY, agency="H14.5")
    assert (await tu.get(moved.headers["location"])).status == 403, "the code is of another session"
    health = await people.signed_in("hoa", Role.AGENCY, agency="H14.7")
    assert (await health.get(moved.headers["location"])).status == 404
    auditor = await people.signed_in("an", Role.AUDITOR, agency="H14.0")
    assert (await auditor.post(f"/console/handlings/{id}/message")).status == 403


async def test_the_newest_correction_is_what_is_read(people: Desk) -> None:
    vault, id = handlings.office_of(people.desk()).vault, opened(people, 1)
    texts = {1: "cũ", 2: "mới"}
    bodies = [
        vault.seal(TRANSFER.format(n), "canonical", json.dumps({"description": text}).encode(), people.now())
        for n, text in texts.items()
    ]
    office = handlings.office_of(people.desk())
    with writing(people.world.engine) as connection:
        apply(connection, [Write(vault=tuple(bodies))])
        before = Before(read_row(connection, id), steps_of(connection, id))
        sender = Actor("H14.5/phan-anh", "H14.5", report=TRANSFER.format(2))
        apply(connection, [steps.corrected(office, before, sender).write])
    people.add("builder", Role.AGENCY, agency="H14.3")
    answer = await call(people, token(people, "builder"), "POST", f"/api/handlings/{id}/message", {})
    assert answer.json["fields"] == [{"path": "description", "values": ["mới"]}]
    assert answer.json["transfer"] == TRANSFER.format(2)


async def test_another_agency_is_involved_by_the_page(people: Desk) -> None:
    id = opened(people, 1)
    lan = await people.signed_in("lan", Role.AGENCY, agency="H14.3")
    form = {"step": "@open", "to": "H14.6", "reason": "traffic"}
    moved = await lan.post(f"/console/handlings/{id}/steps", **form)
    assert moved.status == 303
    other = await people.signed_in("csgt", Role.AGENCY, agency="H14.6")
    page = Reader((await other.get("/console/handlings")).body).text
    assert "chieu-sang" in page and id[-12:] not in page
    again = await lan.post(f"/console/handlings/{id}/steps", **form)
    assert "handling.no-target" in again.body.decode()
