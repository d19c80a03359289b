"""The operator's page: who came, invitations made and withdrawn, and a vendor who is expelled."""

from __future__ import annotations

import pytest

from contracts.base.errors import Failure
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.policies import check_policies
from gateway.console.roles import Role
from gateway.delivery.faults import orders
from gateway.registry.records import REVOKED
from gateway.registry.seals.sealing import Seal
from gateway.sandbox.vendors.expelling import expel
from tests.console.people import Reader
from tests.console.test_operations import call, token
from tests.sandbox.vendors.desks import API, CALLER, VendorDesk

VENDORS, INVITATIONS = "/sandbox/api/vendors", "/sandbox/api/invitations"
REASON = "Gửi dữ liệu thật vào phiên bản thử nghiệm"
BOTH = {"role": "both", "address": "https://localhost:9443/nhan"}


async def test_an_expelled_vendor_is_gone_and_the_log_keeps_all(vendors: VendorDesk) -> None:
    stays, goes = await vendors.join(), await vendors.join(name="Công ty Khác", **BOTH)
    assert (await goes.certify()).status == 201
    assert (await goes.send("/sandbox/api/faults", {"kind": "slow"})).status == 201
    vendors.set(sandbox_vendors=2)
    assert (await vendors.ask(CALLER)).json["code"] == "sandbox.full"
    minh = await vendors.desk.signed_in("minh", Role.OPERATOR)
    page = f"/sandbox/vendors/{goes.agency}"
    assert (await minh.post(f"{page}/expel", reason="vì")).status == 400
    assert (await minh.post(f"{page}/expel", reason=REASON)).status == 303
    snapshot, now = vendors.post.registry.snapshot, vendors.desk.now()
    assert snapshot.agencies[goes.agency].state != "active" and not snapshot.systems[goes.system].active
    assert {each.state for each in snapshot.keys.values() if each.system == goes.system} == {REVOKED}
    assert snapshot.grants(goes.agency) == () and snapshot.own_provider(goes.agency, "field-report/v1") is None
    assert not snapshot.decide(goes.agency, "field-report/v1", "createRequest", now).allowed
    assert (await goes.get()).status == 401, "her token has ended"
    with vendors.reading() as connection:
        assert orders(connection) == [] and Seal.of(vendors.settings).look(connection)[0] == []
        findings = Findings()
        check_policies(connection, findings)
        assert findings.wrong == []
    (entry,) = [each for each in vendors.entries("registry") if each["facts"].get("expelled")]
    assert entry["facts"]["reason"] == REASON and entry["facts"]["tenant"] == goes.agency
    assert "minh" in entry["actor"] and vendors.entries("console-account")[-1]["facts"]["how"] == "disabled"
    assert snapshot.decide(stays.agency, "field-report/v1", "createRequest", now).allowed
    assert (await stays.get()).status == 200
    text = Reader((await minh.get(page)).body).text
    assert "suspended" in text and goes.system in text
    assert (await vendors.ask(CALLER)).status == 201, "her place is free"
    assert (await minh.post(f"{page}/expel", reason=REASON)).status == 303, "again, to end what came after"


async def test_who_came_by_page_and_program(vendors: VendorDesk) -> None:
    vendor = await vendors.join(**BOTH)
    minh = await vendors.desk.signed_in("minh", Role.OPERATOR)
    mine = token(vendors.desk, "minh")
    text = Reader((await minh.get("/sandbox/vendors")).body).text
    assert vendor.agency in text and "field-report/v1" in text and "0 / 10,000" in text
    (told,) = (await call(vendors.desk, mine, "GET", VENDORS)).json["vendors"]
    assert told["vendor"] == vendor.agency and told["contact"] == CALLER["contact"]
    assert told["calls"] == told["provides"] == ["field-report/v1"] and told["systems"] == [vendor.system]
    assert told["used"]["day"] == {"used": 0, "most": 10_000} and told["joined"] and told["last"] is None
    for code in ("NCC.00000000", "H14.5", "x"):
        assert (await call(vendors.desk, mine, "GET", f"{VENDORS}/{code}")).status == 404
        assert (await call(vendors.desk, mine, "POST", f"{VENDORS}/{code}/expel", {"reason": REASON})).status == 404
        assert (await minh.get(f"/sandbox/vendors/{code}")).status == 404


