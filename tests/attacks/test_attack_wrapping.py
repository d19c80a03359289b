"""XML signatures as an attacker would use them, over the wire, in both versions of SOAP.

Wrapping: the forms of `tests/security/wssec/test_wssec_wrapping.py`, generated here around a real message that a system
signed. Exclusion: parts that the signature forgets. Algorithms, transforms, references, key infos: SignedInfo changed,
and its value made anew by the registered key, so that nothing but the profile stands in the way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from examples.story.world import World
from gateway.sample_client.identity import Identity
from gateway.sample_client.rest import Prepared
from gateway.sample_client.signing import sign_raw
from gateway.sample_client.wssec import DS, EXC_C14N, WSA, WSSE, WSU
from gateway.sandbox.standins import messages
from security.pki import authority
from tests.attacks.conftest import Judge
from tests.attacks.enveloping import CONTRACT, OPERATION, VERSIONS, WHO, Spoil, envelope, tried
from tests.attacks.forging import b64, mirrored, part, signed_again, spki
from tests.attacks.raw import ask, of
from tests.security.wssec.test_wssec_wrapping import FORMS

pytestmark = pytest.mark.server
ENC = "http://www.w3.org/2001/04/xmlenc#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"


# What a form is refused with at a door, where that is another word than at the verifier alone: the door looks at the
# envelope's shape first.
AT_THE_DOOR = {"beside_the_body": "soap.malformed", "before_the_header": "soap.malformed"}


@pytest.mark.attack("signature wrapping")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__.replace("_", " "))
def test_wrapped(world: World, judge: Judge, form: Callable[[etree._Element], None], version: str) -> None:
    code = AT_THE_DOOR.get(form.__name__, FORMS[form])
    judge.refused(tried(world, lambda root, _: form(root), version), code)


# --- exclusion --------------------------------------------------------------------------------------------------------


def security(root: etree._Element) -> etree._Element:
    return next(root.iter(f"{{{WSSE}}}Security"))


def without(*tags: str) -> Spoil:
    def spoil(root: etree._Element, _: Identity) -> None:
        for tag in tags:
            for found in list(root.iter(tag)):
                parent = found.getparent()
                assert parent is not None
                parent.remove(found)

    return spoil


def emptied(tag: str) -> Spoil:
    def spoil(root: etree._Element, _: Identity) -> None:
        found = next(root.iter(tag))
        del found[:]
        found.text = None

    return spoil


EXCLUSION: dict[str, tuple[Spoil, str]] = {
    "no Security header": (without(f"{{{WSSE}}}Security"), "signature.missing"),
    "no Signature": (without(f"{{{DS}}}Signature"), "signature.missing"),
    "no token": (without(f"{{{WSSE}}}BinarySecurityToken"), "signature.missing"),
    "no Timestamp": (without(f"{{{WSU}}}Timestamp"), "signature.missing"),
    "no SignatureValue": (without(f"{{{DS}}}SignatureValue"), "signature.malformed"),
    "an empty SignatureValue": (emptied(f"{{{DS}}}SignatureValue"), "signature.wrong"),
    "no KeyInfo": (without(f"{{{DS}}}KeyInfo"), "signature.malformed"),
    "no Reference": (without(f"{{{DS}}}Reference"), "signature.malformed"),
    "an empty Security": (emptied(f"{{{WSSE}}}Security"), "signature.missing"),
}


@pytest.mark.attack("signature exclusion")
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", EXCLUSION)
def test_left_out(world: World, judge: Judge, name: str, version: str) -> None:
    spoil, code = EXCLUSION[name]
    judge.refused(tried(world, spoil, version), code)


@pytest.mark.attack("signature exclusion")
@pytest.mark.parametrize("ident", ["body", "timestamp", "token", "action", "message-id", "to"])
def test_a_part_that_the_signature_forgets(world: World, judge: Judge, ident: str) -> None:
    judge.refused(tried(world, lambda root, who: None, leave_out=(ident,)), "signature.not-covering")


@pytest.mark.attack("signature exclusion")
def test_a_fault_of_nobody(world: World, judge: Judge) -> None:
    prepared = envelope(world, sign_it=False)
    judge.refused(ask(world.identity(WHO), of(prepared)), "signature.missing")


# --- algorithms -------------------------------------------------------------------------------------------------------


def method(name: str, algorithm: str | None, make: Callable[[bytes, Identity], bytes] | None = None) -> Spoil:
    """Another algorithm for a method of SignedInfo, and the value made anew: by the registered key, unless told
    otherwise."""

    def spoil(root: etree._Element, who: Identity) -> None:
        found = part(root, name)
        if algorithm is None:
            found.attrib.pop("Algorithm")
        else:
            found.set("Algorithm", algorithm)
        signed_again(root, lambda data: who.signer.sign(data) if make is None else make(data, who))

    return spoil


def mac(secret: Callable[[Identity], bytes]) -> Callable[[bytes, Identity], bytes]:
    return lambda data, who: hmac.new(secret(who), data, hashlib.sha256).digest()


def over_sha1(data: bytes, who: Identity) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    key = who.signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA1())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def truncated(root: etree._Element, who: Identity) -> None:
    """CVE-2009-0217: an HMAC of no length."""
    found = part(root, "SignatureMethod")
    found.set("Algorithm", MORE + "hmac-sha256")
    etree.SubElement(found, f"{{{DS}}}HMACOutputLength").text = "0"
    part(root, "SignatureValue").text = ""


SIGNATURES: dict[str, tuple[Spoil, str]] = {
    **{
        name: (method("SignatureMethod", algorithm), "signature.algorithm")
        for name, algorithm in {
            "RSA-SHA1": DS + "rsa-sha1",
            "RSA-MD5": MORE + "rsa-md5",
            "RSA-SHA256 for an EC key": MORE + "rsa-sha256",
            "DSA-SHA1": DS + "dsa-sha1",
            "ECDSA-SHA1": MORE + "ecdsa-sha1",
            "ECDSA-SHA512": MORE + "ecdsa-sha512",
            "RSA-PSS": "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
            "none": "none",
            "an empty algorithm": "",
        }.items()
    },
    "no algorithm": (method("SignatureMethod", None), "signature.algorithm"),
    "HMAC-SHA256 with the public key": (
        method("SignatureMethod", MORE + "hmac-sha256", mac(spki)),
        "signature.algorithm",
    ),
    "HMAC-SHA1 with the certificate": (
        method("SignatureMethod", DS + "hmac-sha1", mac(lambda who: who.signer.certificate_der)),
        "signature.algorithm",
    ),
    "ECDSA-SHA256 said, HMAC made": (method("SignatureMethod", MORE + "ecdsa-sha256", mac(spki)), "signature.wrong"),
    "ECDSA-SHA256 said, SHA-1 used": (method("SignatureMethod", MORE + "ecdsa-sha256", over_sha1), "signature.wrong"),
    "an HMAC of no length": (truncated, "signature.algorithm"),
    **{
        name: (method("DigestMethod", algorithm), "signature.algorithm")
        for name, algorithm in {
            "a digest of SHA-1": DS + "sha1",
            "a digest of MD5": MORE + "md5",
            "a digest of SHA-512": ENC + "sha512",
            "a digest of none": "none",
        }.items()
    },
    **{
        name: (method("CanonicalizationMethod", algorithm), "signature.algorithm")
        for name, algorithm in {
            "inclusive C14N": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            "C14N 1.1": "http://www.w3.org/2006/12/xml-c14n11",
            "exclusive C14N with comments": EXC_C14N + "WithComments",
            "a canonical form of nobody": "urn:none",
        }.items()
    },
}


@pytest.mark.attack("algorithm confusion")
@pytest.mark.parametrize("name", SIGNATURES)
def test_another_algorithm(world: World, judge: Judge, name: str) -> None:
    spoil, code = SIGNATURES[name]
    judge.refused(tried(world, spoil), code)


# --- keys -------------------------------------------------------------------------------------------------------------

ATTACKER = ec.generate_private_key(ec.SECP256R1())


def own_certificate(root: etree._Element, who: Identity) -> None:
    """A token of the attacker's making that names the system, and his signature."""
    made = authority.make_root(who.system, 1_790_000_000.0)
    token = next(root.iter(f"{{{WSSE}}}BinarySecurityToken"))
    token.text = b64(made.certificate.public_bytes(Encoding.DER))
    for each in root.iter(f"{{{DS}}}Reference"):
        if each.get("URI") == "#token":
            from gateway.sample_client.wssec import canonical

            each[2].text = b64(hashlib.sha256(canonical(token)).digest())
    signed_again(root, lambda data: sign_raw(ATTACKER, data))


