"""Turns failures into problem documents (RFC 9457). The only module that does."""

from __future__ import annotations

import json
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.base.words import Language

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:lgsp:problem:"


def language_of(accept_language: str | None) -> Language:
    """`en` if English is named before Vietnamese (RFC 9110 §12.5.4, weights ignored), else `vi`."""
    for item in (accept_language or "").lower().split(","):
        tag = item.split(";")[0].strip()
        if tag.startswith("en"):
            return "en"
        if tag.startswith("vi"):
            return "vi"
    return "vi"


def problem(failure: Failure, *, transfer: str | None, language: Language) -> dict[str, Any]:
    """The document: standard members in `language`, extension members, both languages under `messages`."""
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + failure.code,
        "title": failure.title(language),
        "status": failure.status,
        "detail": failure.what(language),
        "code": failure.code,
        "branch": failure.branch.value,
        "next": failure.next(language),
        "messages": {
            each: {"title": failure.title(each), "detail": failure.what(each), "next": failure.next(each)}
            for each in LANGUAGES
        },
    }
    if transfer is not None:
        document["transfer"] = transfer
    if failure.signature_base:
        document["signatureBase"] = failure.signature_base
    if failure.resync is not None:
        document["resync"] = dict(failure.resync)
    if failure.findings:
        document["findings"] = [
            {
                "here": item.here,
                "canonical": item.canonical,
                "got": item.got,
                "rule": item.rule,
                "expected": item.expected,
            }
            for item in failure.findings
        ]
    return document


LANGUAGES: Final[tuple[Language, Language]] = ("vi", "en")


def render(failure: Failure, *, transfer: str | None, accept_language: str | None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (lower-case names) and body of the response for this failure."""
    language = language_of(accept_language)
    body = json.dumps(problem(failure, transfer=transfer, language=language), ensure_ascii=False).encode()
    headers = {"content-type": MEDIA_TYPE, "content-language": language}
    if failure.retry_after is not None:
        headers["retry-after"] = str(failure.retry_after)
    if failure.status == 401:
        headers["www-authenticate"] = 'Bearer realm="lgsp"'
    return failure.status, headers, body
