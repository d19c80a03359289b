"""Bodies that are signed, then encrypted: JWS (RFC 7515) in JWE (RFC 7516), both compact, in one closed profile (docs/wire.md).

    BASE64URL(JWE header) . encrypted key . iv . ciphertext . tag     alg ECDH-ES+A256KW or RSA-OAEP-256, enc A256GCM, cty JWS
             in it: BASE64URL(JWS header) . payload . signature       alg ES256, EdDSA or PS256; cty is the payload's media type

Invariants
- A key is chosen by `kid` alone, the algorithm by the registered key. Whatever else a header could say (a key in it or the address of one, compression,
  an extension, a password's cost) is refused before any key is used: headers are closed lists, each name once.
- Whatever goes wrong with a key in hand is one failure, `body.decryption`. Nothing is ever decompressed, so a body is never larger than what came.
- A payload is handed out only after the signature over it was verified.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe
from joserfc.jwk import ECKey, RSAKey

from contracts.base.errors import Theirs
from contracts.wire.jsontext import once
from security.encryption_keys import DecryptKey, EncryptKey
from security.keys import JOSE, SigningKey, VerifyKey

MEDIA_TYPE: Final = "application/jose"
ENC: Final = "A256GCM"
FOR_EC: Final = "ECDH-ES+A256KW"
FOR_RSA: Final = "RSA-OAEP-256"
MAX_HEADER: Final = 2048  # characters of a header
LIMIT: Final = 64_000_000  # of the library's own; a door has bounded the body long before

_JWE_NAMES: Final = frozenset({"alg", "enc", "kid", "cty", "typ", "epk"})
_JWS_NAMES: Final = frozenset({"alg", "kid", "cty", "typ"})
_EPK_NAMES: Final = frozenset({"kty", "crv", "x", "y"})
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# What a part may end with, by how many characters it has beyond whole fours: bits that no octet needs are zero, so that bytes have one text.
_ENDS: Final = {0: _ALPHABET, 2: b"AQgw", 3: b"AEIMQUYcgkosw048"}

FindKey = Callable[[str], VerifyKey | None]


class _Registry(jwe.JWERegistry):
    """Of the library's algorithms these three and no other; its limits are for tokens, ours are the door's."""

    max_protected_header_length = MAX_HEADER
    max_ciphertext_length = LIMIT


_REGISTRY: Final = _Registry(algorithms=[FOR_EC, FOR_RSA, ENC])


class Opened(NamedTuple):
    """What was in an encrypted body: the verified payload, its media type, who signed it; `jws` proves that later without our key."""

    payload: bytes
    media_type: str
    key: VerifyKey
    jws: bytes


# --- out --------------------------------------------------------------------------------------------------------------


def seal(payload: bytes, media_type: str, signer: SigningKey, receiver: EncryptKey) -> tuple[bytes, bytes]:
    """Sign, then encrypt for one receiver: the body, and the JWS in it."""
    jws = sign(payload, media_type, signer)
    key, algorithm = _public(receiver)
    header = {"alg": algorithm, "enc": ENC, "kid": receiver.key_id, "cty": "JWS"}
    return jwe.encrypt_compact(header, jws, key, registry=_REGISTRY).encode("ascii"), jws


def sign(payload: bytes, media_type: str, signer: SigningKey) -> bytes:
    header = {"alg": JOSE[signer.algorithm], "kid": signer.key_id, "cty": media_type}
    signed = _encoded(json.dumps(header, separators=(",", ":")).encode("ascii")) + b"." + _encoded(payload)
    return signed + b"." + _encoded(signer.sign_jose(signed))


# --- in ---------------------------------------------------------------------------------------------------------------


class Opener:
    """Opens what is encrypted for us. Made once a process; `keys` are all that we still decrypt with."""

    def __init__(self, keys: Iterable[DecryptKey]) -> None:
        self._keys: Final = {key.key_id: _private(key) for key in keys}

    def open(self, body: bytes, find_key: FindKey, now: float) -> Opened:
        """Decrypt, then verify. `find_key` gives the registered signing key of an id; whose it is, is for the caller to ask."""
        return verify(self.decrypt(body), find_key, now)

    def decrypt(self, body: bytes) -> bytes:
        """The JWS in a body."""
        header = _header(_parts(body, 5, "JWE")[0], _JWE_NAMES, "JWE")
        found = self._keys.get(str(header.get("kid")))
        if found is None:  # encrypted for somebody else, or for a key that is gone
            raise Theirs("body.decryption")
        key, algorithm = found
        _expect(header, "alg", algorithm, "JWE")
        _expect(header, "enc", ENC, "JWE")
        _expect(header, "cty", "JWS", "JWE")
        _check_ephemeral(header, algorithm)
        try:
            opened = jwe.decrypt_compact(body, key, registry=_REGISTRY).plaintext
        except Exception:  # whatever the library finds: that one could tell two reasons apart is what must not be
            raise Theirs("body.decryption") from None
        if opened is None:
            raise Theirs("body.decryption")
        return opened


def verify(jws: bytes, find_key: FindKey, now: float) -> Opened:
    """The payload of a JWS that a registered key signed."""
    head, payload, signature = _parts(jws, 3, "JWS")
    header = _header(head, _JWS_NAMES, "JWS")
    key_id, media_type = header.get("kid"), header.get("cty")
    if not isinstance(key_id, str) or not isinstance(media_type, str):
        raise _wrong("JWS", '"kid":"…", "cty":"…"')
    key = find_key(key_id)
    if key is None:
        raise Theirs("signature.unknown-key", key=key_id[:80])
    if header.get("alg") != JOSE[key.algorithm]:
        raise Theirs(
            "signature.algorithm", where="JWS, alg", algorithm=str(header.get("alg"))[:40], expected=JOSE[key.algorithm]
        )
    key.check_time(now)
    key.verify_jose(head + b"." + payload, _decoded(signature))
    return Opened(_decoded(payload), media_type, key, jws)


def _parts(text: bytes, count: int, where: str) -> list[bytes]:
    if text.count(b".") != count - 1:  # before it becomes as many pieces
        raise _wrong(where, f"compact, {count} × base64url")
    parts = text.split(b".")
    one_form = all(part and part[-1] in _ENDS.get(len(part) % 4, b"") for part in parts)
    if not one_form or text.translate(None, _ALPHABET) != b"." * (count - 1):
        raise _wrong(where, f"compact, {count} × base64url")
    return parts


def _header(encoded: bytes, known: frozenset[str], where: str) -> dict[str, Any]:
    if len(encoded) > MAX_HEADER:
        raise _wrong(where, f"header <= {MAX_HEADER}")
    try:
        header = json.loads(_decoded(encoded).decode("utf-8"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise _wrong(where, "header: JSON, a name once") from None
    if not isinstance(header, dict):
        raise _wrong(where, "header: {…}")
    for name in header:
        if name not in known:
            raise _wrong(where, f"{', '.join(sorted(known))}; ≠ {name[:40]}")
    if header.get("typ", "JOSE") != "JOSE":
        raise _wrong(where, '"typ":"JOSE"')
    return header


def _check_ephemeral(header: Mapping[str, Any], algorithm: str) -> None:
    """An ephemeral key is a point of our key's curve, and there only where the algorithm has one. Whether it lies on the curve is asked when it is
    used (NIST SP 800-56A §5.6.2.3)."""
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
    return Theirs("body.encryption-profile", where=where, rule=rule)


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _private(key: DecryptKey) -> tuple[ECKey | RSAKey, str]:
    found = key.private
    return (
        (RSAKey.import_key(found), FOR_RSA)
        if isinstance(found, rsa.RSAPrivateKey)
        else (ECKey.import_key(found), FOR_EC)
    )


@lru_cache(maxsize=1024)
def _public(key: EncryptKey) -> tuple[ECKey | RSAKey, str]:
    found = key.public
    return (
        (ECKey.import_key(found), FOR_EC)
        if isinstance(found, ec.EllipticCurvePublicKey)
        else (RSAKey.import_key(found), FOR_RSA)
    )
