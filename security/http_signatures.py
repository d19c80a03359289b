"""HTTP message signatures (RFC 9421) over bodies with Content-Digest (RFC 9530), strictly as `docs/wire.md` has them.

What may be signed is a closed list; what is there must be signed. The algorithm is the registered key's; `alg`, if given,
must agree. The replay key is taken over key id and signature base, never over the signature's value, because anyone can
make a second valid value from an ECDSA signature.
Invariant: a `Verified` is made only after body, coverage, freshness and signature have all been checked.
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
    SIGNATURE_COMPONENT_UNKNOWN,
    SIGNATURE_DIGEST_MISMATCH,
    SIGNATURE_MALFORMED,
    SIGNATURE_MISSING,
    SIGNATURE_NONCE,
    SIGNATURE_NOT_COVERING,
    SIGNATURE_PARAMETER,
    SIGNATURE_SEVERAL,
    SIGNATURE_UNKNOWN_KEY,
)
from security.freshness import check_times
from security.keys import SigningKey, VerifyKey
from security.structured_fields import (
    Bare,
    FieldError,
    InnerList,
    Item,
    parse_dictionary,
    serialise_bytes,
    serialise_string,
)

REQUEST_TAG: Final = "lgsp-request"
ANSWER_TAG: Final = "lgsp-answer"
LIFETIME: Final = 60
LABEL: Final = "sig1"

# Headers that must be covered if they are there, in the order in which we sign them.
REQUEST_HEADERS: Final = (
    "authorization",
    "content-type",
    "content-digest",
    "idempotency-key",
    "lgsp-transfer",
    "lgsp-caller",
)
ANSWER_HEADERS: Final = ("content-type", "content-digest", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint")
_REQUEST_KNOWN: Final = frozenset({"@method", "@target-uri", *REQUEST_HEADERS})
_ANSWER_KNOWN: Final = frozenset({"@status", *ANSWER_HEADERS})
_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "alg", "tag"})
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{22,126}={0,2}")
_CONTROL: Final = re.compile(r"[^\x20-\x7e\t]")

FindKey = Callable[[str], VerifyKey | None]


class HttpRequest(NamedTuple):
    """A request as it came: `target_uri` is the public base address and the raw path with query; header names lower-case."""

    method: str
    target_uri: str
    headers: Mapping[str, str]
    body: bytes


class Verified(NamedTuple):
    """What a verified signature says. `payload_digest` is SHA-256 of the body."""

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


def check_content_digest(value: str, body: bytes) -> None:
    """Every digest that we know must agree, and one of them must be there; others are passed over."""
    if value == content_digest(body):
        return
    known = 0
    for name, item in _dictionary("Content-Digest", value).items():
        if not isinstance(item, Item) or not isinstance(item.value, bytes):
            raise SIGNATURE_MALFORMED(where="Content-Digest", rule=f"{name}=:base64:")
        if name in ("sha-256", "sha-512"):
            known += 1
            made = hashlib.sha256(body) if name == "sha-256" else hashlib.sha512(body)
            if made.digest() != item.value:
                raise SIGNATURE_DIGEST_MISMATCH(part="body")
    if not known:
        raise SIGNATURE_ALGORITHM(
            where="Content-Digest", algorithm=value.split("=")[0][:40], expected="sha-256, sha-512"
        )


def verify_request(
    request: HttpRequest, find_key: FindKey, now: float, *, need: Sequence[str] = ("authorization",)
) -> Verified:
    """The verified signature of a request; Theirs("signature.…") says what is wrong with it.

    `need` names headers that must be there, and thus be signed; with a body Content-Type and Content-Digest always are.
    """
    headers = request.headers
    label, inner, signature = _the_signature(headers, REQUEST_TAG)
    params = _check_params(inner.params, ("created", "expires", "nonce", "keyid"))
    names = _plain_names(inner.items, _REQUEST_KNOWN)
    missing = [n for n in ("@method", "@target-uri") if n not in names]
    missing += [n for n in REQUEST_HEADERS if n not in names and (n in headers or n in need)]
    if request.body:
        missing += [n for n in ("content-type", "content-digest") if n not in names and n not in missing]
    if missing:
        raise SIGNATURE_NOT_COVERING(missing=", ".join(missing))
    key = _known_key(find_key, params, now)
    created, expires = _check_times(params, now)
    lines = []
    for item in inner.items:
        name = item.value
        if name == "@method":
            value: str | None = request.method
        elif name == "@target-uri":
            value = request.target_uri
        else:
            value = headers.get(str(name))
        if value is None:
            raise SIGNATURE_COMPONENT_ABSENT(component=name)
        lines.append(_line(item.text, value))
    payload_digest = _check_body(headers, request.body)
    return _finish(key, label, lines, inner, signature, headers, created, expires, payload_digest)


def sign_request(
    request: HttpRequest, key: SigningKey, now: float, *, nonce: str | None = None, label: str = LABEL
) -> dict[str, str]:
    """The headers to add to a request of ours: Content-Digest (with a body), Signature-Input, Signature."""
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
    params = (
        f"({covered});created={created};expires={created + LIFETIME};nonce={serialise_string(nonce or secrets.token_urlsafe(18))}"
        f';keyid={serialise_string(key.key_id)};tag="{REQUEST_TAG}"'
    )
    return _signed(added, lines, params, key, label)


def sign_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request_headers: Mapping[str, str],
    key: SigningKey,
    now: float,
    *,
    request: Verified | None = None,
) -> dict[str, str]:
    """The headers to add to an answer: Content-Digest, Signature-Input, Signature.

    The request's own signature is covered, so that the answer cannot be taken for that to another question; it is read
    from the headers again unless it is handed in as it was verified.
    """
    digest = headers.get("content-digest") or content_digest(body)
    lines = [f'"@status": {status}']
    covered = '"@status"'
    for name in ANSWER_HEADERS:
        value = digest if name == "content-digest" else headers.get(name)
        if value is not None:
            lines.append(_line(f'"{name}"', value))
            covered += f' "{name}"'
    question = _asked(request.label, request.value) if request is not None else _question(request_headers)
    if question is not None:
        component, value = question
        lines.append(f"{component}: {value}")
        covered += f" {component}"
    params = f'({covered});created={int(now)};keyid={serialise_string(key.key_id)};tag="{ANSWER_TAG}"'
    return _signed({"content-digest": digest}, lines, params, key, LABEL)


def verify_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    request_headers_sent: Mapping[str, str],
    key: VerifyKey | FindKey,
    now: float,
) -> Verified:
    """The verified signature of an answer to a request that we signed; the answer must cover that very signature."""
    label, inner, signature = _the_signature(headers, ANSWER_TAG)
    params = _check_params(inner.params, ("created", "keyid"))
    question = _question(request_headers_sent)
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
    names = _plain_names(plain, _ANSWER_KNOWN)
    missing = [] if "@status" in names else ["@status"]
    missing += [n for n in ANSWER_HEADERS if n not in names and n in headers]
    if body:
        missing += [n for n in ("content-type", "content-digest") if n not in names and n not in missing]
    if not bound:
        missing.append('"signature";req')
    if missing:
        raise SIGNATURE_NOT_COVERING(missing=", ".join(missing))
    found = _known_key(key if callable(key) else (lambda keyid: key if keyid == key.key_id else None), params, now)
    created, expires = _check_times({"expires": _integer(params["created"]) + LIFETIME, **params}, now)
    payload_digest = _check_body(headers, body)
    return _finish(found, label, lines, inner, signature, headers, created, expires, payload_digest)


def _dictionary(where: str, value: str) -> dict[str, Item | InnerList]:
    try:
        return parse_dictionary(value)
    except FieldError as wrong:
        raise SIGNATURE_MALFORMED(where=where, rule=f"RFC 9651, {wrong}") from None


def _the_signature(headers: Mapping[str, str], tag: str) -> tuple[str, InnerList, bytes]:
    """Label, input and value of the one signature with our tag; those of others (of proxies) are no business of ours."""
    raw_input, raw_signature = headers.get("signature-input"), headers.get("signature")
    if raw_input is None or raw_signature is None:
        raise SIGNATURE_MISSING(where="Signature-Input" if raw_input is None else "Signature")
    ours = []
    for label, member in _dictionary("Signature-Input", raw_input).items():
        if not isinstance(member, InnerList):
            raise SIGNATURE_MALFORMED(where="Signature-Input", rule=f"{label}=(…)")
        if member.params.get("tag") == tag:
            ours.append((label, member))
    if not ours:
        raise SIGNATURE_MISSING(where=f'Signature-Input, tag="{tag}"')
    if len(ours) > 1:
        raise SIGNATURE_SEVERAL(found=len(ours), where=f'Signature-Input, tag="{tag}"')
    label, inner = ours[0]
    value = _dictionary("Signature", raw_signature).get(label)
    if value is None:
        raise SIGNATURE_MISSING(where=f"Signature, {label}")
    if not isinstance(value, Item) or not isinstance(value.value, bytes) or value.params:
        raise SIGNATURE_MALFORMED(where="Signature", rule=f"{label}=:base64:")
    return label, inner, value.value


def _check_params(params: dict[str, Bare], need: Sequence[str]) -> dict[str, Bare]:
    for name, value in params.items():
        if name not in _PARAMETERS:
            raise SIGNATURE_PARAMETER(parameter=name[:40], rule="created, expires, nonce, keyid, alg, tag")
        if name in ("created", "expires"):
            _integer(value, name)
        elif type(value) is not str:
            raise SIGNATURE_PARAMETER(parameter=name, rule='"…"')
    for name in need:
        if name not in params:
            raise SIGNATURE_NONCE() if name == "nonce" else SIGNATURE_PARAMETER(parameter=name, rule=f"{name}=…")
    nonce = params.get("nonce")
    if nonce is not None and _NONCE.fullmatch(str(nonce)) is None:
        raise SIGNATURE_NONCE()
    return params


def _integer(value: Bare, name: str = "created") -> int:
    if type(value) is not int or not 0 <= value < 1 << 40:
        raise SIGNATURE_PARAMETER(parameter=name, rule=f"{name}=<Unix seconds>")
    return value


def _plain_names(items: Sequence[Item], known: frozenset[str]) -> set[object]:
    names: set[object] = set()
    for item in items:
        if type(item.value) is not str or item.params or item.value not in known:
            raise SIGNATURE_COMPONENT_UNKNOWN(component=item.text[:80])
        if item.value in names:
            raise SIGNATURE_MALFORMED(where="Signature-Input", rule=f"{item.text} × 1")
        names.add(item.value)
    return names


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
    created, expires = _integer(params["created"]), _integer(params["expires"], "expires")
    check_times(created, expires, now, LIFETIME)
    return created, expires


def _check_body(headers: Mapping[str, str], body: bytes) -> bytes:
    digest = headers.get("content-digest")
    made = hashlib.sha256(body).digest()
    if digest is not None and digest != f"sha-256=:{base64.b64encode(made).decode('ascii')}:":
        check_content_digest(digest, body)
    return made


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
    label: str,
    lines: list[str],
    inner: InnerList,
    signature: bytes,
    headers: Mapping[str, str],
    created: int,
    expires: int,
    payload_digest: bytes,
) -> Verified:
    base = _base(lines, inner.text)
    key.verify(base, signature)
    replay_key = hashlib.sha256(key.key_id.encode() + b"\n" + base).digest()
    nonce = inner.params.get("nonce")
    return Verified(
        key,
        label,
        base,
        created,
        expires,
        None if nonce is None else str(nonce),
        replay_key,
        payload_digest,
        signature,
        headers["signature-input"],
        headers["signature"],
    )


def _signed(added: dict[str, str], lines: list[str], params: str, key: SigningKey, label: str) -> dict[str, str]:
    added["signature-input"] = f"{label}={params}"
    added["signature"] = f"{label}={serialise_bytes(key.sign(_base(lines, params)))}"
    return added


def _question(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Component and value of the request's signature, or None for a request that had none."""
    if "signature" not in headers or "signature-input" not in headers:
        return None
    label, _, signature = _the_signature(headers, REQUEST_TAG)
    return _asked(label, signature)


def _asked(label: str, signature: bytes) -> tuple[str, str]:
    return f'"signature";req;key="{label}"', serialise_bytes(signature)
