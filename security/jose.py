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
from contracts.base.randomness import random_bytes
from security import jws
from security.encryption_keys import DecryptKey, EncryptKey
from security.errors import BODY_DECRYPTION, BODY_ENCRYPTION_PROFILE, SIGNATURE_ALGORITHM, SIGNATURE_UNKNOWN_KEY
from security.keys import SigningKey, VerifyKey

MEDIA_TYPE: Final = "application/jose"
ENC: Final = "A256GCM"
FOR_EC: Final = "ECDH-ES+A256KW"
FOR_RSA: Final = "RSA-OAEP-256"
MAX_HEADER: Final = 2048  # characters of a header
GROWN: Final = (16, 9)  # so many bytes of a body for so many of its payload: base64url twice
LIMIT: Final = 180_000_000  # the library's limit, for whoever holds a large body; servers bound bodies before

_JWE_NAMES: Final = frozenset({"alg", "enc", "kid", "cty", "typ", "epk"})
_JWS_NAMES: Final = frozenset({"alg", "kid", "cty", "typ"})
_EPK_NAMES: Final = frozenset({"kty", "crv", "x", "y"})

FindKey = Callable[[str], VerifyKey | None]


class _Registry(jwe.JWERegistry):
    """Only these three of the library's algorithms; the limits replace those meant for tokens."""

    max_protected_header_length = MAX_HEADER
    max_ciphertext_length = LIMIT


