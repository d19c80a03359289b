"""Who a connection is: certificates of others, of nobody, of the past, and headers that claim more than a handshake."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from examples.story.world import World
from gateway.keys.keyring import Keyring
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared
from gateway.sandbox.standins import messages
from gateway.settings import Settings
from security import algorithms
from security.pki import authority
from security.pki.authority import Authority
from tests.attacks.conftest import QUESTION, Judge
from tests.attacks.forging import b64
from tests.attacks.raw import Told, ask, head, of, port_of, read_one

pytestmark = pytest.mark.server
WHO, OTHER = "y-te", "bao-chay"
DAY = dt.timedelta(days=1)


def certificate(identity: Identity) -> bytes:
    pem = (identity.folder / "tls.crt").read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(pem)


@pytest.mark.attack("no certificate in force")
@pytest.mark.parametrize(
    "name", ["none at all", "of nobody registered", "the gateway's own", "of the gateway's server"]
)
def test_a_certificate_of_no_system(world: World, instance: Settings, judge: Judge, name: str) -> None:
    """A valid token and a valid signature are worth nothing over a connection that is nobody's."""
    prepared = world.rest(WHO).prepare("GET", QUESTION)
    envelope = world.soap("dieu-hanh").prepare("indicator/v1", "getValue", messages_question()).request
    for request in (prepared, envelope):
        if name == "none at all":
            judge.refused(ask(world.identity(WHO), of(request), with_certificate=False), "channel.no-certificate")
        elif name == "of nobody registered":
            judge.refused(ask(world.identity("chua-dang-ky"), of(request)), "channel.unknown-system")
        else:
            keys = Keyring(instance)
            pair = (
                (keys.client_certificate, keys.client_key)
                if "own" in name
                else (keys.server_certificate, keys.server_key)
            )
            told = with_pair(world, pair, of(request))
            if told is None and "server" in name:
                continue  # the handshake itself refused a server's certificate as a client's
            judge.refused(told, "channel.unknown-system")


def messages_question() -> bytes:
    from examples.story.exchange import question

    made: bytes = question()
    return made


def with_pair(world: World, pair: tuple[Path, Path], data: bytes) -> Told | None:
    """One request under any certificate; None where the handshake, or the first answer, was refused."""
    import socket

    identity = world.identity(WHO)
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(identity.folder / "ca.crt"))
    context.load_cert_chain(*pair)
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        with socket.create_connection(("127.0.0.1", port_of(identity)), 60) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as sock:
                sock.sendall(data)
                return read_one(sock)[0]
    return None


def issued(issuer: Authority, identity: Identity, begin: dt.datetime, end: dt.datetime) -> tuple[bytes, bytes]:
    """A client certificate with the very names of a registered system."""
    old = x509.load_der_x509_certificate(certificate(identity))
    private = algorithms.new_private()
    made = x509.CertificateBuilder(
        old.issuer, old.subject, private.public_key(), x509.random_serial_number(), begin, end
    )
    for extension in old.extensions:
        if extension.oid not in (x509.AuthorityKeyIdentifier.oid, x509.SubjectKeyIdentifier.oid):
            made = made.add_extension(extension.value, extension.critical)
    signed = made.sign(issuer.private, hashes.SHA256())
    return signed.public_bytes(Encoding.PEM), authority.private_pem(private)


def expired(keys: Keyring, identity: Identity) -> tuple[bytes, bytes]:
    now = dt.datetime.now(dt.UTC)
    return issued(keys.issuer("tls"), identity, now - 3 * DAY, now - DAY)


def not_yet(keys: Keyring, identity: Identity) -> tuple[bytes, bytes]:
    now = dt.datetime.now(dt.UTC)
    return issued(keys.issuer("tls"), identity, now + DAY, now + 3 * DAY)


def of_another_authority(keys: Keyring, identity: Identity) -> tuple[bytes, bytes]:
    now = dt.datetime.now(dt.UTC)
    return issued(authority.make_root("LGSP sandbox root", now.timestamp()), identity, now - DAY, now + DAY)