def key_info(inner: str) -> Spoil:
    def spoil(root: etree._Element, who: Identity) -> None:
        info = part(root, "KeyInfo")
        del info[:]
        text = f'<x xmlns:ds="{DS}" xmlns:wsse="{WSSE}">{inner}</x>'
        info.extend(list(etree.fromstring(text)))
        signed_again(root, lambda data: sign_raw(ATTACKER, data))

    return spoil


def by_attacker(root: etree._Element, who: Identity) -> None:
    signed_again(root, lambda data: sign_raw(ATTACKER, data))


POINT = ATTACKER.public_key().public_numbers()
VALUE = b64(b"\x04" + POINT.x.to_bytes(32, "big") + POINT.y.to_bytes(32, "big"))
KEYS: dict[str, tuple[Spoil, str]] = {
    "another's signature under the registered token": (by_attacker, "signature.wrong"),
    "a certificate of the attacker's making": (own_certificate, "signature.unknown-key"),
    "KeyValue": (
        key_info(
            "<ds:KeyValue><e:ECKeyValue "
            f'xmlns:e="http://www.w3.org/2009/xmldsig11#"><e:PublicKey>{VALUE}</e:PublicKey></e:ECKeyValue></ds:KeyValue>'
        ),
        "signature.malformed",
    ),
    "X509Data": (
        key_info("<ds:X509Data><ds:X509Certificate>MIIB</ds:X509Certificate></ds:X509Data>"),
        "signature.malformed",
    ),
    "KeyName with a path": (key_info("<ds:KeyName>../../keys/sign.key</ds:KeyName>"), "signature.malformed"),
    "RetrievalMethod": (
        key_info(
            '<ds:RetrievalMethod URI="http://127.0.0.1:1/key" Type="http://www.w3.org/2000/09/xmldsig#X509Data"/>'
        ),
        "signature.malformed",
    ),
    "a token reference to a file": (
        key_info(
            '<wsse:SecurityTokenReference><wsse:Reference URI="file:///etc/hostname"/></wsse:SecurityTokenReference>'
        ),
        "signature.malformed",
    ),
    "a token reference to the Body": (
        key_info('<wsse:SecurityTokenReference><wsse:Reference URI="#body"/></wsse:SecurityTokenReference>'),
        "signature.malformed",
    ),
    "a key identifier": (
        key_info(
            "<wsse:SecurityTokenReference><wsse:KeyIdentifier>AAAA</wsse:KeyIdentifier></wsse:SecurityTokenReference>"
        ),
        "signature.malformed",
    ),
    "a token reference beside a KeyValue": (
        key_info(
            '<wsse:SecurityTokenReference><wsse:Reference URI="#token"/></wsse:SecurityTokenReference><ds:KeyValue/>'
        ),
        "signature.malformed",
    ),
}


