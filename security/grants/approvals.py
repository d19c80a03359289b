"""Verifies approvals: officers' signatures over the content of a grant.

An approval is a detached JWS (RFC 7515 appendix F) over canonical JSON (RFC 8785), by ES256 or EdDSA, with the
officer's id as `kid`, or an assertion of one of the officer's passkeys (`security.grants.passkeys`). Both cover every
byte of the content: a changed grant has no approvals. A new officer is approved in the same way, by two active
officers.
Approvals of active officers count, and those of retired ones from before their retirement. Approvals of a revoked key
and of the proposer do not; the same holds of passkeys. Invariant: two approvals are of two officers with two keys.
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
from security.errors import (
    APPROVAL_INVALID,
    APPROVAL_NOT_IN_OFFICE,
    APPROVAL_OWN_PROPOSAL,
    KEY_PASSWORD,
    KEY_UNACCEPTABLE,
)
from security.grants import passkeys
from security.grants.passkeys import Passkey
from security.keys import SigningKey, VerifyKey

TYPE: Final = "lgsp-approval"
OfficerState = Literal["proposed", "active", "retired", "revoked"]
Role = Literal["officer", "operator", "auditor"]


@dataclass(frozen=True, slots=True)
class Officer:
    """An office that may approve, or with another role a person who may act. `since` is the start of the state.

    `passkeys` are further keys of the same officer, for approvals alone.
    """

    id: str
    agency: str
    name: Words
    public_pem: str
    state: OfficerState
    since: float
    public: PublicKey = field(repr=False, compare=False)
    role: Role = "officer"
    passkeys: tuple[Passkey, ...] = ()

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.public)

    def content(self) -> bytes:
        """The content that officers approve to admit a new officer or person."""
        content = {"agency": self.agency, "name": {"vi": self.name.vi, "en": self.name.en}, "key": self.thumbprint}
        whom = {"officer": self.id} if self.role == "officer" else {"person": self.id, "role": self.role}
        return jcs.encode({**content, **whom})


@dataclass(frozen=True, slots=True)
class Approval:
    """`given` is the time of receipt, so that a signature made after leaving office cannot be backdated."""

    officer: str
    signature: str
    given: float


def load_public(pem: str) -> PublicKey:
    """An officer's key, from a public key or certificate (PEM). KEY_UNACCEPTABLE except for P-256 and Ed25519."""
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
    """SubjectPublicKeyInfo in PEM."""
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode(
        "ascii"
    )


def thumbprint(public: PublicKey) -> str:
    """base64url SHA-256 of the SubjectPublicKeyInfo, equal for a key and its certificate."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return jws.encoded(hashlib.sha256(der).digest()).decode("ascii")


def approve(content: bytes, officer: str, private_pem: bytes, password: bytes | None = None, *, typ: str = TYPE) -> str:
    """The detached JWS over a canonical content, made where the key is; the gateway sees only the signature.
    KEY_UNACCEPTABLE, or KEY_PASSWORD for an encrypted key that the password does not open."""
    try:
        private = serialization.load_pem_private_key(private_pem, password)
    except (ValueError, TypeError):
        if b"ENCRYPTED" in private_pem:
            raise KEY_PASSWORD() from None
        raise KEY_UNACCEPTABLE(rule="PEM: PRIVATE KEY") from None
    if not is_private(private):
        raise KEY_UNACCEPTABLE(rule=OFFICER_KEYS)
    key = SigningKey(officer, _algorithm(private.public_key()).name, b"", private)
    head, _, signature = jws.sign(content, key, typ=typ).decode("ascii").split(".")
    return f"{head}..{signature}"


def holds(content: bytes, signature: str, officer: Officer, typ: str = TYPE) -> bool:
    """Whether `signature` is this officer's over this content, by any key that he ever had."""
    return key_of(content, signature, officer, typ) is not None


@lru_cache(maxsize=16_384)  # a change of one row must not verify all others again
def key_of(content: bytes, signature: str, officer: Officer, typ: str = TYPE) -> Officer | Passkey | None:
    """The key that made the signature: the officer's own, or a passkey; None if neither did."""
    if passkeys.is_assertion(signature):
        wanted = passkeys.challenge(content, typ)
        mine = officer.passkeys if typ == TYPE else ()
        return next((each for each in mine if passkeys.holds(wanted, signature, each)), None)
    return officer if _by_own_key(content, signature, officer, typ) else None


def _by_own_key(content: bytes, signature: str, officer: Officer, typ: str) -> bool:
    try:
        head, payload, signature_part = jws.split(signature.encode("ascii"))
        algorithm = _algorithm(officer.public).name
        key = VerifyKey(
            key_id=officer.id,
            system="",
            algorithm=algorithm,
            certificate_der=b"",
            thumbprint=officer.thumbprint,
            valid_from=-math.inf,
            valid_until=math.inf,
            public=officer.public,
        )
        if payload or jws.read_header(head) != {"alg": key.jose, "kid": officer.id, "typ": typ}:
            return False
        jws.verify((head, jws.encoded(content), signature_part), key)
    except (Theirs, ValueError, RecursionError):
        return False
    return True


def check(subject: str | Words, content: bytes, proposer: str | None, officer: Officer, signature: str) -> None:
    """APPROVAL_NOT_IN_OFFICE, APPROVAL_OWN_PROPOSAL, or APPROVAL_INVALID for a wrong signature."""
    if officer.state != "active":
        raise APPROVAL_NOT_IN_OFFICE(officer=officer.id, state=officer.state)
    if officer.id == proposer:
        raise APPROVAL_OWN_PROPOSAL(officer=officer.id, subject=subject)
    key = key_of(content, signature, officer)
    if key is None:
        raise APPROVAL_INVALID(subject=subject, officer=officer.id)
    if key.state != "active":
        raise APPROVAL_NOT_IN_OFFICE(officer=f"{officer.id} ({key.thumbprint[:12]})", state=key.state)


def counted(
    content: bytes, proposer: str | None, approvals: Iterable[Approval], officers: Mapping[str, Officer]
) -> tuple[str, ...]:
    """The officers whose approvals of this content count."""
    by_key: dict[str, str] = {}
    for approval in approvals:
        officer = officers.get(approval.officer)
        if officer is None or officer.id == proposer or not _counts(officer, approval.given):
            continue
        key = key_of(content, approval.signature, officer)
        if key is not None and _counts(key, approval.given):
            by_key.setdefault(key.thumbprint, officer.id)
    return tuple(sorted(set(by_key.values())))


def _counts(key: Officer | Passkey, given: float) -> bool:
    """Whether what it signed counts, by its state."""
    return key.state == "active" or key.state == "retired" and given < key.since
