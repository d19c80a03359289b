"""Reads and writes subscriptions: acts of people and systems, and what the keeper records of its tries.

Each act is one transaction: the row with a new revision, and an entry of the log that has its seal.
Invariant: an act or a try is written only while the row is as it was read. What a try sent before an act counts no
  more: after a change of the URL, the new receiver gets the events that the old one took last as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, and_, delete, exists, func, insert, or_, select, update

from contracts.base.ids import new_id
from gateway.feeds.places import head
from gateway.journal.append import append
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.schema.push_tables import push_attempt, push_subscription
from gateway.push.errors import (
    SUBSCRIPTION_ALTERED,
    SUBSCRIPTION_ENDED,
    SUBSCRIPTION_FROM,
    SUBSCRIPTION_OTHER_STATE,
    SUBSCRIPTION_TOO_MANY,
    SUBSCRIPTION_UNKNOWN,
)
from gateway.push.records import LIVE, Cause, HashId, State, Subscription
from gateway.transfer import entries

NOTE: Final = "push-subscription"
MOST: Final = 20  # subscriptions of one system that have not ended
ATTEMPTS: Final = 50  # that are kept of one subscription
COUNTED: Final = 100_000  # events that are counted at most
_row: Final = push_subscription.c
_event: Final = tables.feed_event.c


class Wanted(NamedTuple):
    """What a system asks for. `position`: the offset of the last event that it does not want."""

    system: str
    contract: str
    url: str
    form: str
    most: int
    position: int


class By(NamedTuple):
    """Who acts, when, and why. `cause`: in what capacity."""

    actor: str
    at: float
    cause: Cause
    reason: str = ""


class Waiting(NamedTuple):
    """Events after the position, as far as they were counted; when the oldest was sequenced."""

    events: int
    oldest: float | None


class Attempt(NamedTuple):
    at: float
    delivery: str
    events: int
    milliseconds: int
    status: int | None
    failure: str | None


# --- reading ----------------------------------------------------------------------------------------------------------


def find(connection: Connection, id: str, system: str | None = None) -> Subscription:
    """`subscription.unknown` if there is none, or it is another system's."""
    row = connection.execute(select(push_subscription).where(_row.id == id)).first()
    if row is None or system is not None and row.system != system:
        raise SUBSCRIPTION_UNKNOWN(subscription=id[:60])
    return Subscription.of(row)


def locked(connection: Connection, id: str, hash_id: HashId, system: str | None = None) -> Subscription:
    """The same for an act, locked until the transaction ends, and checked."""
    connection.execute(select(_row.id).where(_row.id == id).with_for_update())
    subscription = find(connection, id, system)
    check(connection, subscription, hash_id)
    return subscription


def of_system(connection: Connection, system: str | None, limit: int = 200) -> list[Subscription]:
    """Those of a system, or of all, that have not ended first, then the newest."""
    query = select(push_subscription).order_by(_row.state == State.ENDED, _row.id.desc()).limit(limit)
    rows = connection.execute(query if system is None else query.where(_row.system == system))
    return [Subscription.of(row) for row in rows]


def check(connection: Connection, subscription: Subscription, hash_id: HashId) -> None:
    """`subscription.altered` unless the row holds against its seals and against the newest entry of its acts."""
    column = subscription.altered(hash_id)
    if column is None:
        newest = _newest_act(connection, subscription.id)
        column = None if newest == (subscription.revision, subscription.seal) else "revision"
    if column is not None:
        raise SUBSCRIPTION_ALTERED(subscription=subscription.id, column=column)


def due(connection: Connection, before: float, limit: int) -> list[tuple[str, bool, float]]:
    """Subscriptions with something to send, the longest due first: the id, whether the last try failed, and since when
    it is due.
    """
    more = exists().where(_event.contract == _row.contract, _event.offset > _row.position)
    wants = or_(_row.state == State.UNVERIFIED, and_(_row.state == State.ACTIVE, more))
    query = select(_row.id, _row.tries, _row.next_at).where(wants, _row.next_at <= before)
    rows = connection.execute(query.order_by(_row.next_at).limit(limit))
    return [(row.id, row.tries > 0, row.next_at) for row in rows]


