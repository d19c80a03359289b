"""Signed, then encrypted bodies: JWS (RFC 7515) in JWE (RFC 7516), both compact, in a closed profile (docs/wire.md).

    JWE: BASE64URL(header) . encrypted key . iv . ciphertext . tag   alg ECDH-ES+A256KW or RSA-OAEP-256, enc A256GCM,
                                                                     cty JWS
    JWS in it: BASE64URL(header) . payload . signature               alg ES256, EdDSA or PS256, cty the media type

Invariants
- `kid` alone selects a key, the registered key the algorithm. Any other header member (an embedded key or its address,
  compression, extensions, password costs) is rejected before a key is used: headers are closed lists of unique names.
- Every failure after the key is selected is `body.decryption`. Nothing is decompressed, so a body never grows.
- A payload is returned only after its signature was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from contracts.base.errors import Theirs
from security import jws
from security.encryption_keys import DecryptKey, EncryptKey
from security.errors import BODY_DECRYPTION, BODY_ENCRYPTION_PROFILE, SIGNATURE_ALGORITHM, SIGNATURE_UNKNOWN_KEY
from security.keys import SigningKey, VerifyKey

MEDIA_TYPE: Final = "application/jose"
ENC: Final = "A256GCM"
FOR_EC: Final = "ECDH-ES+A256KW"
FOR_RSA: Final = "RSA-OAEP-256"
MAX_HEADER: Final = 2048  # characters of a header
LIMIT: Final = 64_000_000  # the library's limit; the server bounds the body before

_JWE_NAMES: Final = frozenset({"alg", "enc", "kid", "cty", "typ", "epk"})
_JWS_NAMES: Final = frozenset({"alg", "kid", "cty", "typ"})
_EPK_NAMES: Final = frozenset({"kty", "crv", "x", "y"})

FindKey = Callable[[str], VerifyKey | None]


class _Registry(jwe.JWERegistry):
    """Only these three of the library's algorithms; the limits replace those meant for tokens."""

    max_protected_header_length = MAX_HEADER
    max_ciphertext_length = LIMIT


_REGISTRY: Final = _Registry(algorithms=[FOR_EC, FOR_RSA, ENC])


class Opened(NamedTuple):
    """An opened body: the verified payload, its media type, its signer; `jws` proves that later without our key."""

    payload: bytes
    media_type: str
    key: VerifyKey
    jws: bytes


# --- out --------------------------------------------------------------------------------------------------------------


def seal(payload: bytes, media_type: str, signer: SigningKey, receiver: EncryptKey) -> tuple[bytes, bytes]:
    """Signs, then encrypts for one receiver: the body, and the JWS in it."""
    signed = sign(payload, media_type, signer)
    key, algorithm = _public(receiver)
    header = {"alg": algorithm, "enc": ENC, "kid": receiver.key_id, "cty": "JWS"}
    return jwe.encrypt_compact(header, signed, key, registry=_REGISTRY).encode("ascii"), signed


def sign(payload: bytes, media_type: str, signer: SigningKey) -> bytes:
    """The compact JWS over a payload; `cty` is its media type."""
    return jws.sign(payload, signer, cty=media_type)


# --- in ---------------------------------------------------------------------------------------------------------------


class Opener:
    """Decrypts bodies for the gateway. One for each process; `keys` are all current decryption keys."""

    def __init__(self, keys: Iterable[DecryptKey]) -> None:
        self._keys: Final = {key.key_id: _private(key) for key in keys}

    def open(self, body: bytes, find_key: FindKey, now: float) -> Opened:
        """Decrypts, then verifies. `find_key` returns a signing key by id; the caller checks its owner."""
        return verify(self.decrypt(body), find_key, now)

    def decrypt(self, body: bytes) -> bytes:
        """The JWS in a body."""
        header = _header(_parts(body, 5, "JWE")[0], _JWE_NAMES, "JWE")
        entry = self._keys.get(str(header.get("kid")))
        if entry is None:  # encrypted for another receiver, or for a retired key
            raise BODY_DECRYPTION()
        key, algorithm = entry
        _expect(header, "alg", algorithm, "JWE")
        _expect(header, "enc", ENC, "JWE")
        _expect(header, "cty", "JWS", "JWE")
        _check_ephemeral(header, algorithm)
        try:
            opened = jwe.decrypt_compact(body, key, registry=_REGISTRY).plaintext
        except Exception:  # all causes must look the same
            raise BODY_DECRYPTION() from None
        if opened is None:
            raise BODY_DECRYPTION()
        return opened