@pytest.mark.attack("key confusion")
@pytest.mark.parametrize("name", KEYS)
def test_another_key(world: World, judge: Judge, name: str) -> None:
    spoil, code = KEYS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("a certificate of another agency with a valid token")
def test_signed_by_another_than_the_connection(world: World, judge: Judge) -> None:
    signed = world.soap("dieu-hanh").prepare(CONTRACT, OPERATION, messages.cap_alert()).request
    judge.refused(ask(world.identity(WHO), of(signed)), "channel.mismatch")


# --- content and replay -----------------------------------------------------------------------------------------------


def changed(tag: str, text: str) -> Spoil:
    def spoil(root: etree._Element, _: Identity) -> None:
        next(root.iter(tag)).text = text

    return spoil


DIGESTS: dict[str, tuple[Spoil, str]] = {
    "the Body": (changed("{urn:oasis:names:tc:emergency:cap:1.2}status", "Test"), "signature.digest-mismatch"),
    "the Action": (changed(f"{{{WSA}}}Action", "urn:other"), "signature.digest-mismatch"),
    "the MessageID": (changed(f"{{{WSA}}}MessageID", f"urn:uuid:{uuid.uuid4()}"), "signature.digest-mismatch"),
    "the Timestamp": (changed(f"{{{WSU}}}Expires", "2099-01-01T00:00:00Z"), "signature.digest-mismatch"),
    "a DigestValue": (changed(f"{{{DS}}}DigestValue", b64(b"a" * 32)), "signature.digest-mismatch"),
    "a DigestValue that is no base64": (changed(f"{{{DS}}}DigestValue", "§"), "signature.malformed"),
    "the SignatureValue": (changed(f"{{{DS}}}SignatureValue", b64(b"a" * 64)), "signature.wrong"),
    "a SignatureValue that is no base64": (changed(f"{{{DS}}}SignatureValue", "§"), "signature.malformed"),
}


@pytest.mark.attack("digest mismatch")
@pytest.mark.parametrize("name", DIGESTS)
def test_altered_after_signing(world: World, judge: Judge, name: str) -> None:
    spoil, code = DIGESTS[name]
    judge.refused(tried(world, spoil), code)


@pytest.mark.attack("replay")
@pytest.mark.parametrize(
    "name", ["the same bytes", "(r, n - s)", "white space between headers", "another prefix for the envelope's version"]
)
def test_an_envelope_again(world: World, judge: Judge, name: str) -> None:
    prepared, who = envelope(world), world.identity(WHO)
    first = ask(who, of(prepared))
    assert first is not None and first.status == 200
    root = etree.fromstring(prepared.body)
    if name == "(r, n - s)":
        value = part(root, "SignatureValue")
        value.text = b64(mirrored(base64.b64decode(value.text or "")))
    elif name == "white space between headers":
        root[0].text = root[0].tail = "\n  "
    body = etree.tostring(root, encoding="utf-8") if name != "the same bytes" else prepared.body
    if name == "another prefix for the envelope's version":
        body = prepared.body.replace(b"<?xml version='1.0' encoding='utf-8'?>", b"")
    told = ask(who, of(Prepared("POST", prepared.path, prepared.target, prepared.headers, body)))
    judge.refused(told, "message.replayed")


@pytest.mark.attack("replay")
def test_an_envelope_at_another_contract(world: World, judge: Judge) -> None:
    """The signed wsa:To says where it belongs."""
    prepared = envelope(world)
    elsewhere = Prepared("POST", "/soap/field-report/v1", prepared.target, prepared.headers, prepared.body)
    judge.refused(ask(world.identity(WHO), of(elsewhere)), "soap.not-for-us")