async def test_invitations_by_page_and_program(vendors: VendorDesk) -> None:
    vendors.set(sandbox_join="invited")
    minh = await vendors.desk.signed_in("minh", Role.OPERATOR)
    mine = token(vendors.desk, "minh")
    made = await call(vendors.desk, mine, "POST", INVITATIONS, {"label": "Công ty Mẫu", "uses": 2, "days": 3})
    assert made.status == 201 and made.json["uses"] == 2, made.body.decode()
    assert (await vendors.ask({**CALLER, "code": made.json["code"]})).status == 201
    page = (await minh.post("/sandbox/vendors/invite", label="Công ty Khác", uses="1", days="")).body.decode()
    assert "shown this once" in page and "1 / 2" in page
    listed = (await call(vendors.desk, mine, "GET", INVITATIONS)).json["invitations"]
    assert {each["label"] for each in listed} == {"Công ty Mẫu", "Công ty Khác"} and "code" not in listed[0]
    mark = made.json["mark"]
    assert (await call(vendors.desk, mine, "POST", f"{INVITATIONS}/{mark}/withdraw", {})).status == 400
    assert (await minh.post("/sandbox/vendors/withdraw", mark=mark, reason=REASON)).status == 303
    assert (await vendors.ask({**CALLER, "code": made.json["code"]})).json["code"] == "sandbox.invitation"
    newest = vendors.entries("sandbox-invitation")[-1]
    assert newest["facts"]["withdrawn"] and newest["facts"]["reason"] == REASON and "minh" in newest["actor"]
    for odd in ({}, {"label": "x\ny"}, {"label": "x", "uses": 0}, {"label": "x", "days": 91}, {"label": ["x"]}):
        assert (await call(vendors.desk, mine, "POST", INVITATIONS, odd)).status == 400, odd


async def test_only_an_operator_of_a_sandbox(vendors: VendorDesk) -> None:
    victim, thief = await vendors.join(), await vendors.join(name="Công ty Khác")
    linh = await vendors.desk.signed_in("linh", Role.AUDITOR)
    vendors.desk.add("minh", Role.OPERATOR)
    mine, hers = token(vendors.desk, "minh"), token(vendors.desk, "linh")
    expelled, reason = f"{VENDORS}/{victim.agency}/expel", {"reason": REASON}
    for given in (thief.token, victim.token, hers):
        assert (await call(vendors.desk, given, "POST", expelled, reason)).status == 403
        assert (await call(vendors.desk, given, "GET", VENDORS)).status == 403
        assert (await call(vendors.desk, given, "POST", INVITATIONS, {"label": "x"})).status == 403
    assert (await linh.get("/sandbox/vendors")).status == 403
    assert (await linh.post(f"/sandbox/vendors/{victim.agency}/expel", reason=REASON)).status == 403
    with pytest.raises(Failure) as failure:  # an agency of the province is none of the vendors
        expel(vendors.post.engine, vendors.settings, "H14.5", ("test", REASON), vendors.desk.now())
    assert failure.value.code == "sandbox.unknown"
    vendors.set(kind="production")
    for target in ("/sandbox/vendors", f"/sandbox/vendors/{victim.agency}", VENDORS, expelled, INVITATIONS):
        assert (await call(vendors.desk, mine, "POST", target, reason)).status in (401, 404), target
    with pytest.raises(Failure):
        expel(vendors.post.engine, vendors.settings, victim.agency, ("test", REASON), vendors.desk.now())
    assert API and vendors.post.registry.snapshot.agencies[victim.agency].state == "active"
