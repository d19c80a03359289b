"""Tries what was signed instead, to explain a wrong signature: of a caller in sandboxes only.

Invariant: the work is bounded: at most `MAX_TRIES` verifications a request. A hint never quotes a value of the message.
Invariant: a hint is no proof: whoever gets one is refused all the same.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from contracts.base.errors import Failure, Finding, Theirs
from contracts.wire.soap import VERSIONS
from security.errors import SIGNATURE_DIGEST_MISMATCH, SIGNATURE_WRONG
from security.http_signatures import ANSWER_TAG, REQUEST_TAG, HttpRequest, signature_base
from security.keys import VerifyKey
from security.signature_fields import find_signature
from security.wssec.names import DS
from security.wssec.signed_info import children_of

MAX_TRIES: Final = 40
_MAX_KEYS: Final = 8
_MAX_BODY: Final = 1_000_000
_ENCODED: Final = re.compile("%[0-9A-Fa-f]{2}")
_HALF: Final = 32  # bytes of r, and of s, on P-256
RULE: Final = "signature"  # of each finding
_ACCEPTED: Final = "r‖s: 64 bytes, without DER"
Verify = Callable[[VerifyKey, bytes, bytes], None]


class Hints(NamedTuple):
    """`base`: the octets that the signature has to cover, as text; empty where they do not matter."""

    base: str
    findings: tuple[Finding, ...]


class _Tries:
    """Counts verifications, and tells whether one succeeded."""

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._left = MAX_TRIES

    def fit(self, key: VerifyKey, base: bytes, signature: bytes) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        try:
            self._verify(key, base, signature)
        except Theirs:
            return False
        return True


def http_hints(failure: Theirs, request: HttpRequest, keys: Sequence[VerifyKey]) -> Hints | None:
    """Why `request` was refused with `failure`, as far as trying tells. `keys` are those of the caller.

    None for a failure that says all by itself.
    """
    if failure.code == SIGNATURE_DIGEST_MISMATCH.code:
        return Hints("", tuple(_digest_hints(request.headers, request.body)))
    if failure.code != SIGNATURE_WRONG.code:
        return None
    signed = find_signature(request.headers, REQUEST_TAG)
    base = signature_base(request, signed.inner)
    named = [key for key in keys if key.key_id == failure.facts["key"]]
    others = [key for key in keys if key not in named][:_MAX_KEYS]
    found = _why(signed.value, base, named, others, _other_bases(request, base), VerifyKey.verify)
    return Hints(base.decode("ascii"), found)


def answer_hints(
    failure: Failure, headers: Mapping[str, str], body: bytes, keys: Mapping[str, VerifyKey]
) -> tuple[Finding, ...]:
    """Why an answer was refused with `failure`, as far as its form tells. No signature is verified again."""
    if failure.code == SIGNATURE_DIGEST_MISMATCH.code:
        return tuple(_digest_hints(headers, body))
    key = keys.get(str(failure.facts.get("key", ""))) if failure.code == SIGNATURE_WRONG.code else None
    if key is None or not isinstance(key.public, ec.EllipticCurvePublicKey):
        return ()
    signature = find_signature(headers, ANSWER_TAG).value
    if len(signature) == 2 * _HALF:
        return ()
    return (_hint("DER" if _plain(signature, [key]) else f"{len(signature)} bytes", _ACCEPTED),)


def soap_hints(failure: Theirs, root: etree._Element, keys: Sequence[VerifyKey]) -> Hints | None:
    """As `http_hints`, for a decrypted envelope: which digest is another canonicalisation's, what SignatureValue is."""
    if failure.code not in (SIGNATURE_WRONG.code, SIGNATURE_DIGEST_MISMATCH.code):
        return None
    signature = next(root.iter(f"{{{DS}}}Signature"))
    info, value = children_of(signature)[:2]
    if failure.code == SIGNATURE_DIGEST_MISMATCH.code:
        return Hints("", tuple(_part_hints(root, info, str(failure.facts["part"]))))
    base = etree.tostring(info, method="c14n", exclusive=True, with_comments=False, with_tail=False)
    named = [key for key in keys if key.key_id == failure.facts["key"]]
    others = [key for key in keys if key not in named][:_MAX_KEYS]
    bases = [(words, made) for words, made in _canonical(info) if made != base]
    octets = base64.b64decode("".join((value.text or "").split()))
    found = _why(octets, base, named, others, bases, VerifyKey.verify_xml)
    return Hints(base.decode("utf-8"), found)


def _why(
    signature: bytes,
    base: bytes,
    named: Sequence[VerifyKey],
    others: Sequence[VerifyKey],
    bases: Sequence[tuple[str, bytes]],
    verify: Verify,
) -> tuple[Finding, ...]:
    tries = _Tries(verify)
    forms = [("", signature), *(("DER", plain) for plain in _plain(signature, named))]
    for key in named:
        for form, octets in forms:
            coded = (_hint("DER", _ACCEPTED),) if form else ()
            if form and tries.fit(key, base, octets):
                return coded
            for words, other in bases:
                if tries.fit(key, other, octets):
                    return (*coded, _hint(words, "the signature base as the answer shows it"))
    for key in others:
        for form, octets in [("", signature), *(("DER", plain) for plain in _plain(signature, [key]))]:
            if tries.fit(key, base, octets):
                coded = (_hint("DER", _ACCEPTED),) if form else ()
                return (*coded, _hint(f"made with your key {key.key_id}", "made with the key that keyid names"))
    if named and isinstance(named[0].public, ec.EllipticCurvePublicKey) and len(signature) != 2 * _HALF:
        return (_hint(f"{len(signature)} bytes", _ACCEPTED),)
    return ()


def _hint(got: str, expected: str) -> Finding:
    return Finding("Signature", "", got, RULE, expected)


