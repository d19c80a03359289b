"""Vendors who want to pass for another server: by the address that they state, and by the certificate that they get."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.doctor.certificates import vendors_certificates
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Keyring
from gateway.machines import material
from security import algorithms
from security.pki import authority
from tests.sandbox.vendors.conftest import instance_keys as instance_keys
from tests.sandbox.vendors.conftest import office as office
from tests.sandbox.vendors.conftest import post as post
from tests.sandbox.vendors.conftest import quick as quick
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import CALLER, VendorDesk, request

PROVIDER: dict[str, Any] = {**CALLER, "role": "provider"}
ELSEWHERE = "https://localhost:9443"
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # no statement of its own


def handshake(server: tuple[Path, Path], trusted: ssl.SSLContext, host: str | None) -> str | None:
    """What the client says of the server; None if it believes it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*server)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = trusted.wrap_bio(down, up, server_hostname=host)
    theirs = context.wrap_bio(up, down, server_side=True)
    for _turn in range(6):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as wrong:
                if side is ours:
                    return str(wrong)
    return None


def client(anchors: Path, *, hosts: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(anchors))
    context.check_hostname = hosts
    return context


def keep(folder: Path, pem: str | bytes, private: Any) -> tuple[Path, Path]:
    places = folder / "vendor.crt", folder / "vendor.key"
    places[0].write_bytes(pem if isinstance(pem, bytes) else pem.encode())
    places[1].write_bytes(authority.private_pem(private))
    return places


@pytest.mark.full
@pytest.mark.attack("a vendor's certificate serves for the gateway or for another host")
async def test_a_vendors_certificate_passes_for_no_host(vendors: VendorDesk, tmp_path: Path) -> None:
    vendor = await vendors.join(role="provider", address=ELSEWHERE)
    private = algorithms.new_private()
    for hosts in ((), ("localhost",), ("127.0.0.1",)):
        text = authority.make_request(vendor.system, private, hosts=hosts).decode()
        answer = await vendor.certify(tls=text)
        assert answer.status == 201, answer.body
        server = keep(tmp_path, answer.json["files"]["tls.crt"], private)
        names = x509.load_pem_x509_certificate(server[0].read_bytes()).extensions
        alternative = names.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [each.value for each in alternative] == [authority.URI + vendor.system]
        keyring = Keyring(vendors.settings)
        for anchors in (keyring.trust_anchors, keyring.client_anchors):
            for host in ("localhost", "127.0.0.1", vendor.system):
                assert handshake(server, client(anchors), host) is not None, (anchors.name, host)
        assert handshake(server, client(keyring.trust_anchors, hosts=False), None) is not None  # also without a host
        assert handshake(server, client(keyring.client_anchors, hosts=False), None) is None  # where systems are known
        assert answer.json["files"]["ca.crt"] == keyring.trust_anchors.read_text("ascii")


@pytest.mark.attack("a vendor's certificate serves for the gateway or for another host")
async def test_even_a_host_in_it_would_count_nowhere(vendors: VendorDesk, tmp_path: Path) -> None:
    """The constraints of the issuer hold where it is trusted by mistake."""
    keyring = Keyring(vendors.settings)
    issuer, now, private = keyring.issuer("vendors"), vendors.desk.now(), algorithms.new_private()
    for hosts in (("localhost",), ("127.0.0.1",), ("gateway.example",), ("::1",)):
        pem = authority.issue_tls(issuer, "x", private.public_key(), now, hosts=hosts)
        server = keep(tmp_path, pem + issuer.pem, private)
        wrong = handshake(server, client(keyring.client_anchors), hosts[0])
        assert wrong is not None and "subtree" in wrong, (hosts, wrong)
    below = authority.make_issuer(issuer, "below", now)
    assert isinstance(below.private, ec.EllipticCurvePrivateKey)
    server = keep(
        tmp_path, authority.issue_tls(below, "x", private.public_key(), now, serves=True) + below.pem, private
    )
    assert handshake(server, client(keyring.client_anchors, hosts=False), None) is not None


async def test_an_older_instance_gets_the_issuer_at_its_start(vendors: VendorDesk) -> None:
    folder, now = vendors.settings.authority, vendors.desk.now()
    before = (folder / "anchors.pem").read_bytes()
    for name in ("vendors.crt", "vendors.key", "systems.pem"):
        (folder / name).unlink()
    (folder / "root.key").unlink(missing_ok=True)  # kept offline
    assert Keyring(vendors.settings).client_anchors == folder / "anchors.pem"
    (folder / "vendors.key").write_bytes(b"left by a crash")
    own = EmbeddedAuthority(vendors.settings)
    assert own.ensure_vendors(now) and not own.ensure_vendors(now)
    assert (folder / "anchors.pem").read_bytes() == before
    issuer = own.issuer("vendors")
    assert (folder / "systems.pem").read_bytes() == before + issuer.pem
    assert Keyring(vendors.settings).client_anchors == folder / "systems.pem"
    assert (folder / "vendors.key").stat().st_mode & 0o077 == 0
    assert issuer.certificate.public_bytes(Encoding.PEM) not in before
    assert issuer.certificate not in own.trust().certificates


