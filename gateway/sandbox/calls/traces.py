"""What a sandbox keeps of one call of a vendor, beside the log: the request, the refusal in full, and the answer.

    <transfer>/call            JSON of a `Trace`
    <transfer>/call-request    the body that came, of a refused call
    <transfer>/call-answer     the body that was answered

They are sealed in the vault under its short class, so they are gone after a week. Bodies are kept only where the
contract keeps its messages as evidence; a problem document or a fault is no message, and is in the trace itself.
Invariant: no cookie and no token is in the fields that are kept. A signature base has the token that it covers: it is
  bound to the caller's certificate and holds for minutes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from contracts.base.errors import Failure, Finding
from contracts.base.words import Words

PART: Final = "call"
REQUEST: Final = "call-request"
ANSWER: Final = "call-answer"
BASE_HEADER: Final = "lgsp-sandbox-base"  # the caller's own signature base, in base64, where it sends one
MOST_BODY: Final = 1 << 16  # bytes of a body that are kept
MOST_BASE: Final = 1 << 15
_SECRET: Final = ("authorization", "cookie", "proxy-authorization")


@dataclass(frozen=True, slots=True)
class Told:
    """A refusal as it was told: `what` happened, and `next`, what to change."""

    code: str
    status: int
    title: Words
    what: Words
    next: Words
    findings: tuple[Finding, ...] = ()
    part: str = ""  # whose digest is another

    @classmethod
    def of(cls, failure: Failure) -> Told:
        title, what, then = (Words(say("vi"), say("en")) for say in (failure.title, failure.what, failure.next))
        part = str(failure.facts.get("part", ""))[:100]
        return cls(failure.code, failure.status, title, what, then, failure.findings, part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """`size` and `sha256` (hex) are those of the body that came. `base` is what the signature had to cover."""

    method: str
    target: str
    headers: Mapping[str, str]
    size: int
    sha256: str
    status: int
    answered: Mapping[str, str]  # the fields of the answer
    problem: str = ""  # the body of a refusal
    told: Told | None = None
    base: str = ""
    whole: bool = True  # whether `base` is all of it
    hers: str = field(default="")  # base64, as the caller sent it

    def text(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def read(cls, text: bytes) -> Trace:
        kept: dict[str, Any] = json.loads(text)
        told = kept.pop("told")
        return cls(**kept, told=None if told is None else _told(told))


def _told(kept: dict[str, Any]) -> Told:
    words = {name: Words(**kept[name]) for name in ("title", "what", "next")}
    return Told(**{**kept, **words, "findings": tuple(Finding(**each) for each in kept["findings"])})


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Without what lets somebody in: of a token only its scheme stays."""
    return {
        name: f"{value.partition(' ')[0]} …" if name in _SECRET else value
        for name, value in headers.items()
        if name != BASE_HEADER
    }