def waiting(connection: Connection, subscription: Subscription, most: int = COUNTED) -> Waiting:
    after = (_event.contract == subscription.contract, _event.offset > subscription.position)
    counted = select(_event.offset).where(*after).limit(most).subquery()
    oldest = connection.scalar(select(_event.sequenced).where(*after).order_by(_event.offset).limit(1))
    return Waiting(connection.scalar(select(func.count()).select_from(counted)) or 0, oldest)


def attempts(connection: Connection, id: str) -> list[Attempt]:
    """The newest first."""
    columns = [push_attempt.c[name] for name in Attempt._fields]
    query = select(*columns).where(push_attempt.c.subscription == id).order_by(push_attempt.c.number.desc())
    return [Attempt(*row) for row in connection.execute(query)]


def _newest_act(connection: Connection, id: str) -> tuple[int, str] | None:
    """Revision and seal of the newest entry of the subscription's acts."""
    acts: dict[int, str] = {}
    for table in tables.LOGS:  # an entry may move to the next table while it is read
        query = select(table.c.entry).where(table.c.transfer == id, table.c.phase.like(f"{NOTE}#%"))
        for raw in connection.scalars(query):
            facts = parse(bytes(raw)).get("facts")
            if isinstance(facts, dict) and isinstance(facts.get("revision"), int):
                acts[facts["revision"]] = str(facts.get("seal"))
    return max(acts.items(), default=None)


class Totals(NamedTuple):
    """Subscriptions by state; of active ones, how many fail now, and for how many seconds the oldest event waits."""

    states: dict[str, int]
    failing: int
    lag: float


NOTHING: Final = Totals({}, 0, 0.0)


def totals(connection: Connection, now: float) -> Totals:
    counted = connection.execute(select(_row.state, func.count()).group_by(_row.state)).all()
    active = _row.state == State.ACTIVE
    failing = connection.scalar(select(func.count()).where(active, _row.failing.is_not(None))) or 0
    after = (_event.contract == _row.contract, _event.offset > _row.position)
    first = select(func.min(_event.offset)).where(*after).correlate(push_subscription).scalar_subquery()
    oldest = connection.scalar(
        select(func.min(_event.sequenced))
        .join_from(push_subscription, tables.feed_event, and_(_event.contract == _row.contract, _event.offset == first))
        .where(active)
    )
    states = {state.value: 0 for state in State} | {str(state): int(number) for state, number in counted}
    return Totals(states, failing, 0.0 if oldest is None else max(0.0, now - oldest))


# --- acts -------------------------------------------------------------------------------------------------------------


def create(connection: Connection, wanted: Wanted, by: By, hash_id: HashId) -> tuple[Subscription, bool]:
    """The subscription, and whether it is new: the same wish again gets the one that stands."""
    live = (_row.system == wanted.system, _row.state.in_(LIVE))
    same = (_row.contract == wanted.contract, _row.url == wanted.url, _row.form == wanted.form)
    known = connection.execute(select(push_subscription).where(*live, *same)).first()
    if known is not None:
        subscription = Subscription.of(known)
        check(connection, subscription, hash_id)
        return subscription, False
    if (connection.scalar(select(func.count()).where(*live)) or 0) >= MOST:
        raise SUBSCRIPTION_TOO_MANY(most=MOST)
    subscription = Subscription(
        id=new_id(int(by.at * 1000)),
        **wanted._asdict(),
        state=State.UNVERIFIED,
        cause=Cause.NONE,
        verified=None,
        revision=1,
        created=by.at,
        changed=by.at,
        reached=wanted.position,
        replays=0,
        next_at=by.at,
    ).sealed(hash_id)
    connection.execute(insert(push_subscription).values(**subscription.values))
    _tell(connection, subscription, "created", by, {"position": wanted.position})
    return subscription, True


