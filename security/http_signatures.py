"""HTTP message signatures (RFC 9421) over bodies with Content-Digest (RFC 9530), in the profile of `docs/wire.md`.

The components that may be signed are a closed list; those present must be signed. The algorithm is the registered
key's; `alg`, if present, must agree. The replay key covers key id and signature base, not the signature's value,
because anyone can derive a second valid value from an ECDSA signature.
Invariant: a `Verified` exists only after body, coverage, freshness and signature were checked.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from security.errors import (
    SIGNATURE_ALGORITHM,
    SIGNATURE_COMPONENT_ABSENT,
    SIGNATURE_DIGEST_MISMATCH,
    SIGNATURE_MALFORMED,
    SIGNATURE_NOT_COVERING,
    SIGNATURE_UNKNOWN_KEY,
)
from security.freshness import check_times
from security.keys import SigningKey, VerifyKey
from security.signature_fields import FoundSignature, check_params, dictionary, find_signature, integer, plain_names
from security.structured_fields import Bare, InnerList, Item, serialise_bytes, serialise_string

REQUEST_TAG: Final = "lgsp-request"
ANSWER_TAG: Final = "lgsp-answer"
LIFETIME: Final = 60
LABEL: Final = "sig1"

# Headers that must be covered if present, in the order of signing.
REQUEST_HEADERS: Final = (
    "authorization",
    "content-type",
    "content-digest",
    "idempotency-key",
    "lgsp-transfer",
    "lgsp-caller",
    "repr-digest",  # of a file that is uploaded in parts, with the next three
    "upload-complete",
    "upload-length",
    "upload-offset",
)
ANSWER_HEADERS: Final = ("content-type", "content-digest", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint")
_REQUEST_KNOWN: Final = frozenset({"@method", "@target-uri", *REQUEST_HEADERS})
_ANSWER_KNOWN: Final = frozenset({"@status", *ANSWER_HEADERS})
_CONTROL: Final = re.compile(r"[^\x20-\x7e\t]")

FindKey = Callable[[str], VerifyKey | None]


class HttpRequest(NamedTuple):
    """A received request; header names are lower-case.

    `target_uri` is the public base address and the raw path with query.
    """

    method: str
    target_uri: str
    headers: Mapping[str, str]
    body: bytes
    digests: Mapping[str, bytes] | None = None  # of a body that is not here as a whole, by name in Content-Digest


class Verified(NamedTuple):
    """A verified signature. `payload_digest` is SHA-256 of the body."""

    key: VerifyKey
    label: str
    base: bytes
    created: int
    expires: int
    nonce: str | None
    replay_key: bytes
    payload_digest: bytes
    value: bytes
    signature_input: str
    signature: str


def content_digest(body: bytes) -> str:
    """The Content-Digest header of a body."""
    return f"sha-256={serialise_bytes(hashlib.sha256(body).digest())}"


def stated_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """The digests in Content-Digest that can be checked, by name. SHA-256 must be one of them."""
    value = headers.get("content-digest", "")
    stated: dict[str, bytes] = {}
    for name, item in dictionary("Content-Digest", value).items():
        if name in ("sha-256", "sha-512") and isinstance(item, Item) and isinstance(item.value, bytes):
            stated[name] = item.value
    if "sha-256" not in stated:
        raise SIGNATURE_ALGORITHM(where="Content-Digest", algorithm=value.split("=")[0][:40], expected="sha-256")
    return stated


def check_content_digest(value: str, body: bytes, digests: Mapping[str, bytes] | None = None) -> None:
    """Every known digest must match, and at least one must be present; unknown ones are ignored.

    `digests`: those of the body, if it is not here.
    """
    if digests is None and value == content_digest(body):
        return
    known = 0
    for name, item in dictionary("Content-Digest", value).items():
        if not isinstance(item, Item) or not isinstance(item.value, bytes):
            raise SIGNATURE_MALFORMED(where="Content-Digest", rule=f"{name}=:base64:")
        if name in ("sha-256", "sha-512"):
            known += 1
            if digests is not None:
                computed = digests.get(name)
            else:
                computed = (hashlib.sha256(body) if name == "sha-256" else hashlib.sha512(body)).digest()
            if computed != item.value:
                raise SIGNATURE_DIGEST_MISMATCH(part="body")
    if not known:
        raise SIGNATURE_ALGORITHM(
            where="Content-Digest", algorithm=value.split("=")[0][:40], expected="sha-256, sha-512"
        )


def verify_request(
    request: HttpRequest, find_key: FindKey, now: float, *, need: Sequence[str] = ("authorization",)
) -> Verified:
    """The verified signature of a request. A `SIGNATURE_…` error otherwise.

    `need` names headers that must be present, and thus signed. With a body, Content-Type and Content-Digest always are.
    """
    headers = request.headers
    signed = find_signature(headers, REQUEST_TAG)
    inner = signed.inner
    params = check_params(inner.params, ("created", "expires", "nonce", "keyid"))
    names = plain_names(inner.items, _REQUEST_KNOWN)
    missing = [n for n in ("@method", "@target-uri") if n not in names]
    missing += [n for n in REQUEST_HEADERS if n not in names and (n in headers or n in need)]
    if request.body or request.digests is not None:
        missing += [n for n in ("content-type", "content-digest") if n not in names and n not in missing]
    if missing:
        raise SIGNATURE_NOT_COVERING(missing=", ".join(missing))
    key = _known_key(find_key, params, now)
    times = _check_times(params, now)
    lines = _request_lines(request, inner)
    payload_digest = _check_body(headers, request.body, request.digests)
    return _finish(key, signed, lines, headers, times, payload_digest)


def signature_base(request: HttpRequest, inner: InnerList) -> bytes:
    """The octets that a signature with this Signature-Input has to cover."""
    return _base(_request_lines(request, inner), inner.text)


def _request_lines(request: HttpRequest, inner: InnerList) -> list[str]:
    lines = []
    for item in inner.items:
        name = item.value
        if name == "@method":
            value: str | None = request.method
        elif name == "@target-uri":
            value = request.target_uri
        else:
            value = request.headers.get(str(name))
        if value is None:
            raise SIGNATURE_COMPONENT_ABSENT(component=name)
        lines.append(_line(item.text, value))
    return lines


def sign_request(
    request: HttpRequest, key: SigningKey, now: float, *, nonce: str | None = None, label: str = LABEL
) -> dict[str, str]:
    """The headers to add to a request: Content-Digest (with a body), Signature-Input, Signature."""
    added: dict[str, str] = {}
    headers = request.headers
    if request.body and "content-digest" not in headers:
        added["content-digest"] = content_digest(request.body)
        headers = {**headers, **added}
    lines = [f'"@method": {request.method}', _line('"@target-uri"', request.target_uri)]
    covered = '"@method" "@target-uri"'
    for name in REQUEST_HEADERS:
        value = headers.get(name)
        if value is not None:
            lines.append(_line(f'"{name}"', value))
            covered += f' "{name}"'
    created = int(now)
    nonce = nonce or secrets.token_urlsafe(18)
    params = (
        f"({covered});created={created};expires={created + LIFETIME};nonce={serialise_string(nonce)}"
        f';keyid={serialise_string(key.key_id)};tag="{REQUEST_TAG}"'
    )
    return _signed(added, lines, params, key, label)


def sign_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    request: Mapping[str, str] | Verified,
    key: SigningKey,
    now: float,
) -> dict[str, str]:
    """The headers to add to an answer: Content-Digest, Signature-Input, Signature. `body` is None for a streamed one,
    which has no digest.

    The signature of the request, read from its headers unless it is verified already, is covered. So the answer cannot
    be used for another request.
    """
    digest = headers.get("content-digest") or (content_digest(body) if body is not None else None)
    lines = [f'"@status": {status}']
    covered = '"@status"'
    for name in ANSWER_HEADERS:
        value = digest if name == "content-digest" else headers.get(name)
        if value is not None:
            lines.append(_line(f'"{name}"', value))
            covered += f' "{name}"'
    component = (
        _request_component(request.label, request.value)
        if isinstance(request, Verified)
        else _request_signature(request)
    )
    if component is not None:
        name, value = component
        lines.append(f"{name}: {value}")
        covered += f" {name}"
    params = f'({covered});created={int(now)};keyid={serialise_string(key.key_id)};tag="{ANSWER_TAG}"'
    return _signed({"content-digest": digest} if digest is not None else {}, lines, params, key, LABEL)


def verify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request_headers_sent: Mapping[str, str],
    key: VerifyKey | FindKey,
    now: float,
) -> Verified:
    """The verified signature of an answer, which must cover the signature of our request."""
    signed = find_signature(headers, ANSWER_TAG)
    inner = signed.inner
    params = check_params(inner.params, ("created", "keyid"))
    question = _request_signature(request_headers_sent)
    bound = False
    lines: list[str] = []
    plain: list[Item] = []
    for item in inner.items:
        name = item.value
        if name == "signature" and item.params.get("req") is True:
            if question is None or bound or item.text != question[0]:
                raise SIGNATURE_COMPONENT_ABSENT(component=item.text)
            lines.append(f"{item.text}: {question[1]}")
            bound = True
            continue
        plain.append(item)
        value = str(status) if name == "@status" else headers.get(str(name))
        if value is None and name in _ANSWER_KNOWN:
            raise SIGNATURE_COMPONENT_ABSENT(component=name)
        lines.append(_line(item.text, value or ""))
    names = plain_names(plain, _ANSWER_KNOWN)
    missing = [] if "@status" in names else ["@status"]
    missing += [n for n in ANSWER_HEADERS if n not in names and n in headers]
    if body:
        missing += [n for n in ("content-type", "content-digest") if n not in names and n not in missing]
    if not bound:
        missing.append('"signature";req')
    if missing:
        raise SIGNATURE_NOT_COVERING(missing=", ".join(missing))
    known = _known_key(key if callable(key) else (lambda keyid: key if keyid == key.key_id else None), params, now)
    times = _check_times({"expires": integer(params["created"]) + LIFETIME, **params}, now)
    payload_digest = _check_body(headers, body)
    return _finish(known, signed, lines, headers, times, payload_digest)


def _known_key(find_key: FindKey, params: dict[str, Bare], now: float) -> VerifyKey:
    key = find_key(str(params["keyid"]))
    if key is None:
        raise SIGNATURE_UNKNOWN_KEY(key=str(params["keyid"])[:80])
    named = params.get("alg", key.algorithm)
    if named != key.algorithm:
        raise SIGNATURE_ALGORITHM(where="Signature-Input, alg", algorithm=str(named)[:40], expected=key.algorithm)
    key.check_time(now)
    return key


def _check_times(params: Mapping[str, Bare], now: float) -> tuple[int, int]:
    created, expires = integer(params["created"]), integer(params["expires"], "expires")
    check_times(created, expires, now, LIFETIME)
    return created, expires


def _check_body(headers: Mapping[str, str], body: bytes, digests: Mapping[str, bytes] | None = None) -> bytes:
    digest = headers.get("content-digest")
    computed = hashlib.sha256(body).digest() if digests is None else digests["sha-256"]
    if digest is not None and digest != f"sha-256=:{base64.b64encode(computed).decode('ascii')}:":
        check_content_digest(digest, body, digests)
    return computed


def _line(component: str, value: str) -> str:
    value = value.strip(" \t")
    if not (value.isascii() and value.isprintable()) and _CONTROL.search(value) is not None:
        raise SIGNATURE_MALFORMED(where=component, rule="ASCII")
    return f"{component}: {value}"


def _base(lines: list[str], params: str) -> bytes:
    """The signature base of RFC 9421 §2.5."""
    return "\n".join([*lines, f'"@signature-params": {params}']).encode("ascii")


def _finish(
    key: VerifyKey,
    signed: FoundSignature,
    lines: list[str],
    headers: Mapping[str, str],
    times: tuple[int, int],
    payload_digest: bytes,
) -> Verified:
    base = _base(lines, signed.inner.text)
    key.verify(base, signed.value)
    nonce = signed.inner.params.get("nonce")
    return Verified(
        key=key,
        label=signed.label,
        base=base,
        created=times[0],
        expires=times[1],
        nonce=None if nonce is None else str(nonce),
        replay_key=hashlib.sha256(key.key_id.encode() + b"\n" + base).digest(),
        payload_digest=payload_digest,
        value=signed.value,
        signature_input=headers["signature-input"],
        signature=headers["signature"],
    )


def _signed(added: dict[str, str], lines: list[str], params: str, key: SigningKey, label: str) -> dict[str, str]:
    added["signature-input"] = f"{label}={params}"
    added["signature"] = f"{label}={serialise_bytes(key.sign(_base(lines, params)))}"
    return added


def signature_of(headers: Mapping[str, str]) -> str:
    """The signature of a signed request, as a structured-field byte sequence."""
    component = _request_signature(headers)
    assert component is not None
    return component[1]


def _request_signature(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Component and value of the request's signature; None for an unsigned request."""
    if "signature" not in headers or "signature-input" not in headers:
        return None
    signed = find_signature(headers, REQUEST_TAG)
    return _request_component(signed.label, signed.value)


def _request_component(label: str, signature: bytes) -> tuple[str, str]:
    return f'"signature";req;key="{label}"', serialise_bytes(signature)
