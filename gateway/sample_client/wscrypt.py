"""Encrypted SOAP bodies, strictly the profile of `docs/wire.md`: encrypts a signed envelope, decrypts one.

XML Encryption 1.1 as WS-Security 1.1 uses it: AES-256-GCM for the Body's content, RSA-OAEP with SHA-256 for its key.
Invariant: `decrypt` returns an envelope that is still to be verified.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from gateway.sample_client.wssec import BASE64, DS, WSSE, BadEnvelope, Element, parse, soap_of

XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
WSS11 = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#"
X, D, W = f"{{{XENC}}}", f"{{{DS}}}", f"{{{WSSE}}}"
WRAP = OAEP(MGF1(SHA256()), SHA256(), None)

KEY = """<xenc:EncryptedKey xmlns:xenc="{xenc}" xmlns:ds="{ds}" xmlns:wsse="{wsse}" Id="ek">
<xenc:EncryptionMethod Algorithm="{xenc11}rsa-oaep"><ds:DigestMethod Algorithm="{xenc}sha256"/>
<xenc11:MGF xmlns:xenc11="{xenc11}" Algorithm="{xenc11}mgf1sha256"/></xenc:EncryptionMethod>
<ds:KeyInfo><wsse:SecurityTokenReference><wsse:KeyIdentifier ValueType="{wss11}ThumbprintSHA1" \
EncodingType="{base64}">{name}</wsse:KeyIdentifier>
</wsse:SecurityTokenReference></ds:KeyInfo><xenc:CipherData>\
<xenc:CipherValue>{value}</xenc:CipherValue></xenc:CipherData>
<xenc:ReferenceList><xenc:DataReference URI="#ed"/></xenc:ReferenceList></xenc:EncryptedKey>"""
DATA = """<xenc:EncryptedData xmlns:xenc="{xenc}" Id="ed" Type="{xenc}Content">\
<xenc:EncryptionMethod Algorithm="{xenc11}aes256-gcm"/>
<xenc:CipherData><xenc:CipherValue>{value}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"""


def encrypt(root: Element, receiver: x509.Certificate) -> Element:
    """Encrypt the content of a signed envelope's Body for a certificate, in place."""
    public = receiver.public_key()
    if not isinstance(public, RSAPublicKey):
        raise BadEnvelope("XML Encryption is for RSA keys")
    header, body = root
    security = header.find(f"{W}Security")
    if security is None:
        raise BadEnvelope("sign first, then encrypt")
    whole = etree.tostring(body, encoding="utf-8", xml_declaration=False, with_tail=False)
    content = whole[whole.index(b">") + 1 : whole.rindex(b"</")]
    key, iv = os.urandom(32), os.urandom(12)
    names = {"xenc": XENC, "xenc11": XENC11, "ds": DS, "wsse": WSSE, "wss11": WSS11, "base64": BASE64}
    sealed = base64.b64encode(iv + AESGCM(key).encrypt(iv, content, None)).decode()
    for child in list(body):
        body.remove(child)
    body.text = None
    data = etree.fromstring(DATA.format(value="", **names))
    _one(data, f"{X}CipherData/{X}CipherValue").text = sealed  # of any length
    body.append(data)
    name = hashlib.sha1(receiver.public_bytes(Encoding.DER), usedforsecurity=False).digest()
    wrapped = base64.b64encode(public.encrypt(key, WRAP)).decode()
    security.insert(0, etree.fromstring(KEY.format(name=base64.b64encode(name).decode(), value=wrapped, **names)))
    return root


def salt(body: Element) -> None:
    """Put random white space at the start of a Body before signing. Then its digest, sent in clear, reveals nothing."""
    body.text = "".join(" \t"[byte & 1] for byte in os.urandom(128))


def is_encrypted(root: Element) -> bool:
    return root.find(f"{{{soap_of(root)}}}Body/{X}EncryptedData") is not None


def _one(parent: Element, path: str) -> Element:
    elements = parent.findall(path)
    if len(elements) != 1:
        raise BadEnvelope(f"exactly one {path.rpartition('}')[2]} expected, {len(elements)} found")
    return elements[0]


def _method(parent: Element, algorithm: str, **steps: str) -> None:
    method = _one(parent, f"{X}EncryptionMethod")
    algorithms = {etree.QName(step).localname: step.get("Algorithm") for step in method.iterchildren(etree.Element)}
    if method.get("Algorithm") != algorithm or algorithms != steps:
        raise BadEnvelope(f"encrypted by {method.get('Algorithm')} {algorithms}, which the profile does not allow")


def _value(parent: Element) -> bytes:
    text = _one(parent, f"{X}CipherData/{X}CipherValue").text or ""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as wrong:
        raise BadEnvelope("a CipherValue is not base64") from wrong


def decrypt(root: Element, key: RSAPrivateKey, certificate: x509.Certificate) -> Element:
    """The envelope as it was signed. It is still to be verified."""
    soap = soap_of(root)
    body, security = _one(root, f"{{{soap}}}Body"), _one(root, f"{{{soap}}}Header/{W}Security")
    wrapped, data = _one(security, f"{X}EncryptedKey"), _one(body, f"{X}EncryptedData")
    if (
        len(body) != 1
        or data.get("Type") != f"{XENC}Content"
        or sum(1 for _ in root.iter(f"{X}EncryptedKey", f"{X}EncryptedData")) != 2
    ):
        raise BadEnvelope("one EncryptedKey in Security and one EncryptedData as the content of the Body are expected")
    _method(wrapped, f"{XENC11}rsa-oaep", DigestMethod=f"{XENC}sha256", MGF=f"{XENC11}mgf1sha256")
    _method(data, f"{XENC11}aes256-gcm")
    if not data.get("Id") or _one(wrapped, f"{X}ReferenceList/{X}DataReference").get("URI") != f"#{data.get('Id')}":
        raise BadEnvelope("the EncryptedKey is not for this EncryptedData")
    named = _one(wrapped, f"{D}KeyInfo/{W}SecurityTokenReference/{W}KeyIdentifier")
    own = base64.b64encode(
        hashlib.sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest()
    ).decode()
    if named.get("ValueType") != f"{WSS11}ThumbprintSHA1" or (named.text or "").strip() != own:
        raise BadEnvelope("encrypted for another certificate than ours")
    try:
        sealed = _value(data)
        content = AESGCM(key.decrypt(_value(wrapped), WRAP)).decrypt(sealed[:12], sealed[12:], None)
    except (ValueError, InvalidTag) as wrong:
        raise BadEnvelope("the body cannot be decrypted") from wrong
    security.remove(wrapped)
    body.remove(data)
    # The content may use namespaces declared around it, so the whole envelope is parsed again.
    body.text = os.urandom(16).hex()
    return parse(etree.tostring(root).replace(body.text.encode(), content, 1))
