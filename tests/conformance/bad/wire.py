"""REST signatures of docs/wire.md (RFC 9421, RFC 9530), written from that page alone for the bad provider and caller.

`Keys` is a signing key and the keys of the other side. `sign` makes the two signature fields, `check` verifies them.
It shares no code with the gateway, so an error that both have in common cannot hide.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
BOUND = '"signature";req;key="sig1"'
REQUEST_FIELDS = ("authorization", "content-type", "content-digest", "idempotency-key", "lgsp-transfer", "lgsp-caller")
ANSWER_FIELDS = ("content-type", "content-digest", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint")


class Unproven(Exception):
    """A message whose signature does not prove it. The text is the rule that it breaks."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Our signing key, its id and certificate, and the public keys of the other side by their ids."""

    key_id: str
    private: Private
    certificate: bytes  # DER
    others: Mapping[str, Public]
    ours: str = ""  # id of the system
    gateway: str = ""  # public address, without a slash at its end

    @classmethod
    def load(cls, folder: Path) -> Keys:
        """The keys of an identity folder (docs/integrate.md, section 1)."""
        about = json.loads((folder / "system.json").read_text("utf-8"))
        private = load_pem_private_key((folder / "sign.key").read_bytes(), None)
        gateway = x509.load_pem_x509_certificate((folder / "gateway-sign.crt").read_bytes()).public_key()
        own = x509.load_pem_x509_certificate((folder / "sign.crt").read_bytes())
        assert isinstance(private, Private) and isinstance(gateway, Public)
        return cls(
            key_id=about["sign_key_id"],
            private=private,
            certificate=own.public_bytes(Encoding.DER),
            others={about["gateway_key_id"]: gateway},
            ours=about["system"],
            gateway=about["gateway"].rstrip("/"),
        )


def raw_sign(private: Private, data: bytes) -> bytes:
    """ecdsa-p256-sha256 as r‖s, ed25519, or rsa-v1_5-sha256: what the key allows."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(data, padding.PKCS1v15(), hashes.SHA256())
    return private.sign(data)


def raw_check(public: Public, signature: bytes, data: bytes) -> bool:
    try:
        if isinstance(public, ec.EllipticCurvePublicKey):
            if len(signature) != 64:
                return False
            der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            public.verify(der, data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(public, rsa.RSAPublicKey):
            public.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _base(items: Sequence[str], params: str, derived: Mapping[str, str], fields: Mapping[str, str]) -> bytes:
    lines = []
    for item in items:
        name = item.strip('"')
        value = derived[item] if item in derived else fields.get(name)
        if value is None:
            raise Unproven(f"{item} is covered but missing")
        lines.append(f"{item}: {value.strip()}")
    return "\n".join([*lines, f'"@signature-params": {params}']).encode()


def sign(
    keys: Keys, items: Sequence[str], params: str, derived: Mapping[str, str], fields: Mapping[str, str]
) -> dict[str, str]:
    whole = f"({' '.join(items)}){params}"
    value = base64.b64encode(raw_sign(keys.private, _base(items, whole, derived, fields))).decode()
    return {"signature-input": f"sig1={whole}", "signature": f"sig1=:{value}:"}


def sign_request(
    keys: Keys, method: str, target: str, fields: Mapping[str, str], *, created: int, nonce: str, without: str = ""
) -> dict[str, str]:
    names = [f'"{name}"' for name in REQUEST_FIELDS if name in fields and name != without]
    params = f';created={created};expires={created + 60};nonce="{nonce}";keyid="{keys.key_id}";tag="lgsp-request"'
    return sign(
        keys, ['"@method"', '"@target-uri"', *names], params, {'"@method"': method, '"@target-uri"': target}, fields
    )


def sign_answer(
    keys: Keys, status: int, fields: Mapping[str, str], request: Mapping[str, str], *, created: int, bound: bool = True
) -> dict[str, str]:
    names = [f'"{name}"' for name in ANSWER_FIELDS if name in fields]
    derived = {'"@status"': str(status), BOUND: request.get("signature", "").partition("=")[2]}
    params = f';created={created};keyid="{keys.key_id}";tag="lgsp-answer"'
    return sign(keys, ['"@status"', *names, *([BOUND] if bound else [])], params, derived, fields)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature says: its covered components and parameters."""

    items: tuple[str, ...]
    params: Mapping[str, str]
    whole: str
    value: bytes


_INPUT = re.compile(r'sig1=(\(([^()]*)\)((?:;[a-z]+=(?:\d+|"[^"]*"))*))')
_VALUE = re.compile(r"sig1=:([A-Za-z0-9+/=]+):")


def read(fields: Mapping[str, str]) -> Signed:
    found = _INPUT.fullmatch(fields.get("signature-input", ""))
    value = _VALUE.fullmatch(fields.get("signature", ""))
    if found is None or value is None:
        raise Unproven("no signature")
    params = {name: text.strip('"') for name, text in re.findall(r';([a-z]+)=(\d+|"[^"]*")', found[3])}
    return Signed(tuple(found[2].split()), params, found[1], base64.b64decode(value[1]))


def check(keys: Keys, needed: set[str], tag: str, derived: Mapping[str, str], fields: Mapping[str, str]) -> Signed:
    """Verify coverage, tag, key and signature. The digest and the times are the caller's to compare."""
    signed = read(fields)
    if needed - set(signed.items):
        raise Unproven("the signature does not cover " + ", ".join(sorted(needed - set(signed.items))))
    if signed.params.get("tag") != tag:
        raise Unproven("wrong tag")
    public = keys.others.get(signed.params.get("keyid", ""))
    if public is None:
        raise Unproven("unknown key")
    if not raw_check(public, signed.value, _base(signed.items, signed.whole, derived, fields)):
        raise Unproven("wrong signature")
    return signed


def needed_of_request(fields: Mapping[str, str]) -> set[str]:
    return {'"@method"', '"@target-uri"', *(f'"{name}"' for name in REQUEST_FIELDS if name in fields)}


def check_answer(
    keys: Keys, status: int, fields: Mapping[str, str], body: bytes, request: Mapping[str, str], *, digests: bool = True
) -> None:
    """Verify an answer as its caller: all that it carries is covered, and our own signature is."""
    derived = {'"@status"': str(status), BOUND: request["signature"].partition("=")[2]}
    needed = {'"@status"', BOUND, *(f'"{name}"' for name in ANSWER_FIELDS if name in fields)}
    check(keys, needed, "lgsp-answer", derived, fields)
    if digests and body and fields.get("content-digest") != digest(body):
        raise Unproven("Content-Digest does not fit the body")
