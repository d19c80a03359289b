"""A temporary authority and a certificate for `localhost`, for the side without an authority of its own."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files: a certificate with its key, and the authority that issued it."""

    certificate: Path
    key: Path
    authority: Path


def throwaway(folder: Path) -> Pair:
    """P-256, valid for a day, written into `folder`."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench authority")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)

    def build(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=1))
        )

    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    host = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    issuer = x509.SubjectKeyIdentifier.from_public_key(root_key.public_key())
    root = (
        build(root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(True, 0), True)
        .add_extension(issuer, False)
        .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), True)
        .sign(root_key, SHA256())
    )
    leaf = (
        build(host, key.public_key())
        .add_extension(names, False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), False)
        .sign(root_key, SHA256())
    )
    pair = Pair(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    pair.certificate.write_bytes(leaf.public_bytes(Encoding.PEM))
    pair.authority.write_bytes(root.public_bytes(Encoding.PEM))
    pair.key.touch(mode=0o600)
    pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pair
