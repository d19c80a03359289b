"""Signed, then encrypted bodies (JWS in JWE, RFC 7515 and 7516) as in `docs/wire.md`, over `cryptography` alone.

RSA certificates: RSA-OAEP-256; P-256 certificates: ECDH-ES+A256KW; A256GCM in both.
Invariant: what `unseal` returns was signed by one of the given keys.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from gateway.sample_client.errors import WrongAnswer
from gateway.sample_client.jsontext import load_json
from gateway.sample_client.signing import Signer, Verifier

MEDIA_TYPE: Final = "application/jose"
_OAEP: Final = OAEP(MGF1(SHA256()), SHA256(), None)
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def seal(content: bytes, media_type: str, signer: Signer, key_id: str, certificate: x509.Certificate) -> bytes:
    """Sign, then encrypt for the key of `certificate`, whose id is `key_id`."""
    jws = _encode({"alg": signer.jose_algorithm, "kid": signer.key_id, "cty": media_type}) + b"." + _encode(content)
    jws += b"." + _encode(signer.sign(jws))
    public, cek = certificate.public_key(), os.urandom(32)
    header: dict[str, Any] = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": key_id, "cty": "JWS"}
    if isinstance(public, rsa.RSAPublicKey):
        wrapped = public.encrypt(cek, _OAEP)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        ephemeral = ec.generate_private_key(ec.SECP256R1())
        header |= {"alg": "ECDH-ES+A256KW", "epk": _as_jwk(ephemeral.public_key())}
        wrapped = aes_key_wrap(_agreed(ephemeral, public), cek)
    else:
        raise ValueError("bodies are encrypted for RSA keys and keys on P-256")
    head, iv = _encode(header), os.urandom(12)
    sealed = AESGCM(cek).encrypt(iv, jws, head)
    return b".".join([head, _encode(wrapped), _encode(iv), _encode(sealed[:-16]), _encode(sealed[-16:])])


def unseal(
    body: bytes, key_id: str, key: PrivateKey, signed_by: Callable[[str], Sequence[Verifier]], now: float
) -> tuple[bytes, str]:
    """The content and its media type. `WrongAnswer` if the body is not encrypted for us and validly signed."""
    try:
        head, wrapped, iv, text, tag = body.split(b".")
        header = _header(head, {"alg", "enc", "kid", "cty", "typ", "epk"})
        algorithm = "RSA-OAEP-256" if isinstance(key, rsa.RSAPrivateKey) else "ECDH-ES+A256KW"
        if (header.get("alg"), header.get("enc"), header.get("cty"), header.get("kid")) != (
            algorithm,
            "A256GCM",
            "JWS",
            key_id,
        ):
            raise WrongAnswer("the body is not encrypted for us as the profile says")
        if isinstance(key, rsa.RSAPrivateKey):
            cek = key.decrypt(_decode(wrapped), _OAEP)
        else:
            cek = aes_key_unwrap(_agreed(key, _from_jwk(header["epk"])), _decode(wrapped))
        jws = AESGCM(cek).decrypt(_decode(iv), _decode(text) + _decode(tag), head)
        signed, _, signature = jws.rpartition(b".")
        first, content = signed.split(b".")
        about = _header(first, {"alg", "kid", "cty", "typ"})
        media_type, algorithm = str(about["cty"]), about["alg"]
        plain, proof = _decode(content), _decode(signature)
        keys = [each for each in signed_by(about["kid"]) if each.in_force(now)]
    except (ValueError, AttributeError, KeyError, TypeError, InvalidTag, InvalidUnwrap) as wrong:
        raise WrongAnswer(f"the encrypted body cannot be read: {type(wrong).__name__}") from wrong
    if not any(algorithm == each.jose_algorithm and each.verify(signed, proof, "jose") for each in keys):
        raise WrongAnswer("the signature inside the encrypted body does not hold")
    return plain, media_type


def _agreed(mine: ec.EllipticCurvePrivateKey, theirs: ec.EllipticCurvePublicKey) -> bytes:
    """The key that wraps the content key: Concat KDF with the algorithm's name, no party information, 256 bits.

    RFC 7518 §4.6.2.
    """
    name = b"ECDH-ES+A256KW"
    info = len(name).to_bytes(4, "big") + name + bytes(4) + bytes(4) + (256).to_bytes(4, "big")
    return ConcatKDFHash(SHA256(), 32, info).derive(mine.exchange(ec.ECDH(), theirs))


def _as_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    x, y = (_encode(value.to_bytes(32, "big")).decode() for value in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}


def _from_jwk(jwk: dict[str, str]) -> ec.EllipticCurvePublicKey:
    if jwk["kty"] != "EC" or jwk["crv"] != "P-256":
        raise ValueError("a key of another curve")
    x, y = (int.from_bytes(_decode(jwk[name].encode()), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def _header(encoded: bytes, known: set[str]) -> dict[str, Any]:
    header: dict[str, Any] = load_json(_decode(encoded))
    if not header.keys() <= known:
        raise ValueError(f"a header with {', '.join(sorted(header.keys() - known))}")
    return header


def _encode(value: bytes | dict[str, Any]) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
