"""The failures of reaching a component system, each with what is known of whether the system acted.

Invariant: every failure that leaves an adapter says `acted`: `no` only if nothing was sent or the system itself said,
signed, that it refused; `maybe` in all other cases. The state of the transfer depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from contracts.base.errors import AnyErrorType, Errors, ErrorType, Finding, Ours, Theirs


class Acted(StrEnum):
    NO = "no"
    MAYBE = "maybe"


class ProviderFailure(Ours):
    """The provider could not be reached, or did not give a usable answer."""

    def __init__(
        self,
        type: AnyErrorType,
        /,
        *,
        acted: Acted,
        evidence_out: bytes = b"",
        evidence_in: bytes = b"",
        retry_after: int | None = None,
        findings: Iterable[Finding] = (),
        **facts: object,
    ) -> None:
        super().__init__(type, findings=findings, retry_after=retry_after, sent=acted.value, **facts)
        self.acted: Final = acted
        self.evidence_out: Final = evidence_out
        self.evidence_in: Final = evidence_in
        self.opened_out = b""  # of encrypted bodies, what was signed: filled in by whoever encrypts and decrypts
        self.opened_in = b""

    @property
    def may_have_acted(self) -> bool:
        return self.acted is not Acted.NO

    @property
    def final(self) -> bool:
        """The provider itself said, signed, that it will not: to send the same again is in vain."""
        return self.type is PROVIDER_REFUSED and self.acted is Acted.NO


class ProviderMissing(Theirs):
    """The provider said, signed, that what was asked for does not exist."""

    def __init__(
        self, type: AnyErrorType, /, *, evidence_out: bytes = b"", evidence_in: bytes = b"", **facts: Any
    ) -> None:
        super().__init__(type, sent=Acted.NO.value, **facts)
        self.acted: Final = Acted.NO
        self.evidence_out: Final = evidence_out
        self.evidence_in: Final = evidence_in

    @property
    def may_have_acted(self) -> bool:
        return False

    @property
    def final(self) -> bool:
        return True


ProviderErrorType = ErrorType[..., ProviderFailure]
_errors = Errors(__file__)

PROVIDER_ANSWER_TOO_LARGE = _errors.of(ProviderFailure, "provider.answer-too-large", 502)
PROVIDER_BAD_ANSWER = _errors.of(ProviderFailure, "provider.bad-answer", 502)
PROVIDER_BAD_SIGNATURE = _errors.of(ProviderFailure, "provider.bad-signature", 502)
PROVIDER_DOWN = _errors.of(ProviderFailure, "provider.down", 502)
PROVIDER_DROPPED = _errors.of(ProviderFailure, "provider.dropped", 502)
PROVIDER_FAULT = _errors.of(ProviderFailure, "provider.fault", 502)
PROVIDER_NO_ENCRYPTION_KEY = _errors.of(ProviderFailure, "provider.no-encryption-key", 502)
PROVIDER_NOT_FOUND = _errors.of(ProviderMissing, "provider.not-found", 404)
PROVIDER_REFUSED = _errors.of(ProviderFailure, "provider.refused", 502)
PROVIDER_TIMEOUT = _errors.of(ProviderFailure, "provider.timeout", 504)

# The provider is not to blame for these: they say nothing of its health. `provider.resting` stands in
# `gateway.delivery.errors`.
SOUND: Final = frozenset({PROVIDER_NOT_FOUND.code, PROVIDER_REFUSED.code, "provider.resting"})
