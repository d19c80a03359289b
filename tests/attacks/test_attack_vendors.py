"""Vendors who attack the sandbox that they join, and each other: names, invitations, requests, addresses, tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from sqlalchemy import update

from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.policies import check_policies
from gateway.console.accounts import tokens
from gateway.console.pages import pages
from gateway.console.roles import May, Role
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry.changes import granting, self_service
from gateway.registry.changes.officers import officers
from gateway.registry.contacts import Contact
from gateway.registry.records import Agency, System
from gateway.registry.tenants import POLICY
from gateway.sandbox.vendors.web import BESIDE
from security import algorithms
from security.grants.grants import Grant
from security.pki import authority
from tests.console.people import HOST, Person
from tests.doors.api.client import ask
from tests.sandbox.vendors.conftest import instance_keys as instance_keys
from tests.sandbox.vendors.conftest import office as office
from tests.sandbox.vendors.conftest import post as post
from tests.sandbox.vendors.conftest import quick as quick
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import API, CALLER, JOIN, SYSTEM, Vendor, VendorDesk, request

ODD: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "x" * 101},
    {"name": "x" * 90_000},
    {"name": "một\nhai"},
    {"name": "một\x00hai"},
    {"name": "một\u202egnud"},
    {"name": "một\u200bhai"},
    {"name": "a" + "\u0301" * 40 + "bc"},
    {"name": "…!?"},
    {"name": "Sở\u115f Y tế"},
    {"name": "Sở\u3164 Y tế"},
    {"name": "Sở\u034f Y tế"},
    {"name": "S\u03bf Y te"},
    {"name": "\u0405ở Y tế"},
    {"name": "S0 Y tế"},
    {"name": "Sở Y\U000e0041 tế"},
    {"name": "SỞ Y TẾ"},
    {"name": "So  Y te"},
    {"name": ["một"]},
    {"name": None},
    {"contact": "no address"},
    {"contact": "a@b\r\nBcc: c@d"},
    {"contact": {"a": 1}},
    {"contracts": []},
    {"contracts": ["no-such/v1"]},
    {"contracts": ["handling/v1"]},
    {"contracts": ["field-report/v1"] * 21},
    {"contracts": {"field-report/v1": 1}},
    {"contracts": [1]},
    {"role": "centre"},
    {"role": ["caller"]},
    {"protocol": "ftp"},
    {"address": "https://localhost:9443"},
    {"role": "provider", "address": ""},
    {"role": "provider", "address": 5},
    {"role": "provider", "contracts": ["observation/v1"], "address": "https://localhost:9443"},
    {"code": ["x"]},
    {"agency": "H14.5"},
    {"roles": ["centre"]},
]
ADDRESSES = [
    "http://localhost:9443",
    "https://10.0.0.5/x",
    "https://169.254.169.254/latest",
    "https://[::ffff:10.0.0.5]/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://a:b@localhost/",
    "https://localhost/?a=1",
    "https://localhost/#a",
    "https://localhost:0/",
    "https://no-such-host.invalid/",
    "https://" + "a" * 400,
    "file:///etc/passwd",
    "https://localhost\\@10.0.0.5/",
]


async def count(vendors: VendorDesk) -> int:
    with vendors.reading() as connection:
        return self_service.count(connection)


@pytest.mark.attack("rebinding")
async def test_a_stranger_s_name_that_leads_here_admits_nobody(vendors: VendorDesk) -> None:
    """A page of that name sends what it likes, as of its own site, from behind an office's firewall."""
    before = await count(vendors)
    for media, body in (
        ("application/json", json.dumps(CALLER).encode()),
        ("application/x-www-form-urlencoded", b"name=x"),
    ):
        headers = {"host": "evil.example", "origin": "https://evil.example", "sec-fetch-site": "same-origin"}
        answer = await ask(vendors.desk.app, "POST", JOIN, {**headers, "content-type": media}, body)
        assert answer.status == 403 and b"console.host" in answer.body, media
        answer = await ask(vendors.desk.app, "POST", JOIN, {**headers, "content-type": media, "host": HOST}, body)
        assert answer.status in (401, 403), media
    assert await count(vendors) == before


