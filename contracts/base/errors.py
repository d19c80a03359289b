"""Error types and the exceptions they make: *theirs* (bad input), *policy* (denied), *ours* (gateway or provider).

Each package defines its errors as constants in `errors.py` and keeps their words in `errors.yaml` beside it:

    _errors = Errors(__file__)
    DELIVERY_GIVEN_UP = _errors.ours("delivery.given-up", 502)

    raise DELIVERY_GIVEN_UP(system=system, tries=tries, last=last)

A failure carries a stable code and facts. Only `contracts.wire.problems` (RFC 9457) and `contracts.wire.faults` (SOAP
Fault) turn a failure into bytes.

Invariant: the name of a constant is its code in capitals, with `_` for all other characters. A code is defined once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Concatenate, Final, Generic, ParamSpec, TypeVar

from contracts.base import phrases
from contracts.base.words import Language, Words, read

P = ParamSpec("P")
F = TypeVar("F", bound="Failure", covariant=True)
_PROSE: Final = frozenset({"expected", "got", "reason", "rule", "what", "why"})
T = TypeVar("T", bound="ErrorType[..., Failure]")


class Branch(StrEnum):
    """Who can correct it: the caller, the officers who grant access, or the operator."""

    THEIRS = "theirs"
    POLICY = "policy"
    OURS = "ours"


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


class ErrorType(Generic[P, F]):
    """One code with its HTTP status. Called with the facts, it returns the exception to raise.

    `title` names the error, `what` says what happened, `next` says what to do. `passing`: the same may succeed a moment
    later, with nothing changed.
    """

    def __init__(
        self,
        code: str,
        status: int,
        make: Callable[Concatenate[AnyErrorType, P], F],
        words: Path,
        *,
        passing: bool = False,
    ) -> None:
        self.code: Final = code
        self.status: Final = status
        self.passing: Final = passing
        self.branch: Final[Branch] = make.branch  # type: ignore[attr-defined]  # `make` is a class of failures
        self._make = make
        self._words = words

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> F:
        return self._make(self, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<error {self.code}>"

    @cached_property
    def title(self) -> Words:
        return self._words_of("title")

    @cached_property
    def what(self) -> Words:
        return self._words_of("what")

    @cached_property
    def next(self) -> Words:
        return self._words_of("next")

    def _words_of(self, part: str) -> Words:
        return Words(**read(self._words)[self.code][part])


class Failure(Exception):
    """The base class of failures. An `ErrorType` makes them."""

    branch: ClassVar[Branch]
    signature_base = ""  # sandbox only: what the caller's signature had to cover
    advice: Words | None = None  # what to do in this case, in place of `next`
    resync: Mapping[str, object] | None = None  # where the reader of a feed goes on

    def __init__(
        self,
        type: AnyErrorType,
        /,
        *,
        findings: Iterable[Finding] = (),
        retry_after: int | None = None,
        **facts: object,
    ) -> None:
        if type.branch is not self.branch:
            raise TypeError(f"{type.code} belongs to {type.branch}, raised as {self.branch}")
        self.type: Final = type
        self.findings: Final = tuple(findings)
        self.retry_after: Final = retry_after
        self.facts: Final[Mapping[str, object]] = facts
        super().__init__(type.code)

    @property
    def code(self) -> str:
        return self.type.code

    @property
    def status(self) -> int:
        return self.type.status

    def title(self, language: Language) -> str:
        return self._say(self.type.title, language)

    def what(self, language: Language) -> str:
        return self._say(self.type.what, language)

    def next(self, language: Language) -> str:
        return self._say(self.advice or self.type.next, language)

    def _say(self, words: Words, language: Language) -> str:
        """A fact that is English prose is turned, where its phrase is known."""
        facts = self.facts
        if language == "vi":
            prose = {name: fact for name, fact in facts.items() if name in _PROSE and isinstance(fact, str)}
            facts = {**facts, **{name: phrases.vietnamese(fact) for name, fact in prose.items()}}
        return words.say(language, facts)

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


AnyErrorType = ErrorType[..., Failure]
BRANCHES: Final[Mapping[Branch, type[Failure]]] = {each.branch: each for each in (Theirs, Policy, Ours)}
TYPES: Final[dict[str, AnyErrorType]] = {}  # by code: those of the `errors` modules that were imported


class PlainErrorType(ErrorType[..., F]):
    """An error whose exception is one of the three branches itself."""

    if TYPE_CHECKING:

        def __call__(
            self, *, findings: Iterable[Finding] = (), retry_after: int | None = None, **facts: object
        ) -> F: ...


class Errors:
    """The errors of one package. `beside` is the `__file__` of its module `errors`, next to `errors.yaml`."""

    def __init__(self, beside: str) -> None:
        self._words: Final = Path(beside).with_name("errors.yaml")
        phrases.FOLDERS[self._words.parent] = None

    def theirs(self, code: str, status: int) -> PlainErrorType[Theirs]:
        return self._add(PlainErrorType(code, status, Theirs, self._words))

    def policy(self, code: str, status: int) -> PlainErrorType[Policy]:
        return self._add(PlainErrorType(code, status, Policy, self._words))

    def ours(self, code: str, status: int, *, passing: bool = False) -> PlainErrorType[Ours]:
        return self._add(PlainErrorType(code, status, Ours, self._words, passing=passing))

    def of(self, make: Callable[Concatenate[AnyErrorType, P], F], code: str, status: int) -> ErrorType[P, F]:
        """An error whose exception is the class `make`, which may demand facts of its own."""
        return self._add(ErrorType(code, status, make, self._words))

    def _add(self, added: T) -> T:
        if added.code in TYPES:
            raise ValueError(f"the error {added.code} is defined twice")
        TYPES[added.code] = added
        return added
