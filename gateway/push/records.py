"""A subscription to a feed, and the seals of its row.

Two keyed hashes cover a row. `seal` covers what its acts decide: whose it is, of which feed, to which URL, in which
state. `mark` covers how far it is. The key is in a file, so access to the database alone does not suffice to make one.
Each act raises `revision`, and its entry of the log has the seal. So an older row that is put back with its seal is
recognised as well (`gateway.push.store.check`).
Invariant: a row whose seals do not hold is never used to send.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

HashId = Callable[[str], str]
LIVE: Final = ("unverified", "active", "paused")


class State(StrEnum):
    UNVERIFIED = "unverified"  # its receiver has not echoed the challenge yet
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class Cause(StrEnum):
    """Who paused or ended it."""

    NONE = ""
    SUBSCRIBER = "subscriber"
    OPERATOR = "operator"
    RECEIVER = "receiver"  # answered 410
    DEAD = "dead"  # the gateway, after the receiver had failed for too long


class Form(StrEnum):
    WEBHOOKS = "webhooks"  # Standard Webhooks 1.1, Ed25519
    RFC9421 = "rfc9421"  # the profile of docs/wire.md


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A row of `push_subscription`, whose columns are described there. Times are Unix seconds, positions offsets."""

    id: str
    system: str
    contract: str
    url: str
    form: str
    most: int
    state: str
    cause: str
    verified: float | None
    revision: int
    created: float
    changed: float
    position: int
    reached: int
    replays: int
    next_at: float
    upto: int | None = None
    tries: int = 0
    failing: float | None = None
    failure: str | None = None
    taken: float | None = None
    seal: str = ""
    mark: str = ""

    @classmethod
    def of(cls, row: Any) -> Subscription:
        return cls(**{name: getattr(row, name) for name in NAMES})

    @property
    def values(self) -> dict[str, Any]:
        return asdict(self)

    def sealed(self, hash_id: HashId) -> Subscription:
        return replace(self, seal=_hash(self, _ACTS, hash_id), mark=_hash(self, _PLACE, hash_id))

    def altered(self, hash_id: HashId) -> str | None:
        """What does not hold: `seal` or `mark`; None if the row is as a process of the gateway wrote it."""
        if self.seal != _hash(self, _ACTS, hash_id):
            return "seal"
        return None if self.mark == _hash(self, _PLACE, hash_id) else "mark"


NAMES: Final = tuple(each.name for each in fields(Subscription))
_ACTS: Final = (
    "id", "system", "contract", "url", "form", "most", "state", "cause", "verified", "revision", "created", "changed",
)  # fmt: skip
_PLACE: Final = ("id", "position", "reached", "replays", "upto")


def _hash(subscription: Subscription, names: tuple[str, ...], hash_id: HashId) -> str:
    return hash_id("push subscription\n" + json.dumps([getattr(subscription, name) for name in names]))