def verified(connection: Connection, before: Subscription, by: By, hash_id: HashId) -> Subscription:
    """Its receiver echoed the challenge."""
    after = replace(before, state=State.ACTIVE, cause=Cause.NONE, verified=by.at)
    return _changed(connection, before, _rested(after, by), "verified", by, hash_id)


def pause(connection: Connection, before: Subscription, by: By, hash_id: HashId) -> Subscription:
    """Its entry says what waits."""
    _possible(before, "pause", (State.UNVERIFIED, State.ACTIVE))
    count, oldest = waiting(connection, before)
    facts: dict[str, Any] = {"waiting": count, "position": before.position}
    facts |= {"failure": before.failure} if by.cause is Cause.DEAD and before.failure else {}
    if oldest is not None:
        facts["oldest"] = round(by.at - oldest)  # seconds
    after = replace(before, state=State.PAUSED, cause=by.cause)
    return _changed(connection, before, after, "paused", by, hash_id, facts)


def resume(connection: Connection, before: Subscription, by: By, hash_id: HashId) -> Subscription:
    """From where it stood. What an operator paused, an operator resumes."""
    _possible(before, "resume", (State.PAUSED,))
    if before.cause == Cause.OPERATOR and by.cause is not Cause.OPERATOR:
        raise SUBSCRIPTION_OTHER_STATE(subscription=before.id, state="paused (operator)", act="resume")
    state = State.UNVERIFIED if before.verified is None else State.ACTIVE
    after = _rested(replace(before, state=state, cause=Cause.NONE), by)
    return _changed(connection, before, after, "resumed", by, hash_id, {"position": before.position})


def end(connection: Connection, before: Subscription, by: By, hash_id: HashId) -> Subscription:
    """Also one whose row was changed in the database."""
    _possible(before, "end", (State.UNVERIFIED, State.ACTIVE, State.PAUSED))
    after = replace(before, state=State.ENDED, cause=by.cause, upto=None)
    return _changed(connection, before, after, "ended", by, hash_id, {"position": before.position})


def move(connection: Connection, before: Subscription, url: str, by: By, hash_id: HashId) -> Subscription:
    """Another URL: its receiver has to prove anew that it owns it."""
    _possible(before, "move", (State.UNVERIFIED, State.ACTIVE, State.PAUSED))
    if url == before.url:
        return before
    state = State.PAUSED if before.state == State.PAUSED else State.UNVERIFIED
    after = _rested(replace(before, url=url, state=state, verified=None, upto=None), by)
    return _changed(connection, before, after, "moved", by, hash_id)


def replay(
    connection: Connection, before: Subscription, position: int, by: By, hash_id: HashId
) -> tuple[Subscription, int]:
    """Goes back to a position; returns how many events are sent again, up to COUNTED. `reached` stays."""
    _possible(before, "replay", (State.UNVERIFIED, State.ACTIVE, State.PAUSED))
    if position > before.position:
        raise SUBSCRIPTION_FROM(why="it lies after the subscription's position")
    reached = max(before.reached, before.position)
    again = select(_event.offset).where(
        _event.contract == before.contract, _event.offset > position, _event.offset <= reached
    )
    count = connection.scalar(select(func.count()).select_from(again.limit(COUNTED).subquery())) or 0
    after = replace(before, position=position, reached=reached, replays=before.replays + 1, upto=None)
    facts = {"position": position, "reached": reached, "again": count}
    return _changed(connection, before, _rested(after, by), "replayed", by, hash_id, facts), count


def _possible(subscription: Subscription, act: str, states: Sequence[State]) -> None:
    if subscription.state == State.ENDED:
        raise SUBSCRIPTION_ENDED(subscription=subscription.id)
    if subscription.state not in states:
        raise SUBSCRIPTION_OTHER_STATE(subscription=subscription.id, state=subscription.state, act=act)


def _rested(subscription: Subscription, by: By) -> Subscription:
    """Due now, as if nothing had failed."""
    return replace(subscription, next_at=by.at, tries=0, failing=None, failure=None)


