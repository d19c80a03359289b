"""Verifies an envelope from its bytes if each signed part is in exclusive canonical form and the envelope is common.

`security.wssec.sign` writes this form for gateways, agents and clients. The envelope is split by position, each piece
is matched completely, and digests are computed over the received bytes, without a tree or canonicalisation.
Standards: as `security.wssec.verify`.
Invariants
- `verify_envelope` accepts what is accepted here, with the same values, once the reader of the content has found it
  canonical (`contracts.codecs.xml_fast_path` does). Nothing is rejected here: None leaves the decision to it.
- Digests, signature, coverage, key and times are checked for each envelope.
This module stays only while `tests/attacks/test_attack_two_readers.py` finds no difference from `verify_envelope` or
xmlsec.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from contracts.base.errors import Failure
from contracts.wire.soap import Version
from security.freshness import SKEW
from security.keys import VerifyKey, thumbprint
from security.wssec.names import BASE64_BINARY, LGSP, WSA, WSSE, WSU, X509V3
from security.wssec.sign import (
    BODY_CLOSE,
    INFO_CLOSE,
    KEY_INFO,
    MAX_LIFE,
    SECURITY_OPEN,
    SIGNATURE_OPEN,
    frame,
    info_open,
    reference,
)

MAX_BYTES: Final = 65_536
_ENVELOPE_CLOSE: Final = BODY_CLOSE + b"</soap:Envelope>"
_SIGNATURE_OPEN: Final = len(SIGNATURE_OPEN)
_STAMP: Final = rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?Z"
# Visible ASCII without references, tags or white space.
_HEADER: Final = re.compile(
    rb'<(?:wsa:(Action|MessageID|To|RelatesTo) xmlns:wsa="%b"|lgsp:(Caller) xmlns:lgsp="%b") '
    rb'xmlns:wsu="%b" wsu:Id="([a-z-]{1,32})">'
    rb"([!-%%'-;=?-~]{1,512})</(?:wsa:\1|lgsp:\2)>"
    % (re.escape(WSA.encode()), re.escape(LGSP.encode()), re.escape(WSU.encode()))
)
_STAMP_AND_TOKEN: Final = re.compile(
    rb'(<wsu:Timestamp xmlns:wsu="%b" '
    rb'wsu:Id="timestamp"><wsu:Created>(%b)</wsu:Created><wsu:Expires>(%b)</wsu:Expires></wsu:Timestamp>)'
    rb'(<wsse:BinarySecurityToken xmlns:wsse="%b" xmlns:wsu="%b" EncodingType="%b" ValueType="%b" '
    rb'wsu:Id="token">([A-Za-z0-9+/]{1,16384}={0,2})'
    rb"</wsse:BinarySecurityToken>)"
    % (
        re.escape(WSU.encode()),
        _STAMP,
        _STAMP,
        *(re.escape(each.encode()) for each in (WSSE, WSU, BASE64_BINARY, X509V3)),
    )
)
_VALUE: Final = re.compile(rb"<ds:SignatureValue>([A-Za-z0-9+/]{1,2048}={0,2})</ds:SignatureValue>")


class FastEnvelope(NamedTuple):
    """A verified envelope. `content` is the Body's content as received; its reader must find it canonical."""

    key: VerifyKey
    content: bytes
    action: str
    message_id: str
    relates_to: str | None


def verify_fast(
    raw: bytes, version: Version, find_key_by_thumbprint: Callable[[str], VerifyKey | None], now: float
) -> FastEnvelope | None:
    """The verified envelope; None if `verify_envelope` has to decide."""
    opened, body_open = frame(version)
    if len(raw) > MAX_BYTES or not raw.startswith(opened) or not raw.endswith(_ENVELOPE_CLOSE):
        return None
    security = raw.find(SECURITY_OPEN)
    signature = raw.find(SIGNATURE_OPEN, security)
    info_end = raw.find(INFO_CLOSE, signature) + len(INFO_CLOSE)
    key_info = raw.find(KEY_INFO, info_end)
    if security < 0 or signature < 0 or info_end < len(INFO_CLOSE) or key_info < 0:
        return None
    body_start = key_info + len(KEY_INFO)
    content_start, content_end = body_start + len(body_open), len(raw) - len(_ENVELOPE_CLOSE)
    times = _STAMP_AND_TOKEN.fullmatch(raw, security + len(SECURITY_OPEN), signature)
    value = _VALUE.fullmatch(raw, info_end, key_info)
    if times is None or value is None or content_start > content_end or not raw.startswith(body_open, body_start):
        return None
    parts = {"body": raw[body_start : content_end + len(BODY_CLOSE)], "timestamp": times[1], "token": times[4]}
    headers = _headers(raw, len(opened), security, parts)
    if headers is None:
        return None
    key = find_key_by_thumbprint(_thumbprint(times[5]))
    if key is None or key.xml_method is None:
        return None
    info = raw[signature + _SIGNATURE_OPEN : info_end]
    try:
        key.check_time(now)
        if info != _signed_info(key.xml_method, parts) or not _timely(times[2], times[3], now):
            return None
        key.verify_xml(info, binascii.a2b_base64(value[1], strict_mode=True))
    except (Failure, ValueError):
        return None
    action, message_id = headers.get("Action"), headers.get("MessageID")
    if action is None or message_id is None:
        return None
    return FastEnvelope(key, raw[content_start:content_end], action, message_id, headers.get("RelatesTo"))


def _headers(raw: bytes, start: int, end: int, parts: dict[str, bytes]) -> dict[str, str] | None:
    """The texts of the header blocks by name; adds the blocks to `parts` by Id."""
    texts: dict[str, str] = {}
    match = _HEADER.match
    while start < end:
        block = match(raw, start, end)
        if block is None:
            return None
        addressing, ours, ident_bytes, text = block.groups()
        name, ident = (addressing or ours).decode("ascii"), ident_bytes.decode("ascii")
        if name in texts or ident in parts:
            return None
        texts[name], parts[ident] = text.decode("ascii"), block[0]
        start = block.end()
    return texts


def _thumbprint(token: bytes) -> str:
    try:
        return thumbprint(binascii.a2b_base64(token, strict_mode=True))
    except binascii.Error:
        return ""


def _signed_info(method: str, parts: dict[str, bytes]) -> bytes:
    """The SignedInfo with exactly one Reference for each part."""
    return b"".join(
        [info_open(method), *[reference(ident.encode("ascii"), part) for ident, part in parts.items()], INFO_CLOSE]
    )


def _timely(created: bytes, expires: bytes, now: float) -> bool:
    begin, end = (datetime.fromisoformat(each.decode("ascii")).timestamp() for each in (created, expires))
    return 0 < end - begin <= MAX_LIFE and begin <= now + SKEW and now <= end
