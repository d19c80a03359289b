"""A vendor orders faults for her own calls by page and by API, an operator for anybody's; each order is an entry."""

from __future__ import annotations

from typing import Any

from gateway.console.roles import Role
from gateway.delivery.faults import Scope, orders
from gateway.sandbox.vendors.ordering import KIND, MOST
from tests.console.people import Reader
from tests.console.test_operations import call, token
from tests.sandbox.vendors.desks import CALLER, VendorDesk

FAULTS = "/sandbox/api/faults"
OPERATION = "field-report/v1 createRequest"


def scopes(vendors: VendorDesk) -> list[Scope]:
    with vendors.reading() as connection:
        return [each.scope for each in orders(connection)]


async def test_by_the_api_for_her_own_calls(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    wanted = {"kind": "slow", "operation": OPERATION, "seconds": 2.5, "calls": 3, "minutes": 10}
    answer = await vendor.send(FAULTS, wanted)
    assert answer.status == 201, answer.body.decode()
    told = answer.json
    assert (told["kind"], told["seconds"], told["calls"], told["taken"]) == ("slow", 2.5, 3, 0)
    assert scopes(vendors) == [Scope(vendor.agency, "", *OPERATION.split())]
    (listed,) = (await vendor.get(FAULTS)).json["faults"]
    assert listed["mark"] == told["mark"] and listed["holds"] and listed["until"] == told["until"]
    (entry,) = vendors.entries(KIND)
    assert entry["facts"]["mark"] == told["mark"] and vendor.account in entry["actor"]
    assert (await vendor.send(f"{FAULTS}/{told['mark']}", None, "DELETE")).json == {"ended": [told["mark"]]}
    assert vendors.entries(KIND)[-1]["facts"] == {"reset": [told["mark"]], "agency": vendor.agency}
    assert (await vendor.send(FAULTS, None, "DELETE")).json == {"ended": []} and scopes(vendors) == []


async def test_by_the_page(vendors: VendorDesk) -> None:
    _answer, person = await vendors.form(**{**CALLER, "contracts": "field-report/v1"})
    page = Reader((await person.get("/sandbox/faults")).body)
    assert "No fault is ordered" in page.text and "Signed with another key" in page.text
    ordered = await person.post("/sandbox/faults", kind="other-key", operation="", calls="0", seconds="", minutes="")
    assert ordered.status == 303, ordered.body.decode()
    page = Reader((await person.get(ordered.headers["location"])).body)
    assert "in force" in page.text and "The fault is ordered." in page.text and "each" in page.text
    refused = await person.post("/sandbox/faults", kind="flood")
    assert refused.status == 400 and b"bad-signature" in refused.body
    assert (await person.post("/sandbox/faults/reset")).status == 303 and scopes(vendors) == []
    assert [each["facts"].get("kind", "") for each in vendors.entries(KIND)] == ["other-key", ""]


async def test_an_operator_for_any_simulated_system(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    minh = await vendors.desk.signed_in("minh", Role.OPERATOR)
    mine = token(vendors.desk, "minh")
    for wanted in ({"kind": "down", "system": "do-thi"}, {"kind": "late", "agency": vendor.agency}):
        assert (await call(vendors.desk, mine, "POST", FAULTS, wanted)).status == 201
    page = Reader((await minh.get("/sandbox/vendors/faults")).body)
    assert vendor.agency in page.text and "do-thi" in page.text
    assert (await call(vendors.desk, mine, "POST", FAULTS, {"kind": "down", "system": vendor.system})).status == 400
    assert [each["kind"] for each in (await vendor.get(FAULTS)).json["faults"]] == ["late"]
    assert len((await call(vendors.desk, mine, "DELETE", FAULTS)).json["ended"]) == 2
    assert (await minh.get("/sandbox/faults")).status == 403


async def test_no_order_of_one_vendor_is_for_another(vendors: VendorDesk) -> None:
    victim, thief = await vendors.join(), await vendors.join(name="Công ty Khác")
    mark = (await victim.send(FAULTS, {"kind": "slow"})).json["mark"]
    for wanted in ({"agency": victim.agency}, {"agency": "H14.5"}, {"system": "do-thi"}, {"system": victim.system}):
        assert (await thief.send(FAULTS, {"kind": "down", **wanted})).status == 400, wanted
    assert (await thief.send(FAULTS, {"kind": "down"})).status == 201
    assert (await thief.send(f"{FAULTS}/{mark}", None, "DELETE")).json == {"ended": []}
    assert len((await thief.send(FAULTS, None, "DELETE")).json["ended"]) == 1
    assert scopes(vendors) == [Scope(victim.agency)]
    told = (await thief.get(FAULTS)).body + (await thief.send(FAULTS, {"kind": "late"})).body
    assert victim.agency.encode() not in told
    linh = await vendors.desk.signed_in("linh", Role.AUDITOR)
    assert (await linh.get("/sandbox/vendors/faults")).status == 403
    assert (await call(vendors.desk, token(vendors.desk, "linh"), "GET", FAULTS)).status == 403
    assert (await call(vendors.desk, "", "POST", FAULTS, {"kind": "slow"})).status == 401


ODD: list[dict[str, Any]] = [
    {},
    {"kind": "none"},
    {"kind": "flood"},
    {"kind": ["slow"]},
    {"kind": "slow\r\nx: y"},
    {"kind": "slow", "seconds": -1},
    {"kind": "slow", "seconds": 1e9},
    {"kind": "slow", "seconds": "1;x=2"},
    {"kind": "slow", "seconds": True},
    {"kind": "slow", "calls": 1.5},
    {"kind": "slow", "calls": 10**30},
    {"kind": "slow", "minutes": "NaN"},
    {"kind": "slow", "operation": "no-such/v1"},
    {"kind": "slow", "operation": "indicator/v1"},  # no grant
    {"kind": "slow", "operation": "field-report/v1 x"},
    {"kind": "slow", "operation": "x" * 90_000},
    {"kind": "slow", "mark": "x"},
]


async def test_what_is_no_order(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    for odd in ODD:
        answer = await vendor.send(FAULTS, odd)
        assert answer.status == 400 and answer.json["code"] == "sandbox.form", (odd, answer.body)
    assert scopes(vendors) == [] and vendors.entries(KIND) == []


async def test_orders_are_bounded(vendors: VendorDesk) -> None:
    contracts = sorted(vendors.post.registry.snapshot.contracts)
    vendor = await vendors.join(contracts=[each for each in contracts if not each.startswith("handling/")])
    known = [""] + [
        f"{contract} {name}".strip()
        for contract in contracts
        for name in ("", *vendors.post.registry.snapshot.contracts[contract].contract.operations)
    ]
    statuses = [(await vendor.send(FAULTS, {"kind": "slow", "operation": each})).status for each in known]
    made = statuses.count(201)
    assert made <= MOST and set(statuses) <= {201, 400, 409}
    assert (await vendor.send(FAULTS, {"kind": "late"})).status == 201, "in place of the one of this scope"
    assert len(scopes(vendors)) == made


async def test_a_production_instance_has_none_of_it(vendors: VendorDesk) -> None:
    vendors.desk.add("minh", Role.OPERATOR)
    mine = token(vendors.desk, "minh")
    vendors.set(kind="production")
    for target in ("/sandbox/faults", "/sandbox/vendors/faults", FAULTS, f"{FAULTS}/x"):
        for method in ("GET", "POST", "DELETE"):
            body: Any = {} if method == "POST" else None
            assert (await call(vendors.desk, mine, method, target, body)).status in (401, 404), (target, method)