def _changed(
    connection: Connection,
    before: Subscription,
    after: Subscription,
    act: str,
    by: By,
    hash_id: HashId,
    facts: Mapping[str, Any] = {},
) -> Subscription:
    newest = _newest_act(connection, before.id)
    revision = max(before.revision, newest[0] if newest is not None else 0) + 1
    after = replace(after, revision=revision, changed=by.at).sealed(hash_id)
    if not _written(connection, before, after):
        raise SUBSCRIPTION_OTHER_STATE(subscription=before.id, state="under way", act=act)
    _tell(connection, after, act, by, facts)
    return after


def _written(connection: Connection, before: Subscription, after: Subscription) -> bool:
    """Whether the row was still as `before`."""
    same = (_row.id == before.id, _row.revision == before.revision, _row.mark == before.mark)
    changed = {name: value for name, value in after.values.items() if name != "id"}
    return connection.execute(update(push_subscription).where(*same).values(**changed)).rowcount == 1


def _tell(connection: Connection, now: Subscription, act: str, by: By, facts: Mapping[str, Any]) -> None:
    own: dict[str, Any] = {
        "act": act,
        "contract": now.contract,
        "reader": now.system,
        "url": now.url.partition("?")[0],
        "form": now.form,
        "state": str(now.state),
        "revision": now.revision,
        "seal": now.seal,
        **facts,
    }
    if by.reason:
        own["reason"] = by.reason
    note = entries.note(NOTE, own, by.at, actor=by.actor, about=now.id)
    append(connection, [note._replace(phase=f"{NOTE}#{now.revision}")])


# --- tries ------------------------------------------------------------------------------------------------------------


def reserve(connection: Connection, before: Subscription, hash_id: HashId) -> Subscription | None:
    """With the range of its next delivery on disk, so that each try of it has the same events and the same id. None if
    there is nothing to send, or the row has changed.
    """
    upto = _next_end(connection, before)
    if upto is None:
        return None
    after = replace(before, upto=upto).sealed(hash_id)
    return after if _written(connection, before, after) else None


def taken(
    connection: Connection, before: Subscription, last: int, attempt: Attempt, hash_id: HashId
) -> Subscription | None:
    """The receiver took the events up to the offset `last`; the next delivery's range is reserved as well."""
    after = replace(
        before,
        position=last,
        reached=max(before.reached, last),
        tries=0,
        failing=None,
        failure=None,
        taken=attempt.at,
        next_at=attempt.at,
    )
    after = replace(after, upto=_next_end(connection, after)).sealed(hash_id)
    _attempted(connection, before.id, attempt)
    return after if _written(connection, before, after) else None


def failed(connection: Connection, before: Subscription, attempt: Attempt, next_at: float) -> bool:
    """A try that was not taken. False if the row has changed."""
    _attempted(connection, before.id, attempt)
    since = before.failing if before.failing is not None else attempt.at
    after = replace(before, tries=before.tries + 1, failing=since, failure=attempt.failure, next_at=next_at)
    return _written(connection, before, after)


def put_off(connection: Connection, before: Subscription, failure: str, next_at: float) -> bool:
    """Nothing was sent: its grant, quota or key does not allow it now."""
    return _written(connection, before, replace(before, failure=failure, next_at=next_at))


def _next_end(connection: Connection, subscription: Subscription) -> int | None:
    """The offset of the last event of the next delivery."""
    after = (_event.contract == subscription.contract, _event.offset > subscription.position)
    page = select(_event.offset).where(*after).order_by(_event.offset).limit(subscription.most).subquery()
    end: int | None = connection.scalar(select(func.max(page.c.offset)))
    return end


def _attempted(connection: Connection, id: str, attempt: Attempt) -> None:
    table = push_attempt
    newest = connection.scalar(select(func.max(table.c.number)).where(table.c.subscription == id)) or 0
    connection.execute(insert(table).values(subscription=id, number=newest + 1, **attempt._asdict()))
    connection.execute(delete(table).where(table.c.subscription == id, table.c.number <= newest + 1 - ATTEMPTS))


def start_of(connection: Connection, contract: str, start: str) -> int:
    """The position before the first event (`start`), or after the newest one (`now`)."""
    return 0 if start == "start" else head(connection, contract)
