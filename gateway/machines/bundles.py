"""Seals the instance's keys for exactly one machine.

    {"jwe": JWE compact (RFC 7516), "mac": HMAC-SHA-256}      alg ECDH-ES (P-256, RFC 7518 §4.6), enc A256GCM,
                                                              apu: instance, apv: machine and generation

Invariants: the key of the content depends on instance, machine and generation (apu, apv), so a bundle of another
opens nothing. The MAC is checked first: it proves that the instance made it, which encryption alone does not.
"""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.jwk import ECKey

from gateway.machines.errors import MACHINE_BUNDLE
from gateway.machines.secrets import Secret

LARGEST: Final = 2_000_000  # characters of a sealed bundle
_ALG, _ENC, _TYPE = "ECDH-ES", "A256GCM", "lgsp-machine-keys"


class _Registry(jwe.JWERegistry):
    max_protected_header_length = 2048
    max_ciphertext_length = LARGEST


_REGISTRY: Final = _Registry(algorithms=[_ALG, _ENC])


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a machine is handed. `files` by their path in the data folder, keys in the clear; `settings` that differ
    from the defaults."""

    generation: int
    files: dict[str, bytes]
    settings: dict[str, Any]


def public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Raises ValueError for anything but a key on P-256."""
    key = serialization.load_pem_public_key(pem.encode("ascii"))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("no key on P-256")
    return key


def seal(bundle: Bundle, receiver: str, secret: Secret) -> str:
    """For the machine of the secret; `receiver` is its public key in PEM."""
    files = {name: base64.b64encode(data).decode("ascii") for name, data in bundle.files.items()}
    plain = json.dumps({"v": 1, "files": files, "settings": bundle.settings}).encode()
    header = {"alg": _ALG, "enc": _ENC, "typ": _TYPE, **_parties(secret, bundle.generation)}
    public_key(receiver)
    text = jwe.encrypt_compact(header, plain, ECKey.import_key(receiver), registry=_REGISTRY)
    return json.dumps({"jwe": text, "mac": secret.mac(bundle.generation, text)})


def unseal(sealed: str, generation: int, private: ec.EllipticCurvePrivateKey, secret: Secret) -> Bundle:
    """Raises `machine.bundle` for one that was altered, or is another machine's, instance's or generation's."""
    if len(sealed) > LARGEST:
        raise _wrong(secret, "too large")
    try:
        parts = json.loads(sealed)
        text, mac = str(parts["jwe"]), str(parts["mac"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _wrong(secret, "no bundle") from None
    if not hmac.compare_digest(secret.mac(generation, text).encode(), mac.encode()):
        raise _wrong(secret, "not made by this instance for this machine")
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        opened = jwe.decrypt_compact(text, ECKey.import_key(pem), registry=_REGISTRY)
    except Exception:  # all causes look the same
        raise _wrong(secret, "it does not open") from None
    header = opened.protected
    wanted = {"alg": _ALG, "enc": _ENC, "typ": _TYPE, **_parties(secret, generation)}
    if {name: value for name, value in header.items() if name != "epk"} != wanted or opened.plaintext is None:
        raise _wrong(secret, "of another machine")
    content = json.loads(opened.plaintext)
    files = {str(name): base64.b64decode(data) for name, data in content["files"].items()}
    return Bundle(generation, files, dict(content["settings"]))


def _parties(secret: Secret, generation: int) -> dict[str, str]:
    def encoded(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")

    return {"apu": encoded(secret.instance), "apv": encoded(f"{secret.machine} {generation}")}


def _wrong(secret: Secret, why: str) -> Exception:
    return MACHINE_BUNDLE(machine=secret.machine, reason=why)
