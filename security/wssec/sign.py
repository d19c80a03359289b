"""Makes a signed SOAP envelope by templates.

Each signed element is written in its exclusive canonical form and declares its own prefixes. So the digested bytes are
the sent bytes, without canonicalisation (except for a Body whose content uses our prefixes).
Invariant: for each signed part, exclusive C14N of the element in the finished envelope gives exactly the bytes digested
here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from lxml import etree

from contracts.base.times import rfc3339
from contracts.wire.soap import V11, Version
from contracts.wire.xmltext import escape_text
from security.keys import SigningKey
from security.wssec.names import BASE64_BINARY, DIGEST_SHA256, DS, EXC_C14N, LGSP, WSA, WSSE, WSU, X509V3

MAX_LIFE: Final = 300

SECURITY_OPEN: Final = f'<wsse:Security xmlns:wsse="{WSSE}" soap:mustUnderstand="1">'.encode()
INFO_CLOSE: Final = b"</ds:SignedInfo>"
BODY_CLOSE: Final = b"</soap:Body>"
SIGNATURE_OPEN: Final = f'<ds:Signature xmlns:ds="{DS}">'.encode()
_STAMP_OPEN: Final = f'<wsu:Timestamp xmlns:wsu="{WSU}" wsu:Id="timestamp"><wsu:Created>'
KEY_INFO: Final = (
    f'<ds:KeyInfo><wsse:SecurityTokenReference xmlns:wsse="{WSSE}"><wsse:Reference URI="#token" '
    f'ValueType="{X509V3}"></wsse:Reference>'
    "</wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature></wsse:Security></soap:Header>"
).encode()
_REFERENCE: Final = (
    b'<ds:Reference URI="#%b"><ds:Transforms><ds:Transform Algorithm="'
    + EXC_C14N.encode()
    + b'"></ds:Transform></ds:Transforms>'
    b'<ds:DigestMethod Algorithm="'
    + DIGEST_SHA256.encode()
    + b'"></ds:DigestMethod><ds:DigestValue>%b</ds:DigestValue></ds:Reference>'
)
_OWN_PREFIX: Final = re.compile(rb'xmlns:(?:soap|wsu)="')


def _header(namespace: str, prefix: str, local: str, ident: str, text: str) -> tuple[str, bytes]:
    # Canonical XML orders namespace declarations by prefix: lgsp and wsa both come before wsu.
    name = f"{prefix}:{local}"
    attributes = f'xmlns:{prefix}="{namespace}" xmlns:wsu="{WSU}" wsu:Id="{ident}"'
    return ident, f"<{name} {attributes}>{escape_text(text)}</{name}>".encode()


def caller_block(agency: str, system: str) -> tuple[str, bytes]:
    """The header that tells a provider for whom the gateway calls."""
    return _header(LGSP, "lgsp", "Caller", "caller", f"{agency}/{system}")


def receipt_block(transfer: str, hashes: Sequence[tuple[str, bytes]], checkpoint: str) -> tuple[str, bytes]:
    """The header of an answer. `hashes`: ("Intent", "Outcome" or "Refusal", leaf hash)."""
    leaves = "".join([f"<lgsp:{name}>{base64.b64encode(leaf).decode('ascii')}</lgsp:{name}>" for name, leaf in hashes])
    note = base64.b64encode(checkpoint.encode()).decode("ascii")
    return "receipt", (
        f'<lgsp:Receipt xmlns:lgsp="{LGSP}" xmlns:wsu="{WSU}" '
        f'wsu:Id="receipt"><lgsp:Transfer>{escape_text(transfer)}</lgsp:Transfer>'
        f"{leaves}<lgsp:Checkpoint>{note}</lgsp:Checkpoint></lgsp:Receipt>"
    ).encode()


@lru_cache(maxsize=64)
def _prepared(certificate_der: bytes, method: str) -> tuple[bytes, bytes, bytes]:
    """The parts equal in all messages of a key: its token, the Reference to it, and the start of SignedInfo."""
    token = (
        f'<wsse:BinarySecurityToken xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}" EncodingType="{BASE64_BINARY}" '
        f'ValueType="{X509V3}" wsu:Id="token">'
        f"{base64.b64encode(certificate_der).decode('ascii')}</wsse:BinarySecurityToken>"
    ).encode()
    return token, reference(b"token", token), info_open(method)


@lru_cache(maxsize=16)
def info_open(method: str) -> bytes:
    """The start of SignedInfo with this SignatureMethod, up to its first Reference."""
    return (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXC_C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
    ).encode()


def reference(ident: bytes, canonical: bytes) -> bytes:
    """The Reference to a part, with its digest."""
    return _REFERENCE % (ident, _base64(_sha256(canonical)))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False)


@lru_cache(maxsize=2)
def frame(version: Version) -> tuple[bytes, bytes]:
    """The start of the envelope of a version, and of its Body."""
    return (
        f'<soap:Envelope xmlns:soap="{version.namespace}"><soap:Header>'.encode(),
        f'<soap:Body xmlns:soap="{version.namespace}" xmlns:wsu="{WSU}" wsu:Id="body">'.encode(),
    )


def _body(opened: bytes, content: bytes) -> bytes:
    whole = opened + content + BODY_CLOSE
    if _OWN_PREFIX.search(content) is None:
        return whole
    # The content declares a prefix that Body declares too (as a Fault does): canonical XML would not repeat it.
    element = etree.fromstring(
        whole, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    )
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


class EnvelopeHeaders(NamedTuple):
    """The WS-Addressing headers of an envelope, and the life of its Timestamp in seconds."""

    action: str
    message_id: str
    to: str | None = None
    relates_to: str | None = None
    lifetime: float = MAX_LIFE


def sign_envelope(
    body: bytes,
    key: SigningKey,
    now: float,
    addressed: EnvelopeHeaders,
    *,
    blocks: Sequence[tuple[str, bytes]] = (),
    version: Version = V11,
    digest_body: Callable[[bytes], bytes] = _sha256,
) -> bytes:
    """The whole envelope. `body` is the Body's content in exclusive canonical form.

    `blocks` are further signed headers, (wsu:Id, element in exclusive canonical form with that Id), as from
    `caller_block` and `receipt_block`. `now` in Unix seconds.
    `digest_body` gives the SHA-256 of the Body as it is sent, for a Body with stand-ins for large contents.
    """
    token, token_reference, info = _prepared(key.certificate_der, key.xml_method)
    envelope_open, body_open = frame(version)
    signed_body = _body(body_open, body)
    created, expires = rfc3339(now), rfc3339(now + addressed.lifetime)
    stamp = f"{_STAMP_OPEN}{created}</wsu:Created><wsu:Expires>{expires}</wsu:Expires></wsu:Timestamp>".encode()
    headers = [
        _header(WSA, "wsa", "Action", "action", addressed.action),
        _header(WSA, "wsa", "MessageID", "message-id", addressed.message_id),
    ]
    if addressed.to is not None:
        headers.append(_header(WSA, "wsa", "To", "to", addressed.to))
    if addressed.relates_to is not None:
        headers.append(_header(WSA, "wsa", "RelatesTo", "relates-to", addressed.relates_to))
    headers.extend(blocks)
    written = [envelope_open]
    signed = [
        info,
        _REFERENCE % (b"body", _base64(digest_body(signed_body))),
        reference(b"timestamp", stamp),
        token_reference,
    ]
    for ident, element in headers:
        written.append(element)
        signed.append(reference(ident.encode(), element))
    signed.append(INFO_CLOSE)
    signed_info = b"".join(signed)
    written += (
        SECURITY_OPEN,
        stamp,
        token,
        SIGNATURE_OPEN,
        signed_info,
        b"<ds:SignatureValue>",
        base64.b64encode(key.sign_xml(signed_info)),
        b"</ds:SignatureValue>",
        KEY_INFO,
        signed_body,
        b"</soap:Envelope>",
    )
    return b"".join(written)
