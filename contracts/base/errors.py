"""One tree of failures: *theirs* (bad input), *policy* (denied), *ours* (our own or a provider's trouble).

A failure carries a stable code for programs and facts for people. Its words, in Vietnamese and English, stand in
the `Kind` of that code, which the room that raises it registers. Only two modules turn a failure into bytes:
`contracts.wire.problems` (RFC 9457) and `contracts.wire.faults` (SOAP Fault), for the doors and the agent alike.

Invariant: a `Failure` whose code was never registered cannot be made, so the reference page is always complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Literal

Language = Literal["vi", "en"]


class Branch(StrEnum):
    """Who can mend it: the caller, the officers who grant access, or we."""

    THEIRS = "theirs"
    POLICY = "policy"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in both languages; `{name}` is filled from the failure's facts, of which one may be words itself."""

    vi: str
    en: str

    def say(self, language: Language, facts: Mapping[str, object]) -> str:
        return self.of(language).format_map(
            _Facts({name: fact.of(language) if isinstance(fact, Words) else fact for name, fact in facts.items()})
        )

    def of(self, language: Language) -> str:
        """As it is written, nothing filled in."""
        return self.vi if language == "vi" else self.en


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "…"


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of all failures of one code.

    `status` is the HTTP status at a door; `title` names the failure in a few words, `what` says what happened and where,
    `next` what to do about it.
    """

    code: str
    branch: Branch
    status: int
    title: Words
    what: Words
    next: Words


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a message, without ever quoting a value that could be personal.

    `here` is the path in the format of whoever sent the message, `canonical` the path in the canonical one (either may
    be empty where there is none); `got` the kind of value found ("string of 12 characters"), `rule` the rule broken
    ("type", "required", "pattern", "code", "range", "length", "unknown", "format"), `expected` what would have been right.
    """

    here: str
    canonical: str
    got: str
    rule: str
    expected: str


KINDS: Final[dict[str, Kind]] = {}


def register(kinds: Iterable[Kind]) -> None:
    """Make codes known; a code defined twice is a mistake of ours and stops the start."""
    for kind in kinds:
        if kind.code in KINDS:
            raise ValueError(f"failure code {kind.code!r} is defined twice")
        KINDS[kind.code] = kind


class Failure(Exception):
    """The root. Raise one of the three branches, never this."""

    branch: ClassVar[Branch]

    def __init__(
        self,
        code: str,
        *,
        findings: Iterable[Finding] = (),
        retry_after: int | None = None,
        **facts: object,
    ) -> None:
        kind = KINDS.get(code)
        if kind is None:
            raise LookupError(f"failure code {code!r} is not registered")
        if kind.branch is not self.branch:
            raise TypeError(f"failure {code!r} belongs to {kind.branch}, raised as {self.branch}")
        self.kind: Final = kind
        self.findings: Final = tuple(findings)
        self.retry_after: Final = retry_after
        self.facts: Final[Mapping[str, object]] = facts
        super().__init__(code)

    @property
    def code(self) -> str:
        return self.kind.code

    @property
    def status(self) -> int:
        return self.kind.status

    def title(self, language: Language) -> str:
        return self.kind.title.say(language, self.facts)

    def what(self, language: Language) -> str:
        return self.kind.what.say(language, self.facts)

    def next(self, language: Language) -> str:
        return self.kind.next.say(language, self.facts)

    def __str__(self) -> str:
        text = f"{self.code}: {self.what('en')}"
        for found in self.findings[:5]:
            text += f"\n  {found.here or found.canonical}: {found.rule}, expected {found.expected}, got {found.got}"
        return text


class Theirs(Failure):
    """The caller sent something that cannot be accepted, and can mend it."""

    branch = Branch.THEIRS


class Policy(Failure):
    """The message is sound, but it is not allowed."""

    branch = Branch.POLICY


class Ours(Failure):
    """The gateway, or a component system behind it, could not do its part."""

    branch = Branch.OURS
