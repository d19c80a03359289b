"""HTTP message signatures (RFC 9421) and content digests (RFC 9530), both directions, as profiled by `docs/wire.md`.

`Message` is a request or an answer; `base` writes the signature base; four functions sign and verify both.
Invariant: an answer counts only if its signature covers all that it carries, and the signature of its request.
A request counts only if its signature covers all that the profile names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from gateway.sample_client.errors import ClientError, WrongAnswer, WrongRequest
from gateway.sample_client.fields import BadField, InnerList, Item, Params, read_bytes, read_dictionary
from gateway.sample_client.signing import Signer, Verifier

LABEL: Final = "sig1"
REQUEST_TAG: Final = "lgsp-request"
ANSWER_TAG: Final = "lgsp-answer"
MAX_LIFETIME: Final = 60
MAX_FUTURE: Final = 5
# in the order of docs/wire.md; components that the message lacks are omitted
REQUEST_HEADERS: Final = (
    "authorization",
    "content-type",
    "content-digest",
    "idempotency-key",
    "lgsp-transfer",
    "lgsp-caller",
)
ANSWER_HEADERS: Final = ("content-type", "content-digest", "lgsp-transfer", "lgsp-receipt", "lgsp-checkpoint")
BOUND: Final = Item("signature", (("req", True), ("key", LABEL)))


@dataclass(frozen=True, slots=True)
class Message:
    """A request (method, target) or an answer (status and its request). Header names in lower case."""

    headers: Mapping[str, str]
    method: str = ""
    target: str = ""
    status: int = 0
    request: Message | None = None


def digest_header(body: bytes) -> str:
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def digest_fits(header: str, body: bytes) -> bool:
    """Whether a Content-Digest names the SHA-256 of the body. Other algorithms are ignored."""
    try:
        return read_bytes(header, "sha-256") == hashlib.sha256(body).digest()
    except BadField:
        return False


def _derived(name: str, message: Message) -> str:
    if name == "@status":
        if not message.status:
            raise BadField("@status belongs to an answer")
        return str(message.status)
    if not message.method:
        raise BadField(f"{name} belongs to a request")
    parts = urlsplit(message.target)
    if name == "@method":
        return message.method
    if name == "@target-uri":
        return message.target
    if name == "@authority":
        port = parts.port
        usual = port is None or (parts.scheme, port) in {("https", 443), ("http", 80)}
        return (parts.hostname or "") + ("" if usual else f":{port}")
    if name == "@scheme":
        return parts.scheme
    if name == "@path":
        return parts.path or "/"
    if name == "@query":
        return "?" + parts.query
    raise BadField(f"{name} is not known")


Read = dict[tuple[bool, str], dict[str, Item | InnerList]]


def _value(component: Item, message: Message, read: Read) -> str:
    """`read`: fields that were read as dictionaries before, since a component may name each of a thousand members."""
    name, params = component.value, dict(component.params)
    if not isinstance(name, str):
        raise BadField("a component's name is a string")
    asked = bool(params.pop("req", False))
    if asked:
        if message.request is None:
            raise BadField("only an answer refers to its request")
        message = message.request
    key = params.pop("key", None)
    if key is not None and not isinstance(key, str):
        raise BadField("key names a member")
    if params:
        raise BadField(f"parameter of a component not known: {next(iter(params))}")
    if name.startswith("@"):
        if key is not None:
            raise BadField("a derived component takes no key")
        return _derived(name, message)
    if name not in message.headers:
        raise BadField(f"header {name} is covered but missing")
    if key is None:
        return _lines(message.headers[name])
    if (asked, name) not in read:
        read[asked, name] = read_dictionary(_lines(message.headers[name]))
    member = read[asked, name].get(key)
    if member is None:
        raise BadField(f"member {key} of {name} is covered but missing")
    return str(member)


def _lines(value: str) -> str:
    return " ".join(line.strip() for line in value.strip().splitlines())


def base(covered: InnerList, message: Message) -> bytes:
    """The signature base of RFC 9421 §2.5."""
    names = [str(item) for item in covered.items]
    if len(set(names)) != len(names):
        raise BadField("a component stands twice")
    read: Read = {}
    lines = [f"{item}: {_value(item, message, read)}" for item in covered.items]
    lines.append(f'"@signature-params": {covered}')
    text = "\n".join(lines)
    if not text.isascii():
        raise BadField("a signed header holds letters outside ASCII")
    return text.encode("ascii")


def _sign(items: Sequence[Item], params: Params, message: Message, signer: Signer) -> dict[str, str]:
    covered = InnerList(tuple(items), params)
    signature = signer.sign(base(covered, message))
    return {"signature-input": f"{LABEL}={covered}", "signature": f"{LABEL}=:{base64.b64encode(signature).decode()}:"}


def sign_request(
    message: Message, signer: Signer, *, created: int, expires: int, nonce: str, leave_out: Collection[str] = ()
) -> dict[str, str]:
    """Signature headers of a request. `leave_out` names components to omit on purpose."""
    names = ["@method", "@target-uri", *(name for name in REQUEST_HEADERS if name in message.headers)]
    params: Params = (
        ("created", created),
        ("expires", expires),
        ("nonce", nonce),
        ("keyid", signer.key_id),
        ("tag", REQUEST_TAG),
    )
    return _sign([Item(name) for name in names if name not in leave_out], params, message, signer)


def sign_answer(message: Message, signer: Signer, *, created: int) -> dict[str, str]:
    """Signature headers of an answer, bound to its request."""
    items = [Item("@status"), *(Item(name) for name in ANSWER_HEADERS if name in message.headers), BOUND]
    return _sign(items, (("created", created), ("keyid", signer.key_id), ("tag", ANSWER_TAG)), message, signer)


@dataclass(frozen=True, slots=True)
class Proof:
    """A valid signature."""

    key: Verifier
    covered: frozenset[str]
    created: int
    expires: int | None
    base: bytes = field(repr=False)


FindKeys = Callable[[str], Sequence[Verifier]]


class _Wanted(NamedTuple):
    """The tag of the signature, what it must cover, and the error if it does not."""

    tag: str
    needed: set[str]
    wrong: type[ClientError]


def _check(message: Message, body: bytes, find: FindKeys, now: float, wanted: _Wanted) -> Proof:
    tag, needed, wrong = wanted
    try:
        covered = read_dictionary(message.headers["signature-input"])[LABEL]
        signature = read_bytes(message.headers["signature"], LABEL)
        if not isinstance(covered, InnerList) or signature is None:
            raise BadField("Signature-Input holds no list, or Signature no bytes")
        text = base(covered, message)
    except KeyError as missing:
        raise wrong(f"no signature: {missing} is missing") from None
    except BadField as bad:
        raise wrong(f"the signature cannot be read: {bad}") from bad
    names = frozenset(str(item) for item in covered.items)
    lacking = needed - names
    if lacking:
        raise wrong("the signature does not cover " + ", ".join(sorted(lacking)))
    created, expires, key_id = covered.param("created"), covered.param("expires"), covered.param("keyid")
    if not isinstance(created, int) or not isinstance(key_id, str) or covered.param("tag") != tag:
        raise wrong(f'the signature lacks created, keyid or tag="{tag}"')
    if expires is not None and not isinstance(expires, int):
        raise wrong("expires is no number")
    if "content-digest" in message.headers:
        if not digest_fits(message.headers["content-digest"], body):
            raise wrong("Content-Digest does not fit the body")
    elif body:
        raise wrong("a body without Content-Digest")
    keys = find(key_id)
    if not keys:
        raise wrong(f"signed with a key that is not known here: {key_id}")
    for key in keys:
        alg = covered.param("alg")
        if alg is not None and alg not in key.http_algorithms:
            continue
        if key.in_force(now) and key.verify(text, signature):
            return Proof(key, names, created, expires, text)
    raise wrong("the signature does not fit")


def _quoted(names: Collection[str]) -> set[str]:
    return {str(Item(name)) for name in names}


def verify_request(message: Message, body: bytes, find: FindKeys, now: float, *, needed: Collection[str] = ()) -> Proof:
    """As a provider, verify the gateway's request: coverage, freshness, digest, signature. `needed`: headers."""
    lacking = [name for name in needed if name not in message.headers]
    if lacking:
        raise WrongRequest("missing: " + ", ".join(lacking))
    must = _quoted(["@method", "@target-uri", *(name for name in REQUEST_HEADERS if name in message.headers)])
    proof = _check(message, body, find, now, _Wanted(REQUEST_TAG, must, WrongRequest))
    if proof.expires is None or not 0 < proof.expires - proof.created <= MAX_LIFETIME:
        raise WrongRequest(f"expires is missing or more than {MAX_LIFETIME} s after created")
    if proof.created > now + MAX_FUTURE:
        raise WrongRequest(f"created {proof.created - now:.0f} s in the future")
    if proof.expires < now:
        raise WrongRequest(f"expired {now - proof.expires:.0f} s ago")
    covered = read_dictionary(message.headers["signature-input"])[LABEL]
    nonce = covered.param("nonce") if isinstance(covered, InnerList) else None
    if not isinstance(nonce, str) or len(nonce) < 22:
        raise WrongRequest("nonce is missing or shorter than 16 bytes")
    return proof


def verify_answer(message: Message, body: bytes, find: FindKeys, now: float) -> Proof:
    """Verify the gateway's answer as a caller: it covers all that it carries, and our request's signature."""
    must = _quoted(["@status", *(name for name in ANSWER_HEADERS if name in message.headers)]) | {str(BOUND)}
    return _check(message, body, find, now, _Wanted(ANSWER_TAG, must, WrongAnswer))