@pytest.mark.attack("a name that passes for another's")
async def test_odd_names_and_wishes_admit_nobody(vendors: VendorDesk) -> None:
    for odd in ODD:
        vendors.start()  # with counters of its own
        answer = await vendors.ask({**CALLER, **odd})
        assert answer.status == 400 and answer.json["code"] == "sandbox.form", (odd, answer.body)
    for body in (b"", b"[]", b"{", b'"x"', b"[" * 50_000, b"x" * 200_000, b'{"name": 1, "name": 2}', b"\xff\xfe"):
        vendors.start()
        assert (await vendors.ask(body)).status == 400, body[:20]
    assert await count(vendors) == 0


@pytest.mark.parametrize("address", ADDRESSES, ids=lambda each: each[:24])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # no address comes as far as the database
async def test_an_address_that_is_not_the_vendors_is_not_called(vendors: VendorDesk, address: str) -> None:
    answer = await vendors.ask({**CALLER, "role": "provider", "address": address})
    assert answer.status == 400 and "address" in answer.json["detail"], answer.body
    vendors.set(push_networks="")
    answer = await vendors.ask({**CALLER, "role": "provider", "address": "https://localhost:9443"})
    assert answer.status == 400 and await count(vendors) == 0


async def test_whoever_guesses_invitations_is_stopped(vendors: VendorDesk) -> None:
    vendors.set(sandbox_join="invited")
    code = vendors.invite()
    answers = [await vendors.ask({**CALLER, "code": f"{number:020d}"}) for number in range(12)]
    assert answers[0].json["code"] == "sandbox.invitation" and answers[-1].status == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 900
    assert len([each for each in answers if each.status == 403]) <= 5
    assert (await vendors.ask({**CALLER, "code": code})).status == 429  # the right one too
    vendors.desk.moved += 901
    assert (await vendors.ask({**CALLER, "code": code})).status == 201


async def test_a_vendor_reaches_no_other_tenant(vendors: VendorDesk) -> None:
    victim, thief = await vendors.join(), await vendors.join(name="Công ty Khác")
    for target, method, content in (
        (f"{API}/{victim.system}", "PUT", SYSTEM),
        (f"{API}/{victim.system}/certificates", "POST", {"tls": request(victim.system)}),
        (f"{API}/kinh-te", "PUT", SYSTEM),
        (f"{API}/kinh-te/certificates", "POST", {"tls": request("kinh-te")}),
        (f"{API}/..%2f{victim.system}/certificates", "POST", {"tls": request(victim.system)}),
    ):
        assert (await thief.send(target, content, method)).status == 404, target
    told = (await thief.get()).body.decode()
    assert victim.system not in told and victim.agency not in told
    _answer, person = await vendors.form(**{**CALLER, "contracts": "field-report/v1"})
    for page in ("", "/identity", "/events"):
        assert (await person.get(f"/sandbox/tenant/systems/{victim.system}{page}")).status == 404
    for page in ("/console/search", "/console/systems", "/console/access", "/console/people", "/console/queue"):
        assert (await person.get(page)).status in (403, 404), page
    answer = await person.post(f"/sandbox/tenant/systems/{victim.system}/certificates", tls=request(victim.system))
    assert answer.status == 404
    with vendors.reading() as connection:
        assert self_service.certificates_of(connection, victim.agency) == 0