def _plain(signature: bytes, keys: Sequence[VerifyKey]) -> list[bytes]:
    """r‖s of a DER signature by a key on P-256."""
    if not keys or not isinstance(keys[0].public, ec.EllipticCurvePublicKey) or not signature.startswith(b"0"):
        return []
    try:
        r, s = decode_dss_signature(signature)
        return [r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")]
    except (ValueError, OverflowError):
        return []


def _other_bases(request: HttpRequest, base: bytes) -> list[tuple[str, bytes]]:
    """What stacks sign by mistake: another target, other line ends, the digest in place of the base."""
    signed = find_signature(request.headers, REQUEST_TAG)
    made: list[tuple[str, bytes]] = []
    for words, target in _targets(request):
        made.append((words, signature_base(request._replace(target_uri=target), signed.inner)))
    made.append(
        ("@method in lower case", signature_base(request._replace(method=request.method.lower()), signed.inner))
    )
    made.append(("a line end after the last line", base + b"\n"))
    made.append(("CR LF between the lines", base.replace(b"\n", b"\r\n")))
    made.append(("the SHA-256 of the signature base, hashed again", hashlib.sha256(base).digest()))
    made.append(("without the line @signature-params", base.rpartition(b"\n")[0]))
    return [(words, other) for words, other in made if other != base]


def _targets(request: HttpRequest) -> Iterator[tuple[str, str]]:
    target = urlsplit(request.target_uri)
    path = request.target_uri.removeprefix(f"{target.scheme}://{target.netloc}")
    bare = path.partition("?")[0]
    host = request.headers.get("host", "")
    published = f"{target.scheme}://{target.netloc}"
    yield "@target-uri without scheme and authority", path
    yield "@target-uri without the query", published + bare
    yield "@target-uri without the query, path alone", bare
    yield "@target-uri with http", f"http://{target.netloc}{path}"
    yield "@target-uri with a slash at the end", request.target_uri + "/"
    if "?" not in path:
        yield "@target-uri with an empty query", request.target_uri + "?"
    yield (
        "@target-uri with percent-encodings in lower case",
        published + _ENCODED.sub(lambda each: each[0].lower(), path),
    )
    yield (
        "@target-uri with percent-encodings in upper case",
        published + _ENCODED.sub(lambda each: each[0].upper(), path),
    )
    yield "@target-uri with the query decoded", published + unquote(path)
    yield "@target-uri with the query encoded again", published + quote(unquote(path), safe="/?&=-._~")
    for authority in dict.fromkeys(
        (host, target.hostname or "", f"{target.hostname}:443", "localhost", f"127.0.0.1:{target.port}", "127.0.0.1")
    ):
        if authority:
            yield (
                "@target-uri with another authority than the published address",
                f"{target.scheme}://{authority}{path}",
            )


def _digest_hints(headers: Mapping[str, str], body: bytes) -> Iterator[Finding]:
    """What the sender's digest was computed over, or how it was written."""
    sent = headers.get("content-digest", "")
    if len(body) > _MAX_BODY:
        return
    digest = hashlib.sha256(body)
    tried = {
        "the hexadecimal text of the digest, in base64": base64.b64encode(digest.hexdigest().encode()),
        "over an empty body": base64.b64encode(hashlib.sha256(b"").digest()),
        "over the body without its last line end": base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n")).digest()),
        "over the body with a line end behind it": base64.b64encode(hashlib.sha256(body + b"\n").digest()),
        "over the body with CR LF": base64.b64encode(hashlib.sha256(body.replace(b"\n", b"\r\n")).digest()),
        "over the body with LF": base64.b64encode(hashlib.sha256(body.replace(b"\r\n", b"\n")).digest()),
        "over the body in base64": base64.b64encode(hashlib.sha256(base64.b64encode(body)).digest()),
    }
    for words, value in tried.items():
        if value.decode("ascii") in sent:
            yield Finding("Content-Digest", "", words, RULE, "over the very bytes that are sent, in base64")
            return


def _canonical(element: etree._Element) -> list[tuple[str, bytes]]:
    """The element in the other canonicalisations."""
    every: list[tuple[str, bytes]] = []
    for words, method, exclusive, comments in (
        ("inclusive C14N 1.0", "c14n", False, False),
        ("inclusive C14N 1.0 with comments", "c14n", False, True),
        ("exclusive C14N with comments", "c14n", True, True),
        ("C14N 2.0", "c14n2", False, False),
    ):
        try:
            made = (
                etree.tostring(element, method=method, with_comments=comments, with_tail=False)
                if method == "c14n2"
                else etree.tostring(
                    element, method=method, exclusive=exclusive, with_comments=comments, with_tail=False
                )
            )
        except (etree.C14NError, ValueError):
            continue
        every.append((words, made))
    every.append(("the text as it is in the message", etree.tostring(element, with_tail=False)))
    return every


def _part_hints(root: etree._Element, info: etree._Element, part: str) -> Iterator[Finding]:
    """The canonicalisation whose digest the message has for `part`."""
    digests = {
        "".join((each.text or "").split()) for each in info.iter(f"{{{DS}}}DigestValue") if each.text is not None
    }
    version = VERSIONS[str(root.tag)]
    local = part.partition(":")[2]
    element = next((each for each in root.iter(f"{{*}}{local}") if each.tag != version.header), None)
    if element is None or len(etree.tostring(element)) > _MAX_BODY:
        return
    for words, made in _canonical(element):
        for name in ("sha256", "sha1"):
            if base64.b64encode(hashlib.new(name, made, usedforsecurity=False).digest()).decode() in digests:
                yield Finding(part, "", f"{words}, {name}", RULE, "exclusive C14N without comments, sha256")
                return