@pytest.mark.attack("a vendor's certificate serves for the gateway or for another host")
async def test_the_issuer_is_renewed_without_the_root_and_stays_outside_the_anchors(
    vendors: VendorDesk, tmp_path: Path
) -> None:
    folder, now = vendors.settings.authority, vendors.desk.now()
    (folder / "root.key").unlink(missing_ok=True)
    vendor, private = await vendors.join(role="provider", address=ELSEWHERE), algorithms.new_private()
    text = authority.make_request(vendor.system, private).decode()
    own, anchors = EmbeddedAuthority(vendors.settings), (folder / "anchors.pem").read_bytes()
    older = (await vendor.certify(tls=text)).json["files"]["tls.crt"]
    before, certificate = own.renew("vendors", now)
    assert before == "vendors-1" and certificate == own.certificate("vendors") != own.certificate("vendors-1")
    assert certificate.issuer == certificate.subject != own.certificate("vendors-1").subject
    later = algorithms.new_private()
    newer = (await vendor.certify(tls=authority.make_request(vendor.system, later).decode())).json["files"]["tls.crt"]
    keyring = Keyring(vendors.settings)
    for pem, key, issuer in ((older, private, "vendors-1"), (newer, later, "vendors")):
        server = keep(tmp_path, pem, key)
        x509.load_pem_x509_certificate(pem.encode()).verify_directly_issued_by(own.certificate(issuer))
        assert handshake(server, client(keyring.client_anchors, hosts=False), None) is None, issuer
        assert handshake(server, client(keyring.trust_anchors, hosts=False), None) is not None, issuer
    assert (folder / "anchors.pem").read_bytes() == anchors and len(own.trust().certificates) == 3
    assert own.issuer("vendors-1").above == () == own.issuer("vendors").above
    assert {"ca/vendors.key", "ca/vendors-1.key", "ca/vendors-1.crt"} <= set(material.collect(vendors.settings))


@pytest.mark.attack("a vendor's certificate serves for the gateway or for another host")
async def test_older_certificates_with_hosts_of_others_are_named(vendors: VendorDesk) -> None:
    """Those that a release before the vendors' issuer made."""
    vendor, now = await vendors.join(role="provider", address=ELSEWHERE), vendors.desk.now()
    issuer, public = Keyring(vendors.settings).issuer("tls"), algorithms.new_private().public_key()
    strange = {"localhost": "old-1", "gateway.example": "old-2", "mau.example": "old-3", "127.0.0.1": "old-4"}
    vendors.set(public_base="https://gateway.example")
    with writing(vendors.post.engine) as connection:
        for host, key_id in {**strange, "": "old-5"}.items():
            pem = authority.issue_tls(issuer, vendor.system, public, now, hosts=(host,) if host else ())
            row: dict[str, Any] = {
                "key_id": key_id,
                "system": vendor.system,
                "use": "tls",
                "state": "active",
                "thumbprint": key_id,
            }
            row |= {"certificate": pem.decode(), "valid_from": now, "valid_until": now + 86_400}
            connection.execute(tables.system_key.insert().values(row))

    def named(at: float) -> dict[str, str]:
        with vendors.reading() as connection:
            found = list(vendors_certificates(vendors.settings, connection, at))
        assert all(each.kind.grave and each.kind.sandbox_too for each in found)
        return {part.partition(" (")[0]: part for each in found for part in str(each.facts["keys"]).split("; ")}

    assert set(named(now)) == set(strange.values()) and "mau.example" in named(now)["old-3"]
    assert not named(now + 90_000), "they have ended"
    with writing(vendors.post.engine) as connection:
        moved = {"url": "https://mau.example:9443"}
        where = tables.system.c.id == vendor.system
        connection.execute(tables.system.update().where(where).values(endpoint=json.dumps(moved)))
    assert set(named(now)) == {"old-1", "old-2", "old-4"}, "her own host is no finding"


@pytest.mark.attack("a vendor states an address of the gateway or of another system")
@pytest.mark.parametrize(
    "address",
    [
        "https://localhost:8443",
        "https://LOCALHOST:8443/lgsp",
        "https://127.0.0.1:8443",
        "https://[::1]:8443",
        "https://[::ffff:127.0.0.1]:8443",
        "https://localhost:8080",
        "https://gateway.example",
        "https://Gateway.Example:443/x",
        "https://gateway.example:9000",
        "https://desk.example:9443",
    ],
)
async def test_an_address_of_the_gateway_is_nobody_elses(vendors: VendorDesk, address: str) -> None:
    """By either port, in another case, by its address."""
    vendors.set(push_networks="127.0.0.0/8 ::1/128", desk_base="https://desk.example")
    if "gateway.example" in address.lower():
        vendors.set(public_base="https://gateway.example")
    answer = await vendors.ask({**PROVIDER, "address": address})
    assert answer.status == 400 and "address" in answer.json["detail"], answer.body
    assert "gateway" in answer.json["detail"], answer.body


@pytest.mark.attack("a vendor states an address of the gateway or of another system")
async def test_an_address_of_another_system_is_nobody_elses(vendors: VendorDesk) -> None:
    vendors.set(push_networks="127.0.0.0/8 ::1/128")
    victim = await vendors.join(role="provider", address="https://localhost:9443/lgsp")
    for address in ("https://localhost:9443", "https://LocalHost:9443/other", "https://127.0.0.1:9443/lgsp"):
        vendors.start()  # with counters of its own
        answer = await vendors.ask({**PROVIDER, "name": "Công ty Khác", "address": address})
        assert answer.status == 400 and "address" in answer.json["detail"], answer.body
        assert victim.system not in answer.body.decode() and victim.agency not in answer.body.decode()
    thief = await vendors.join(name="Công ty Khác", role="provider", address="https://localhost:9444")
    wanted = {**PROVIDER, "address": "https://localhost:9443/lgsp"}
    del wanted["name"], wanted["contact"]
    answer = await thief.send(f"/sandbox/api/systems/{thief.system}", wanted, "PUT")
    assert answer.status == 400 and "address" in answer.json["detail"], answer.body
    wanted["address"] = "https://localhost:9444/moved"
    answer = await thief.send(f"/sandbox/api/systems/{thief.system}", wanted, "PUT")
    assert answer.status == 200, answer.body
    assert request(thief.system)
