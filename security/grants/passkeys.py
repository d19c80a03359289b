"""Verifies approvals by a passkey: assertions (WebAuthn level 3, 7.2) whose challenge is the content's digest.

The signature's text is `passkey.AUTHENTICATOR-DATA.CLIENT-DATA.SIGNATURE`, each part in base64url. Nothing else is
needed to verify it, so anybody can do so later with the public key and the origin that the registry has.
Invariant: an assertion counts for one content with its type, at one origin, and only if the authenticator verified its
  user.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.wire.jsontext import once
from security import jws

PREFIX: Final = "passkey"
MOST_BYTES: Final = 4096  # of a signature's text
_HEAD: Final = 37  # bytes of authenticator data: hash of the RP id, flags, count
_PRESENT, _VERIFIED, _ATTESTED, _EXTENDED = 0x01, 0x04, 0x40, 0x80
PasskeyState = Literal["proposed", "active", "retired", "revoked"]


@dataclass(frozen=True, slots=True)
class Passkey:
    """A further key of one officer, in an authenticator. `origin` is that of the pages where it may approve."""

    officer: str
    credential: str  # its id, base64url
    origin: str
    thumbprint: str
    state: PasskeyState
    since: float
    public: ec.EllipticCurvePublicKey = field(repr=False, compare=False)


def rp_id(origin: str) -> str:
    """The host name of an origin: the relying party of its passkeys."""
    return urlsplit(origin).hostname or ""


def challenge(content: bytes, typ: str) -> bytes:
    """What an authenticator signs for a canonical content: its SHA-256, with its type before it."""
    return hashlib.sha256(typ.encode("ascii") + b"\n" + content).digest()


def signature_text(authenticator_data: bytes, client_data: bytes, signature: bytes) -> str:
    parts = (jws.encoded(each).decode("ascii") for each in (authenticator_data, client_data, signature))
    return ".".join((PREFIX, *parts))


def is_assertion(signature: str) -> bool:
    return signature.startswith(f"{PREFIX}.")


def holds(wanted: bytes, signature: str, passkey: Passkey) -> bool:
    """Whether this passkey signed this challenge, at its origin, after it verified its user."""
    head, _, rest = signature.partition(".")
    if head != PREFIX or len(signature) > MOST_BYTES:
        return False
    try:
        authenticator, client, mark = (jws.decoded(part) for part in jws.split(rest.encode("ascii")))
        if not _of_client(client, wanted, passkey.origin) or not _of_authenticator(authenticator, passkey.origin):
            return False
        signed = authenticator + hashlib.sha256(client).digest()
        passkey.public.verify(mark, signed, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError, RecursionError):
        return False
    return True


def _of_client(raw: bytes, wanted: bytes, origin: str) -> bool:
    """Browsers may add names that are not known yet (5.8.1); `topOrigin` says that another site framed the page."""
    data = json.loads(raw.decode("utf-8"), object_pairs_hook=once)
    return (
        isinstance(data, dict)
        and data.get("type") == "webauthn.get"
        and data.get("challenge") == jws.encoded(wanted).decode("ascii")
        and data.get("origin") == origin
        and data.get("crossOrigin", False) is False
        and "topOrigin" not in data
    )


def _of_authenticator(data: bytes, origin: str) -> bool:
    if len(data) < _HEAD or data[:32] != hashlib.sha256(rp_id(origin).encode()).digest():
        return False
    flags = data[32]
    whole = len(data) == _HEAD or bool(flags & _EXTENDED)
    return whole and not flags & _ATTESTED and flags & (_PRESENT | _VERIFIED) == _PRESENT | _VERIFIED
