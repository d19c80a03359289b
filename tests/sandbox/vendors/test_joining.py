"""A vendor joins: her tenant, its rights, who approved them, and what is refused."""

from __future__ import annotations

import pytest
import yaml

from contracts.base.errors import Failure
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.policies import check_policies
from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.changes import self_service
from gateway.registry.changes.document import parse
from gateway.registry.changes.matrix import matrix, text
from gateway.registry.changes.proposals import proposals
from gateway.registry.changes.stating import document_text
from gateway.registry.changes.unapproved import unapproved
from gateway.registry.history import grant_versions
from gateway.registry.seals.sealing import Seal
from gateway.registry.snapshot import load_snapshot
from gateway.registry.tenants import POLICY, is_tenant
from gateway.sandbox.vendors.bundles import CODE, bundle
from tests.sandbox.vendors.desks import API, CALLER, JOIN, SYSTEM, VendorDesk, unpacked

PROVIDER = {**CALLER, "role": "both", "address": "https://localhost:9443/nhan/"}


async def test_a_vendor_gets_a_tenant_that_the_policy_approved(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    snapshot = vendors.post.registry.snapshot
    agency, system = snapshot.agencies[vendor.agency], snapshot.systems[vendor.system]
    assert is_tenant(agency.code) and agency.roles == ("vendor",) and system.agency == agency.code
    assert "Công ty Mẫu" in agency.name.vi and agency.contacts[0].email == CALLER["contact"]
    (grant,) = snapshot.grants(agency.code)
    assert grant.policy == POLICY and grant.approvers == (POLICY,) and grant.approved_by == ()
    now = vendors.desk.now()
    assert snapshot.decide(agency.code, "field-report/v1", "createRequest", now).allowed
    for contract, operation in (("field-report/v1", "feed"), ("incident-alert/v1", "submitAlert")):
        assert not snapshot.decide(agency.code, contract, operation, now).allowed
    assert not snapshot.decide_receiving(agency.code, "field-report/v1", "createRequest", now).allowed
    (entry,) = [each for each in vendors.entries("registry") if each["actor"] == POLICY]
    facts = entry["facts"]
    assert facts["policy"] == POLICY and facts["approved_by"] == [POLICY] and facts["tenant"] == agency.code
    with vendors.reading() as connection:
        assert unapproved(connection) == []
        (version,) = grant_versions(connection, grant.id)
        assert version.standing == "active" and version.signed == (POLICY,)
        findings = Findings()
        check_policies(connection, findings)
        assert not findings.wrong and findings.checked[f"approvals by the policy {POLICY}"] == 3
    lines = text(snapshot, [each for each in matrix(snapshot, now) if each.agency == agency.code])
    assert f"by {grant.id} [policy {POLICY}]" in lines


async def test_a_provider_is_told_its_hosts_and_is_called_for_its_own_tenant_alone(vendors: VendorDesk) -> None:
    other = await vendors.join(name="Công ty Khác")
    vendor = await vendors.join(**PROVIDER)
    snapshot, now = vendors.post.registry.snapshot, vendors.desk.now()
    system = snapshot.systems[vendor.system]
    assert system.endpoint is not None and system.endpoint.url == "https://localhost:9443/nhan"
    assert snapshot.own_provider(vendor.agency, "field-report/v1") == vendor.system
    assert snapshot.own_provider(other.agency, "field-report/v1") is None
    assert snapshot.own_provider("H14.5", "field-report/v1") is None
    assert snapshot.decide_receiving(vendor.agency, "field-report/v1", "createRequest", now).allowed
    assert vendor.system not in {each.id for each in snapshot.routed("field-report/v1", "createRequest")}
    told = (await vendor.get()).json["systems"][0]
    assert told["hosts"] == ["localhost", "127.0.0.1"] and "DNS:localhost,IP:127.0.0.1" in told["openssl"]
    changed = await vendor.send(f"{API}/{vendor.system}", SYSTEM, method="PUT")
    assert changed.status == 200, changed.body.decode()
    assert vendors.post.registry.snapshot.own_provider(vendor.agency, "field-report/v1") is None


async def test_certificates_come_at_once_with_all_that_makes_an_identity(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    answer = await vendor.certify()
    assert answer.status == 201, answer.body.decode()
    files = answer.json["files"]
    assert {"tls.crt", "sign.crt", "encrypt.crt", "system.json", "ca.crt", "gateway-sign.crt"} <= set(files)
    about = yaml.safe_load(files["system.json"])
    assert (about["system"], about["agency"]) == (vendor.system, vendor.agency)
    assert about["sign_key_id"] == f"{vendor.system}.sign-1" and "PRIVATE" not in str(files)
    told = (await vendor.get()).json
    assert {each["per"]: each["used"] for each in told["limits"]}["certificates"] == 3
    calls = told["systems"][0]["calls"]
    assert {each["protocol"] for each in calls} == {"REST", "SOAP"}
    assert {"curl", "Node", "Java", ".NET", "Python"} == set(calls[0]["commands"])


async def test_by_the_pages_she_is_signed_in_at_once(vendors: VendorDesk) -> None:
    answer, person = await vendors.form(**{**CALLER, "contracts": "field-report/v1\nindicator/v1"})
    assert answer.status == 303, answer.body.decode()
    here = answer.headers["location"]
    page = (await person.get(here)).body.decode()
    assert "openssl genpkey" in page and "/certificates" in page
    tenant = (await person.get("/sandbox/tenant")).body.decode()
    assert POLICY in tenant and "indicator/v1" in tenant
    bundle = yaml.safe_load((await person.get("/sandbox/tenant/bundle")).body)
    assert {each["contract"] for each in bundle["grants"]} == {"field-report/v1", "indicator/v1"}
    assert "sandbox" not in str(bundle["agencies"])
    assert unpacked((await person.get(f"{here}/identity")).body)["gateway.json"]
    assert (await person.get("/console/people")).status == 403


async def test_an_invitation_lets_in_as_often_as_it_says(vendors: VendorDesk) -> None:
    vendors.set(sandbox_join="invited")
    code = vendors.invite(uses=2)
    assert (await vendors.ask(CALLER)).json["code"] == "sandbox.invitation"
    assert (await vendors.ask({**CALLER, "code": code[:-1] + "!"})).status == 403
    for _ in range(2):
        await vendors.join(code=code.upper())
    assert (await vendors.ask({**CALLER, "code": code})).json["code"] == "sandbox.invitation"
    late = vendors.invite(days=1)
    vendors.desk.moved += 2 * 86_400
    assert (await vendors.ask({**CALLER, "code": late})).status == 403


@pytest.mark.parametrize("how", ["off", "production"])
async def test_nobody_joins_where_that_is_closed(vendors: VendorDesk, how: str) -> None:
    vendors.set(**({"kind": "production"} if how == "production" else {"sandbox_join": "off"}))
    answer = await vendors.ask(CALLER)
    assert answer.status == (404 if how == "production" else 403)
    with vendors.reading() as connection:
        assert self_service.count(connection) == 0


async def test_a_production_instance_does_not_hold_what_the_policy_approved(vendors: VendorDesk) -> None:
    await vendors.join()
    vendors.set(kind="production")
    with vendors.reading() as connection, pytest.raises(Failure) as refused:
        Seal.of(vendors.settings).check(connection)
    assert refused.value.code == "registry.policy"


async def test_limits_of_vendors_systems_and_certificates(vendors: VendorDesk) -> None:
    vendors.set(sandbox_vendors=1, sandbox_vendor_systems=2, sandbox_vendor_certificates=4)
    vendor = await vendors.join()
    assert (await vendors.ask(CALLER)).json["code"] == "sandbox.full"
    assert (await vendor.send(API, SYSTEM | {"contracts": ["indicator/v1"]})).status == 201
    assert (await vendor.send(API, SYSTEM)).json["code"] == "sandbox.full"
    assert (await vendor.certify()).status == 201
    assert (await vendor.certify()).json["code"] == "sandbox.full"


async def test_the_tenants_stay_when_a_document_is_applied(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    contracts = vendors.post.registry.snapshot.contracts
    with vendors.reading() as connection:
        stated = document_text(connection)
    assert vendor.agency not in stated and vendor.system not in stated
    with writing(vendors.post.engine) as connection:
        store.apply(parse(stated.encode(), contracts, {}), connection, vendors.desk.now())
        known = load_snapshot(connection)
    assert known.agencies[vendor.agency].state == "active" and known.systems[vendor.system].active
    taken = stated.replace("code: H14.2\n", f"code: {vendor.agency}\n", 1)
    with pytest.raises(Failure) as refused:
        parse(taken.encode(), contracts, {})
    assert "reserved" in {each.rule for each in refused.value.findings}


async def test_in_production_the_same_bundle_waits_for_two_officers(vendors: VendorDesk) -> None:
    """As an operator adds it to the registry document there."""
    vendor = await vendors.join(**PROVIDER)
    text = bundle(vendors.desk.desk(), vendor.agency).replace(CODE, "H14.77")
    contracts, part = vendors.post.registry.snapshot.contracts, yaml.safe_load(text)
    with vendors.reading() as connection:
        stated = yaml.safe_load(document_text(connection))
    part["systems"][0]["id"] = "he-thong-cua-hang"
    for name, rows in part.items():
        stated[name] = [*stated[name], *rows]
    with writing(vendors.post.engine) as connection:
        document = parse(yaml.safe_dump(stated, allow_unicode=True).encode(), contracts, {})
        store.apply(document, connection, vendors.desk.now())
        waiting = {each.path for each in proposals(connection, "waiting")}
        known = load_snapshot(connection)
    assert {"agency/H14.77", "system/he-thong-cua-hang"} <= waiting
    assert known.agencies["H14.77"].roles == () and known.systems["he-thong-cua-hang"].state == "proposed"
    grants = [each for each in known.grants("H14.77") if each.agency == "H14.77"]
    assert {each.receives for each in grants} == {True, False} and not any(each.confirmed for each in grants)


async def test_the_page_says_what_is_missing(vendors: VendorDesk) -> None:
    answer, _person = await vendors.form(name="Công ty Mẫu", contact="a@b.example")
    assert answer.status == 400 and "contracts" in answer.body.decode() and f'action="{JOIN}"' in answer.body.decode()
