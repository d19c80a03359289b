"""What an officer should look at: refusals by reason and agency, unusual volumes, certificates that end, approvals.

Counts come from the index of the log. Each question looks at a bounded number of its rows.
Invariant: who sees one agency gets counts of that agency alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from statistics import median
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, func, select

from gateway.audit.search.fields import OUTCOMES, word
from gateway.audit.search.search import first_at
from gateway.console.site.desk import Desk
from gateway.console.work.months import Span
from gateway.console.work.tally import refusals_of
from gateway.journal.schema import tables
from gateway.registry.records import ACTIVE
from gateway.registry.snapshot import Snapshot
from security.grants.windows import VIETNAM

DAYS: Final = 7
DAY: Final = 86_400.0
SOON: Final = 30 * DAY
_MOST_OF_DAY: Final = 5_000  # entries of one day that are looked at
_LEAST: Final = 20  # calls below which nothing is unusual
_TIMES: Final = 3.0
_LEAST_DAYS: Final = 3
_index: Final = tables.log_index.c
_TAKEN: Final = _index.kind + 0 == word("intent")


@dataclass(frozen=True, slots=True)
class Denied:
    """Refusals of one reason and agency; `agency` is None where the caller was not proven."""

    code: str
    agency: str | None
    entries: int


@dataclass(frozen=True, slots=True)
class Denials:
    """Of a span; `capped`: only the newest were counted. `since` and `until` are its first and last day, for a search
    of the same; `until` is "" if it goes on.
    """

    rows: tuple[Denied, ...]
    total: int
    capped: bool
    since: str
    until: str = ""

    def by_code(self) -> list[tuple[str, int]]:
        """All of them, by reason; the most first."""
        counts = Counter[str]()
        for each in self.rows:
            counts[each.code] += each.entries
        return counts.most_common()

    def by_agency(self) -> list[tuple[str | None, int]]:
        """The same by agency."""
        counts = Counter[str | None]()
        for each in self.rows:
            counts[each.agency] += each.entries
        return counts.most_common()

    def cell(self, code: str, agency: str | None) -> int:
        return sum(each.entries for each in self.rows if (each.code, each.agency) == (code, agency))


@dataclass(frozen=True, slots=True)
class Volume:
    """Requests of an agency that were taken: in the same span of each of the last seven days, oldest first, and today.
    `refused`: those of today's span that were refused.
    """

    agency: str
    days: tuple[int, ...]
    today: int
    usual: float
    unusual: str  # more | less | empty
    refused: int = 0

    @property
    def counts(self) -> tuple[float, ...]:
        return tuple(float(each) for each in (*self.days, self.today))


@dataclass(frozen=True, slots=True)
class Volumes:
    """`since` and `until` bound the span of today that is compared. `rows` have unusual ones first."""

    rows: tuple[Volume, ...]
    since: float
    until: float
    days: int  # days before today that the log knows


@dataclass(frozen=True, slots=True)
class Ending:
    """A key in use whose certificate ends soon, or ended."""

    key: str
    system: str
    agency: str
    use: str
    until: float


def first_of(now: float, days: int) -> float:
    """The midnight in Vietnam with which the last days begin; today is one of them."""
    return _midnight(now) - (days - 1) * DAY


def denials(connection: Connection, desk: Desk, scope: str | None, now: float, span: Span | None = None) -> Denials:
    """Of the last `DAYS` days, if no span is given."""
    size, span = _size(connection), span or Span(first_of(now, DAYS))
    since = first_at(connection, span.begins, 0, size)
    until = size if span.ends is None else first_at(connection, span.ends, since, size)
    pairs, capped = refusals_of(desk.services.engine).counted(connection, since, until)
    codes, agencies = codes_by_digest(), _agencies(desk.services.registry.snapshot)
    rows = [
        Denied(codes.get(code or 0, "…"), None if agency is None else agencies.get(agency, "…"), number)
        for (code, agency), number in pairs.items()
        if scope is None or agency == word(scope)
    ]
    rows.sort(key=lambda each: (-each.entries, each.code, each.agency or ""))
    total = sum(each.entries for each in rows)
    return Denials(tuple(rows), total, capped, span.first, span.last)


def volumes(connection: Connection, desk: Desk, scope: str | None, now: float) -> Volumes:
    """The span begins at midnight in Vietnam; it is shorter where a whole day has too many entries to look at."""
    size = _size(connection)
    begins = [_midnight(now) - each * DAY for each in range(DAYS, -1, -1)]
    spent = now - begins[-1]
    ends = [first_at(connection, each + spent, 0, size) for each in begins]
    starts = [first_at(connection, each, 0, end) for each, end in zip(begins, ends, strict=True)]
    length = spent
    while (widest := max(end - start for start, end in zip(starts, ends, strict=True))) > _MOST_OF_DAY and length > 60:
        length *= min(0.5, _MOST_OF_DAY / widest)
        starts = [first_at(connection, each + spent - length, 0, end) for each, end in zip(begins, ends, strict=True)]
    oldest = connection.scalar(select(tables.log_entry.c.sequenced).where(tables.log_entry.c.idx == 0))
    whole = sum(1 for each in begins[:-1] if oldest is not None and each + spent - length >= oldest)
    agencies = _agencies(desk.services.registry.snapshot)
    counted = [_counted(connection, start, end) for start, end in zip(starts, ends, strict=True)]
    refused = _counted(connection, starts[-1], ends[-1], _index.outcome == OUTCOMES["refused"])
    rows = []
    for mark in {mark for each in (*counted, refused) for mark in each}:
        code = agencies.get(mark)
        if code is None or scope not in (None, code):
            continue
        *before, today = [each[mark] for each in counted]
        usual = float(median(before[DAYS - whole :])) if whole else 0.0
        rows.append(Volume(code, tuple(before), today, usual, _unusual(today, usual, whole), refused[mark]))
    rows.sort(key=lambda each: (not each.unusual, -max(each.today, each.usual), -each.refused, each.agency))
    return Volumes(tuple(rows), begins[-1] + spent - length, now, whole)


def ending(connection: Connection, scope: str | None, now: float) -> list[Ending]:
    """Without those that a later certificate of the same use has followed."""
    key, system, later = tables.system_key.c, tables.system.c, tables.system_key.alias().c
    followed = exists().where(
        later.system == key.system, later.use == key.use, later.state == ACTIVE, later.valid_until >= now + SOON
    )
    query = (
        select(key.key_id, key.system, system.agency, key.use, key.valid_until)
        .join_from(tables.system_key, tables.system, key.system == system.id)
        .where(key.state == ACTIVE, key.valid_until < now + SOON, key.valid_until > now - SOON, ~followed)
        .order_by(key.valid_until)
        .limit(50)
    )
    if scope is not None:
        query = query.where(system.agency == scope)
    return [Ending(*row) for row in connection.execute(query)]


def _midnight(now: float) -> float:
    return datetime.fromtimestamp(now, VIETNAM).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _counted(connection: Connection, start: int, end: int, which: ColumnElement[bool] = _TAKEN) -> Counter[int]:
    """Entries by the digest of the caller's agency. Rows that follow each other are read fast."""
    rows = connection.execute(
        select(_index.agency, func.count()).where(_index.idx >= start, _index.idx < end, which).group_by(_index.agency)
    )
    return Counter({mark: int(number) for mark, number in rows if mark is not None})


def _unusual(today: int, usual: float, days: int) -> str:
    if days < _LEAST_DAYS or max(today, usual) < _LEAST:
        return ""
    return "more" if today >= _TIMES * max(usual, 1.0) else "less" if today * _TIMES <= usual else ""


@cache
def codes_by_digest() -> Mapping[int, str]:
    """Error codes by their digests in the index."""
    from gateway.errors import every

    return {word(code): code for code in every()}


def _agencies(snapshot: Snapshot) -> dict[int, str]:
    return {word(code): code for code in snapshot.agencies}


def _size(connection: Connection) -> int:
    top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
    return 0 if top is None else int(top) + 1
