"""Readers of what proves something: structured fields, signatures, tokens, encrypted bodies, notes, tiles, DER,
revocation lists, time-stamps."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from contracts.wire.soap import V11, parse_envelope, parse_xml
from security import algorithms, encryption_keys, http_signatures, jose, jws, keys, structured_fields, tokens
from security.grants import windows
from security.pki import authority, der, revocation, timestamp
from security.wssec import decrypt, fast_path, signed_info, verify
from security.wssec import sign as wssign
from security.wssec.names import WSA, WSU
from security.wssec.sign import EnvelopeHeaders
from tests.attacks.readers_wire import XML, again, numbered
from tests.attacks.reading import Try, reader

NOW = float(int(time.time()))


class Known(NamedTuple):
    issuer: authority.Authority
    sign: keys.SigningKey
    encrypt: encryption_keys.DecryptKey

    def find(self, _: str) -> keys.VerifyKey:
        return self.sign.verify_key()


@cache
def known() -> Known:
    issuer = authority.make_issuer(authority.make_root("Root", NOW - 86_400), "Signing", NOW - 86_400)
    private, other = algorithms.new_private("P-256"), algorithms.new_private("RSA-3072")
    certificate = authority.issue_signing(issuer, "a", private.public_key(), NOW - 3600)
    encrypting = authority.issue_encryption(issuer, "a", other.public_key(), NOW - 3600)
    return Known(
        issuer,
        keys.SigningKey.make("a.sign-1", private, certificate, system="a"),
        encryption_keys.DecryptKey.from_pem("a.encrypt-1", authority.private_pem(other), encrypting),
    )


TEXTS: dict[str, Callable[[int], str]] = {
    "letters": lambda n: "a" * n,
    "commas": lambda n: "a," * n,
    "members": lambda n: ",".join(f"a{at}" for at in range(n)),
    "members of bytes": lambda n: ",".join(f"a{at}=:YQ==:" for at in range(n)),
    "one member again": lambda n: "a=1," * n,
    "items": lambda n: "a=(" + '"a" ' * n + ")",
    "items without an end": lambda n: "a=(" + '"a" ' * n,
    "parameters": lambda n: "a=(" + ")" + "".join(f";a{at}=1" for at in range(n)),
    "parameters of an item": lambda n: "a=1" + "".join(f";a{at}" for at in range(n)),
    "a string": lambda n: 'a="' + "b" * n + '"',
    "a string without an end": lambda n: 'a="' + "b" * n,
    "escapes": lambda n: 'a="' + '\\"' * n + '"',
    "escapes without an end": lambda n: 'a="' + '\\"' * n,
    "bytes": lambda n: "a=:" + "YWFh" * n + ":",
    "bytes without an end": lambda n: "a=:" + "YWFh" * n,
    "a token": lambda n: "a=" + "b" * n,
    "spaces": lambda n: "a=(" + " " * n + ")",
    "spaces between": lambda n: "a" + " " * n + ",b",
    "spaces at both ends": lambda n: " " * n + "a" + " " * n,
    "tabs": lambda n: "a" + "\t" * n,
    "parentheses": lambda n: "a=" + "(" * n,
    "digits": lambda n: "a=" + "1" * n,
    "lines": lambda n: "a\n" * n,
    "empty lines": lambda n: "\n" * n,
    "plus": lambda n: "a+" * n,
    "points": lambda n: "." * n,
    "slashes": lambda n: "tile/0/" + "x001/" * n + "001",
    "nulls": lambda n: "\x00" * n,
    "beyond ASCII": lambda n: "é" * n,
}


@reader("security.structured_fields:parse_dictionary")
def structured() -> Iterable[Try]:
    yield from [Try(name, structured_fields.parse_dictionary, make) for name, make in TEXTS.items()]


@reader(
    "security.http_signatures:check_content_digest",
    "security.http_signatures:verify_request",
    "security.http_signatures:verify_response",
)
def signatures() -> Iterable[Try]:
    def ask(given: tuple[str, str, str, str]) -> object:
        inputs, signature, digest, kind = given
        sent = {
            "signature-input": inputs,
            "signature": signature,
            "content-digest": digest,
            "content-type": kind,
            "authorization": "a",
        }
        return http_signatures.verify_request(
            http_signatures.HttpRequest("POST", "https://a/b", sent, b"{}"), known().find, NOW
        )

    def answered(given: tuple[str, str, str, str]) -> object:
        inputs, signature, digest, kind = given
        sent = {"signature-input": inputs, "signature": signature, "content-digest": digest, "content-type": kind}
        asked = {"signature-input": inputs, "signature": signature}
        return http_signatures.verify_response(200, sent, b"{}", asked, known().find, NOW)

    usual = (
        'sig1=("@method" "@target-uri" "authorization" "content-type" '
        '"content-digest");created=1;keyid="a";alg="ecdsa-p256-sha256"'
    )
    bits = "sig1=:YQ==:"
    for name, make in TEXTS.items():
        for read in (ask, answered):
            yield Try(
                f"{read.__name__}: input: {name}",
                read,
                partial(lambda m, n: (m(n).replace("a=", "sig1=", 1), bits, "", "a"), make),
                100_000,
            )
            yield Try(
                f"{read.__name__}: signature: {name}",
                read,
                partial(lambda m, n: (usual, m(n).replace("a=", "sig1=", 1), "", "a"), make),
                100_000,
            )
        yield Try(f"digest: {name}", lambda text: http_signatures.check_content_digest(text, b""), make, 200_000)
    yield Try(
        "signatures",
        ask,
        lambda n: (",".join(f"{usual.replace('sig1', f's{at}')}" for at in range(n)), bits, "", "a"),
        50_000,
    )
    yield Try(
        "a body",
        lambda body: http_signatures.check_content_digest(http_signatures.content_digest(body), body),
        again(b"a"),
    )


@reader("security.tokens:verify_token", "security.tokens:verify_assertion")
def token_texts() -> Iterable[Try]:
    key = known().sign

    def claims(n: int) -> str:
        return tokens._encode({"iss": "a", "sub": "a", **{f"a{at}": 1 for at in range(n)}}, key, "JWT")

    for name, make in {**TEXTS, "of many claims": claims}.items():
        yield Try(f"token: {name}", lambda text: tokens.verify_token(text, key.verify_key(), NOW, "a"), make, 100_000)
        yield Try(
            f"assertion: {name}", lambda text: tokens.verify_assertion(text, known().find, NOW, "a"), make, 100_000
        )


@reader(
    "security.jose:verify",
    "security.jose:signer_of",
    "security.jose:Opener.decrypt",
    "security.jose:Opener.open",
    "security.jws:split",
    "security.jws:read_header",
    "security.jws:decoded",
)
def encrypted() -> Iterable[Try]:
    opener = jose.Opener([known().encrypt])
    made_for: Any = known().encrypt
    receiver = made_for.public_key() if hasattr(made_for, "public_key") else None
    for name, make in {
        "points": again(b"."),
        "letters": again(b"a"),
        "parts": again(b"YWFh.", b"", b"YWFh"),
        "a long header": again(b"YWFh", b"", b".YWFh.YWFh"),
        "a long payload": again(b"YWFh", b"YWFh.", b".YWFh"),
        "a long signature": again(b"YWFh", b"YWFh.YWFh."),
        "a header of names": lambda n: (
            jws.encoded(b"{" + b",".join(b'"a%d":1' % at for at in range(n)) + b"}") + b".YWFh.YWFh"
        ),
        "five parts": again(b"YWFh", b"YWFh.YWFh.YWFh.", b".YWFh"),
    }.items():
        yield Try(f"verify: {name}", lambda raw: jose.verify(raw, known().find, NOW), make)
        yield Try(f"decrypt: {name}", lambda raw: opener.open(raw, known().find, NOW), make)
    yield Try(
        "signed", lambda raw: jose.verify(raw, known().find, NOW), lambda n: jose.sign(b"a" * n, "a/b", known().sign)
    )
    assert receiver is None or receiver


def _signed_envelope(content: bytes) -> bytes:
    made = wssign.sign_envelope(
        content, known().sign, NOW, EnvelopeHeaders(action="urn:a", message_id="urn:uuid:1", relates_to="urn:uuid:2")
    )
    return made if isinstance(made, bytes) else made[0]


@reader(
    "security.wssec.verify:verify_envelope",
    "security.wssec.signed_info:read_signed_info",
    "security.wssec.fast_path:verify_fast",
    "security.wssec.decrypt:decrypt_envelope",
)
def envelopes() -> Iterable[Try]:
    bodies = decrypt.BodyKeys([known().encrypt])

    def general(raw: bytes) -> object:
        return verify.verify_envelope(parse_envelope(raw), known().find, NOW)

    def quick(raw: bytes) -> object:
        return fast_path.verify_fast(raw, V11, known().find, NOW)

    def opened(raw: bytes) -> object:
        return decrypt.decrypt_envelope(parse_envelope(raw), bodies)

    plain = _signed_envelope(b"<a>M</a>")
    head, _, behind = plain.partition(b"<a>M</a>")
    for name, make in XML.items():
        if not name.startswith(
            ("a DOCTYPE", "UTF", "instructions before", "stylesheets", "marks", "spaces", "the word")
        ):
            yield Try(f"in the Body: {name}", general, partial(lambda m, n: head + m(n) + behind, make))
    places = {
        "in the Header": (plain.replace(b"<wsse:Security", b"<!--M--><wsse:Security", 1), b"<!--M-->"),
        "in Security": (plain.replace(b"<ds:Signature ", b"<!--M--><ds:Signature ", 1), b"<!--M-->"),
        "in SignedInfo": (plain.replace(b"</ds:SignedInfo>", b"<!--M--></ds:SignedInfo>", 1), b"<!--M-->"),
        "in KeyInfo": (plain.replace(b"</ds:KeyInfo>", b"<!--M--></ds:KeyInfo>", 1), b"<!--M-->"),
        "in the value": (plain.replace(b"</ds:SignatureValue>", b"<!--M--></ds:SignatureValue>", 1), b"<!--M-->"),
        "in the token": (
            plain.replace(b"</wsse:BinarySecurityToken>", b"<!--M--></wsse:BinarySecurityToken>", 1),
            b"<!--M-->",
        ),
        "in a reference": (plain.replace(b"</ds:Reference>", b"<!--M--></ds:Reference>", 1), b"<!--M-->"),
        "in the Id": (plain.replace(b'wsu:Id="body"', b'wsu:Id="body<!--M-->"', 1), b"<!--M-->"),
        "in the Body": (plain.replace(b"<a>M</a>", b"<!--M-->", 1), b"<!--M-->"),
        "as an attribute": (plain.replace(b"<a>M</a>", b"<a<!--M-->/>", 1), b"<!--M-->"),
    }
    units: dict[str, Callable[[int], bytes]] = {
        "text": again(b"a"),
        "base64": again(b"QUJD"),
        "lines": again(b"QUJD\n"),
        "elements": again(b"<a/>"),
        "declared": numbered(b'<p:a xmlns:p="u:N"/>'),
        "Ids": numbered(b'<a Id="iN" ID="jN" xml:id="kN"/>'),
        "one Id": again(b'<a Id="i"/>'),
        "attributes": numbered(b' aN="1"'),
        "declarations": numbered(b' xmlns:pN="u:N"'),
        "blocks": numbered(b'<p:aN xmlns:p="urn:b"/>'),
        "usual blocks": again(b'<wsa:To xmlns:wsa="%b" xmlns:wsu="%b" wsu:Id="to">a</wsa:To>' % (WSA.encode(), WSU.encode())),
        "references": again(plain[plain.find(b"<ds:Reference ") : plain.find(b"</ds:Reference>") + 15]),
        "prefixes": lambda n: b"<ec:InclusiveNamespaces xmlns:ec='http://www.w3.org/2001/10/xml-exc-c14n#' PrefixList='" + b"a " * n + b"'/>",
        "entities": again(b"&amp;"),
    }  # fmt: skip
    for place, (text, mark) in places.items():
        for unit, make in units.items():
            for read in (general, quick):
                yield Try(
                    f"{read.__name__}: {place}: {unit}",
                    read,
                    partial(lambda t, k, m, n: t.replace(k, m(n), 1), text, mark, make),
                    8_000,
                )
    long_ = b"<a>" + b"M" * 30_000 + b"</a>"
    yield Try("signed, usual", quick, lambda n: _signed_envelope(b"<a>" + b"M" * n + b"</a>"))
    yield Try("signed", general, lambda n: _signed_envelope(b"<a>" + b"M" * n + b"</a>"))
    yield Try("quick: long", quick, again(b"<", _signed_envelope(long_)))
    inside = b'<xenc:EncryptedData xmlns:xenc="http://www.w3.org/2001/04/xmlenc#">M</xenc:EncryptedData>'
    for unit, make in units.items():
        yield Try(
            f"encrypted: {unit}",
            opened,
            partial(lambda m, n: plain.replace(b"<a>M</a>", inside.replace(b"M", m(n))), make),
            50_000,
        )
    yield Try("encrypted again and again", opened, lambda n: plain.replace(b"<a>M</a>", inside * n), 50_000)
    yield Try(
        "SignedInfo by itself",
        lambda raw: signed_info.read_signed_info(parse_xml(raw), known().find("")),
        again(b"<a/>", b"<r>", b"</r>"),
    )


@reader(
    "security.pki.der:first",
    "security.pki.der:only",
    "security.pki.der:each",
    "security.pki.der:integer",
    "security.pki.der:oid",
    "security.pki.der:time",
)
def encodings() -> Iterable[Try]:
    def deep(raw: bytes) -> None:
        for _ in range(8):
            raw = next(der.each(raw)).content

    inputs: dict[str, Callable[[int], bytes]] = {
        "nulls": again(b"\x05\x00"),
        "elements": again(b"\x30\x02\x05\x00"),
        "in each other": lambda n: _nested(min(n, 20_000)),
        "zeros": again(b"\x00"),
        "long": lambda n: der.element(der.OCTETS, b"a" * n),
        "lengths": again(b"\x30\x84\xff\xff\xff\xff"),
        "digits": again(b"1"),
        "arcs": again(b"\x81"),
    }
    for name, make in inputs.items():
        yield Try(f"each: {name}", lambda raw: sum(1 for _ in der.each(raw)), make)
        for read in (der.first, deep, der.integer, der.oid, der.time, lambda raw: der.only(raw, der.OCTETS)):
            yield Try(f"{read.__name__}: {name}", read, make)


def _nested(depth: int) -> bytes:
    made = b""
    for _ in range(min(depth, 2_000)):
        made = der.element(der.SEQUENCE, made)
    return made


@reader("security.pki.timestamp:read", "security.pki.timestamp:claimed", "security.pki.timestamp:nonce_of")
def stamps() -> Iterable[Try]:
    for name, make in {
        "nulls": again(b"\x05\x00"),
        "a status": lambda n: der.element(der.SEQUENCE, der.element(der.SEQUENCE, b"\x02\x01\x00" * n)),
        "letters": again(b"a"),
        "a token": lambda n: der.element(
            der.SEQUENCE, der.element(der.SEQUENCE, b"\x02\x01\x00"), der.element(der.SEQUENCE, b"\x05\x00" * n)
        ),
        "in each other": _nested,
    }.items():
        yield Try(name, lambda raw: timestamp.read(raw, b"a" * 32, [known().issuer.certificate], nonce=1), make)
        yield Try(f"claimed: {name}", lambda raw: timestamp.claimed(raw, b"a" * 32, nonce=1), make)
        yield Try(f"question: {name}", timestamp.nonce_of, make)


@reader("security.pki.revocation:read_crl", "security.pki.revocation:read_ocsp")
def revocations() -> Iterable[Try]:
    issuer = known().issuer

    def listed(n: int) -> bytes:
        return revocation.make_crl(
            issuer, [revocation.Revoked(at + 1, NOW, "unspecified") for at in range(n)], 1, NOW - 60, 3600
        )

    yield Try("a list", lambda raw: revocation.read_crl(raw, [issuer.certificate], NOW), listed, 4_000)
    for name, make in {"PEM": again(b"-----BEGIN X509 CRL-----\n"), "spaces": again(b" "), "DER": again(b"\x30\x80"), "long": lambda n: der.element(der.SEQUENCE, b"\x05\x00" * n)}.items():  # fmt: skip
        yield Try(f"CRL: {name}", lambda raw: revocation.read_crl(raw, [issuer.certificate], NOW), make)
        yield Try(
            f"OCSP: {name}",
            lambda raw: revocation.read_ocsp(raw, issuer.certificate, issuer.certificate, b"a", NOW),
            make,
        )


@reader(
    "security.pki.authority:read_request", "security.keys:load_certificate", "security.keys:VerifyKey.from_certificate"
)
def certificates() -> Iterable[Try]:
    private = algorithms.new_private("P-256")

    def asked(n: int) -> bytes:
        names = [x509.DNSName(f"a{at}.example") for at in range(n)]
        made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        made = made.add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:lgsp:system:a"), *names]), critical=False
        )
        return made.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)

    yield Try("names", authority.read_request, asked, 4_000)
    texts: dict[str, Callable[[int], bytes]] = {
        "PEM": again(b"-----BEGIN CERTIFICATE-----\n"),
        "base64": again(b"QUJD\n", b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n"),
        "dashes": again(b"-"),
        "spaces": again(b" "),
        "DER": again(b"\x30\x80"),
        "long": lambda n: der.element(der.SEQUENCE, b"\x05\x00" * n),
    }
    for name, make in texts.items():
        yield Try(f"request: {name}", authority.read_request, make)
        yield Try(f"certificate: {name}", keys.load_certificate, make)
        yield Try(
            f"certificate in base64: {name}", lambda raw: keys.load_certificate(base64.b64encode(raw).decode()), make
        )


@reader("security.grants.windows:Hours.from_json", "security.grants.windows:Quota.from_json")
def hours() -> Iterable[Try]:
    values: dict[str, Callable[[int], Any]] = {"a text": lambda n: "1" * n, "a list": lambda n: ["mon"] * n, "fields": lambda n: {f"a{at}": 1 for at in range(n)}}  # fmt: skip
    for name, make in values.items():
        yield Try(
            f"hours: {name}",
            lambda given: windows.Hours.from_json({"days": given, "from": given, "until": given}),
            make,
        )
        yield Try(f"hours, all: {name}", windows.Hours.from_json, make)
        yield Try(f"quota: {name}", windows.Quota.from_json, make)
    yield Try("a moment", windows.moment, lambda n: "2" * n)