def by_a_leaf(keys: Keyring, identity: Identity) -> tuple[bytes, bytes]:
    """Signed by a system's own certificate, as if that were an authority."""
    now = dt.datetime.now(dt.UTC)
    private = algorithms.new_private()
    leaf = x509.load_der_x509_certificate(certificate(identity))
    builder = x509.CertificateBuilder(
        leaf.subject,
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "y-te")]),
        private.public_key(),
        x509.random_serial_number(),
        now - DAY,
        now + DAY,
    )
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    signer: Any = load_pem_private_key((identity.folder / "tls.key").read_bytes(), None)
    signed = builder.sign(signer, hashes.SHA256())
    chain = (identity.folder / "tls.crt").read_bytes()
    return signed.public_bytes(Encoding.PEM) + chain, authority.private_pem(private)


@pytest.mark.attack("no certificate in force")
@pytest.mark.parametrize(
    "make", [expired, not_yet, of_another_authority, by_a_leaf], ids=lambda make: make.__name__.replace("_", " ")
)
def test_a_certificate_that_ends_in_the_handshake(
    world: World,
    instance: Settings,
    judge: Judge,
    tmp_path: Path,
    make: Callable[[Keyring, Identity], tuple[bytes, bytes]],
) -> None:
    """The names of a registered system do not help: nothing of the request is ever read."""
    identity = world.identity(WHO)
    pem, key = make(Keyring(instance), identity)
    (tmp_path / "crt").write_bytes(pem)
    (tmp_path / "key").write_bytes(key)
    assert with_pair(world, (tmp_path / "crt", tmp_path / "key"), of(world.rest(WHO).prepare("GET", QUESTION))) is None


@pytest.mark.attack("no certificate in force")
def test_a_certificate_with_the_names_of_a_system_that_is_not_the_registered_one(
    world: World, instance: Settings, judge: Judge, tmp_path: Path
) -> None:
    """Issued by the right authority to the right name: what counts is that this very certificate is registered."""
    identity, now = world.identity(WHO), dt.datetime.now(dt.UTC)
    pem, key = issued(Keyring(instance).issuer("tls"), identity, now - DAY, now + DAY)
    (tmp_path / "crt").write_bytes(pem + Keyring(instance).issuer("tls").pem)
    (tmp_path / "key").write_bytes(key)
    told = with_pair(world, (tmp_path / "crt", tmp_path / "key"), of(world.rest(WHO).prepare("GET", QUESTION)))
    judge.refused(told, "channel.unknown-system", 403)


# --- header smuggling -------------------------------------------------------------------------------------------------

SPELT = [
    "Client-Cert",
    "client-cert",
    "CLIENT-CERT",
    "Client_Cert",
    "client_cert",
    "CLIENT_CERT",
    "Client-Cert-Chain",
    "Client_Cert_Chain",
    "X-SSL-Client-Cert",
    "X_SSL_Client_Cert",
    "X-SSL-Client_Cert",
    "SSL-Client-Cert",
    "X-Client-Cert",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Tls-Client-Cert",
    "X-ARR-ClientCert",
    "SSL_CLIENT_CERT",
    "X-SSL-Client-S-DN",
    "X-SSL-Client-Verify",
]


@pytest.mark.attack("header smuggling")
@pytest.mark.parametrize("name", SPELT)
def test_a_header_that_claims_a_certificate(world: World, judge: Judge, name: str) -> None:
    """In RFC 9440's form and in nginx's, without a certificate of one's own and with one: it says nothing here."""
    victim, thief = world.identity(WHO), world.identity(OTHER)
    der = certificate(victim)
    pem = ssl.DER_cert_to_PEM_cert(der)
    prepared = world.rest(WHO).prepare("GET", QUESTION)
    for value in (f":{b64(der)}:", quote(pem), b64(der)):
        judge.refused(ask(victim, of(prepared, [(name, value)]), with_certificate=False), "channel.no-certificate", 401)
        judge.refused(ask(thief, of(prepared, [(name, value)])), "token.other-certificate", 401)


