"""Says to a vendor of a sandbox, who moved her clock, by which time to sign."""

from __future__ import annotations

from typing import Final

from contracts.base.errors import Theirs
from contracts.base.words import WordsFile
from security.errors import SIGNATURE_EXPIRED, SIGNATURE_FROM_FUTURE, TOKEN_EXPIRED, TOKEN_FROM_FUTURE

_words = WordsFile(__file__)
_CODES: Final = frozenset(
    each.code for each in (SIGNATURE_EXPIRED, SIGNATURE_FROM_FUTURE, TOKEN_EXPIRED, TOKEN_FROM_FUTURE)
)


def advised(failure: Theirs, ahead: int) -> Theirs:
    """The failure itself. If it is about the time, and the caller's clock is `ahead` (seconds), NTP does not help."""
    if ahead and failure.code in _CODES:
        failure.advice = _words("own-clock", ahead=ahead)
    return failure
