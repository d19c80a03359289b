"""The same profile of WS-Security in envelopes of SOAP 1.2."""

from __future__ import annotations

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import SOAP, V11, V12
from security.wssec.verify import sign_envelope, verify_envelope

CHILD = b'<a xmlns="urn:x">a &amp; b</a>'


def make(pair, now, version):
    return sign_envelope(
        CHILD, pair.sign, now, action="urn:x", message_id="urn:uuid:1", relates_to="urn:uuid:0", version=version
    )


def verify(raw, pair, now):
    return verify_envelope(etree.fromstring(raw), lambda thumbprint: pair.verify, now)


@pytest.mark.parametrize("version", [V11, V12])
def test_what_is_signed_in_a_version_is_verified_in_it(p256, now, version):
    found = verify(make(p256, now, version), p256, now)
    assert found.version is version and found.body.tag == version.body and found.relates_to == "urn:uuid:0"


def test_the_version_is_part_of_what_is_signed(p256, now):
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
