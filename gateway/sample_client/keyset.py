"""The gateway's signing keys: the pinned one, and those that it published since (docs/wire.md, "Keys of the gateway").

A signature by an unknown key triggers `GET /keys`. Invariant: the answer alone proves nothing. A certificate counts
only if an authority of `ca.crt` issued it, for signing documents, in the gateway's name.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from gateway.sample_client.errors import ClientError
from gateway.sample_client.jsontext import load_json
from gateway.sample_client.signing import Verifier
from gateway.sample_client.transport import Transport

# TLS 1.3 has its own suites; for 1.2 only AEAD with forward secrecy
CIPHERS_12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
NAME: Final = "urn:lgsp:system:gateway"
SIGNING: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
# what reading a foreign certificate may raise
_NO_KEYS: Final = (
    ClientError, ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm,
    x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType,
)  # fmt: skip
_AGAIN: Final = 1.0  # seconds between queries: signatures by unknown keys must not cause endless ones


class KeySet:
    """Signing keys of one gateway, by id and by thumbprint."""

    def __init__(
        self, gateway: str, authorities: Path, anchors: Sequence[x509.Certificate], pinned: Sequence[Verifier]
    ) -> None:
        self._gateway, self._authorities, self._anchors = gateway, authorities, anchors
        self._known = list(pinned)
        self._asked = float("-inf")
        self._lock = threading.Lock()

    def by_id(self, key_id: str) -> tuple[Verifier, ...]:
        keys = [key for key in self._known if key.key_id == key_id]
        return tuple(keys or [key for key in self._learnt() if key.key_id == key_id])

    def by_thumbprint(self, digest: bytes) -> Verifier | None:
        keys = [key for key in self._known if key.thumbprint == digest]
        keys = keys or [key for key in self._learnt() if key.thumbprint == digest]
        return keys[0] if keys else None

    def _learnt(self) -> list[Verifier]:
        with self._lock:
            if time.monotonic() - self._asked < _AGAIN:
                return self._known
            self._asked = time.monotonic()
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self._authorities))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(CIPHERS_12)
            transport = Transport(self._gateway, context, 10.0)
            with contextlib.suppress(*_NO_KEYS):
                answer = transport.send("GET", "/keys", {"accept": "application/json"}, b"")
                self._known = [*self._known, *self._certified(load_json(answer.body)["sign"])]
            transport.close()
            return self._known

    def _certified(self, offered: list[dict[str, Any]]) -> list[Verifier]:
        keys = []
        for each in offered:
            certificate = x509.load_pem_x509_certificate(each["certificate"].encode("ascii"))
            chain = [x509.load_pem_x509_certificate(pem.encode("ascii")) for pem in each["chain"]]
            key = Verifier(each["id"], certificate)
            known = any(key.thumbprint == one.thumbprint or key.key_id == one.key_id for one in self._known)
            if not known and _is_gateways(certificate) and self._trusts(certificate, chain):
                keys.append(key)
        return keys

    def _trusts(self, certificate: x509.Certificate, chain: Sequence[x509.Certificate]) -> bool:
        """Whether an anchor issued it, or issued an authority of the chain that issued it."""
        issuers = [
            *self._anchors,
            *(each for each in chain if is_authority(each) and any(_issued(each, one) for one in self._anchors)),
        ]
        return any(is_authority(issuer) and _issued(certificate, issuer) for issuer in issuers)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_gateways(certificate: x509.Certificate) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return names.get_values_for_type(x509.UniformResourceIdentifier) == [NAME] and SIGNING in uses


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
