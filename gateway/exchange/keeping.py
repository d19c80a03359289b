"""The parts of a request that go to the vault; which of them are kept, and for how long, is the contract's (`vault.classes.keeping`).

Invariant: the entries of the log are the same, whatever is kept.
"""

from __future__ import annotations

from gateway.exchange.evidence import request_bytes
from gateway.exchange.stages import Requested
from gateway.vault.classes import SALT_PART
from gateway.vault.salting import pack


def request_parts(who: Requested, salt: bytes) -> list[tuple[str, bytes]]:
    """The request as it travelled; where its body was encrypted, beside it what the signature covers; where the request is not kept, the salt alone."""
    parts = [("request", pack(salt, request_bytes(who.received, who.authenticated)))]
    if who.authenticated.opened:
        parts.append(("request-opened", who.authenticated.opened))
    if who.contract.contract.evidence == "metadata":
        parts.append((SALT_PART, pack(salt, b"")))
    return parts
