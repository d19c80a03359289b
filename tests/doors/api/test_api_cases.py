"""Cases by the exchange's interface: a system opens, reads and answers those of its agency, and sees no others."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway.journal.schema import tables
from gateway.registry import contacts
from security.http_signatures import HttpRequest, sign_request, verify_response
from tests.doors.api.client import BASE, Answer, World, ask

SENDER, RECEIVER, OTHER = "canh-bao", "do-thi", "thuc-phan"  # of H14.2, H14.3 and a commune
WANTED = {"kind": "complaint", "subject": "Sai số liệu", "text": "Đề nghị sửa.", "receivers": ["H14.3"]}


async def post(world: World, system: str, target: str, **body: Any) -> Answer:
    raw = json.dumps({"key": secrets.token_hex(8), **body}).encode()
    headers = {"authorization": f"Bearer {await world.bearer(system)}", "content-type": "application/json"}
    request = HttpRequest("POST", BASE + target, headers, raw)
    signed = sign_request(request, world.identities[system].sign, time.time(), nonce=secrets.token_urlsafe(18))
    headers |= {"accept-language": "en"} | signed
    answer = await ask(world.app, "POST", target, headers, raw, certificate=world.identities[system].tls_der)
    if answer.status == 200:
        verify_response(
            answer.status, answer.headers, answer.body, headers, world.gateway.sign.verify_key(), time.time()
        )
    return answer


async def opened(world: World, **more: Any) -> str:
    answer = await post(world, SENDER, "/cases", **WANTED, **more)
    assert answer.status == 200, answer.body
    return str(answer.json["case"])


async def test_a_case_is_opened_read_and_answered(world: World) -> None:
    case = await opened(world)
    (listed,) = (await world.signed(RECEIVER, "/cases")).json["cases"]
    assert (listed["id"], listed["subject"], listed["sender"]) == (case, "Sai số liệu", "H14.2")
    seen = (await world.signed(RECEIVER, f"/cases/{case}")).json
    assert seen["acts"] == ["acknowledge", "answer"] and seen["case"]["text"] == "Đề nghị sửa."
    assert (await post(world, RECEIVER, f"/cases/{case}/answer", text="Đã sửa.")).json["state"] == "answered"
    assert (await world.signed(SENDER, f"/cases/{case}")).json["case"]["steps"][1]["text"] == "Đã sửa."
    assert (await post(world, SENDER, f"/cases/{case}/close")).json["state"] == "closed"
    acts = [(each["facts"]["act"], each["actor"]) for each in world.logged("case")]
    assert acts == [("open", "H14.2/canh-bao"), ("answer", "H14.3/do-thi"), ("close", "H14.2/canh-bao")]
    assert "Đã sửa" not in json.dumps(world.logged("case"), ensure_ascii=False)


@pytest.mark.attack("cases: those of others")
async def test_a_case_of_others_is_answered_as_one_that_does_not_exist(world: World) -> None:
    case, nothing = await opened(world), "01935b6e-0000-7000-8000-000000000001"
    assert (await world.signed(OTHER, "/cases?view=all")).json["cases"] == []
    told = [(await world.signed(OTHER, f"/cases/{each}")) for each in (case, nothing)]
    for act in ("acknowledge", "answer", "close", "withdraw", "remind"):
        told += [await post(world, OTHER, f"/cases/{each}/{act}", text="x") for each in (case, nothing)]
    said = {each.body.decode().replace(case, "ID").replace(nothing, "ID") for each in told}
    codes = {(each.status, each.json["code"]) for each in told}
    assert codes == {(404, "case.unknown")} and len({json.loads(each)["detail"] for each in said}) == 1
    assert (await world.public("GET", "/cases")).status == 401


async def test_a_repeat_is_the_same_act(world: World) -> None:
    case = await opened(world, key="complaint-2026-17")
    assert await opened(world, key="complaint-2026-17") == case
    other = await post(world, SENDER, "/cases", **{**WANTED, "text": "Khác."}, key="complaint-2026-17")
    assert (other.status, other.json["code"]) == (409, "case.key")
    own = await post(world, RECEIVER, "/cases", **{**WANTED, "receivers": ["H14.2"]}, key="complaint-2026-17")
    assert own.status == 200 and own.json["case"] != case  # a key is its agency's own
    for _ in range(2):
        answer = await post(world, RECEIVER, f"/cases/{case}/answer", text="Đã sửa.", key="answer-2026-17")
        assert answer.json["state"] == "answered"
    with world.engine.connect() as connection:
        step = tables.agency_case_step.c
        count = select(func.count()).where(step.case_id == case)
        assert connection.scalar(count) == 2
    assert len([each for each in world.logged("case") if each["facts"]["act"] == "open"]) == 2


async def test_what_is_refused(world: World) -> None:
    case = await opened(world)
    for body, status, code in (
        ({**WANTED, "kind": "task"}, 403, "case.sender"),
        ({**WANTED, "kind": "nothing"}, 422, "case.kind"),
        ({**WANTED, "receivers": ["H14.99"]}, 422, "case.receiver"),
        ({**WANTED, "text": "x" * 10_001}, 400, "api.invalid"),
        ({**WANTED, "text": " "}, 422, "case.text"),
        ({**WANTED, "days": 121}, 400, "api.invalid"),
        ({**WANTED, "begins": "tomorrow"}, 422, "case.text"),
        ({**WANTED, "agency": "H14.3"}, 400, "api.invalid"),
        ({**WANTED, "key": "short"}, 400, "api.invalid"),
    ):
        answer = await post(world, SENDER, "/cases", **body)
        assert (answer.status, answer.json["code"]) == (status, code), body
    assert (await post(world, SENDER, f"/cases/{case}/answer", text="x")).json["code"] == "case.other-party"
    assert (await post(world, RECEIVER, f"/cases/{case}/answer")).json["code"] == "case.text"
    assert (await post(world, RECEIVER, f"/cases/{case}/forget")).json["code"] == "api.invalid"


async def test_an_agency_without_a_contact_for_both_duties_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts, "missing", lambda known, now: ("takes-alerts",))
    answer = await post(world, SENDER, "/cases", **WANTED)
    assert (answer.status, answer.json["code"]) == (409, "registry.contact-duty")
    assert (await world.signed(SENDER, "/cases")).status == 200 and world.logged("case") == []
