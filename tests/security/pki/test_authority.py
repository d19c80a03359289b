"""The embedded authority: its certificates work in real TLS handshakes under the strictest checks, and keep their
limits."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from contracts.base.errors import Theirs
from security.algorithms import KeyType, new_private
from security.pki.authority import (
    Authority,
    certificate_pem,
    issue_server,
    issue_signing,
    issue_tls,
    make_issuer,
    make_request,
    make_root,
    private_pem,
    read_request,
    system_of,
)
from tests.security.identities import House

DAY = 86400


def extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    return certificate.extensions.get_extension_for_class(kind)


def handshake(
    tmp_path: Path,
    house: House,
    server: tuple[bytes, bytes],
    client: tuple[bytes, bytes],
    host: str,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A TLS 1.3 handshake in memory: both sides with chain and key, and OpenSSL's strict checks (the default from 3.13
    on)."""

    def context(side: int, certificate: bytes, key: bytes, name: str) -> ssl.SSLContext:
        (tmp_path / f"{name}.crt").write_bytes(certificate)
        (tmp_path / f"{name}.key").write_bytes(key)
        made = ssl.SSLContext(side)
        made.load_verify_locations(cadata=house.root.pem.decode())
        made.load_cert_chain(tmp_path / f"{name}.crt", tmp_path / f"{name}.key")
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    serving = context(ssl.PROTOCOL_TLS_SERVER, *server, "server")
    calling = context(ssl.PROTOCOL_TLS_CLIENT, *client, "client")
    a, b, c, d = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    near, far = calling.wrap_bio(a, b, server_hostname=host), serving.wrap_bio(c, d, server_side=True)
    done = set()
    for _ in range(10):
        for side, out, into in ((near, b, c), (far, d, a)):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
            into.write(out.read())
        if len(done) == 2:
            break
    assert len(done) == 2
    return near, far


@pytest.fixture
def live() -> Any:
    """A house whose certificates are valid at the real time, for OpenSSL reads the clock itself."""
    import time
    from types import SimpleNamespace

    now = time.time()
    root = make_root("Root", now)
    return SimpleNamespace(
        now=now, root=root, tls=make_issuer(root, "TLS", now), signing=make_issuer(root, "Signing", now)
    )


@pytest.mark.parametrize("kind", ["P-256", "RSA-3072"])
def test_mutual_tls_under_strict_checks(tmp_path: Path, live: Any, kind: KeyType) -> None:
    server, client = new_private(kind), new_private()
    server_pem = issue_server(live.tls, server.public_key(), ["localhost", "127.0.0.1"], live.now)
    client_pem = issue_tls(live.tls, "canh-bao", client.public_key(), live.now)
    for host in ("localhost", "127.0.0.1"):
        chain = live.tls.pem
        ours, theirs = (server_pem + chain, private_pem(server)), (client_pem + chain, private_pem(client))
        near, far = handshake(tmp_path, live, ours, theirs, host)
        assert near.version() == "TLSv1.3"
        assert system_of(x509.load_der_x509_certificate(far.getpeercert(True) or b"")) == "canh-bao"
        server_names = (near.getpeercert() or {})["subjectAltName"]
        assert ("URI", "urn:lgsp:system:gateway") in server_names


@pytest.mark.parametrize("case", ["signing certificate", "other root", "expired", "other host", "client as server"])
def test_handshakes_that_must_fail(tmp_path: Path, live: Any, case: str) -> None:
    server, client = new_private(), new_private()
    server_pem = issue_server(live.tls, server.public_key(), ["localhost"], live.now)
    client_pem, chain, host = issue_tls(live.tls, "s", client.public_key(), live.now), live.tls.pem, "localhost"
    if case == "signing certificate":
        client_pem, chain = issue_signing(live.signing, "s", client.public_key(), live.now), live.signing.pem
    elif case == "other root":
        other = make_issuer(make_root("Root", live.now), "TLS", live.now)
        client_pem, chain = issue_tls(other, "s", client.public_key(), live.now), other.pem
    elif case == "expired":
        client_pem = issue_tls(live.tls, "s", client.public_key(), live.now - 91 * DAY)
    elif case == "other host":
        host = "elsewhere.vn"
    else:
        server_pem = issue_tls(live.tls, "localhost", server.public_key(), live.now)
    with pytest.raises(ssl.SSLError):
        ours, theirs = (server_pem + live.tls.pem, private_pem(server)), (client_pem + chain, private_pem(client))
        handshake(tmp_path, live, ours, theirs, host)


