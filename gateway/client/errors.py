"""What a call can end with other than a proven answer. All are `ClientError`; each has a code and words in Vietnamese and English.

`Refused` is the gateway's own word, by who can mend it: `RefusedTheirs` (we), `RefusedPolicy` (the officers), `RefusedOurs` (the gateway,
or a provider behind it). `NoConnection`, `NotProven`, `LogObjection` and `BadIdentity` are found by the kit.
Invariant: nothing of an answer that is not proven is handed on but in a `Refused` whose `proven` is False.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from contracts.base.errors import AnyErrorType, Branch, Errors, Failure, Finding, Ours, Theirs
from contracts.base.words import Language, Words

if TYPE_CHECKING:
    from gateway.client.answers import Answer, Problem


class ClientError(Exception):
    """Root of all that the kit raises."""


class BadIdentity(Theirs, ClientError):
    """The identity folder is incomplete, contradicts itself, lies open to others, or is out of date."""


class BadUsage(Theirs, ClientError):
    """A call that cannot be made at all, such as a path without its slash."""


class NoConnection(Ours, ClientError):
    """No answer came. `sent` is False where the request surely never left, so that not even the gateway may have seen it."""

    def __init__(self, type: AnyErrorType, /, *, sent: bool, **facts: Any) -> None:
        super().__init__(type, **facts)
        self.sent: Final = sent


class NotProven(Ours, ClientError):
    """What came does not prove that the gateway said it, in answer to this request: as good as nothing."""


class LogObjection(Ours, ClientError):
    """The audit log takes back what it signed. Both notes are kept in `kept`. `answer` is the answer that brought the newer one, if one did."""

    def __init__(self, type: AnyErrorType, /, *, older: str, newer: str, kept: Path, **facts: Any) -> None:
        super().__init__(type, kept=kept, **facts)
        self.older_note: Final = older
        self.newer_note: Final = newer
        self.kept: Final = kept
        self.answer: Answer | None = None


class BadState(Ours, ClientError):
    """Checkpoints cannot be kept: the folder is missing, full or not ours. `answer` is the answer that brought one, if one did."""

    answer: Answer | None = None


_errors = Errors(__file__)

CLIENT_IDENTITY = _errors.of(BadIdentity, "client.identity", 400)
CLIENT_IDENTITY_EXPIRED = _errors.of(BadIdentity, "client.identity-expired", 400)
CLIENT_IDENTITY_MODE = _errors.of(BadIdentity, "client.identity-mode", 400)
CLIENT_LOG_FORKED = _errors.of(LogObjection, "client.log-forked", 502)
CLIENT_LOG_KEY = _errors.of(LogObjection, "client.log-key", 502)
CLIENT_LOG_OTHER = _errors.of(LogObjection, "client.log-other", 502)
CLIENT_LOG_ROLLED_BACK = _errors.of(LogObjection, "client.log-rolled-back", 502)
CLIENT_LOG_SUCCESSION = _errors.of(LogObjection, "client.log-succession", 502)
CLIENT_LOG_UNPROVEN = _errors.of(LogObjection, "client.log-unproven", 502)
CLIENT_NO_CONNECTION = _errors.of(NoConnection, "client.no-connection", 503)
CLIENT_NOT_PROVEN = _errors.of(NotProven, "client.not-proven", 502)
CLIENT_STATE = _errors.of(BadState, "client.state", 500)
CLIENT_TAKEN = _errors.of(BadIdentity, "client.taken", 409)
CLIENT_USAGE = _errors.of(BadUsage, "client.usage", 400)


def wrongly_used(failure: Failure) -> BadUsage:
    """For what a room below says of what it was given: its words in both languages, and its code."""
    vi, en = (f"{failure.what(language).rstrip('.')} [{failure.code}]" for language in ("vi", "en"))
    return CLIENT_USAGE(what=Words(vi, en))


class Refused(ClientError):
    """The gateway said no. `problem` holds its words, `answer` the whole answer.

    `proven` is False where the gateway did not sign, as it does not for a caller who proved nothing (or for a token): then anyone who can
    speak in its place may have said it, so repeat the message under the same id rather than under a new one.
    """

    branch: ClassVar[Branch]

    def __init__(self, problem: Problem, answer: Answer) -> None:
        super().__init__(problem.code)
        self.problem: Final = problem
        self.answer: Final = answer

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def proven(self) -> bool:
        return self.answer.proven

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def transfer(self) -> str | None:
        return self.problem.transfer

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.problem.findings

    @property
    def retry_after(self) -> int | None:
        return self.problem.retry_after

    def title(self, language: Language) -> str:
        return self.problem.title[language]

    def what(self, language: Language) -> str:
        return self.problem.what[language]

    def next(self, language: Language) -> str:
        return self.problem.next[language]

    def __str__(self) -> str:
        text = f"{self.code}: {self.what('en')} {self.next('en')}"
        for found in self.findings[:5]:
            text += f"\n  {found.here or found.canonical}: {found.rule}, expected {found.expected}, got {found.got}"
        return text


class RefusedTheirs(Refused):
    """What we sent cannot be accepted, and we can mend it."""

    branch = Branch.THEIRS


class RefusedPolicy(Refused):
    """What we sent is sound, but it is not allowed: the officers decide."""

    branch = Branch.POLICY


class RefusedOurs(Refused):
    """The gateway, or a component system behind it, could not do its part."""

    branch = Branch.OURS


_BY_BRANCH: Final = {each.branch: each for each in (RefusedTheirs, RefusedPolicy, RefusedOurs)}


def refused(problem: Problem, answer: Answer) -> Refused:
    return _BY_BRANCH[problem.branch](problem, answer)
