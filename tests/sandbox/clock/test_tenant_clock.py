"""The clock of a tenant: moved by page, program and command; what it changes, and whom it leaves alone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from contracts.base.errors import Failure
from contracts.base.times import moment, rfc3339
from gateway.exchange.quotas import VendorLimits, uses_of
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import tenant_clock
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.tenant_clock import KEPT, MOST, REAL
from gateway.registry.tenants import refuse_policy
from gateway.sandbox.clock import moving
from gateway.sandbox.clock.moving import DAY, Wanted
from security.grants.grants import Decision
from security.grants.windows import Quota
from tests.console.people import HOST, Person
from tests.doors.api.client import ask
from tests.sandbox.vendors.conftest import instance_keys as instance_keys
from tests.sandbox.vendors.conftest import office as office
from tests.sandbox.vendors.conftest import post as post
from tests.sandbox.vendors.conftest import quick as quick
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import CALLER, Vendor, VendorDesk
from tests.security.grants.test_grants import GOOD

CLOCK = "/sandbox/api/clock"
TENANT = "NCC.0000000A"


def test_a_clock_knows_its_moves() -> None:
    clock = REAL.moved(1000, 60).moved(2000, 100).moved(3000, 0).moved(4000, 500)
    assert [clock.ahead_at(at) for at in (999, 1000, 2500, 3500, 4000)] == [0, 60, 100, 0, 500]
    assert [clock.since(at) for at in (0, 1500, 2500, 3500, 4500)] == [500, 440, 400, 500, 0]
    assert clock.moved(5000, 0).since(4500) == 0  # set back: never less than real time
    assert tenant_clock.of(TENANT, clock.text()) == clock
    for number in range(2 * KEPT):
        clock = clock.moved(6000 + number, number)
    assert len(clock.moves) == KEPT and clock.ahead == 2 * KEPT - 1
    for wrong in (-1, MOST + 1):
        with pytest.raises(ValueError, match="ahead"):
            clock.moved(7000, wrong)
        with pytest.raises(ValueError, match="clock"):
            tenant_clock.of(TENANT, f"[[0,{wrong}]]")


def test_an_agency_of_the_province_has_none() -> None:
    assert tenant_clock.of("H14.2", "[[0,86400]]") is REAL


def test_grants_count_by_her_clock_and_the_limits_of_the_sandbox_do_not() -> None:
    """Whoever moves her clock from window to window sends no more than the limits allow in real time."""
    grant = replace(GOOD, quota=Quota(5, "day"))
    limits, decision = VendorLimits(minute=10, day=100), Decision.by((grant,))
    real = uses_of(decision, TENANT, 1_800_000_000.0, limits)
    moved = uses_of(decision, TENANT, 1_800_000_000.0, limits, 3 * DAY)
    begins = {(each.grant_id, each.per): each.begins for each in real}
    for each in moved:
        assert each.begins - begins[each.grant_id, each.per] == (3 * DAY if each.grant_id == grant.id else 0)
    assert len(moved) == 3


async def put(vendor: Vendor, **content: Any) -> Any:
    answer = await vendor.send(CLOCK, content, "PUT")
    assert answer.status == 200, answer.body
    return answer.json


def ahead(vendors: VendorDesk, agency: str) -> int:
    return vendors.desk.services.registry.snapshot.ahead(agency)


async def test_programs_move_their_own_clock_alone(vendors: VendorDesk) -> None:
    vendor, other = await vendors.join(), await vendors.join(name="Công ty Khác")
    assert (await vendor.get(CLOCK)).json["ahead"] == 0
    told = await put(vendor, days=2, hours=3)
    assert told["ahead"] == 2 * DAY + 3 * 3600 == ahead(vendors, vendor.agency)
    assert moment(told["now"]) == pytest.approx(moment(told["real"]) + told["ahead"], abs=0.01)
    assert (await other.get(CLOCK)).json["ahead"] == 0 == ahead(vendors, other.agency)
    assert vendors.desk.services.registry.snapshot.systems[vendor.system].ahead == told["ahead"]
    to = vendors.desk.now() + 5 * DAY
    assert (await put(vendor, to=rfc3339(to)))["ahead"] == pytest.approx(5 * DAY, abs=2)
    assert (await put(vendor, reset=True))["ahead"] == 0
    entries = vendors.entries(moving.KIND)
    assert [each["facts"]["ahead"] for each in entries][::2] == [2 * DAY + 3 * 3600, 0]
    assert all(each["actor"].startswith(vendor.agency) for each in entries)
    assert all(each["facts"]["tenant"] == vendor.agency for each in entries)


async def test_only_forward_not_too_far_and_not_without_end(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    await put(vendor, days=10)
    odd: list[tuple[dict[str, Any], int]] = [
        ({"to": rfc3339(vendors.desk.now() + DAY)}, 409),
        ({"days": 0}, 409),
        ({"days": 391}, 409),
        ({"to": "2999-01-01T00:00:00Z"}, 409),
        ({"days": -1}, 400),
        ({"days": "1e3"}, 400),
        ({"days": True}, 400),
        ({"days": 10**40}, 400),
        ({"hours": "9" * 5000}, 400),
        ({"to": "tomorrow"}, 400),
        ({"to": ["x"]}, 400),
        ({"days": 1, "reset": True}, 400),
        ({}, 400),
    ]
    for content, status in odd:
        answer = await vendor.send(CLOCK, content, "PUT")
        assert answer.status == status, (content, answer.body)
    assert ahead(vendors, vendor.agency) == 10 * DAY
    # Nor without end: each move is a revision of the registry, which every door takes up.
    now = vendors.desk.now()
    moves = json.dumps([[int(now) - KEPT + number, number + 1] for number in range(KEPT)])
    reseal(vendors, vendor.agency, moves)
    answer = await vendor.send(CLOCK, {"days": 1}, "PUT")
    assert answer.status == 429 and 0 < int(answer.headers["retry-after"]) <= 3600, answer.body
    vendors.desk.moved += 3700
    assert (await vendor.send(CLOCK, {"days": 1}, "PUT")).status == 200


def reseal(vendors: VendorDesk, agency: str, moves: str | None) -> None:
    """As a desk would have written it, with its entry."""
    with changing(vendors.post.engine, Seal.of(vendors.settings)) as act:
        table = tables.agency
        act.connection.execute(update(table).where(table.c.code == agency).values(clock=moves))
        act.note(moving.KIND, {}, vendors.desk.now())


async def test_the_page_shows_and_moves_it_for_a_vendor_alone(vendors: VendorDesk) -> None:
    answer, person = await vendors.form(**{**CALLER, "contracts": "field-report/v1"})
    assert answer.status == 303
    assert (await person.get("/sandbox/clock")).status == 200
    assert (await person.post("/sandbox/clock", days="30", hours="")).status == 303
    text = (await person.get("/sandbox/clock")).body.decode()
    assert "30 ngày" in text or "30 days" in text
    refused = await person.post("/sandbox/clock", days="500")
    assert refused.status == 409 and "sandbox.clock-far" in refused.body.decode()
    assert (await person.post("/sandbox/clock", reset="1")).status == 303
    ((entry, *_), last) = (vendors.entries(moving.KIND), vendors.entries(moving.KIND)[-1])
    assert entry["facts"]["ahead"] == 30 * DAY and last["facts"]["ahead"] == 0
    vendor = await vendors.join(name="Công ty Khác")
    stranger = Person(vendors.desk, "")
    assert (await stranger.get("/sandbox/clock")).status in (303, 401)
    for agency in ("H14.2", "NCC.ZZZZZZZZ", "", "x" * 500):
        with pytest.raises(Failure) as failure:
            moving.move(vendors.settings, vendors.post.engine, agency, Wanted(DAY), "x", vendors.desk.now())
        assert failure.value.code == "sandbox.clock-none"
    headers = {"host": HOST, "content-type": "application/json"}
    assert (await ask(vendors.desk.app, "PUT", CLOCK, headers, b'{"days": 1}')).status == 401
    assert ahead(vendors, vendor.agency) == 0


async def test_a_production_instance_has_no_such_clock(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    await put(vendor, days=1)
    vendors.set(kind="production")
    for method in ("GET", "PUT"):
        headers = {"host": HOST, "authorization": f"Bearer {vendor.token}", "content-type": "application/json"}
        assert (await ask(vendors.desk.app, method, CLOCK, headers, b'{"days": 1}')).status in (401, 404)
    with pytest.raises(Failure) as failure:
        moving.move(vendors.settings, vendors.post.engine, vendor.agency, Wanted(DAY), "x", vendors.desk.now())
    assert failure.value.code == "sandbox.clock-none"
    # The row alone, with everything else that the policy approved gone, stops it.
    with writing(vendors.post.engine) as connection:
        connection.execute(tables.access_grant.delete())
        connection.execute(tables.registry_proposal.delete())
        with pytest.raises(Failure) as refused:
            refuse_policy(connection)
        assert refused.value.code == "registry.policy"


async def test_what_waits_of_hers_is_due_sooner_and_nobody_elses(vendors: VendorDesk) -> None:
    vendor, post = await vendors.join(), vendors.post
    now = float(int(vendors.desk.now()))
    hers = await post.put_aside(caller_agency=vendor.agency, place={"next_at": now + 5_000.0})
    soon = await post.put_aside(caller_agency=vendor.agency, place={"next_at": now + 3_000.0})
    due = await post.put_aside(caller_agency=vendor.agency, place={"next_at": now - 7.0})
    others = await post.put_aside(place={"next_at": now + 5_000.0})
    held = await post.put_aside(caller_agency=vendor.agency, place={"next_at": now + 5_000.0, "state": "held"})
    await put(vendor, hours=1)
    moved = vendors.desk.now()

    def times() -> dict[str, float]:
        with post.engine.connect() as connection:
            rows = connection.execute(select(tables.queue.c.transfer, tables.queue.c.next_at))
            return {row.transfer: row.next_at for row in rows}

    at = times()
    assert now <= at.pop(soon) <= moved  # at once, and not before the clock was moved
    assert at == {hers: now + 1_400.0, due: now - 7.0, others: now + 5_000.0, held: now + 5_000.0}
    await put(vendor, reset=True)
    assert times()[hers] == now + 1_400.0
    # Whoever writes to the database moves no clock: the seal covers it.
    with writing(post.engine) as connection:
        table = tables.agency
        connection.execute(update(table).where(table.c.code == vendor.agency).values(clock=f"[[0,{DAY}]]"))
        with pytest.raises(Failure) as failure:
            Seal.of(vendors.settings).check(connection)
    assert failure.value.code == "registry.altered"
