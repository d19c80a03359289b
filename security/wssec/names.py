"""Names of the SOAP profile: namespaces and algorithms.

Standards: SOAP 1.1 and 1.2, WS-Addressing 1.0, WSS 1.1, XML-DSig 1.1, XML Encryption 1.1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from contracts.wire.soap import DS as DS
from contracts.wire.soap import LGSP as LGSP
from contracts.wire.soap import SOAP as SOAP
from contracts.wire.soap import SOAP12 as SOAP12
from contracts.wire.soap import WSA as WSA
from contracts.wire.soap import WSSE as WSSE
from contracts.wire.soap import WSU as WSU

EXC_C14N: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
DIGEST_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

BASE64_BINARY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
_TOKENS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0"
X509V3: Final = f"{_TOKENS}#X509v3"
XENC: Final = "http://www.w3.org/2001/04/xmlenc#"
XENC11: Final = "http://www.w3.org/2009/xmlenc11#"
CONTENT: Final = f"{XENC}Content"
AES256_GCM: Final = f"{XENC11}aes256-gcm"
RSA_OAEP: Final = f"{XENC11}rsa-oaep"
MGF1_SHA256: Final = f"{XENC11}mgf1sha256"
_WSS11: Final = "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1"
WSSE11: Final = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
ENCRYPTED_KEY: Final = f"{_WSS11}#EncryptedKey"
THUMBPRINT_SHA1: Final = f"{_WSS11}#ThumbprintSHA1"  # identifies a certificate, proves nothing
SUBJECT_KEY_ID: Final = f"{_TOKENS}#X509SubjectKeyIdentifier"

PREFIXES: Final = {
    SOAP: "soap",
    SOAP12: "soap",
    WSA: "wsa",
    WSSE: "wsse",
    WSU: "wsu",
    DS: "ds",
    LGSP: "lgsp",
    EXC_C14N: "ec",
    XENC: "xenc",
    XENC11: "xenc11",
}


@lru_cache(maxsize=512)
def short(tag: str) -> str:
    """`{namespace}local` as `prefix:local`, for people."""
    if not tag.startswith("{"):
        return tag
    namespace, _, local = tag[1:].partition("}")
    prefix = PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else local
