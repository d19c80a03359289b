"""Encrypted envelopes: what we encrypt we decrypt and verify; each departure from the profile has its refusal;
decryption fails in one way only."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope, is_encrypted
from security.wssec.encrypt import OAEP, blinded, encrypt_envelope
from security.wssec.names import AES256_GCM, CONTENT, DS, SUBJECT_KEY_ID, WSSE, WSU, XENC
from security.wssec.verify import verify_envelope
from tests.security.identities import Pair
from tests.security.wssec.wscrypting import CHILD, encrypted, find, opened, refused, signed

both = pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)


# --- what holds -------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("signer", ["p256", "rsa_pair"])
def test_what_we_encrypt_we_decrypt_and_verify(
    signer: str, version: Version, crypt: DecryptKey, now: float, request: pytest.FixtureRequest
) -> None:
    pair = request.getfixturevalue(signer)
    before = signed(pair, now, version=version)
    raw = encrypt_envelope(before, crypt.encrypt_key(), version)
    assert b"getStatus" not in raw and b"H14.22" not in raw
    assert is_encrypted(parse_envelope(raw, version)) and not is_encrypted(parse_envelope(before, version))
    found = opened(raw, crypt, version)
    assert etree.tostring(found.root) == etree.tostring(parse_envelope(before, version))
    envelope = verify_envelope(found.root, lambda _: pair.verify, now)
    plain = verify_envelope(parse_envelope(before, version), lambda _: pair.verify, now)
    assert (envelope.payload_digest, envelope.replay_key) == (plain.payload_digest, plain.replay_key)


def test_the_opened_bytes_verify_later(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """What is kept as evidence beside the ciphertext proves the signature without the key that opened it."""
    raw = opened(encrypted(p256, crypt, now), crypt).raw
    assert verify_envelope(parse_envelope(raw), lambda _: p256.verify, now).body[0].tag == "{urn:a}getStatus"


def test_nothing_is_encrypted_twice_in_the_same_way(p256: Pair, crypt: DecryptKey, now: float) -> None:
    one, two = (etree.fromstring(encrypted(p256, crypt, now)) for _ in range(2))
    values = [[each.text for each in root.iter(f"{{{XENC}}}CipherValue")] for root in (one, two)]
    assert len({*values[0], *values[1]}) == 4


def test_the_digest_in_clear_tells_nothing_of_a_short_content(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """The same content, signed twice for encryption, has two digests; for repeats it is the same message."""
    found = []
    for _ in range(2):
        raw = encrypted(p256, crypt, now, blinded(CHILD))
        references = [each for each in etree.fromstring(raw).iter(f"{{{DS}}}Reference") if each.get("URI") == "#body"]
        found.append(
            (
                references[0].findtext(f"{{{DS}}}DigestValue"),
                verify_envelope(opened(raw, crypt).root, lambda _: p256.verify, now),
            )
        )
    assert found[0][0] != found[1][0] and found[0][1].payload_digest == found[1][1].payload_digest
    blind = found[0][1].body.text or ""
    assert len(blind) == 128 and set(blind) == {" ", "\t"}


def test_whoever_encrypts_blinds_what_he_signs() -> None:
    root = Path(__file__).parents[3]
    texts = {path: path.read_text("utf-8") for room in ("gateway", "adapters") for path in (root / room).rglob("*.py")}
    encrypting = {path for path, text in texts.items() if "encrypt_envelope(" in text}
    assert len(encrypting) >= 4 and encrypting == {path for path, text in texts.items() if "blinded(" in text}


def test_an_ec_key_has_no_part_in_xml_encryption(p256: Pair, ec_crypt: DecryptKey, now: float) -> None:
    with pytest.raises(Theirs) as caught:
        encrypted(p256, ec_crypt, now)
    assert caught.value.code == "key.unacceptable"


def test_a_body_of_the_largest_size(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """Base64 lets some 3.7 MB of content into a message of 5 MB."""
    body = b"<a>" + b"x" * 3_700_000 + b"</a>"
    raw = encrypted(p256, crypt, now, body)
    assert 4_900_000 < len(raw) < 5_000_000
    assert verify_envelope(opened(raw, crypt).root, lambda _: p256.verify, now).body[0].text == "x" * 3_700_000


def test_keys_overlap(p256: Pair, crypt: DecryptKey, other_crypt: DecryptKey, now: float) -> None:
    keys = BodyKeys([crypt, other_crypt])
    for each in (crypt, other_crypt):
        decrypt_envelope(parse_envelope(encrypted(p256, each, now)), keys)


def test_content_that_uses_the_namespaces_of_its_place(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """A Fault declares no prefix that Body declares too: it is read where it stands."""
    fault = f'<soap:Fault xmlns:soap="{V11.namespace}"><faultcode>soap:Client</faultcode></soap:Fault>'.encode()
    root = opened(encrypted(p256, crypt, now, fault), crypt).root
    assert verify_envelope(root, lambda _: p256.verify, now).body[0].tag == f"{{{V11.namespace}}}Fault"


# --- the receiver's names ---------------------------------------------------------------------------------------------


def renamed(pair: Pair, crypt: DecryptKey, now: float, key_info: str) -> bytes:
    root = etree.fromstring(encrypted(pair, crypt, now))
    holder = find(root, "EncryptedKey").find(f"{{{DS}}}KeyInfo")[0]
    holder.remove(holder[0])
    holder.append(etree.fromstring(key_info))
    return etree.tostring(root)


def names(crypt: DecryptKey) -> dict[str, str]:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(crypt.certificate_der)
    ski = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    issuer, serial = certificate.issuer.rfc4514_string(), certificate.serial_number
    return {
        "ski": f'<w:KeyIdentifier xmlns:w="{WSSE}" '
        f'ValueType="{SUBJECT_KEY_ID}">{base64.b64encode(ski).decode()}</w:KeyIdentifier>',
        "serial": f'<d:X509Data xmlns:d="{DS}"><d:X509IssuerSerial><d:X509IssuerName>{issuer}</d:X509IssuerName>'
        f"<d:X509SerialNumber>{serial}</d:X509SerialNumber></d:X509IssuerSerial></d:X509Data>",
    }


@pytest.mark.parametrize("kind", ["ski", "serial"])
def test_other_stacks_name_the_receiver_otherwise(
    kind: str, p256: Pair, crypt: DecryptKey, other_crypt: DecryptKey, now: float
) -> None:
    assert opened(renamed(p256, crypt, now, names(crypt)[kind]), crypt)
    assert refused(renamed(p256, crypt, now, names(other_crypt)[kind]), crypt).code == "body.decryption"


@pytest.mark.parametrize(
    "named",
    [
        f'<w:Reference xmlns:w="{WSSE}" URI="#token"/>',
        f'<w:KeyIdentifier xmlns:w="{WSSE}" ValueType="urn:other">AAAA</w:KeyIdentifier>',
        f'<w:KeyIdentifier xmlns:w="{WSSE}" ValueType="{SUBJECT_KEY_ID}">!</w:KeyIdentifier>',
        f'<w:KeyIdentifier xmlns:w="{WSSE}" ValueType="{SUBJECT_KEY_ID}" EncodingType="urn:hex">00</w:KeyIdentifier>',
        f'<d:KeyName xmlns:d="{DS}">gateway</d:KeyName>',
        f'<d:X509Data xmlns:d="{DS}"><d:X509Certificate>AAAA</d:X509Certificate></d:X509Data>',
        "<d:X509Data "
        f'xmlns:d="{DS}"><d:X509IssuerSerial><d:X509IssuerName/><d:X509SerialNumber>{"9" * 5000}</d:X509SerialNumber>'
        "</d:X509IssuerSerial></d:X509Data>",
    ],
)
def test_names_that_are_not_understood(named: str, p256: Pair, crypt: DecryptKey, now: float) -> None:
    assert refused(renamed(p256, crypt, now, named), crypt).code == "body.encryption-profile"


# --- one failure for all that goes wrong inside -----------------------------------------------------------------------


def ciphers(root: Any) -> list[Any]:
    return list(root.iter(f"{{{XENC}}}CipherValue"))


def flipped(at: int) -> Callable[..., bytes]:
    def change(raw: bytes, *_: Any) -> bytes:
        spoilt = bytearray(raw)
        spoilt[at] ^= 1
        return bytes(spoilt)

    return change


def wrap(crypt: DecryptKey, key: bytes, scheme: padding.AsymmetricPadding) -> bytes:
    public = crypt.encrypt_key().public
    assert isinstance(public, rsa.RSAPublicKey)
    return public.encrypt(key, scheme)


def another_key(_: Any, crypt: DecryptKey) -> bytes:
    return wrap(crypt, os.urandom(32), OAEP)


def a_short_key(_: Any, crypt: DecryptKey) -> bytes:
    return wrap(crypt, os.urandom(16), OAEP)


def no_key_at_all(_: Any, crypt: DecryptKey) -> bytes:
    return wrap(crypt, b"", OAEP)


def the_old_padding(_: Any, crypt: DecryptKey) -> bytes:
    return wrap(crypt, os.urandom(32), padding.PKCS1v15())


def with_sha1(_: Any, crypt: DecryptKey) -> bytes:
    old = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
    return wrap(crypt, os.urandom(32), old)


def larger_than_the_modulus(raw: bytes, _: Any) -> bytes:
    return b"\xff" * len(raw)


WRONG = [
    *[
        (0, change)
        for change in (flipped(0), flipped(-1), another_key, a_short_key, no_key_at_all, the_old_padding, with_sha1)
    ],
    (0, larger_than_the_modulus),
    (0, lambda raw, _: bytes(len(raw))),
    *[
        (1, change)
        for change in (flipped(0), flipped(12), flipped(-1), lambda raw, _: raw[:-1], lambda raw, _: bytes(28))
    ],
]


@pytest.mark.parametrize(("which", "change"), WRONG)
def test_decryption_fails_in_one_way(
    which: int, change: Callable[[bytes, DecryptKey], bytes], p256: Pair, crypt: DecryptKey, now: float
) -> None:
    root = etree.fromstring(encrypted(p256, crypt, now))
    element = ciphers(root)[which]
    element.text = base64.b64encode(change(base64.b64decode(element.text), crypt)).decode()
    failure = refused(etree.tostring(root), crypt)
    assert (failure.code, dict(failure.facts), failure.findings) == ("body.decryption", {}, ())


def test_a_body_for_somebody_else_fails_alike(
    p256: Pair, crypt: DecryptKey, other_crypt: DecryptKey, now: float
) -> None:
    failure = refused(encrypted(p256, other_crypt, now), crypt)
    assert (failure.code, dict(failure.facts)) == ("body.decryption", {})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from([0, 1]), data=st.data())
def test_a_changed_bit_is_never_anything_else(
    which: int, data: st.DataObject, p256: Pair, crypt: DecryptKey, now: float
) -> None:
    root = etree.fromstring(encrypted(p256, crypt, now))
    element = ciphers(root)[which]
    raw = bytearray(base64.b64decode(element.text))
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    element.text = base64.b64encode(bytes(raw)).decode()
    assert refused(etree.tostring(root), crypt).code == "body.decryption"


# --- what stands in the plaintext -------------------------------------------------------------------------------------


def holding(pair: Pair, crypt: DecryptKey, now: float, plaintext: bytes, version: Version = V11) -> bytes:
    """A right encryption of whatever one likes, in a signed envelope of another content."""
    raw = signed(pair, now, version=version).replace(CHILD, plaintext)
    return encrypt_envelope(raw, crypt.encrypt_key(), version)


ENVELOPE_END = b"</soap:Body></soap:Envelope>"
HOSTILE = {
    "a doctype": (b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "xml.doctype"),
    "an instruction": (b"<a><?php x?></a>", "xml.instruction"),
    "an entity": (b"<a>&e;</a>", "xml.malformed"),
    "no XML": (b"<a><b></a>", "xml.malformed"),
    "no UTF-8": (b"<a>\xff\xfe</a>", "xml.malformed"),
    "too deep": (b"<a>" * 80 + b"</a>" * 80, "xml.too-deep"),
    "an XML declaration": (b'<?xml version="1.0"?><a/>', "xml.malformed"),
    "encrypted again": (b'<x:EncryptedData xmlns:x="%b"/>' % XENC.encode(), "body.encryption-profile"),
    "encrypted deeper": (b'<a><x:EncryptedKey xmlns:x="%b"/></a>' % XENC.encode(), "body.encryption-profile"),
    "the end of the Body": (b"<a/></soap:Body><soap:Body>", "soap.malformed"),
    "another Body": (b"<a/></soap:Body><soap:Body xmlns:soap='urn:x'>", "soap.malformed"),
    "another element after the Body": (b"<a/></soap:Body><b/><soap:Body>", "soap.malformed"),
    "another envelope": (b"<a/>" + ENVELOPE_END + b"<soap:Envelope xmlns:soap='urn:x'><soap:Body>", "xml.malformed"),
    "a Body left open": (b"<a/></soap:Body><b><soap:Body>", "xml.malformed"),
    "an open comment": (b"<a/></soap:Body><!--", "xml.malformed"),
    "the Id of the Body": (b'<a xmlns:u="%b" u:Id="body"/>' % WSU.encode(), "signature.duplicate-id"),
    "the Id of the token": (b'<a Id="token"/>', "signature.duplicate-id"),
    "an Id twice": (b'<a><b ID="q"/><c xml:id="q"/></a>', "signature.duplicate-id"),
    "other content": (b"<a/>", "signature.digest-mismatch"),
    "nothing": (b"", "signature.digest-mismatch"),
}


@both
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_plaintext(kind: str, version: Version, p256: Pair, crypt: DecryptKey, now: float) -> None:
    plaintext, code = HOSTILE[kind]
    with pytest.raises(Theirs) as caught:
        verify_envelope(
            opened(holding(p256, crypt, now, plaintext, version), crypt, version).root, lambda _: p256.verify, now
        )
    assert caught.value.code == code


def test_a_ciphertext_of_another_message_does_not_help(p256: Pair, other: Pair, crypt: DecryptKey, now: float) -> None:
    """Whoever holds a message of somebody else cannot hand it in as his own: his signature does not cover what comes
    out."""
    mine, theirs = (
        etree.fromstring(encrypted(other, crypt, now, b"<a/>")),
        etree.fromstring(encrypted(p256, crypt, now)),
    )
    for local in ("EncryptedKey", "EncryptedData"):
        own = find(mine, local)
        own.getparent().replace(own, find(theirs, local))
    with pytest.raises(Theirs) as caught:
        verify_envelope(opened(etree.tostring(mine), crypt).root, lambda _: other.verify, now)
    assert caught.value.code == "signature.digest-mismatch"


def test_the_content_is_put_where_it_stood(p256: Pair, crypt: DecryptKey, now: float) -> None:
    """A stack that writes line breaks between the parts, after signing and encrypting the whole content, changes the
    Body: that is refused too."""
    root = etree.fromstring(encrypted(p256, crypt, now))
    for each in (root, root[0], find(root, "Security"), find(root, "EncryptedKey"), find(root, "EncryptedData")):
        each.text = "\n  "
        for child in each:
            child.tail = "\n  "
    assert verify_envelope(opened(etree.tostring(root), crypt).root, lambda _: p256.verify, now)
    root[1].text = "\n"
    with pytest.raises(Theirs) as caught:
        verify_envelope(opened(etree.tostring(root), crypt).root, lambda _: p256.verify, now)
    assert caught.value.code == "signature.digest-mismatch"


def test_the_content_key_is_of_the_named_cipher(p256: Pair, crypt: DecryptKey, now: float) -> None:
    root = etree.fromstring(encrypted(p256, crypt, now))
    wrapped, sealed = (base64.b64decode(each.text) for each in ciphers(root))
    private: Any = crypt.private
    key = private.decrypt(wrapped, OAEP)
    assert (len(key), find(root, "EncryptedData").get("Type")) == (32, CONTENT)
    assert find(find(root, "EncryptedData"), "EncryptionMethod").get("Algorithm") == AES256_GCM
    assert AESGCM(key).decrypt(sealed[:12], sealed[12:], None) == CHILD
