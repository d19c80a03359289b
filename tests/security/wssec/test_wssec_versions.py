"""The same profile of WS-Security in envelopes of SOAP 1.2."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import SOAP, V11, V12, Version
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import VerifiedEnvelope, sign_envelope, verify_envelope
from tests.security.identities import Pair

CHILD = b'<a xmlns="urn:x">a &amp; b</a>'


def make(pair: Pair, now: float, version: Version) -> bytes:
    return sign_envelope(
        CHILD,
        pair.sign,
        now,
        EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1", relates_to="urn:uuid:0"),
        version=version,
    )


def verify(raw: Any, pair: Pair, now: float) -> VerifiedEnvelope:
    return verify_envelope(etree.fromstring(raw), lambda thumbprint: pair.verify, now)


@pytest.mark.parametrize("version", [V11, V12])
def test_what_is_signed_in_a_version_is_verified_in_it(p256: Pair, now: float, version: Version) -> None:
    found = verify(make(p256, now, version), p256, now)
    assert found.version is version and found.body.tag == version.body and found.relates_to == "urn:uuid:0"


def test_the_version_is_part_of_what_is_signed(p256: Pair, now: float) -> None:
    raw = make(p256, now, V12)
    assert verify(raw, p256, now).payload_digest != verify(make(p256, now, V11), p256, now).payload_digest
    spoiled = (
        raw.replace(b"a &amp; b", b"a &amp; c"),
        raw.replace(V12.namespace.encode(), SOAP.encode()),
        raw.replace(V12.namespace.encode(), SOAP.encode(), 1),  # parts of two versions are no envelope of either
    )
    for each in spoiled:
        with pytest.raises(Theirs):
            verify(each, p256, now)
