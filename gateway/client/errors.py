"""The errors of the client kit. All are `ClientError`; each has a code and texts in Vietnamese and English.

`Refused` is an answer of the gateway, by who can fix it: `RefusedTheirs` (the caller), `RefusedPolicy` (the officers),
`RefusedOurs` (the gateway or a provider). The kit itself raises `NoConnection`, `NotProven`, `LogObjection`,
`BadIdentity`. Invariant: content of an unproven answer is passed on only in a `Refused` whose `proven` is False.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from contracts.base.errors import AnyErrorType, Branch, Errors, Failure, Finding, Ours, Theirs
from contracts.base.words import Language, Words

if TYPE_CHECKING:
    from gateway.client.answers import Answer, Problem


class ClientError(Exception):
    """Base of all errors of the kit."""


class BadIdentity(Theirs, ClientError):
    """The identity folder is incomplete, inconsistent, accessible to other users, or out of date."""


class BadUsage(Theirs, ClientError):
    """The arguments make no valid call, such as a path without its slash."""


class NoConnection(Ours, ClientError):
    """No answer came. `sent` is False where the request certainly was not sent."""

    def __init__(self, type: AnyErrorType, /, *, sent: bool, **facts: Any) -> None:
        super().__init__(type, **facts)
        self.sent: Final = sent


class NotProven(Ours, ClientError):
    """The answer does not prove that it comes from the gateway and answers this request; ignore its content."""


class LogObjection(Ours, ClientError):
    """The audit log contradicts what it signed. The file `kept` has both notes; `answer` brought the newer one."""

    def __init__(self, type: AnyErrorType, /, *, older: str, newer: str, kept: Path, **facts: Any) -> None:
        super().__init__(type, kept=kept, **facts)
        self.older_note: Final = older
        self.newer_note: Final = newer
        self.kept: Final = kept
        self.answer: Answer | None = None


class BadState(Ours, ClientError):
    """Checkpoints cannot be stored: the folder is missing, full or not writable."""

    answer: Answer | None = None


_errors = Errors(__file__)

CLIENT_FEED_PARTS = _errors.of(BadUsage, "client.feed-parts", 400)
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
CLIENT_NO_SANDBOX = _errors.of(NoConnection, "client.no-sandbox", 503)
CLIENT_NOT_PROVEN = _errors.of(NotProven, "client.not-proven", 502)
CLIENT_STATE = _errors.of(BadState, "client.state", 500)
CLIENT_TAKEN = _errors.of(BadIdentity, "client.taken", 409)
CLIENT_USAGE = _errors.of(BadUsage, "client.usage", 400)
CLIENT_WEBHOOK = _errors.of(NotProven, "client.webhook", 401)


def wrongly_used(failure: Failure) -> BadUsage:
    """An error of a lower layer about the caller's input: its texts in both languages, and its code."""
    vi, en = (f"{failure.what(language).rstrip('.')} [{failure.code}]" for language in ("vi", "en"))
    return CLIENT_USAGE(what=Words(vi, en))


class Refused(ClientError):
    """The gateway refused. `problem` holds its texts, `answer` the whole answer.

    `proven` is False where the refusal is unsigned, as for an unproven caller or a token request. Then a third party
    may have sent it, so repeat the message under the same id.
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
        for each in self.findings[:5]:
            text += f"\n  {each.here or each.canonical}: {each.rule}, expected {each.expected}, got {each.got}"
        return text


class RefusedTheirs(Refused):
    """The request is not acceptable; the caller can fix it."""

    branch = Branch.THEIRS


class RefusedPolicy(Refused):
    """The request is valid but not permitted; the officers decide."""

    branch = Branch.POLICY


class RefusedOurs(Refused):
    """The gateway or a component system behind it failed."""

    branch = Branch.OURS


_BY_BRANCH: Final = {each.branch: each for each in (RefusedTheirs, RefusedPolicy, RefusedOurs)}


def refused(problem: Problem, answer: Answer) -> Refused:
    return _BY_BRANCH[problem.branch](problem, answer)
