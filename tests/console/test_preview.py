"""A grant previewed on the week's traffic: the verdicts are those of the doors once it is signed."""

from __future__ import annotations

import time

import pytest

from contracts.base.ids import new_id
from gateway.console.roles import Role
from gateway.console.site import desk
from gateway.console.work import previewing
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.write import LogRow
from gateway.registry import store
from security.transparency.entry import Caller, Refusal, freeze
from tests.console.officers import ONE, PROPOSALS, TWO, by_key, proposed
from tests.console.people import Desk, Reader


def refused(desk: Desk, agency: str, failure: str, operation: str = "getValue", contract: str = "indicator/v1") -> None:
    """An entry as a door writes it."""
    now = time.time()
    caller, id = Caller(agency, "x"), new_id(int(now * 1000))
    frozen = freeze(Refusal(id, now, "rest", failure, 403, caller, None, contract, operation))
    with writing(desk.world.engine) as connection:
        append(connection, [LogRow(frozen.transfer, frozen.phase, frozen.entry, frozen.leaf)])


async def test_what_would_newly_be_allowed_is_what_the_doors_then_allow(people: Desk) -> None:
    snapshot = people.world.services.registry.snapshot
    without = [
        code
        for code in snapshot.agencies
        if not snapshot.decide(code, "indicator/v1", "getValue", people.now()).allowed
    ]
    agency, other = without[:2]
    for each in (agency, agency, other):
        refused(people, each, "access.no-grant")
    refused(people, agency, "message.invalid")  # for another reason: no grant changes it
    people.world.sequence()
    name = await proposed(people, agency=agency, fields="*")
    found = previewing.preview(people.desk(), name, None)
    (row,) = found.rows
    assert (row.what, row.agency, row.operation, row.count) == ("allowed", agency, "getValue", 2)
    assert {"value", "responsible.phone [basic]"} <= set(row.fields) and (found.looked, found.next) == (3, None)
    for officer in (ONE, TWO):
        person = await people.signed_in(officer, Role.OFFICER)
        given = {"officer": officer, "signature": by_key(people, name, officer)}
        assert (await person.post(f"{PROPOSALS}/{name}", **given)).status == 303
    with people.world.engine.connect() as connection:
        people.world.services.registry.refresh(connection)
    then = people.world.services.registry.snapshot
    decided = [then.decide(each, "indicator/v1", "getValue", people.now()).allowed for each in (agency, other)]
    assert decided == [True, False]
    page = Reader((await person.get(f"/console/access/grants/{name}/preview")).body)
    assert "Nothing would change" in page.text  # it is in force


async def test_a_prohibition_refuses_what_was_accepted_and_the_week_comes_in_parts(
    people: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await people.world.hand_in(new_id(int(time.time() * 1000)), {})
    people.world.sequence()
    monkeypatch.setattr(desk.Desk, "follow", lambda self: None)  # a prohibition would be in force at once
    name = await proposed(
        people, agency="H14.2", contract="incident-alert/v1", operations="submitAlert", fields="*", denies="true"
    )
    snapshot = people.world.services.registry.snapshot
    allowed = snapshot.decide("H14.2", "incident-alert/v1", "submitAlert", people.now()).allowed
    found = previewing.preview(people.desk(), name, None)
    assert [(each.what, each.count) for each in found.rows] == ([("refused", 3)] if allowed else []) and allowed
    monkeypatch.setattr(previewing, "AT_ONCE", 2)
    part = previewing.preview(people.desk(), name, None)
    rest = previewing.preview(people.desk(), name, None, part.next)
    assert [each.rows[0].count for each in (part, rest)] == [2, 1]
    lan = await people.signed_in("lan", Role.OFFICER)
    text = Reader((await lan.get(f"/console/access/grants/{name}/preview")).body).text
    assert "newly refused" in text and "submitAlert" in text
    ward = await people.signed_in("phuong", Role.AGENCY, agency="H14.7")
    assert (await ward.get(f"/console/access/grants/{name}/preview")).status == 404


async def test_readings_of_a_feed_are_decided_too_and_a_session_counts_once(people: Desk) -> None:
    for system in ("canh-bao", "dieu-hanh", "dieu-hanh"):
        await people.world.signed(system, "/feeds/incident-alert/v1")  # the first holds no grant to read
    await people.world.hand_in(new_id(int(time.time() * 1000)), {})
    people.world.sequence()
    for _ in range(2):
        await people.world.signed("dieu-hanh", "/feeds/incident-alert/v1")
    people.world.sequence()
    name = await proposed(people, agency="H14.2", contract="incident-alert/v1", operations="feed", fields="*")
    (row,) = previewing.preview(people.desk(), name, None).rows
    assert (row.what, row.agency, row.operation, row.count) == ("allowed", "H14.2", "feed", 1)
    assert "info[].headline" in row.fields
    forbidden = {"agency": "H14.0", "contract": "incident-alert/v1", "operations": "feed", "fields": "*"}
    name = await proposed(people, id="G-9002", denies="true", **forbidden)
    found = previewing.preview(people.desk(), name, None)
    assert [(each.what, each.count) for each in found.rows] in ([("refused", 1)], [])  # it may hold already


async def test_who_may_call_is_not_allowed_while_nobody_may_receive(people: Desk) -> None:
    """The doors would refuse it under another code."""
    refused(people, "H14.21", "access.no-contract", "getStatus", "dossier-status/v1")
    people.world.sequence()
    name = await proposed(people, agency="H14.21", contract="dossier-status/v1", operations="getStatus", fields="*")
    assert [each.what for each in previewing.preview(people.desk(), name, None).rows] == ["allowed"]
    with writing(people.world.engine) as connection:
        store.set_state(connection, "grant", "G-0015", active=False)
        store.raise_revision(connection)
    with people.world.engine.connect() as connection:
        people.world.services.registry.refresh(connection)
    assert not previewing.preview(people.desk(), name, None).rows
