"""Names of the SOAP profile: namespaces and algorithms (SOAP 1.1 and 1.2, WS-Addressing 1.0, WSS 1.1, XML-DSig 1.1)."""

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
SIGN_RSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SIGN_ECDSA_SHA256: Final = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
BASE64_BINARY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
X509V3: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"

PREFIXES: Final = {
    SOAP: "soap",
    SOAP12: "soap",
    WSA: "wsa",
    WSSE: "wsse",
    WSU: "wsu",
    DS: "ds",
    LGSP: "lgsp",
    EXC_C14N: "ec",
}


@lru_cache(maxsize=512)
def short(tag: str) -> str:
    """`{namespace}local` as `prefix:local`, for people."""
    if not tag.startswith("{"):
        return tag
    namespace, _, local = tag[1:].partition("}")
    prefix = PREFIXES.get(namespace)
    return f"{prefix}:{local}" if prefix else local
