"""Encrypted envelopes, made and opened, for the tests beside this module."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.wssec.decrypt import BodyKeys, Opened, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope
from tests.security.identities import Pair

CHILD = (
    '<getStatus xmlns="urn:a"><code>H14.22-261124-0001</code><applicant>Hồ sơ của công dân</applicant></getStatus>'
).encode()


def signed(pair: Pair, now: float, body: bytes = CHILD, version: Version = V11, **more: Any) -> bytes:
    addressed = EnvelopeHeaders(**{"action": "urn:x", "message_id": "urn:uuid:1"} | more)
    return sign_envelope(body, pair.sign, now, addressed, version=version)


def encrypted(pair: Pair, crypt: DecryptKey, now: float, body: bytes = CHILD, version: Version = V11) -> bytes:
    return encrypt_envelope(signed(pair, now, body, version), crypt.encrypt_key(), version)


def opened(raw: bytes, crypt: DecryptKey, version: Version = V11) -> Opened:
    return decrypt_envelope(parse_envelope(raw, version), BodyKeys([crypt]))


def refused(raw: bytes, crypt: DecryptKey, version: Version = V11) -> Theirs:
    with pytest.raises(Theirs) as caught:
        opened(raw, crypt, version)
    return caught.value


def find(root: Any, local: str) -> Any:
    return next(each for each in root.iter() if etree.QName(each).localname == local)
