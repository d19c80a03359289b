"""Two vendors see nothing of each other's calls: by id, filter, cursor, live list, comparison, body, or API."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from gateway.console.roles import Role
from tests.console.people import HOST
from tests.doors.api.client import ask
from tests.sandbox.calls.conftest import doors as doors
from tests.sandbox.calls.conftest import instance_keys as instance_keys
from tests.sandbox.calls.conftest import office as office
from tests.sandbox.calls.conftest import post as post
from tests.sandbox.calls.conftest import quick as quick
from tests.sandbox.calls.conftest import vendors as vendors
from tests.sandbox.calls.doors import API, Doors

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
REASON = "to read what is not mine"


@pytest.mark.full
async def test_a_vendor_finds_no_call_of_another(doors: Doors) -> None:
    victim, thief = await doors.caller("Công ty Bị Theo Dõi"), await doors.caller("Công ty Khác")
    good = (await victim.call(message_id="of-the-victim")).headers["lgsp-transfer"]
    bad = (await victim.call(signed_for="/elsewhere")).headers["lgsp-transfer"]
    await thief.call(message_id="of-the-thief")
    await thief.call(message_id="of-the-victim")  # the same message id is another message
    person, secrets = doors.person(thief), (victim.vendor.agency, victim.vendor.system, good, bad)
    unknown = "01935b6e-0000-7000-8000-999999999999"
    for id in (good, bad, good.upper(), f"{good}/base", unknown, "..%2f" + good):
        for answer in (await thief.vendor.get(f"{API}/{id}"), await person.get(f"/sandbox/calls/{id}")):
            assert answer.status == 404, id
    known, missing = [await thief.vendor.get(f"{API}/{id}") for id in (good, unknown)]
    assert known.body.replace(good.encode(), b"") == missing.body.replace(unknown.encode(), b"")
    for id in (good, bad):
        for target, content in (("base", {}), ("bodies", {"part": "call-request", "reason": REASON})):
            assert (await thief.vendor.send(f"{API}/{id}/{target}", content)).status == 404
        assert (await person.post(f"/sandbox/calls/{id}/base", base="x")).status == 404
        assert (await person.post(f"/sandbox/calls/{id}/body", part="request", reason=REASON)).status == 404
        assert (await person.get(f"/console/transfers/{id}")).status == 403
    queries = ["", "id=of-the-victim", f"id={good}", f"id={bad[-12:]}", "failure=signature.wrong", "outcome=refused"]
    queries += [f"agency={victim.vendor.agency}", f"agency={victim.vendor.agency}&role=caller", "role=provider"]
    for query in queries:
        for answer in (await thief.vendor.get(f"{API}?{query}"), await person.get(f"/sandbox/calls?{query}")):
            text = answer.body.decode()
            assert answer.status == 200 and not any(each in text for each in secrets if each not in query), query
    for system in (victim.vendor.system, "truong-ha", "no-such-system"):
        for role in ("", "&role=provider"):
            assert (await thief.vendor.get(f"{API}?system={system}{role}")).status == 404
    cursor = (await victim.vendor.get(f"{API}?outcome=refused")).json["next"]
    page = await victim.vendor.get(API)
    assert len(page.json["calls"]) == 2 and cursor is None
    assert (await thief.vendor.get(f"{API}?cursor={quote('x' * 20)}")).status == 400


async def test_a_refused_call_is_shown_to_whom_its_certificate_names_alone(doors: Doors) -> None:
    """A signature by the thief over the victim's channel is the victim's call; without a certificate it is nobody's."""
    victim, thief = await doors.caller("Công ty Bị Theo Dõi"), await doors.caller("Công ty Khác")
    answer = await victim.call(key=thief.sign)
    assert answer.json["code"] == "channel.mismatch" and thief.vendor.system in answer.json["detail"]
    assert (await thief.vendor.get(API)).json["calls"] == []
    assert len((await victim.vendor.get(API)).json["calls"]) == 1
    headers = {"content-type": "application/json"}
    nobody = await ask(doors.app, "POST", "/incident-alert/v1/alerts", headers, b"{}")
    assert nobody.json["code"] == "channel.no-certificate"
    doors.sequence()
    for vendor in (victim, thief):
        assert nobody.json["transfer"] not in (await vendor.vendor.get(API)).body.decode()
        assert (await vendor.vendor.get(f"{API}/{nobody.json['transfer']}")).status == 404


async def test_what_is_kept_of_a_tenant_in_a_minute_is_bounded(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sandbox.calls.recorder.MOST_MINUTE", 5_000)
    caller = await doors.caller()
    ids = [(await caller.call(body=b"x" * 3000)).headers["lgsp-transfer"] for _ in range(3)]
    kept = [(await caller.vendor.get(f"{API}/{id}")).json["request"] is not None for id in ids]
    assert kept[-1] is False and len((await caller.vendor.get(API)).json["calls"]) == 3


async def test_who_has_no_tenant_has_no_calls(doors: Doors) -> None:
    minh = await doors.vendors.desk.signed_in("minh", Role.OPERATOR)
    for page in ("/sandbox/calls", "/sandbox/calls/events", "/sandbox/calls/x"):
        assert (await minh.get(page)).status == 403
    caller = await doors.caller()
    id = (await caller.call()).headers["lgsp-transfer"]
    doors.vendors.set(kind="production")
    for target in (API, f"{API}/{id}", "/sandbox/calls", f"/sandbox/calls/{id}"):
        headers = {"host": HOST, "authorization": f"Bearer {caller.vendor.token}"}
        assert (await ask(doors.vendors.desk.app, "GET", target, headers)).status in (401, 404), target