class _KeyAsContent:
    """In place of A256GCM: the content key itself is what is written and read. So the library handles keys alone."""

    name, iv_size, cek_size = ENC, 96, 256

    def generate_cek(self) -> bytes:
        return random_bytes(self.cek_size // 8)

    def generate_iv(self) -> bytes:
        return random_bytes(self.iv_size // 8)

    def check_iv(self, iv: bytes) -> bytes:
        return iv

    def encrypt(self, _plain: bytes, cek: bytes, _iv: bytes, _aad: bytes) -> tuple[bytes, bytes]:
        return cek, b"-"

    def decrypt(self, _text: bytes, _tag: bytes, cek: bytes, _iv: bytes, _aad: bytes) -> bytes:
        return cek


class _KeyRegistry(_Registry):
    def get_enc(self, name: str) -> Any:
        return _KeyAsContent()


_REGISTRY: Final = _Registry(algorithms=[FOR_EC, FOR_RSA, ENC])
_KEYS: Final = _KeyRegistry(algorithms=[FOR_EC, FOR_RSA, ENC])
_NO_CONTENT: Final = b".LQ.LQ.LQ"  # IV, ciphertext and tag that are not looked at


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
    return _encrypted(signed, receiver, _REGISTRY), signed


def new_content_key(receiver: EncryptKey) -> tuple[list[bytes], bytes]:
    """A new content key for one receiver: header, encrypted key and IV of a JWE in base64url, and the key itself."""
    *parts, key, _ = _encrypted(b"-", receiver, _KEYS).split(b".")
    return parts, jws.decoded(key)


def _encrypted(text: bytes, receiver: EncryptKey, registry: _Registry) -> bytes:
    key, algorithm = _public(receiver)
    header = {"alg": algorithm, "enc": ENC, "kid": receiver.key_id, "cty": "JWS"}
    return jwe.encrypt_compact(header, text, key, registry=registry).encode("ascii")


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
        return _decrypted(body, self._selected(_parts(body, 5, "JWE")[0]), _REGISTRY)

    def content_key(self, head: bytes, wrapped: bytes) -> bytes:
        """The key that the content of a JWE with this header is encrypted with. Both parts are in base64url."""
        return _decrypted(head + b"." + wrapped + _NO_CONTENT, self._selected(head), _KEYS)

    def _selected(self, head: bytes) -> ECKey | RSAKey:
        """The key that a header names. The header is as the profile says."""
        header = _header(head, _JWE_NAMES, "JWE")
        entry = self._keys.get(str(header.get("kid")))
        if entry is None:  # encrypted for another receiver, or for a retired key
            raise BODY_DECRYPTION()
        key, algorithm = entry
        _expect(header, "alg", algorithm, "JWE")
        _expect(header, "enc", ENC, "JWE")
        _expect(header, "cty", "JWS", "JWE")
        _check_ephemeral(header, algorithm)
        return key


def verify(text: bytes, find_key: FindKey, now: float) -> Opened:
    """The payload of a JWS signed by a registered key."""
    parts = _parts(text, 3, "JWS")
    key, media_type = signer_of(parts[0], find_key, now)
    jws.verify(parts, key)
    return Opened(jws.decoded(parts[1]), media_type, key, text)


def signer_of(head: bytes, find_key: FindKey, now: float) -> tuple[VerifyKey, str]:
    """The registered key that a header of a JWS names, in force, and the media type of the payload."""
    header = _header(head, _JWS_NAMES, "JWS")
    key_id, media_type = header.get("kid"), header.get("cty")
    if not isinstance(key_id, str) or not isinstance(media_type, str):
        raise wrong("JWS", '"kid":"…", "cty":"…"')
    key = find_key(key_id)
    if key is None:
        raise SIGNATURE_UNKNOWN_KEY(key=key_id[:80])
    if header.get("alg") != key.jose:
        raise SIGNATURE_ALGORITHM(where="JWS, alg", algorithm=str(header.get("alg"))[:40], expected=key.jose)
    key.check_time(now)
    return key, media_type


def _decrypted(body: bytes, key: ECKey | RSAKey, registry: _Registry) -> bytes:
    try:
        opened = jwe.decrypt_compact(body, key, registry=registry).plaintext
    except Exception:  # all causes must look the same
        raise BODY_DECRYPTION() from None
    if opened is None:
        raise BODY_DECRYPTION()
    return opened


def _parts(text: bytes, count: int, where: str) -> list[bytes]:
    try:
        parts = jws.split(text, count)
    except ValueError:
        parts = [b""]
    if not all(parts):
        raise wrong(where, f"compact, {count} × base64url")
    return parts


def _header(encoded: bytes, known: frozenset[str], where: str) -> dict[str, Any]:
    if len(encoded) > MAX_HEADER:
        raise wrong(where, f"header <= {MAX_HEADER}")
    try:
        header = jws.read_header(encoded, strict=True)
    except (ValueError, RecursionError):
        raise wrong(where, "header: JSON {…}, a name once") from None
    for name in header:
        if name not in known:
            raise wrong(where, f"{', '.join(sorted(known))}; ≠ {name[:40]}")
    if header.get("typ", "JOSE") != "JOSE":
        raise wrong(where, '"typ":"JOSE"')
    return header


def _check_ephemeral(header: Mapping[str, Any], algorithm: str) -> None:
    """An ephemeral key is on our key's curve, and present only where the algorithm needs it.

    Its use checks that the point is on the curve (NIST SP 800-56A §5.6.2.3).
    """
    epk = header.get("epk")
    if algorithm != FOR_EC:
        if epk is not None:
            raise wrong("JWE", f"{algorithm}: ≠ epk")
        return
    if (
        not isinstance(epk, dict)
        or epk.keys() != _EPK_NAMES
        or not all(isinstance(value, str) for value in epk.values())
    ):
        raise wrong("JWE", "epk: kty, crv, x, y")
    if (epk["kty"], epk["crv"]) != ("EC", "P-256"):
        raise wrong("JWE", 'epk: "kty":"EC", "crv":"P-256"')


def _expect(header: Mapping[str, Any], name: str, value: str, where: str) -> None:
    if header.get(name) != value:
        raise wrong(where, f'"{name}":"{value}"')


def wrong(where: str, rule: str) -> Theirs:
    """`body.encryption-profile`."""
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