@pytest.mark.attack("header smuggling")
@pytest.mark.parametrize(
    "more",
    [
        [("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")],
        [("forwarded", 'for=127.0.0.1;proto=https;by="_edge"')],
        [("x-original-url", "/contracts"), ("x-rewrite-url", "/contracts")],
        [("x-http-method-override", "GET")],
        [("lgsp-caller", "H14.0/dieu-hanh")],
        [("lgsp-transfer", "01a20fc5-8b49-7ef0-8d3c-1b51dd9dda82")],
        [("connection", "authorization"), ("authorization-x", "1")],
    ],
    ids=lambda more: more[0][0],
)
def test_a_header_that_claims_something_else(world: World, judge: Judge, more: list[tuple[str, str]]) -> None:
    """None of them makes a caller of nobody; those that the profile knows must be signed."""
    prepared = world.rest(WHO).prepare("GET", QUESTION)
    judge.refused(ask(world.identity(WHO), of(prepared, more), with_certificate=False), "channel.no-certificate", 401)
    if more[0][0].startswith("lgsp-"):
        judge.refused(ask(world.identity(WHO), of(prepared, more)), "signature.not-covering")


# --- own APIs ---------------------------------------------------------------------------------------------------------

UNKNOWN = [
    "/api",
    "/api/",
    "/api/status",
    "/audit",
    "/audit/",
    "/audit/entries",
    "/audit/entries/0",
    "/audit/tile/entries",
    "/audit/proof",
    "/bodies/",
    "/bodies/x",
    "/console",
    "/console/login",
    "/feeds/",
    "/feeds/incident-alert",
    "/feeds/incident-alert/v1/",
    "/feeds/incident-alert/v1/x",
    "/keys/sign.key",
    "/management",
    "/metrics",
    "/metrics/",
    "/oauth",
    "/oauth/",
    "/oauth/token/",
    "/oauth/authorize",
    "/oauth/introspect",
    "/openapi.json",
    "/openapi.yaml",
    "/registry",
    "/subscriptions/",
    "/subscriptions/x/y",
    "/swagger.json",
    "/tokens",
    "/transfers/",
    "/ui",
    "/ui/",
    "/v1",
    "/.well-known/",
    "/.well-known/jwks.json",
]


@pytest.mark.attack("an unknown path of the own APIs")
@pytest.mark.parametrize("path", UNKNOWN)
def test_a_path_that_the_apis_do_not_have(world: World, judge: Judge, path: str) -> None:
    """connexion hands a path that it does not know to what is behind it, without asking who calls."""
    identity = world.identity(WHO)
    proven = world.rest(WHO).prepare("GET", path)
    for told in (
        ask(identity, head("GET", path), with_certificate=False),
        ask(identity, head("POST", path), with_certificate=False),
        ask(identity, of(proven)),
    ):
        judge.refused(told, "address.unknown", 404)


@pytest.mark.attack("an unknown path of the own APIs")
@pytest.mark.parametrize(
    "path",
    [
        "/feeds/incident-alert/v1",
        "/feeds/incident-alert/v1/digests",
        "/feeds/indicator/v1/figures",
        "/feeds/incident-alert/v1/export?form=csv",
        *("/feeds/readers", "/feeds/incident-alert/v1/atom?format=x", "/feeds/incident-alert/v1/events/1?format=x"),
        "/subscriptions",
        *("/transfers/x", "/handlings", "/handlings/x", "/cases", "/cases/x"),
        "/transfers/x/bodies/y",
        "/audit/proof/x",
        "/audit/tile/entries/000",
    ],
)
def test_a_path_that_demands_a_proof(world: World, judge: Judge, path: str) -> None:
    identity = world.identity(WHO)
    judge.refused(ask(identity, head("GET", path), with_certificate=False), "channel.no-certificate", 401)
    judge.refused(ask(identity, head("GET", path)), "request.no-token", 401)
    judge.refused(ask(identity, of(world.rest(WHO).prepare("GET", path, sign=False))), "signature.missing", 401)