def verify(text: bytes, find_key: FindKey, now: float) -> Opened:
    """The payload of a JWS signed by a registered key."""
    parts = _parts(text, 3, "JWS")
    header = _header(parts[0], _JWS_NAMES, "JWS")
    key_id, media_type = header.get("kid"), header.get("cty")
    if not isinstance(key_id, str) or not isinstance(media_type, str):
        raise _wrong("JWS", '"kid":"…", "cty":"…"')
    key = find_key(key_id)
    if key is None:
        raise SIGNATURE_UNKNOWN_KEY(key=key_id[:80])
    if header.get("alg") != key.jose:
        raise SIGNATURE_ALGORITHM(where="JWS, alg", algorithm=str(header.get("alg"))[:40], expected=key.jose)
    key.check_time(now)
    jws.verify(parts, key)
    return Opened(jws.decoded(parts[1]), media_type, key, text)


def _parts(text: bytes, count: int, where: str) -> list[bytes]:
    try:
        parts = jws.split(text, count)
    except ValueError:
        parts = [b""]
    if not all(parts):
        raise _wrong(where, f"compact, {count} × base64url")
    return parts


def _header(encoded: bytes, known: frozenset[str], where: str) -> dict[str, Any]:
    if len(encoded) > MAX_HEADER:
        raise _wrong(where, f"header <= {MAX_HEADER}")
    try:
        header = jws.read_header(encoded, strict=True)
    except (ValueError, RecursionError):
        raise _wrong(where, "header: JSON {…}, a name once") from None
    for name in header:
        if name not in known:
            raise _wrong(where, f"{', '.join(sorted(known))}; ≠ {name[:40]}")
    if header.get("typ", "JOSE") != "JOSE":
        raise _wrong(where, '"typ":"JOSE"')
    return header


def _check_ephemeral(header: Mapping[str, Any], algorithm: str) -> None:
    """An ephemeral key is on our key's curve, and present only where the algorithm needs it.

    Its use checks that the point is on the curve (NIST SP 800-56A §5.6.2.3).
    """
    epk = header.get("epk")
    if algorithm != FOR_EC:
        if epk is not None:
            raise _wrong("JWE", f"{algorithm}: ≠ epk")
        return
    if (
        not isinstance(epk, dict)
        or epk.keys() != _EPK_NAMES
        or not all(isinstance(value, str) for value in epk.values())
    ):
        raise _wrong("JWE", "epk: kty, crv, x, y")
    if (epk["kty"], epk["crv"]) != ("EC", "P-256"):
        raise _wrong("JWE", 'epk: "kty":"EC", "crv":"P-256"')


def _expect(header: Mapping[str, Any], name: str, value: str, where: str) -> None:
    if header.get(name) != value:
        raise _wrong(where, f'"{name}":"{value}"')


def _wrong(where: str, rule: str) -> Theirs:
    return BODY_ENCRYPTION_PROFILE(where=where, rule=rule)


def _private(key: DecryptKey) -> tuple[ECKey | RSAKey, str]:
    private = key.private
    return (
        (RSAKey.import_key(private), FOR_RSA)
        if isinstance(private, rsa.RSAPrivateKey)
        else (ECKey.import_key(private), FOR_EC)
    )


@lru_cache(maxsize=1024)
def _public(key: EncryptKey) -> tuple[ECKey | RSAKey, str]:
    public = key.public
    return (
        (ECKey.import_key(public), FOR_EC)
        if isinstance(public, ec.EllipticCurvePublicKey)
        else (RSAKey.import_key(public), FOR_RSA)
    )
