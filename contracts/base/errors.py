"""The tree of failures: *theirs* (bad input), *policy* (denied), *ours* (a fault of the gateway or of a provider).

A failure carries a stable code and facts. Its Vietnamese and English words are in the `Kind` registered for the code.
Only `contracts.wire.problems` (RFC 9457) and `contracts.wire.faults` (SOAP Fault) turn a failure into bytes.

Invariant: a `Failure` with an unregistered code cannot be made, so the reference page is always complete.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final, Literal

Language = Literal["vi", "en"]


class Branch(StrEnum):
    """Who can correct it: the caller, the officers who grant access, or the operator."""

    THEIRS = "theirs"
    POLICY = "policy"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Words:
    """One sentence in both languages; `{name}` is filled from the facts, which may be `Words` themselves."""

    vi: str
    en: str

    def say(self, language: Language, facts: Mapping[str, object]) -> str:
        return self.of(language).format_map(
            _Facts({name: fact.of(language) if isinstance(fact, Words) else fact for name, fact in facts.items()})
        )

    def of(self, language: Language) -> str:
        """The sentence with nothing filled in."""
        return self.vi if language == "vi" else self.en


class _Facts(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "…"


@dataclass(frozen=True, slots=True)
class Kind:
    """Describes all failures of one code.

    `status` is the HTTP status, `title` names the failure, `what` says what happened, `next` says what to do.
    """

    code: str
    branch: Branch
    status: int
    title: Words
    what: Words
    next: Words


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault in a message. Never quotes a value, which could be personal.

    `here` is the path in the sender's format, `canonical` the path in the canonical format; either may be empty. `got`
    is the kind of the value ("string of 12 characters"), `expected` what would be valid. `rule` is the broken rule:
    "type", "required", "pattern", "code", "range", "length", "unknown", "format".
    """

    here: str
    canonical: str
    got: str
    rule: str
    expected: str


KINDS: Final[dict[str, Kind]] = {}


def register(kinds: Iterable[Kind]) -> None:
    """Registers codes; ValueError for a code defined twice."""
    for kind in kinds:
        if kind.code in KINDS:
            raise ValueError(f"failure code {kind.code!r} is defined twice")
        KINDS[kind.code] = kind


class Failure(Exception):
    """The base class. Raise one of its three branches."""

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
        for finding in self.findings[:5]:
            place, expected = finding.here or finding.canonical, finding.expected
            text += f"\n  {place}: {finding.rule}, expected {expected}, got {finding.got}"
        return text


class Theirs(Failure):
    """The caller sent something that cannot be accepted, and can correct it."""

    branch = Branch.THEIRS


class Policy(Failure):
    """The message is valid, but it is not allowed."""

    branch = Branch.POLICY


class Ours(Failure):
    """The gateway, or a component system behind it, failed."""

    branch = Branch.OURS