def test_another_implementation_verifies_the_chain(house: House, now: float) -> None:
    from datetime import UTC, datetime

    leaf = x509.load_pem_x509_certificate(issue_tls(house.tls, "canh-bao", new_private().public_key(), now))
    verifier = (
        PolicyBuilder()
        .store(Store([house.root.certificate]))
        .time(datetime.fromtimestamp(now, UTC))
        .build_client_verifier()
    )
    found = verifier.verify(leaf, [house.tls.certificate])
    assert [c.subject for c in found.chain] == [
        leaf.subject,
        house.tls.certificate.subject,
        house.root.certificate.subject,
    ]


def test_what_stands_in_the_certificates(house: House, now: float) -> None:
    public = new_private().public_key()
    tls = x509.load_pem_x509_certificate(
        issue_tls(house.tls, "do-thi", public, now, hosts=["do-thi.vn", "10.0.0.7"], agency="H14.3")
    )
    signing = x509.load_pem_x509_certificate(issue_signing(house.signing, "do-thi", public, now, agency="H14.3"))
    for certificate, issuer in ((tls, house.tls), (signing, house.signing)):
        assert system_of(certificate) == "do-thi"
        certificate.verify_directly_issued_by(issuer.certificate)
        assert (
            extension(certificate, x509.BasicConstraints).critical
            and not extension(certificate, x509.BasicConstraints).value.ca
        )
        usage = extension(certificate, x509.KeyUsage)
        assert usage.critical and usage.value.digital_signature and not usage.value.key_cert_sign
        above = extension(issuer.certificate, x509.SubjectKeyIdentifier).value.digest
        assert extension(certificate, x509.AuthorityKeyIdentifier).value.key_identifier == above
    assert set(extension(tls, x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
    assert not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH} & set(
        extension(signing, x509.ExtendedKeyUsage).value
    )
    names = extension(tls, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["do-thi.vn"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]
    for certificate, length in ((house.root.certificate, 1), (house.tls.certificate, 0)):
        constraint = extension(certificate, x509.BasicConstraints)
        assert constraint.critical and constraint.value == x509.BasicConstraints(ca=True, path_length=length)
        assert extension(certificate, x509.KeyUsage).critical


def test_limits_of_life(house: House, now: float) -> None:
    public = new_private().public_key()
    for issue, issuer, most in ((issue_tls, house.tls, 90), (issue_signing, house.signing, 365)):
        certificate = x509.load_pem_x509_certificate(issue(issuer, "s", public, now))
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == most
        assert certificate.not_valid_before_utc.timestamp() == now - 300
    short = make_issuer(house.root, "Short", now, days=10)
    certificate = x509.load_pem_x509_certificate(issue_tls(short, "s", public, now))
    assert certificate.not_valid_after_utc == short.certificate.not_valid_after_utc


def test_requests(house: House, now: float) -> None:
    private = new_private()
    pem = make_request("y-te", private)
    assert read_request(pem) == ("y-te", private.public_key(), ())
    for bad in (b"", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", house.root.pem):
        with pytest.raises(Theirs):
            read_request(bad)
    der = bytearray(
        x509.load_pem_x509_csr(pem).public_bytes(
            __import__("cryptography").hazmat.primitives.serialization.Encoding.DER
        )
    )
    at = bytes(der).index(b"y-te")
    der[at : at + 4] = b"x-te"
    with pytest.raises(Theirs):
        read_request(
            x509.load_der_x509_csr(bytes(der)).public_bytes(
                __import__("cryptography").hazmat.primitives.serialization.Encoding.PEM
            )
        )


def test_there_and_back_as_pem(house: House) -> None:
    again = Authority.from_pem(house.tls.pem, house.tls.private_pem(b"secret"), [house.root.pem], b"secret")
    assert again.certificate == house.tls.certificate and again.above == house.tls.above
    assert again.pem == house.tls.pem
    assert b"ENCRYPTED" in house.tls.private_pem(b"secret")
    with pytest.raises(Theirs):
        Authority.from_pem(house.root.pem, house.tls.private_pem())


def test_certificates_that_name_no_system(house: House) -> None:
    assert system_of(house.root.certificate) is None
    assert certificate_pem(house.root.certificate) == house.root.pem
