"""What can go wrong on the caller's side. An answer that does not prove itself is an error, never a result."""

from __future__ import annotations


class ClientError(Exception):
    """Anything that keeps the client from a trustworthy answer."""


class BadIdentity(ClientError):
    """The identity folder is incomplete or contradicts itself; the text says what is wrong, and what to do."""

    def __init__(self, what: str, then: str) -> None:
        super().__init__(f"{what}. {then}.")


class WrongAnswer(ClientError):
    """The answer's signature, digest or binding to the request does not hold: treat it as not received."""


class WrongRequest(ClientError):
    """Seen from a provider: the request does not prove that it comes from the gateway."""


class NoAnswer(ClientError):
    """The connection was refused, broke, or nothing came in time."""


class LogError(ClientError):
    """The audit log contradicts itself or what it said before."""


class NoProof(LogError):
    """The log gave no proof (not yet, not to us, not reachable): nothing is known, so nothing is wrong yet."""
