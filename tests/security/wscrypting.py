"""Encrypted envelopes, made and opened, for the tests beside this module."""

from __future__ import annotations

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, parse_envelope
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.verify import sign_envelope

CHILD = '<getStatus xmlns="urn:a"><code>H14.22-261124-0001</code><applicant>Hồ sơ của công dân</applicant></getStatus>'.encode()


def signed(pair, now, body=CHILD, version=V11, **more):
    return sign_envelope(
        body, pair.sign, now, **{"action": "urn:x", "message_id": "urn:uuid:1"} | more, version=version
    )


def encrypted(pair, crypt, now, body=CHILD, version=V11):
    return encrypt_envelope(signed(pair, now, body, version), crypt.encrypt_key(), version)


def opened(raw, crypt, version=V11):
    return decrypt_envelope(parse_envelope(raw, version), BodyKeys([crypt]))


def refused(raw, crypt, version=V11):
    with pytest.raises(Theirs) as caught:
        opened(raw, crypt, version)
    return caught.value


def find(root, local):
    return next(each for each in root.iter() if etree.QName(each).localname == local)
