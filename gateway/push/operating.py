"""What operators see of subscriptions, and do about them, at the desk and at the command line."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Engine, select

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from gateway.journal.database import writing
from gateway.journal.schema.push_tables import push_subscription
from gateway.keys.keyring import Keyring
from gateway.push import keys, store
from gateway.push.records import Cause, HashId, State, Subscription
from gateway.push.store import Attempt, By, Waiting
from gateway.settings import Settings
from security.transparency.entry import keyed

ACTS: Final = ("pause", "resume", "end")
MOST_WAITING: Final = 1000  # events that a first look counts


class Seen(NamedTuple):
    """A subscription and what waits for it. `altered`: nothing is sent by it; None for who cannot read the key."""

    subscription: Subscription
    waiting: Waiting
    altered: bool | None
    now: float

    @property
    def lag(self) -> float:
        """Seconds that the oldest event waits; 0 for one that has ended."""
        oldest = self.waiting.oldest
        return 0.0 if oldest is None else max(0.0, self.now - oldest)

    def shown(self) -> dict[str, Any]:
        """For programs."""
        it = self.subscription
        times = {name: getattr(it, name) for name in ("verified", "created", "changed", "failing", "taken")}
        return {
            "id": it.id,
            "system": it.system,
            "feed": it.contract,
            "url": it.url.partition("?")[0],
            "form": it.form,
            "most": it.most,
            "state": str(it.state),
            "cause": it.cause or None,
            "altered": self.altered,
            "position": it.position,
            "reached": it.reached,
            "replays": it.replays,
            "waiting": self.waiting.events,
            "lagSeconds": round(self.lag, 3),
            "tries": it.tries,
            "failure": it.failure,
            **{name: None if at is None else rfc3339(at) for name, at in times.items()},
            "nextTry": rfc3339(it.next_at) if it.tries else None,
        }


def hashing(settings: Settings) -> HashId:
    """The keyed hash of the instance. OSError or a failure if its key cannot be read."""
    return partial(keyed, Keyring(settings).hash_key())


def hashing_if_readable(settings: Settings) -> HashId | None:
    """The same; None for an account that may not read keys, such as an auditor's."""
    try:
        return hashing(settings)
    except (OSError, Failure):
        return None


def every(connection: Connection, hash_id: HashId | None, now: float, limit: int = 200) -> list[Seen]:
    """Those that have not ended first. The connection must show one moment."""
    return [_seen(connection, each, hash_id, now) for each in store.of_system(connection, None, limit)]


def paused(connection: Connection, now: float, limit: int) -> list[Seen]:
    """The newest that are paused, with what waits, up to MOST_WAITING. Whether a row was altered is not looked at."""
    row = push_subscription.c
    query = select(push_subscription).where(row.state == State.PAUSED).order_by(row.changed.desc()).limit(limit)
    found = [Subscription.of(each) for each in connection.execute(query)]
    return [Seen(each, store.waiting(connection, each, MOST_WAITING), None, now) for each in found]


def one(connection: Connection, id: str, hash_id: HashId | None, now: float) -> tuple[Seen, list[Attempt]]:
    """With its newest tries. `subscription.unknown`."""
    return _seen(connection, store.find(connection, id), hash_id, now), store.attempts(connection, id)


def act(engine: Engine, id: str, what: str, by: By, hash_id: HashId) -> Subscription:
    """Carries out one of ACTS. One that was changed in the database can only be ended."""
    acts: dict[str, Callable[[Connection, Subscription, By, HashId], Subscription]]
    acts = {"pause": store.pause, "resume": store.resume, "end": store.end}
    with writing(engine) as connection:
        if what == "end":
            before = store.find(connection, id)
        else:
            before = store.locked(connection, id, hash_id)
        return acts[what](connection, before, by, hash_id)


def operator(actor: str, now: float, reason: str) -> By:
    return By(actor, now, Cause.OPERATOR, reason)


def rotate(engine: Engine, by: By, hash_id: HashId) -> keys.PushKey:
    """A new key for webhooks; the one before it signs too for a while."""
    with writing(engine) as connection:
        return keys.make(connection, hash_id, by.at, by.actor, by.reason)


def _seen(connection: Connection, subscription: Subscription, hash_id: HashId | None, now: float) -> Seen:
    altered: bool | None = None
    if hash_id is not None:
        try:
            store.check(connection, subscription, hash_id)
            altered = False
        except Failure:
            altered = True
    ended = subscription.state == State.ENDED
    return Seen(subscription, Waiting(0, None) if ended else store.waiting(connection, subscription), altered, now)
