"""A system's identity folder, as an enrolment (or the sandbox) writes it.

    system.json        system, ids of its keys, the gateway's public address and key id
    tls.crt, tls.key   the client certificate (of a provider also the server certificate)
    sign.crt, sign.key the registered signing key
    ca.crt             trust anchor of the gateway's TLS and signing certificates
    gateway-sign.crt   the gateway's signing certificate, pinned
    encrypt.crt, encrypt.key, gateway-encrypt.crt
                       for encrypted bodies to us and to the gateway; optional if no contract encrypts
    log.vkey           verifier key of the audit log (C2SP signed note); optional for an old enrolment

Invariant: a loaded identity has matching key pairs, and no anchor contradicts the gateway's pinned certificate.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.sample_client.errors import BadIdentity
from gateway.sample_client.keyset import CIPHERS_12, KeySet, is_authority
from gateway.sample_client.signing import Signer, Verifier

_WHOLE = "docs/client.md lists what belongs into it; those of a sandbox lie in lgsp-data/identities"
_HANDED = (
    "Ask the operator for gateway-sign.crt and ca.crt again (`lgsp registry handout`),"
    " on a way that nobody else can use"
)


@dataclass(frozen=True, slots=True)
class Encryption:
    """Our key for bodies to us, and the gateway's certificate for bodies to it."""

    key_id: str
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    gateway_key_id: str
    gateway: x509.Certificate

    @classmethod
    def load(cls, place: Path, about: dict[str, str]) -> Encryption:
        key = load_pem_private_key((place / "encrypt.key").read_bytes(), None)
        certificate, gateway = (
            x509.load_pem_x509_certificate((place / name).read_bytes())
            for name in ("encrypt.crt", "gateway-encrypt.crt")
        )
        if (
            not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
            or key.public_key() != certificate.public_key()
        ):
            raise BadIdentity(
                "the encryption key and its certificate are not a pair",
                "Put the certificate here that was issued for encrypt.key",
            )
        return cls(about["encrypt_key_id"], key, certificate, about["gateway_encrypt_key_id"], gateway)


@dataclass(frozen=True, slots=True)
class Identity:
    """A system's keys, certificates and addresses."""

    folder: Path
    system: str
    agency: str
    signer: Signer
    tls_key_id: str
    gateway: str
    keys: KeySet
    log_vkey: str | None
    encryption: Encryption | None = None

    @classmethod
    def load(cls, folder: str | Path) -> Identity:
        place = Path(folder)
        try:
            about = json.loads((place / "system.json").read_text("utf-8"))
            signer = Signer.from_pem(
                about["sign_key_id"], (place / "sign.key").read_bytes(), (place / "sign.crt").read_bytes()
            )
            chain = x509.load_pem_x509_certificates((place / "gateway-sign.crt").read_bytes())
            anchors = x509.load_pem_x509_certificates((place / "ca.crt").read_bytes())
            vkey = place / "log.vkey"
            for needed in ("tls.crt", "tls.key"):
                (place / needed).read_bytes()
            leaves = [certificate for certificate in chain if not is_authority(certificate)]
            if not leaves:
                raise BadIdentity(f"{place}/gateway-sign.crt holds no signing certificate", _HANDED)
            for leaf in leaves:
                _check_issuer(leaf, [*chain, *anchors])
            return cls(
                folder=place,
                system=about["system"],
                agency=about["agency"],
                signer=signer,
                tls_key_id=about["tls_key_id"],
                gateway=about["gateway"].rstrip("/"),
                keys=KeySet(
                    about["gateway"],
                    place / "ca.crt",
                    anchors,
                    [Verifier(about["gateway_key_id"], leaf) for leaf in leaves],
                ),
                log_vkey=(vkey.read_text("utf-8").strip() or None) if vkey.exists() else None,
                encryption=Encryption.load(place, about) if (place / "encrypt.key").exists() else None,
            )
        except (OSError, KeyError, TypeError, ValueError) as wrong:
            raise BadIdentity(
                f"{place}: not a complete identity folder ({type(wrong).__name__}: {wrong})", _WHOLE
            ) from wrong

    def client_context(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        """TLS towards the gateway. Without our certificate only to see the refusal."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.folder / "ca.crt"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS_12)
        if with_certificate:
            context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context

    def server_context(self) -> ssl.SSLContext:
        """TLS as a provider: callers need a certificate of the exchange's authority."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.folder / "ca.crt"))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS_12)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context


def encryption_of(identity: Identity) -> Encryption:
    if identity.encryption is None:
        raise BadIdentity(
            f"{identity.folder}: no encrypt.key",
            "Make a key, and ask the operator to enrol its certificate for encryption",
        )
    return identity.encryption


def _check_issuer(leaf: x509.Certificate, known: list[x509.Certificate]) -> None:
    """Refuse a certificate that names one of our anchors as issuer but was not signed by it. Else the pin decides."""
    issuers = [candidate for candidate in known if candidate.subject == leaf.issuer]
    for issuer in issuers:
        try:
            leaf.verify_directly_issued_by(issuer)
            return
        except (InvalidSignature, ValueError, TypeError):
            continue
    if issuers:
        raise BadIdentity("gateway-sign.crt was not signed by the authority that it names", f"Do not use it. {_HANDED}")
