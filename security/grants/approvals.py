"""Approvals: an officer's signature over the content of a grant, so that two names typed into a file approve nothing.

An approval is a detached JWS (RFC 7515 appendix F) over canonical JSON (RFC 8785), by ES256 or EdDSA, with the officer's id as `kid`. It is
bound to every byte of the content: a grant that is changed has no approvals. A new officer is approved in the same way, by two who are in office.
Who counts: an officer in office, and one who retired, for what was signed until then; of one whose key is revoked nothing counts any more. Whoever is
named as the proposer does not count. Invariant: two approvals are of two officers with two keys.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from contracts.base import jcs
from contracts.base.errors import Theirs
from contracts.base.words import Words
from security import jws
from security.algorithms import OFFICER_KEYS, Algorithm, PublicKey, is_private, is_public, natural_algorithm
from security.errors import APPROVAL_INVALID, APPROVAL_NOT_IN_OFFICE, APPROVAL_OWN_PROPOSAL, KEY_UNACCEPTABLE
from security.keys import SigningKey, VerifyKey

TYPE: Final = "lgsp-approval"
OfficerState = Literal["proposed", "active", "retired", "revoked"]


@dataclass(frozen=True, slots=True)
class Officer:
    """Somebody who may approve: an office, never a person. `since` is when the state began."""

    id: str
    agency: str
    name: Words
    public_pem: str
    state: OfficerState
    since: float
    public: PublicKey = field(repr=False, compare=False)

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.public)

    def content(self) -> bytes:
        """What officers approve where a new one is to join them."""
        name = {"vi": self.name.vi, "en": self.name.en}
        return jcs.encode({"officer": self.id, "agency": self.agency, "name": name, "key": self.thumbprint})


@dataclass(frozen=True, slots=True)
class Approval:
    """`given` is when the gateway took it in: what an officer signed after leaving office cannot be given an earlier date."""

    officer: str
    signature: str
    given: float


def load_public(pem: str) -> PublicKey:
    """The key of an officer, from a public key or a certificate in PEM; `Theirs` for anything but P-256 and Ed25519."""
    raw = pem.encode("ascii", "replace")
    try:
        if b"BEGIN CERTIFICATE" in raw:
            public: object = x509.load_pem_x509_certificate(raw).public_key()
        else:
            public = serialization.load_pem_public_key(raw)
    except ValueError:
        raise KEY_UNACCEPTABLE(rule="PEM: PUBLIC KEY / CERTIFICATE") from None
    _algorithm(public)
    assert is_public(public)
    return public


def _algorithm(public: object) -> Algorithm:
    algorithm = natural_algorithm(public)
    if not algorithm.approves:
        raise KEY_UNACCEPTABLE(rule=OFFICER_KEYS)
    return algorithm


def public_pem(public: PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(
        "ascii"
    )


def thumbprint(public: PublicKey) -> str:
    """base64url SHA-256 of the SubjectPublicKeyInfo: the same for a key and for its certificate."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return jws.encoded(hashlib.sha256(der).digest()).decode("ascii")


def approve(content: bytes, officer: str, private_pem: bytes, password: bytes | None = None) -> str:
    """The detached JWS over a canonical content. The key stays where it is: the gateway sees the signature only."""
    try:
        private = serialization.load_pem_private_key(private_pem, password)
    except (ValueError, TypeError):
        raise KEY_UNACCEPTABLE(rule="PEM: PRIVATE KEY") from None
    if not is_private(private):
        raise KEY_UNACCEPTABLE(rule=OFFICER_KEYS)
    key = SigningKey(officer, _algorithm(private.public_key()).name, b"", private)
    head, _, mark = jws.sign(content, key, typ=TYPE).decode("ascii").split(".")
    return f"{head}..{mark}"


@lru_cache(maxsize=16_384)  # a registry that changes in one row need not verify all others anew
def holds(content: bytes, signature: str, officer: Officer) -> bool:
    """Whether this officer's key made it over this content."""
    try:
        head, payload, mark = jws.split(signature.encode("ascii"))
        algorithm = _algorithm(officer.public).name
        key = VerifyKey(officer.id, "", algorithm, b"", officer.thumbprint, -math.inf, math.inf, officer.public)
        if payload or jws.read_header(head) != {"alg": key.jose, "kid": officer.id, "typ": TYPE}:
            return False
        jws.verify((head, jws.encoded(content), mark), key)
    except (Theirs, ValueError, RecursionError):
        return False
    return True


def check(subject: str, content: bytes, proposer: str | None, officer: Officer, signature: str) -> None:
    """`Theirs` for an officer who is not in office or proposed it, and for a signature that is not that officer's over this content."""
    if officer.state != "active":
        raise APPROVAL_NOT_IN_OFFICE(officer=officer.id, state=officer.state)
    if officer.id == proposer:
        raise APPROVAL_OWN_PROPOSAL(officer=officer.id, subject=subject)
    if not holds(content, signature, officer):
        raise APPROVAL_INVALID(subject=subject, officer=officer.id)


def counted(
    content: bytes, proposer: str | None, approvals: Iterable[Approval], officers: Mapping[str, Officer]
) -> tuple[str, ...]:
    """The officers whose approvals of this very content hold."""
    found: dict[str, str] = {}
    for approval in approvals:
        officer = officers.get(approval.officer)
        if officer is None or officer.id == proposer or officer.state in ("proposed", "revoked"):
            continue
        if officer.state == "retired" and approval.given >= officer.since:
            continue
        if holds(content, approval.signature, officer):
            found.setdefault(officer.thumbprint, officer.id)
    return tuple(sorted(found.values()))
