"""Keys that the gateway does not accept from a system: of a stranger, expired, revoked.

They are made here, under names of their own, so the system's true key never leaves its folder for a trial.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.sample_client.signing import Signer

KINDS = ("other-key", "expired-certificate", "revoked-certificate")


def signer_for(kind: str, signer: Signer) -> Signer:
    """The key that a fault of this kind signs with; the system's own for all other kinds.

    `other-key` claims the id of the system's key. The others name keys that are not in force.
    """
    if kind not in KINDS:
        return signer
    other = _made(kind, signer.key_id.partition(".")[0])
    return replace(other, key_id=signer.key_id) if kind == "other-key" else other


@lru_cache(maxsize=64)
def _made(kind: str, system: str) -> Signer:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{system} {kind}")])
    ends = now - timedelta(days=1) if kind == "expired-certificate" else now + timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    return Signer(f"{system}.{kind}", key, certificate)