async def test_only_a_tenants_own_token_counts(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    minh = await vendors.desk.signed_in("minh", Role.OPERATOR)
    with vendors.desk.changing() as change:
        text, _ = tokens.make(change, tokens.wanted("minh", "x", 1, vendors.desk.now()))
    others = [("Bearer " + text, 403), ("Bearer " + vendor.token[:-1], 401), ("Bearer", 401), ("", 401)]
    others += [("Basic " + vendor.token, 401), ("Bearer " + vendor.token * 20, 401)]
    for given, status in others:
        answer = await ask(vendors.desk.app, "GET", API, {"host": HOST, "authorization": given})
        assert answer.status == status, given[:20]
    assert (await minh.get("/sandbox/tenant")).status == 403
    assert (await minh.get(API)).status == 401  # a session is no token
    forged = Vendor(vendors, vendor.agency, vendor.system, vendor.account, vendor.token)
    assert (await ask(vendors.desk.app, "GET", "/api/systems", forged._headers())).status == 403


def made(system: str, key: Any, names: list[x509.GeneralName] | None = None) -> str:
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")]))
    uri = [x509.UniformResourceIdentifier(authority.URI + system)]
    wanted = uri if names is None else names
    if wanted:
        builder = builder.add_extension(x509.SubjectAlternativeName(wanted), critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()


async def test_requests_that_ask_for_more_are_refused(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    key, own = algorithms.new_private(), authority.URI + vendor.system
    good = request(vendor.system)
    odd: dict[str, dict[str, str]] = {
        "another's": {"tls": request("kinh-te")},
        "the gateway's": {"tls": request("gateway")},
        "two systems": {
            "tls": made("", key, [x509.UniformResourceIdentifier(own), x509.UniformResourceIdentifier(own + "x")])
        },
        "no name": {"tls": made("", key, [])},
        "another case": {"tls": made(vendor.system.upper(), key)},
        "a host": {"tls": request(vendor.system, hosts=("localhost",))},
        "every host": {"tls": request(vendor.system, hosts=("*.example",))},
        "a weak key": {"sign": made(vendor.system, rsa.generate_private_key(65537, 2048))},
        "another curve": {"sign": made(vendor.system, ec.generate_private_key(ec.SECP384R1()))},
        "no RSA to encrypt": {"encrypt": good},
        "a wrong signature": {"tls": good.replace("MII", "MIJ", 1)},
        "huge": {"tls": good + "x" * 17_000},
        "larger": {"tls": "x" * 120_000},
        "a private key": {"tls": authority.private_pem(key).decode()},
        "a certificate": {"tls": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"},
        "no PEM": {"tls": "MIIB"},
        "no letters of ours": {"tls": good + "ế"},
        "nothing": {},
        "another use": {"root": good},
        "no text": {"tls": json.loads("[1]")},
    }  # fmt: skip
    for name, texts in odd.items():
        answer = await vendor.send(f"{API}/{vendor.system}/certificates", texts)
        assert answer.status in (400, 403, 409, 422), (name, answer.status, answer.body)
    with vendors.reading() as connection:
        assert self_service.certificates_of(connection, vendor.agency) == 0


async def test_a_request_that_is_sent_again_serves_nobody_else(vendors: VendorDesk) -> None:
    victim, thief = await vendors.join(), await vendors.join(name="Công ty Khác")
    texts = {"tls": request(victim.system)}
    assert (await victim.certify(**texts)).status == 201
    answer = await thief.send(f"{API}/{thief.system}/certificates", texts)
    assert answer.status == 403 and answer.json["code"] == "registry.request-system"
    again = await victim.certify(**texts)
    assert again.status == 201 and f"{victim.system}.tls-2" in again.json["files"]["system.json"]


async def test_the_policy_approves_nothing_outside_a_tenant(vendors: VendorDesk) -> None:
    vendor = await vendors.join()
    now, title = vendors.desk.now(), Words("x", "x")
    contact = (Contact(office="x", phone="", email="a@b.example"),)

    def grant(**changes: Any) -> Grant:
        given: dict[str, Any] = {
            "id": "G-9999", "agency": vendor.agency, "role": None, "contract": "indicator/v1",
            "operations": ("getValue",), "fields": ("*",), "purpose": "x", "legal_basis": "x",
            "valid_from": now, "valid_until": now + 60,
        }  # fmt: skip
        return Grant(**{**given, **changes})

    def refused(act: Any) -> None:
        with writing(vendors.post.engine) as connection:
            with pytest.raises(Failure) as failure:
                act(connection)
            assert failure.value.code == "registry.policy-scope"

    for wrong in (
        grant(agency="H14.5"),
        grant(agency=None, role="centre"),
        grant(operations=("*",)),
        grant(operations=("getValue", "feed")),
        grant(contract="handling/v1"),
        grant(id="G-0001"),
        grant(denies=True, fields=()),
    ):
        refused(lambda connection, wrong=wrong: self_service.grant(connection, wrong, now))
    for agency in (
        Agency("H14.98", title, "outside", ("vendor",), contact),
        Agency("NCC.0000000A", title, "outside", ("vendor", "centre"), contact),
        Agency("NCC.0000000A", title, "outside", (), contact),
    ):
        refused(lambda connection, agency=agency: self_service.admit(connection, agency, now))
    for system in (
        System("kinh-te", vendor.agency, title, {}, None),
        System("moi", "H14.5", title, {}, None),
    ):
        refused(lambda connection, system=system: self_service.put_system(connection, system, now))


async def test_an_edited_row_is_no_approval(vendors: VendorDesk) -> None:
    """Whoever can write to the database makes the policy approve for an agency of the province."""
    await vendors.join()
    table = tables.access_grant
    with writing(vendors.post.engine) as connection:
        known = {each.id: each for each in granting.grants(connection, officers(connection))}
        name = next(id for id, each in known.items() if each.agency and not each.policy)
        connection.execute(update(table).where(table.c.id == name).values(source=POLICY))
        edited = {each.id: each for each in granting.grants(connection, officers(connection))}
        findings = Findings()
        check_policies(connection, findings)
    assert not edited[name].policy and edited[name].approved_by == known[name].approved_by
    assert any(name in each for each in findings.wrong)


async def test_a_page_of_another_site_joins_nobody(vendors: VendorDesk) -> None:
    person = Person(vendors.desk, "")
    fields = {**CALLER, "contracts": "field-report/v1"}
    assert (await person.send(JOIN, fields, origin="https://elsewhere.example")).status == 403
    assert (await vendors.ask(CALLER, **{"sec-fetch-site": "cross-site"})).status == 401
    for media in ("text/plain", "multipart/form-data; boundary=x", ""):  # what a form of another site can send
        assert (await vendors.ask(CALLER, **{"content-type": media})).status == 400
    assert await count(vendors) == 0


async def test_no_page_of_a_vendor_shows_another(vendors: VendorDesk) -> None:
    victim = await vendors.join(name="Công ty Bị Theo Dõi", contact="rieng-tu@theo-doi.example")
    assert (await victim.certify()).status == 201
    _answer, person = await vendors.form(**{**CALLER, "contracts": "field-report/v1\nindicator/v1"})
    own = (May.ENTER, May.CONTRACTS, May.TENANT)
    addresses = [each.root + each.path for each in (*pages(), *BESIDE.pages)
                 if each.method == "GET" and each.may in own and "{" not in each.path]  # fmt: skip
    documents = [
        "/contracts",
        "/contracts/field-report/v1",
        "/contracts/field-report/v1/openapi.json",
        "/console/status",
    ]
    for address in (*addresses, *documents, "/console/contracts/field-report/v1", JOIN):
        body = (await person.get(address)).body.decode("utf-8", "replace")
        for secret in (victim.agency, victim.system, victim.account, "Bị Theo Dõi", "theo-doi.example"):
            assert secret not in body, (address, secret)
    assert len(addresses) > 6


@pytest.mark.parametrize("target", [JOIN, API, "/sandbox/tenant", f"{API}/x/certificates"])
async def test_a_production_instance_has_none_of_it(vendors: VendorDesk, target: str) -> None:
    vendor = await vendors.join()
    vendors.set(kind="production")
    for method in ("GET", "POST", "PUT"):
        headers = {"host": HOST, "authorization": f"Bearer {vendor.token}", "content-type": "application/json"}
        assert (await ask(vendors.desk.app, method, target, headers, b"{}")).status in (401, 404), method
