"""What needs somebody's attention: the numbers of the first page, as far as his roles see them.

Invariant: a part that the roles do not see is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import func, select

from gateway.audit.search.facts import Logged
from gateway.audit.search.search import Query, reading, search
from gateway.console.accounts.records import Viewer
from gateway.console.roles import May
from gateway.console.site.desk import Desk
from gateway.console.work import access, attention, draft_rows, feed_readers, pushes, waiting
from gateway.console.work.months import Span, span_of
from gateway.delivery import listing
from gateway.exchange.feed_readers import FeedReader
from gateway.journal.schema import tables
from gateway.push import operating
from gateway.push.operating import Seen

_REFUSALS = 8
_PAUSED = 8
LISTS = (listing.IN_DOUBT, listing.WAITS, listing.GIVEN_UP)


class Needs(NamedTuple):
    """`queue`: messages by list, each up to `listing.COUNTED`. `approvals`: proposals that wait for signatures.
    `drafts`: contracts that another person handed in. `pushes`: subscriptions whose receivers failed for too long.
    `paused`: the newest that are paused for any cause, with what waits. `behind`: readers of feeds that are far behind.
    """

    queue: Mapping[str, int] | None
    approvals: int | None
    drafts: int | None
    review: access.Due | None
    ending: tuple[attention.Ending, ...] | None
    refusals: tuple[Logged, ...] | None
    denials: attention.Denials | None
    volumes: attention.Volumes | None
    pushes: int | None
    paused: tuple[Seen, ...] | None
    behind: tuple[FeedReader, ...] | None


def mark(desk: Desk) -> object:
    """A small value that changes with what the first page shows to anybody."""
    registry, now = desk.services.registry.snapshot, desk.now()
    with desk.reading() as connection:
        size = connection.scalar(select(func.max(tables.log_entry.c.idx)))
        queue = [*(listing.count(connection, each) for each in LISTS), pushes.paused(connection)]
    return size, queue, registry.revision, sorted(registry.readiness(now).items()), desk.vitals.pulse_now().keepers > 0


def needs(desk: Desk, viewer: Viewer, days: int = attention.DAYS, month: str = "") -> Needs:
    """`days` or, if it is given, `month` is the span of the counted refusals. Raises `console.form`."""
    may, scope, now = viewer.account.may, viewer.account.scope, desk.now()
    snapshot = desk.services.registry.snapshot
    span = span_of(month) if month else Span(attention.first_of(now, days))
    queue = pushed = paused = behind = approvals = drafts = review = ending = refusals = denials = volumes = None
    with desk.reading() as connection:
        if May.QUEUE in may:
            queue = {each: listing.count(connection, each) for each in LISTS}
            pushed = pushes.paused(connection)
            paused = tuple(operating.paused(connection, now, _PAUSED))
        if May.ACCESS in may:
            approvals = len(waiting.every(connection, snapshot, scope, now))
        if May.CONFIRM in may:
            drafts = draft_rows.waiting(connection, viewer.account.id, now)
        if May.SYSTEMS in may:
            ending = tuple(attention.ending(connection, scope, now))
    if May.SYSTEMS in may:
        behind = feed_readers.far_behind(desk, scope)
    if May.ACCESS in may and scope is None:
        review = access.due(desk)
    if May.SEARCH in may:
        with reading(desk.services.engine) as connection:
            query = Query(outcome="refused", agency=scope, since=attention.first_of(now, attention.DAYS))
            refusals = search(connection, query, limit=_REFUSALS).hits
            denials = attention.denials(connection, desk, scope, now, span)
            volumes = attention.volumes(connection, desk, scope, now)
    return Needs(
        queue=queue,
        approvals=approvals,
        drafts=drafts,
        review=review,
        ending=ending,
        refusals=refusals,
        denials=denials,
        volumes=volumes,
        pushes=pushed,
        paused=paused,
        behind=behind,
    )
