"""Signed messages as an attacker makes them: right in everything but the one thing that is tried.

REST: a signature over any list of components, with any parameters, by any key. SOAP: an envelope changed after or
before it is signed. JOSE: tokens with any header. All written from RFC 9421, XML-DSig and RFC 7515, without the
product's code.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree

from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared
from gateway.sample_client.wssec import DS, EXC_C14N, canonical

N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # the order of P-256
USUAL = ("@method", "@target-uri", "authorization", "content-type", "content-digest", "idempotency-key")
Make = Callable[[bytes], bytes]


def mirrored(value: bytes) -> bytes:
    """The other value that is right for the same message: (r, n - s)."""
    return value[:32] + (N - int.from_bytes(value[32:], "big")).to_bytes(32, "big")


def spki(identity: Identity) -> bytes:
    """The system's public key in PEM, which everybody may know."""
    return identity.signer.certificate.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


# --- RFC 9421 ---------------------------------------------------------------------------------------------------------


def parameters(prepared: Prepared) -> str:
    """What stands behind the list in the Signature-Input of a prepared request."""
    return str(prepared.headers["signature-input"]).partition(")")[2]


def forged(
    prepared: Prepared,
    make: Make,
    *,
    names: Sequence[str] | None = None,
    params: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Prepared:
    """The request signed anew: `names` are components as they stand in the list, `make` gives the value for a signature
    base."""
    given = {**prepared.headers, **(headers or {})}
    quoted = [f'"{name}"' for name in USUAL if name.startswith("@") or name in given] if names is None else list(names)
    behind = parameters(prepared) if params is None else params
    lines = []
    for name in quoted:
        plain = name.split('"')[1].lower() if '"' in name else name
        value = {"@method": prepared.method, "@target-uri": prepared.target}.get(plain, given.get(plain, ""))
        lines.append(f"{name}: {value}")
    covered = f"({' '.join(quoted)}){behind}"
    base = "\n".join([*lines, f'"@signature-params": {covered}']).encode("latin-1")
    made = {**given, "signature-input": f"sig1={covered}", "signature": f"sig1=:{b64(make(base))}:"}
    return Prepared(prepared.method, prepared.path, prepared.target, made, prepared.body)


# --- XML-DSig ---------------------------------------------------------------------------------------------------------


def part(root: etree._Element, name: str) -> etree._Element:
    found = next(root.iter(f"{{{DS}}}{name}"))
    return found


def signed_again(root: etree._Element, make: Make) -> None:
    """The value of the signature made anew, after SignedInfo was changed."""
    part(root, "SignatureValue").text = b64(make(canonical(part(root, "SignedInfo"))))


def reference(info: etree._Element, uri: str | None, *transforms: str | bytes, digest: str = "AAAA") -> etree._Element:
    """One more Reference; a transform is its algorithm, or a whole element."""
    made = etree.SubElement(info, f"{{{DS}}}Reference")
    if uri is not None:
        made.set("URI", uri)
    holder = etree.SubElement(made, f"{{{DS}}}Transforms")
    for each in transforms or (EXC_C14N,):
        holder.append(
            etree.fromstring(each) if isinstance(each, bytes) else etree.Element(f"{{{DS}}}Transform", Algorithm=each)
        )
    etree.SubElement(made, f"{{{DS}}}DigestMethod", Algorithm="http://www.w3.org/2001/04/xmlenc#sha256")
    etree.SubElement(made, f"{{{DS}}}DigestValue").text = digest
    return made


# --- JOSE -------------------------------------------------------------------------------------------------------------


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def jws(header: Mapping[str, Any] | bytes, claims: Mapping[str, Any] | bytes, make: Make) -> str:
    """A compact JWS with exactly these bytes of header and payload."""
    top, inner = (each if isinstance(each, bytes) else json.dumps(each).encode() for each in (header, claims))
    text = f"{b64url(top)}.{b64url(inner)}"
    return f"{text}.{b64url(make(text.encode()))}"
