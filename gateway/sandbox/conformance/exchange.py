"""What a run needs of both sides: the gateway's keys, and the vendor's address and certificates."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adapters.model import Endpoint
from contracts.base import safeyaml
from gateway.keys.keyring import Keyring
from gateway.sample_client.signing import Signer
from gateway.sandbox.conformance.rules import Kind
from security.encryption_keys import DecryptKey, EncryptKey
from security.http_signatures import HttpRequest
from security.keys import SigningKey, VerifyKey

CALLER: Final = "conformance"  # the system that calls are made for


@dataclass(frozen=True, slots=True)
class GatewayKeys:
    """The gateway's own keys. They are used where they lie: by a run on the host or by the sandbox itself."""

    signing: SigningKey
    decrypting: Sequence[DecryptKey]
    anchors: Path
    certificate: Path
    key: Path
    password: bytes | None = None

    @classmethod
    def of(cls, keyring: Keyring) -> GatewayKeys:
        return cls(
            keyring.signing_key(),
            keyring.decrypt_keys(),
            keyring.client_anchors,
            keyring.client_certificate,
            keyring.client_key,
            keyring.at_rest.password,
        )

    def signer(self) -> Signer:
        """The signing key for requests that are wrong on purpose."""
        key = self.signing
        return Signer(key.key_id, key.private, x509.load_der_x509_certificate(key.certificate_der))


@lru_cache(maxsize=4)
def stranger(common_name: str = "stranger") -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """A key that nobody registered, with a certificate that it signed itself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    return key, _certificate(key, common_name, now)


@lru_cache(maxsize=1)
def foreign_receiver() -> x509.Certificate:
    """The certificate of an RSA key that no receiver has."""
    return _certificate(rsa.generate_private_key(65537, 2048), "another receiver", datetime.now(UTC))


def _certificate(key: Any, common_name: str, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )


def other_signer(signer: Signer) -> Signer:
    """A stranger's key under the id of the gateway's."""
    key, certificate = stranger()
    return replace(signer, key=key, certificate=certificate)


@dataclass(frozen=True, slots=True)
class Target:
    """The vendor's system as it is registered. `caller`: `agency/system`, for whom calls are made."""

    endpoint: Endpoint
    caller: str

    def of(self, kind: Kind) -> Endpoint:
        return replace(self.endpoint, kind=kind)

    @property
    def receiver(self) -> x509.Certificate | None:
        """The certificate that bodies are encrypted for: RSA if there is one, for both protocols."""
        keys = sorted(self.endpoint.encrypt_keys, key=lambda each: not isinstance(each.public, rsa.RSAPublicKey))
        return x509.load_der_x509_certificate(keys[0].certificate_der) if keys else None


def target_of(folder: Path, url: str, version: str = "1.1") -> Target:
    """The system of an identity folder, by its certificates. OSError, KeyError or ValueError if one is missing."""
    about: Mapping[str, str] = safeyaml.load((folder / "system.json").read_text("utf-8"))
    key = VerifyKey.from_certificate(about["sign_key_id"], about["system"], (folder / "sign.crt").read_bytes())
    encrypt: tuple[EncryptKey, ...] = ()
    if (folder / "encrypt.crt").is_file():
        pem = (folder / "encrypt.crt").read_bytes()
        encrypt = (EncryptKey.from_certificate(about["encrypt_key_id"], about["system"], pem),)
    return Target(
        Endpoint(
            system=about["system"],
            kind="rest",
            url=url.rstrip("/"),
            keys_by_id={key.key_id: key},
            keys_by_thumbprint={key.thumbprint: key},
            encrypt_keys=encrypt,
            options={} if version == "1.1" else {"version": version},
        ),
        f"{about['agency']}/{CALLER}",
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to be sent, and how its answer is read. `twice`: it is sent again as it is."""

    request: HttpRequest
    message_id: str
    twice: bool = False
    certificate: bool = True  # whether the gateway's client certificate is shown


def new_transfer() -> str:
    """An id in the form of the gateway's (UUIDv7, RFC 9562 section 5.7)."""
    number = (time.time_ns() // 1_000_000 << 80) | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    text = f"{number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