TRAVERSAL = [
    "/contracts/../keys/sign.key",
    "/contracts/..%2f..%2fkeys%2fsign.key",
    "/contracts/%2e%2e/%2e%2e/keys/sign.key",
    "/contracts/....//keys",
    "/contracts/incident-alert/v1/../../../keys/sign.key",
    "/contracts/incident-alert/v1/..%5c..%5ckeys",
    "/contracts/incident-alert/v1/%00",
    "/contracts/incident-alert/v1/samples/../../../settings.yaml",
    "/contracts/incident-alert/v1/formats/..%2f..%2fcontract.yaml",
    "/contracts//etc/passwd",
    "/soap/../contracts",
    "/soap/incident-alert/v1/../../../keys",
    "/soap/..%2fincident-alert%2fv1",
    "/soap/%2e%2e/x",
    "/incident-alert/v1/..%2f..%2fkeys",
    "/incident-alert/v1/alerts/..",
    "/feeds/..%2f..%2fkeys/v1",
    "/feeds/%2e%2e/v1/x",
    *("/transfers/..%2f..%2fkeys", "/handlings/..%2f..%2fkeys", "/cases/..%2f..%2fkeys"),
    "/transfers/x/bodies/..%2f..%2fkeys",
    "/audit/tile/..%2f..%2fkeys/000",
    "/audit/tile/0/..%2f..%2f..%2fkeys",
    "/audit/tile/0/../../../keys",
    "/audit/proof/..%2fx",
    "/static/../keys",
    "/..%c0%af..%c0%afetc/passwd",
    "/%252e%252e/keys",
]


@pytest.mark.attack("path traversal")
@pytest.mark.parametrize("path", TRAVERSAL)
def test_a_path_that_climbs(world: World, judge: Judge, path: str) -> None:
    """A path is a name that is looked up; none leads to a file."""
    for method in ("GET", "POST"):
        told = ask(world.identity(WHO), head(method, path))
        assert (
            told is not None
            and told.status in (400, 401, 404, 405, 500)
            and b"PRIVATE" not in told.body
            and b"root:" not in told.body
        )
        assert told.code in ("address.unknown", "address.method", "api.invalid", "request.no-token"), told
        if told.transfer:
            judge.refused(told, told.code)


# --- bodies that unpack -----------------------------------------------------------------------------------------------


@pytest.mark.attack("decompression bombs")
@pytest.mark.parametrize(
    "encoding",
    ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "compress", "identity, gzip", "gzip, gzip", "aes128gcm", "x"],
)
def test_a_body_that_would_unpack(world: World, judge: Judge, encoding: str) -> None:
    """A thousandfold in gzip; it is refused by its name, before it is read, and so nothing is unpacked."""
    packed = gzip.compress(b"[" + b" " * 50_000_000, 9)
    prepared = world.rest(OTHER).prepare(
        "POST", "/incident-alert/v1/alerts", packed, headers={"content-encoding": encoding}
    )
    judge.refused(ask(world.identity(OTHER), of(prepared)), "body.encoded", 415)
    envelope = world.soap("canh-bao").prepare("incident-alert/v1", "submitAlert", messages.cap_alert()).request
    changed = Prepared(
        "POST", envelope.path, envelope.target, {**envelope.headers, "content-encoding": encoding}, packed
    )
    judge.refused(ask(world.identity("canh-bao"), of(changed)), "body.encoded")


@pytest.mark.attack("decompression bombs")
@pytest.mark.parametrize(
    "encoding", ["gzip, chunked", "chunked, gzip", "gzip", "deflate, chunked", "chunked, chunked", "identity", "x"]
)
def test_a_transfer_coding_that_would_unpack(world: World, judge: Judge, encoding: str) -> None:
    prepared = world.rest(OTHER).prepare(
        "POST", "/incident-alert/v1/alerts", json.dumps(messages.fire_alarm()).encode()
    )
    bare = Prepared(prepared.method, prepared.path, prepared.target, prepared.headers, b"")
    told = ask(world.identity(OTHER), of(bare, [("transfer-encoding", encoding)]) + b"5\r\nabcde\r\n0\r\n\r\n")
    assert told is not None and (
        400 <= told.status < 500 or (told.status, told.code) == (501, "http.transfer-coding")
    )  # RFC 9112 §6.1
    if told.transfer:
        judge.refused(told, told.code)
