"""What the profile of encrypted envelopes does not allow, each thing refused before a private key is used."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.soap import V11, V12, Version, parse_envelope
from security.encryption_keys import DecryptKey
from security.wssec.decrypt import BodyKeys, decrypt_envelope
from security.wssec.names import DS, XENC, XENC11
from tests.security.identities import Pair
from tests.security.wssec.wscrypting import CHILD, encrypted, find, refused, signed

both = pytest.mark.parametrize("version", [V11, V12], ids=lambda version: version.number)


def set_at(holder: str, local: str, attribute: str, value: Any) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        find(find(root, holder), local).set(attribute, value)

    return change


def drop(holder: str, local: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        element = find(find(root, holder), local)
        element.getparent().remove(element)

    return change


def add(local: str, xml: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        find(root, local).append(etree.fromstring(xml))

    return change


def twice(local: str, into: str | None = None) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        element = find(root, local)
        copy = etree.fromstring(etree.tostring(element, with_tail=False))
        (element.getparent() if into is None else find(root, into)).append(copy)

    return change


def text_of_cipher(holder: str, text: str) -> Callable[[Any], None]:
    def change(root: Any) -> None:
        find(find(root, holder), "CipherValue").text = text

    return change


def cipher_reference(root: Any) -> None:
    cipher = find(find(root, "EncryptedData"), "CipherData")
    cipher.remove(cipher[0])
    cipher.append(etree.fromstring(f'<x:CipherReference xmlns:x="{XENC}" URI="file:///etc/passwd"/>'))


def wrapped_in_an_element(root: Any) -> None:
    body = root[1]
    body.append(etree.SubElement(body, "holder"))
    body[-1].append(body[0])


def moved_into_the_header(root: Any) -> None:
    root[0].append(root[1][0])


def a_plain_element_beside(root: Any) -> None:
    root[1].append(etree.fromstring(CHILD))


def text_beside(root: Any) -> None:
    root[1].text = "beside"


def text_after(root: Any) -> None:
    root[1][0].tail = "after"


def key_inside_the_data(root: Any) -> None:
    key = find(root, "EncryptedKey")
    find(root, "EncryptedData").find(f"{{{DS}}}KeyInfo")[0].append(key)


def an_encrypted_signature(root: Any) -> None:
    data = etree.fromstring(etree.tostring(find(root, "EncryptedData")))
    signature = find(root, "Signature")
    signature.getparent().replace(signature, data)


def an_encrypted_header(root: Any) -> None:
    header = etree.SubElement(
        root[0], "{http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd}EncryptedHeader"
    )
    header.append(etree.fromstring(etree.tostring(find(root, "EncryptedData"))))


OLD = "http://www.w3.org/2001/04/xmlenc#"
OFF_PROFILE: dict[str, Callable[[Any], object]] = {
    "rsa-1_5": set_at("EncryptedKey", "EncryptionMethod", "Algorithm", OLD + "rsa-1_5"),
    "oaep of XML Encryption 1.0": set_at("EncryptedKey", "EncryptionMethod", "Algorithm", OLD + "rsa-oaep-mgf1p"),
    "oaep with SHA-1": set_at("EncryptedKey", "DigestMethod", "Algorithm", "http://www.w3.org/2000/09/xmldsig#sha1"),
    "mgf1 with SHA-1": set_at("EncryptedKey", "MGF", "Algorithm", XENC11 + "mgf1sha1"),
    "mgf1 of the default": drop("EncryptedKey", "MGF"),
    "digest of the default": drop("EncryptedKey", "DigestMethod"),
    "oaep label": lambda root: find(root, "EncryptionMethod").append(
        etree.fromstring(f'<x:OAEPparams xmlns:x="{XENC}">AAAA</x:OAEPparams>')
    ),
    "key wrap": set_at("EncryptedKey", "EncryptionMethod", "Algorithm", OLD + "kw-aes256"),
    "aes-cbc": set_at("EncryptedData", "EncryptionMethod", "Algorithm", OLD + "aes256-cbc"),
    "aes-128-cbc": set_at("EncryptedData", "EncryptionMethod", "Algorithm", OLD + "aes128-cbc"),
    "triple DES": set_at("EncryptedData", "EncryptionMethod", "Algorithm", OLD + "tripledes-cbc"),
    "aes128-gcm": set_at("EncryptedData", "EncryptionMethod", "Algorithm", XENC11 + "aes128-gcm"),
    "key size": lambda root: find(find(root, "EncryptedData"), "EncryptionMethod").append(
        etree.fromstring(f'<x:KeySize xmlns:x="{XENC}">8</x:KeySize>')
    ),
    "no method": drop("EncryptedData", "EncryptionMethod"),
    "type Element": set_at("EncryptedData", "EncryptedData", "Type", OLD + "Element"),
    "two keys": twice("EncryptedKey"),
    "two bodies": twice("EncryptedData"),
    "no key": drop("Security", "EncryptedKey"),
    "no key info": drop("EncryptedKey", "KeyInfo"),
    "cipher reference": cipher_reference,
    "no cipher value": drop("EncryptedKey", "CipherValue"),
    "two cipher values": lambda root: find(find(root, "EncryptedKey"), "CipherData").append(
        etree.fromstring(f'<x:CipherValue xmlns:x="{XENC}">AAAA</x:CipherValue>')
    ),
    "properties": add("EncryptedData", f'<x:EncryptionProperties xmlns:x="{XENC}"/>'),
    "carried key name": add("EncryptedKey", f'<x:CarriedKeyName xmlns:x="{XENC}">k</x:CarriedKeyName>'),
    "reference elsewhere": set_at("EncryptedKey", "DataReference", "URI", "#body"),
    "reference outside": set_at("EncryptedKey", "DataReference", "URI", "http://example.vn/#encrypted-body"),
    "two references": twice("DataReference"),
    "no references": drop("EncryptedKey", "ReferenceList"),
    "no Id": lambda root: find(root, "EncryptedData").attrib.pop("Id"),
    "key of another": lambda root: find(find(root, "EncryptedData"), "Reference").set("URI", "#token"),
    "data in an element": wrapped_in_an_element,
    "data in the header": moved_into_the_header,
    "plain content beside": a_plain_element_beside,
    "text beside": text_beside,
    "text after": text_after,
    "key inside the data": key_inside_the_data,
    "encrypted signature": an_encrypted_signature,
    "encrypted header": an_encrypted_header,
    "short wrapped key": text_of_cipher("EncryptedKey", "AAAA"),
    "long wrapped key": text_of_cipher("EncryptedKey", base64.b64encode(bytes(100_000)).decode()),
    "short ciphertext": text_of_cipher("EncryptedData", base64.b64encode(bytes(27)).decode()),
    "no base64": text_of_cipher("EncryptedData", "****"),
    "markup in base64": lambda root: find(find(root, "EncryptedData"), "CipherValue").append(etree.Element("x")),
}


@both
@pytest.mark.parametrize("change", OFF_PROFILE.values(), ids=OFF_PROFILE)
def test_everything_else_is_refused(
    change: Callable[[Any], object], version: Version, p256: Pair, crypt: DecryptKey, now: float
) -> None:
    root = etree.fromstring(encrypted(p256, crypt, now, version=version))
    change(root)
    failure = refused(etree.tostring(root), crypt, version)
    assert failure.code == "body.encryption-profile" and failure.facts["where"] and failure.facts["rule"]


def test_a_signed_envelope_is_not_an_encrypted_one(p256: Pair, crypt: DecryptKey, now: float) -> None:
    assert refused(signed(p256, now), crypt).code == "body.encryption-profile"


@pytest.mark.parametrize(("security", "code"), [(0, "signature.missing"), (2, "signature.several")])
def test_one_security_header(security: int, code: str, p256: Pair, crypt: DecryptKey, now: float) -> None:
    root = etree.fromstring(encrypted(p256, crypt, now))
    header = find(root, "Security")
    root[0].remove(header)
    for _ in range(security):
        root[0].append(etree.fromstring(etree.tostring(header)))
    assert refused(etree.tostring(root), crypt).code == code


def test_no_private_key_is_used_before_all_that_is_in_clear_was_looked_at(
    p256: Pair, crypt: DecryptKey, now: float
) -> None:
    """A caller with a malformed message buys no RSA operation: with a key that cannot decrypt, every refusal of the
    profile is still the same."""

    class Untouchable:
        key_size = crypt.private.key_size

        def decrypt(self, *_: Any) -> None:
            raise AssertionError("a private key was used")

    keys = BodyKeys([crypt])
    untouchable: Any = Untouchable()
    for name in list(keys._named):
        keys._named[name] = untouchable
    for change in OFF_PROFILE.values():
        root = etree.fromstring(encrypted(p256, crypt, now))
        change(root)
        with pytest.raises(Theirs):
            decrypt_envelope(parse_envelope(etree.tostring(root)), keys)
