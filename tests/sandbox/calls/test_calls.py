"""A vendor's own calls: the list, one call with its checks in order, the answer as it was sent."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway.audit.search import journey
from gateway.console.site.page import Ask
from gateway.console.work import openings
from gateway.journal.write import Write
from gateway.sandbox.calls import one, pages
from gateway.sandbox.simulation import resets
from security import algorithms
from tests.console.people import Reader
from tests.doors.api.client import ask
from tests.registry.making import contracts
from tests.sandbox.calls.doors import API, CONTRACT, Caller, Doors, alert

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


NOTHING: Any = None
ASK = Ask(NOTHING, NOTHING, {}, {}, {}, "en", "", 0.0)


async def told(caller: Caller, transfer: str) -> dict[str, Any]:
    answer = await caller.vendor.get(f"{API}/{transfer}")
    assert answer.status == 200, answer.body.decode()
    found: dict[str, Any] = answer.json
    return found


def states(call: dict[str, Any]) -> dict[str, str]:
    return {each["check"]: each["state"] for each in call["checks"]}


async def test_an_accepted_call_passed_every_check_and_its_answer_is_there(doors: Doors) -> None:
    caller = await doors.caller()
    answer = await caller.call()
    assert answer.status == 200, answer.body.decode()
    (call,) = (await caller.vendor.get(API)).json["calls"]
    assert call["id"] == answer.headers["lgsp-transfer"] and call["outcome"] == "ok" and call["roles"] == ["caller"]
    one = await told(caller, call["id"])
    assert list(states(one).values()) == ["passed"] * 19 + ["not-needed"] * 2 and one["refusal"] is None
    assert one["answer"]["status"] == 200 and one["answer"]["headers"]["lgsp-receipt"] == answer.headers["lgsp-receipt"]
    assert one["request"]["headers"]["authorization"] == "Bearer …" and set(one["bodies"]) == {"request", "call-answer"}
    named = {each["check"]: each for each in one["checks"]}
    assert named["key"]["key"] == caller.sign.key_id and named["grant"]["grant"]
    page = Reader((await doors.person(caller).get(f"/sandbox/calls/{call['id']}")).body)
    assert "What was checked, in order" in page.text and "bash lgsp.sh . POST" in page.text


async def test_a_wrong_signature_shows_both_bases_and_the_first_difference(doors: Doors) -> None:
    caller = await doors.caller()
    answer = await caller.call(signed_for="/elsewhere")
    assert answer.json["code"] == "signature.wrong"
    one = await told(caller, answer.headers["lgsp-transfer"])
    found = states(one)
    assert found["digest"] == "passed" and found["signature"] == "failed" and found["grant"] == "not-reached"
    assert one["signatureBase"] == answer.json["signatureBase"]
    assert one["answer"]["body"]["code"] == "signature.wrong" and one["refusal"]["messages"]["en"]["next"]
    hers = one["signatureBase"].replace("/incident-alert/v1/alerts", "/elsewhere", 1).encode()
    target = f"{API}/{one['call']}/base"
    headers = caller.vendor._headers()
    compared = (await ask(doors.vendors.desk.app, "POST", target, headers, hers)).json
    assert not compared["equal"] and compared["line"] == 2
    assert one["signatureBase"].encode()[: compared["offset"]] == hers[: compared["offset"]]
    person = doors.person(caller)
    page = (await person.post(f"/sandbox/calls/{one['call']}/base", base=hers.decode().replace("\n", "\r\n"))).body
    assert b"<mark>" in page and b"line 2" in page


async def test_a_base_that_came_with_the_call_is_beside_ours_at_once(doors: Doors) -> None:
    caller = await doors.caller()
    hers = base64.b64encode(b'"@method": post\n').decode()
    answer = await caller.call(signed_for="/elsewhere", more={"lgsp-sandbox-base": hers})
    page = (await doors.person(caller).get(f"/sandbox/calls/{answer.headers['lgsp-transfer']}")).body.decode()
    assert "<mark>" in page and "line 1, column 12" in page


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"sent": b"{}"}, "signature.digest-mismatch", "digest"),
    ({"body": b"{"}, "message.not-json", "contract"),
    ({"body": alert(sent="yesterday", status="Odd")}, "message.invalid", "contract"),
    ({"target": "/field-report/v1/requests"}, "access.no-contract", "grant"),
    ({"target": "/incident-alert/v1/nothing"}, "address.unknown", "address"),
    ({"more": {"signature-input": "sig1=()"}}, "signature.missing", "structure"),
]


async def test_each_refusal_names_its_check_and_what_to_change(doors: Doors) -> None:
    caller = await doors.caller()
    for change, code, failed in REFUSED:
        answer = await caller.call(**change)
        assert answer.json["code"] == code, answer.body.decode()
        (listed,) = (await caller.vendor.get(f"{API}?failure={code}")).json["calls"]
        one = await told(caller, listed["id"])
        found = states(one)
        assert found[failed] == "failed" and one["refusal"]["code"] == code
        order = list(found)
        assert {found[each] for each in order[: order.index(failed)]} <= {"passed"}
        assert {found[each] for each in order[order.index(failed) + 1 :]} <= {"not-reached"}
        assert one["refusal"]["messages"]["vi"]["next"] == answer.json["messages"]["vi"]["next"]
        findings = answer.json.get("findings", [])
        assert [each["rule"] for each in one["refusal"]["findings"]] == [each["rule"] for each in findings]


async def test_a_contract_that_she_lacks_she_takes_herself(doors: Doors) -> None:
    """The refusal sends her to no officer; what it names works."""
    caller, target = await doors.caller(), "/field-report/v1/requests"
    told = (await caller.call(target=target)).json
    for language in ("vi", "en"):
        assert "PUT /sandbox/api/systems/" in told["messages"][language]["next"]
    wanted = {"contracts": [CONTRACT, "field-report/v1"], "role": "caller"}
    taken = await caller.vendor.send(f"/sandbox/api/systems/{caller.vendor.system}", wanted, "PUT")
    assert taken.status == 200, taken.body
    with doors.vendors.reading() as connection:
        doors.vendors.post.registry.refresh(connection)
    assert (await caller.call(target=target)).json["code"] != "access.no-contract"


async def test_who_moved_her_clock_is_not_sent_to_ntp(doors: Doors) -> None:
    caller = await doors.caller()
    moved = await caller.vendor.send("/sandbox/api/clock", {"days": 30}, "PUT")
    assert moved.status == 200, moved.body
    with doors.vendors.reading() as connection:
        doors.vendors.post.registry.refresh(connection)
    for answer, code in (
        (await caller.call(), "token.expired"),
        (await caller.call(ahead=30 * 86_400, ahead_of_signature=0), "signature.expired"),
    ):
        assert answer.json["code"] == code and answer.headers["lgsp-time"], answer.body
        for language in ("vi", "en"):
            advice = answer.json["messages"][language]["next"]
            assert "NTP" not in advice and "Lgsp-Time" in advice and "--clock gateway" in advice
    envelope = await caller.soap(alert())
    assert b"--clock gateway" in envelope.body and b"NTP" not in envelope.body
    assert (await caller.call(ahead=30 * 86_400)).status == 200


async def test_another_key_of_hers_is_a_call_of_hers(doors: Doors) -> None:
    """Her certificate says who calls, though the signature proves nothing."""
    caller = await doors.caller()
    unknown = replace(caller.sign, private=algorithms.new_private("P-256"))
    answer = await caller.call(key=unknown)
    assert answer.json["code"] == "signature.wrong"
    assert [each["code"] for each in (await caller.vendor.get(f"{API}?outcome=refused")).json["calls"]] == [
        "signature.wrong"
    ]


async def test_a_called_system_sees_what_it_was_sent_and_what_it_answered(doors: Doors) -> None:
    caller = await doors.caller()
    id = (await caller.call()).headers["lgsp-transfer"]
    desk = doors.vendors.desk.desk()
    rows = [openings.vault_of(desk).seal(id, part, b"x", time.time()) for part in ("forwarded", "provider-answer")]
    await doors.vendors.post.journal.commit(Write(vault=tuple(rows)))
    assert one._parts(desk, id, one.CALLED) == ("forwarded", "provider-answer")
    assert set((await told(caller, id))["bodies"]) == {"request", "call-answer"}  # she was not called


async def test_soap_calls_are_shown_the_same_way(doors: Doors) -> None:
    caller = await doors.caller()
    sample = json.loads(alert())
    body = contracts()[CONTRACT].codec("canonical").write_xml("Alert", sample, "submitAlert")
    answer = await caller.soap(body)
    assert answer.status == 200, answer.body.decode()
    wrong = await caller.soap(body, "urn:uuid:2", alter=lambda text: text.replace(b"<lgsp:", b"<lgsp:", 1) + b" ")
    assert wrong.status == 200
    altered = await caller.soap(body, "urn:uuid:3", alter=lambda text: text.replace(b"urn:uuid:3", b"urn:uuid:4"))
    assert altered.status == 500
    calls = (await caller.vendor.get(API)).json["calls"]
    assert [each["code"] for each in calls] == ["signature.digest-mismatch", None, None]
    assert {each["door"] for each in calls} == {"soap"}
    body_of = {"part": "call-request", "reason": "to see what was signed"}
    page = (await doors.person(caller).post(f"/sandbox/calls/{calls[0]['id']}/body", **body_of)).body.decode()
    assert "wsa:MessageID" in page.partition("Canonical XML")[2] and "urn:uuid:4" in page
    found = states(await told(caller, calls[0]["id"]))
    assert found["key"] == "passed" and found["digest"] == "failed" and found["signature"] == "not-reached"


async def test_the_list_is_filtered_and_paged(doors: Doors) -> None:
    caller = await doors.caller()
    for number in range(4):
        await caller.call(message_id=f"m-{number}")
    await caller.call(body=b"{}", message_id="m-bad")
    assert (await caller.call(message_id="m-bad", body=b"{}")).status == 422
    calls = (await caller.vendor.get(API)).json["calls"]
    assert [each["outcome"] for each in calls] == ["refused"] * 2 + ["ok"] * 4
    for query, count in (
        ("outcome=ok", 4),
        ("outcome=failed", 0),
        ("failure=message.invalid", 2),
        (f"contract={CONTRACT}&operation=submitAlert", 6),
        ("contract=indicator/v1", 0),
        ("role=provider", 0),
        (f"system={caller.vendor.system}&role=caller", 6),
        ("id=m-2", 1),
        (f"id={calls[3]['id']}", 1),
        ("from=2020-01-01&to=2020-01-02", 0),
    ):
        assert len((await caller.vendor.get(f"{API}?{query}")).json["calls"]) == count, query
    for query in ("outcome=x", "role=reader", "from=x", "from=2026-01-02&to=2026-01-01", "id=" + "x" * 201):
        assert (await caller.vendor.get(f"{API}?{query}")).status == 400, query


async def test_the_list_is_followed_and_data_are_reset(doors: Doors) -> None:
    """A reset is an entry: what simulated systems were told is gone for her alone, and so are her faults."""
    caller, other = await doors.caller(), await doors.vendors.join(name="Công ty Khác")
    person = doors.person(caller)
    assert 'data-live="/sandbox/calls/events"' in (await person.get("/sandbox/calls")).body.decode()
    live = pages.events(replace(ASK, desk=doors.vendors.desk.desk(), viewer=doors.viewer(caller)))
    before = live.probe()
    await caller.call()
    assert live.probe() != before and live.key == ("sandbox-calls", caller.vendor.agency)
    for each in (caller.vendor, other):
        assert (await each.send("/sandbox/api/faults", {"kind": "down"})).status == 201
    answer = await caller.vendor.send("/sandbox/api/reset", {})
    assert answer.status == 201 and len(answer.json["faults"]) == 1
    assert (await other.get("/sandbox/api/faults")).json["faults"]
    person.language = "vi"
    page = (await person.get("/sandbox/calls")).body.decode()
    assert "<button>Đặt lại dữ liệu của tôi</button>" in page and "Bỏ lỗi" not in page
    assert (await person.post("/sandbox/calls/reset")).status == 303
    engine = doors.vendors.post.engine
    assert resets.since(engine, caller.vendor.agency) > 0 == resets.since(engine, other.agency)
    assert [each["facts"]["agency"] for each in doors.vendors.entries("sandbox-reset")] == [caller.vendor.agency] * 2
    assert len((await caller.vendor.get(API)).json["calls"]) == 1


async def test_bodies_are_opened_for_a_reason_that_the_log_keeps(doors: Doors) -> None:
    caller = await doors.caller()
    sent = alert(sent="yesterday")
    id = (await caller.call(sent)).headers["lgsp-transfer"]
    target, reason = f"{API}/{id}/bodies", "to see what was sent"
    assert (await caller.vendor.send(target, {"part": "call-request", "reason": "x"})).status == 400
    assert (await caller.vendor.send(target, {"part": "salt", "reason": reason})).status == 400
    assert (await caller.vendor.send(target, {"part": "call-request", "reason": reason})).body == sent
    page = await doors.person(caller).post(f"/sandbox/calls/{id}/body", part="call-request", reason=reason)
    assert b"yesterday" in page.body
    doors.sequence()
    with doors.vendors.reading() as connection:
        steps = journey.of_transfer(connection, id).steps
    notes = [each.entry for each in steps if each.facts.kind == "body-view"]
    assert [each["facts"]["part"] for each in notes] == ["call-request"] * 2
    assert {each["facts"]["reason"] for each in notes} == {reason}
