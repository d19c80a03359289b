"""How systems were seen to work: the newest calls to each of them, and the newest requests from each of them.

It comes from the index of the log, which has the tries that failed too. The registry tells only who may call.

Invariant: the cost is a few rows of an index for each system, whatever the size of the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, or_, select

from adapters.errors import SOUND
from gateway.audit.search.fields import OUTCOMES, word
from gateway.delivery.errors import PROVIDER_RESTING
from gateway.journal.schema import tables
from gateway.registry.changes.keys import SUPERSEDED as REPLACED
from gateway.registry.records import REVOKED

LAST: Final = 3  # results in a row that make a judgement; fewer, if there are no more
FRESH: Final = 7 * 86_400.0  # seconds after which a refusal says nothing of a caller
_LOOKS: Final = 12
_index: Final = tables.log_index.c
_RESULTS: Final = tuple(word(each) for each in ("outcome", "in-doubt", "queued", "try-failed"))
_REQUESTS: Final = tuple(word(each) for each in ("intent", "refusal", "repeat", "feed-read"))
_REFUSED: Final = OUTCOMES["refused"]
_OK: Final = OUTCOMES["ok"]


class Seen(NamedTuple):
    """`failing`: the code of the newest failure, if the last calls to it failed. `refused`: of the newest refusal, if
    its last requests were refused. Times are those of the newest result and request; None if there is none.

    `worked`: when it was last seen to work, by a request that was taken or a call that it answered. `unseen`: that is
    in no entry of the log. `revoked`: when a key of it was last revoked, other than to replace it.
    """

    failing: str | None = None
    refused: str | None = None
    called: float | None = None
    asked: float | None = None
    worked: float | None = None
    unseen: bool = False
    revoked: float | None = None

    def state(self, ready: str) -> tuple[str, str | None]:
        """What is known, and the error code of it. A system that may call is ready only if it was seen to work."""
        if ready != "ready":
            return ready, None
        if self.failing is not None:
            return "failing", self.failing
        if self.refused is not None:
            return "refused", self.refused
        if self.revoked is not None and self.revoked >= (self.worked or 0.0):
            return "key-revoked", None
        return ("unseen" if self.unseen else ready), None


def observed(connection: Connection, systems: Sequence[str], codes: Mapping[int, str], now: float) -> dict[str, Seen]:
    """By system. `codes` are the error codes by their digests. The connection is one of `reading`."""
    revoked = _revoked(connection)
    return {each: _seen(connection, each, codes, now)._replace(revoked=revoked.get(each)) for each in systems}


def _seen(connection: Connection, system: str, codes: Mapping[int, str], now: float) -> Seen:
    results = _newest(connection, "provider", system, _RESULTS)
    requests = _newest(connection, "system", system, _REQUESTS)
    called, asked = (_time(connection, rows[0].idx) if rows else None for rows in (results, requests))
    ended = [_failure(row, codes) for row in results]
    failures = [each for each in ended if each is not None][:LAST]
    refusals = [codes.get(row.failure, "…") if row.outcome == _REFUSED else "" for row in requests]
    recent = asked is not None and now - asked < FRESH
    works = [row.idx for row, code in zip((*results, *requests), (*ended, *refusals), strict=True) if code == ""]
    refused = bool(refusals) and all(refusals[:LAST]) and recent
    return Seen(
        failing=failures[0] if failures and all(failures) else None,
        # Fewer refusals say nothing against a system that was seen to work, such as one that is called.
        refused=refusals[0] if refused and (len(refusals) >= LAST or not works) else None,
        called=called,
        asked=asked,
        worked=_time(connection, max(works)) if works else None,
        unseen=not works and max(len(results), len(requests)) < _LOOKS,  # else older entries may tell it
    )


def _revoked(connection: Connection) -> dict[str, float]:
    """When a key was last revoked here or by an outside authority, by system."""
    key, status = tables.system_key.c, tables.certificate_status.c
    here = select(key.system, key.revoked).where(
        key.state == REVOKED, or_(key.reason.is_(None), key.reason != REPLACED)
    )
    outside = (
        select(key.system, status.revoked)
        .join_from(tables.system_key, tables.certificate_status, status.thumbprint == key.thumbprint)
        .where(status.status == REVOKED, or_(status.reason.is_(None), status.reason != REPLACED))
    )
    times: dict[str, float] = {}
    for system, at in (*connection.execute(here), *connection.execute(outside)):
        times[system] = max(times.get(system, 0.0), at or 0.0)
    return times


def _failure(row: Any, codes: Mapping[int, str]) -> str | None:
    """The code of a failed call, or "" if the provider works; None for what says nothing of it."""
    if row.outcome == _OK:
        return ""
    code = codes.get(row.failure, "…")
    if code == PROVIDER_RESTING.code or not code.startswith("provider."):  # not tried, or not for the provider's sake
        return None
    return "" if code in SOUND else code


def _newest(connection: Connection, column: str, system: str, kinds: tuple[int, ...]) -> Sequence[Any]:
    """`+ 0`: the database walks the index of the system, in order, and not one of the kinds."""
    return connection.execute(
        select(_index.idx, _index.outcome, _index.failure)
        .where(_index[column] == word(system), (_index.kind + 0).in_(kinds))
        .order_by(_index.idx.desc())
        .limit(_LOOKS)
    ).all()


def _time(connection: Connection, idx: int) -> float | None:
    return connection.scalar(select(tables.log_entry.c.sequenced).where(tables.log_entry.c.idx == idx))
