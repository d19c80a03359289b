"""The classical forms of signature wrapping over encrypted envelopes of SOAP 1.1 and 1.2.

Two attackers: one moves the ciphertext that he cannot read and puts his own beside it; one knows the plaintext, wraps
the signed envelope and encrypts the result for the receiver anew, as anybody can. Neither gets anything through.
"""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.encrypt import encrypt_envelope
from security.wssec.names import DS, SOAP, WSSE, XENC
from security.wssec.sign import EnvelopeHeaders
from security.wssec.verify import sign_envelope, verify_envelope
from tests.security.identities import Pair
from tests.security.wssec.test_wssec_wrapping import CHILD, EVIL, FORMS

KEY, DATA = f"{{{XENC}}}EncryptedKey", f"{{{XENC}}}EncryptedData"


def envelope(pair: Pair, crypt: DecryptKey, now: float, version: Version, content: bytes = CHILD) -> Any:
    raw = sign_envelope(
        content, pair.sign, now, EnvelopeHeaders(action="urn:x", message_id="urn:uuid:1"), version=version
    )
    return raw, encrypt_envelope(raw, crypt.encrypt_key(), version)


def as_soap11(raw: bytes, version: Version) -> Any:
    """The forms are written in the names of SOAP 1.1."""
    return etree.fromstring(raw.replace(version.namespace.encode(), SOAP.encode()))


def received(root: Any, version: Version, crypt: DecryptKey, pair: Pair, now: float) -> Any:
    raw = etree.tostring(root).replace(SOAP.encode(), version.namespace.encode())
    opened = decrypt_envelope(parse_envelope(raw, version), BodyKeys([crypt]))
    return verify_envelope(opened.root, lambda _: pair.verify, now)


REFUSALS = {"body.encryption-profile", "soap.malformed", "signature.missing", "signature.several"}

both = pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)


@both
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_ciphertext_that_is_moved(form: Any, version: Version, p256: Pair, crypt: DecryptKey, now: float) -> None:
    """The evil Body is in clear."""
    root = as_soap11(envelope(p256, crypt, now, version)[1], version)
    form(root)
    with pytest.raises(Theirs) as caught:
        received(root, version, crypt, p256, now)
    assert caught.value.code in {FORMS[form], *REFUSALS}


def bodies_of(root: Any) -> list[Any]:
    return [each for each in root if each.tag == f"{{{SOAP}}}Body"]


@both
@pytest.mark.parametrize("kept", [True, False], ids=["beside the old ciphertext", "in its place"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_wrapped_and_encrypted_anew(
    form: Any, kept: bool, version: Version, p256: Pair, crypt: DecryptKey, now: float
) -> None:
    """The evil Body is encrypted for the receiver as the profile asks: what comes out is refused as if it had come in
    clear, or before."""
    plain, hidden = envelope(p256, crypt, now, version)
    root = as_soap11(hidden if kept else plain, version)
    form(root)
    last = bodies_of(root)[-1]
    content = b"".join(etree.tostring(each, with_tail=False) for each in last)
    own = as_soap11(encrypt_envelope(plain.replace(CHILD, content), crypt.encrypt_key(), version), version)
    for each in list(last):
        last.remove(each)
    last.append(next(own.iter(DATA)))
    security = next(root.iter(f"{{{WSSE}}}Security"))
    for old in security.findall(KEY):
        security.remove(old)
    security.insert(0, next(own.iter(KEY)))
    with pytest.raises(Theirs) as caught:
        received(root, version, crypt, p256, now)
    assert caught.value.code in {FORMS[form], *REFUSALS}


@both
def test_the_whole_content_exchanged(version: Version, p256: Pair, crypt: DecryptKey, now: float) -> None:
    """Not even wrapping: another content, rightly encrypted, under the old signature."""
    root = as_soap11(envelope(p256, crypt, now, version)[1], version)
    own = as_soap11(envelope(p256, crypt, now, version, EVIL)[1], version)
    for tag in (KEY, DATA):
        old = next(root.iter(tag))
        old.getparent().replace(old, next(own.iter(tag)))
    with pytest.raises(Theirs) as caught:
        received(root, version, crypt, p256, now)
    assert caught.value.code == "signature.digest-mismatch"


@both
def test_a_signature_smuggled_in_with_the_plaintext(
    version: Version, p256: Pair, other: Pair, crypt: DecryptKey, now: float
) -> None:
    """The plaintext brings a whole signed envelope of somebody else; it is content, and proves nothing."""
    inner, _ = envelope(other, crypt, now, version)
    raw, _ = envelope(p256, crypt, now, version)
    hidden = encrypt_envelope(raw.replace(CHILD, inner), crypt.encrypt_key(), version)
    opened = decrypt_envelope(parse_envelope(hidden, version), BodyKeys([crypt]))
    assert len(list(opened.root.iter(f"{{{DS}}}Signature"))) == 2
    with pytest.raises(Theirs) as caught:
        verify_envelope(opened.root, lambda _: p256.verify, now)
    assert caught.value.code == "signature.duplicate-id"
