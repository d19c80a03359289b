"""Builds and signs REST requests and verifies their answers (docs/wire.md, REST; RFC 9421, RFC 9530). No network.

Where the contract requires it, bodies are encrypted both ways (JWS in JWE). The HTTP signature covers the bytes sent.
Invariant: `judge` returns an `Answer` only for what the gateway signed over this request's own signature.
Invariant: a successful answer in clear to an encrypted request is refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from contracts.base.errors import Failure
from contracts.base.words import Language, Words, WordsFile
from contracts.wire import targets
from contracts.wire.headers import RESPOND_ASYNC
from contracts.wire.jsontext import write_json
from gateway.client.answers import Answer, Problem, Receipt, note_of
from gateway.client.errors import CLIENT_IDENTITY, CLIENT_NOT_PROVEN, CLIENT_USAGE, NotProven, refused
from gateway.client.transport import RawAnswer
from security import jose
from security.encryption_keys import EncryptKey
from security.http_signatures import HttpRequest, sign_request, verify_response
from security.keys import SigningKey, VerifyKey
from security.structured_fields import FieldError, serialise_string

_words = WordsFile(__file__)

JSON: Final = "application/json"

FindKey = Callable[[str], VerifyKey | None]
Body = bytes | str | Mapping[str, Any] | list[Any]


class Message(NamedTuple):
    """A request before it is signed. `message_id` is the `Idempotency-Key`; `language` that of problem documents."""

    method: str
    url: str
    content: bytes | None
    message_id: str | None
    content_type: str = JSON
    language: Language = "vi"
    respond_async: bool = False  # the answer may come later (RFC 7240)


class Prepared(NamedTuple):
    """A signed request: valid once, for a minute."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    message_id: str | None
    encrypted: bool = False


def new_message_id() -> str:
    return str(uuid.uuid4())


def content_of(body: Body | None) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    try:
        return write_json(body)
    except TypeError as wrong:  # a float, which is not exact
        raise CLIENT_USAGE(what=_words("inexact", kind=str(wrong).partition(" ")[0])) from None


def url_of(base: str, path: str) -> str:
    try:
        return base + targets.normal(path)
    except targets.BadTarget as wrong:
        raise CLIENT_USAGE(what=_words("path", path=repr(path[:60]), rule=str(wrong))) from None


def prepare(
    message: Message, token: str, key: SigningKey, now: float, encrypt_for: EncryptKey | None = None
) -> Prepared:
    """Sign a request, after encrypting its body for `encrypt_for`. `now` is in Unix seconds."""
    method, url, content, message_id, content_type, language, respond_async = message
    if content is not None and encrypt_for is not None:
        content, content_type = jose.seal(content, content_type, key, encrypt_for)[0], jose.MEDIA_TYPE
    headers = {
        "accept": f"{JSON}, application/problem+json",
        "accept-encoding": "identity",
        "accept-language": language,
        "authorization": f"Bearer {token}",
    }
    if respond_async:
        headers["prefer"] = RESPOND_ASYNC
    if content is not None:
        headers["content-type"] = content_type
    if message_id is not None:
        try:
            headers["idempotency-key"] = serialise_string(message_id)
        except FieldError as wrong:
            raise CLIENT_USAGE(what=f"message_id: {wrong}") from None
    headers |= sign_request(HttpRequest(method, url, headers, content or b""), key, now)
    return Prepared(
        method=method, url=url, headers=headers, body=content, message_id=message_id, encrypted=encrypt_for is not None
    )


def judge(
    prepared: Prepared, raw: RawAnswer, find_key: FindKey, now: float, opener: jose.Opener | None = None
) -> Answer:
    """The proven answer, decrypted; a signed refusal is an answer too.

    Raises `Refused` for an unsigned error status, `NotProven` for any other unproven answer.
    """
    signed = "signature" in raw.headers or "signature-input" in raw.headers
    if not signed and raw.status >= 400:  # the gateway does not sign for an unproven caller
        answer = Answer(raw.status, raw.headers, raw.body, raw.body, False, message_id=prepared.message_id)
        raise refused(Problem.from_rest(raw.status, raw.headers, raw.body), answer)
    try:
        verify_response(raw.status, raw.headers, raw.body, prepared.headers, find_key, now)
    except Failure as failure:
        raise not_proven(prepared.method, prepared.url, raw.status, why(failure)) from None
    try:
        note, receipt = note_of(raw.headers.get("lgsp-checkpoint")), Receipt.from_headers(raw.headers)
    except ValueError as wrong:
        raise not_proven(prepared.method, prepared.url, raw.status, str(wrong)) from None
    headers, body = raw.headers, raw.body
    if headers.get("content-type") == jose.MEDIA_TYPE:
        opened = _opened(prepared, raw, find_key, now, opener)
        headers, body = {**headers, "content-type": opened.media_type}, opened.payload
    elif prepared.encrypted and raw.status < 400:
        raise not_proven(prepared.method, prepared.url, raw.status, "an answer in clear to an encrypted request")
    return Answer(
        status=raw.status,
        headers=headers,
        body=body,
        raw=raw.body,
        proven=True,
        receipt=receipt,
        checkpoint=note,
        message_id=prepared.message_id,
    )


def _opened(
    prepared: Prepared, raw: RawAnswer, find_key: FindKey, now: float, opener: jose.Opener | None
) -> jose.Opened:
    if opener is None:
        raise CLIENT_IDENTITY(folder="–", reason="encrypt.key, encrypt.crt ∄")
    try:
        return opener.open(raw.body, find_key, now)
    except Failure as failure:
        raise not_proven(prepared.method, prepared.url, raw.status, why(failure)) from None


def why(failure: Failure) -> Words:
    """What did not hold, with its code; without a full stop, for the sentence that it stands in has one."""
    vi, en = (f"{failure.code}: {failure.what(language).rstrip('.')}" for language in ("vi", "en"))
    return Words(vi, en)


def not_proven(method: str, url: str, status: int, reason: str | Words) -> NotProven:
    return CLIENT_NOT_PROVEN(method=method, url=url, status=status, reason=reason)
