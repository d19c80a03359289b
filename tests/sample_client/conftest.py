"""A little authority of the tests' own: root, one issuer, and identity folders as an enrolment hands them out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.sample_client.identity import Identity
from gateway.sample_client.signing import PrivateKey
from tests.sample_client.small_door import small_door

LOG_NAME = "lgsp.caobang.example/log"


def make_key(kind: str) -> PrivateKey:
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass
class Authority:
    """Root and issuer; certificates come with what a strict verifier asks for."""

    folder: Path
    root_key: ec.EllipticCurvePrivateKey = field(init=False)
    issuer_key: ec.EllipticCurvePrivateKey = field(init=False)
    log_key: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)

    def __post_init__(self) -> None:
        self.root_key, self.issuer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.root = self._certify("Root", self.root_key.public_key(), "Root", self.root_key, ca=True)
        self.issuer = self._certify("Issuer", self.issuer_key.public_key(), "Root", self.root_key, ca=True)

    def _certify(
        self, name: str, public: object, issuer: str, signer: ec.EllipticCurvePrivateKey, *, ca: bool, days: int = 30
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        usage = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        usage |= {"key_cert_sign": True, "crl_sign": True} if ca else {"digital_signature": True}
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if not ca:
            names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def leaf(self, name: str, key: PrivateKey) -> bytes:
        """A certificate and its issuer, as PEM."""
        leaf = self._certify(name, key.public_key(), "Issuer", self.issuer_key, ca=False)
        return leaf.public_bytes(Encoding.PEM) + self.issuer.public_bytes(Encoding.PEM)

    @property
    def log_vkey(self) -> str:
        typed = b"\x01" + self.log_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        hint = hashlib.sha256(LOG_NAME.encode() + b"\n" + typed).digest()[:4]
        return f"{LOG_NAME}+{hint.hex()}+{base64.b64encode(typed).decode()}"

    def note(self, size: int, root: bytes, origin: str = LOG_NAME) -> str:
        """A signed checkpoint, by hand."""
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        hint = bytes.fromhex(self.log_vkey.split("+")[1])
        signature = base64.b64encode(hint + self.log_key.sign(text.encode())).decode()
        return f"{text}\n— {LOG_NAME} {signature}\n"


@dataclass
class Party:
    """One side's keys."""

    system: str
    tls: PrivateKey
    sign: PrivateKey
    tls_pem: bytes
    sign_pem: bytes

    @property
    def key_id(self) -> str:
        return f"{self.system}.sign-1"


@dataclass
class Province:
    """All parties; `identity(a, b)` is the folder that lets `a` talk with `b`."""

    folder: Path
    authority: Authority
    parties: dict[str, Party]

    def identity(self, who: str, whom: str = "gateway", address: str = "https://localhost:1") -> Identity:
        me, other = self.parties[who], self.parties[whom]
        place = self.folder / f"{who}-{whom}-{address.rpartition(':')[2]}"
        place.mkdir(exist_ok=True)
        files = {
            "tls.crt": me.tls_pem,
            "tls.key": key_pem(me.tls),
            "sign.crt": me.sign_pem,
            "sign.key": key_pem(me.sign),
            "ca.crt": self.authority.root.public_bytes(Encoding.PEM),
            "gateway-sign.crt": other.sign_pem,
            "log.vkey": self.authority.log_vkey.encode() + b"\n",
            "system.json": json.dumps(
                {
                    "system": who,
                    "agency": "H14.0",
                    "sign_key_id": me.key_id,
                    "tls_key_id": f"{who}.tls-1",
                    "gateway": address,
                    "gateway_key_id": other.key_id,
                }
            ).encode(),
        }
        for name, content in files.items():
            (place / name).write_bytes(content)
        return Identity.load(place)


KINDS = {
    "gateway": "p256",
    "canh-bao": "p256",
    "bao-chay": "ed25519",
    "phan-anh": "p256",
    "may-cu": "rsa",
    "do-thi": "p256",
    "kinh-te": "p256",
    "truong-ha": "ed25519",
    "stranger": "p256",
    "y-te": "p256",
    "dieu-hanh": "p256",
    "mot-cua": "p256",
    "mot-cua-xa": "p256",
}


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Province:
    folder = tmp_path_factory.mktemp("province")
    authority = Authority(folder)
    parties = {}
    for system, kind in KINDS.items():
        tls, sign = make_key("p256"), make_key(kind)
        parties[system] = Party(
            system, tls, sign, authority.leaf(f"{system} tls", tls), authority.leaf(f"{system} sign", sign)
        )
    return Province(folder, authority, parties)


@pytest.fixture
def identities(province: Province) -> Iterator[Callable[..., Identity]]:
    yield province.identity


@pytest.fixture
def door(province: Province) -> Iterator[object]:
    """A small server that keeps the wire profile, and breaks it on demand."""
    with small_door(province) as made:
        yield made
