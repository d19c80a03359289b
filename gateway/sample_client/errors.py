"""Errors on the caller's side. An answer without valid proof is an error, never a result."""

from __future__ import annotations


class ClientError(Exception):
    """No trustworthy answer."""


class BadIdentity(ClientError):
    """The identity folder is incomplete or contradictory; the text says what is wrong, and what to do."""

    def __init__(self, what: str, then: str) -> None:
        super().__init__(f"{what}. {then}.")


class WrongAnswer(ClientError):
    """The answer's signature, digest or binding to the request is invalid: treat it as not received."""


class WrongCall(ClientError):
    """This sample cannot read the answer to such a call. Nothing was sent."""


class WrongRequest(ClientError):
    """For a provider: the request has no proof that it comes from the gateway."""


class NoAnswer(ClientError):
    """The connection was refused or broke, or no answer came in time."""


class LogError(ClientError):
    """The audit log contradicts itself or an earlier statement."""


class NoProof(LogError):
    """The log gave no proof: not yet, not to us, or not reachable. Nothing is known to be wrong."""
