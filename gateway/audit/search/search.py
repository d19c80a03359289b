"""Searches the log by index and keyset: a page costs the same in ten million entries as in ten thousand.

Theory of operation:
1. A page begins at a cursor, never at an offset. It covers the log as of the first page.
2. Times of sequencing never go back, so bounds in time are bounds of index, found by bisection.
3. Of several conditions the locally rarest one leads: for each it is measured how far its next thousand rows reach. The
   leader's rows are walked in order, and the other conditions are checked on each. So no condition makes the database
   sort, or walk the whole log.
4. A page reads a bounded number of rows. If the combination is rare and each condition is not, a page is short, with a
   cursor to continue.
5. Entries past the index's watermark are read from the log. What has no place in it yet is not found: `coverage` says
   up to where a search goes, and how much waits.
6. Every hit is read from the log and compared. So only a falsified index can omit something (`lgsp audit reindex`
   creates it again; `indexed=False` ignores it), and no index can show anything that is not in the log.

Invariant: all pages together contain each matching entry once, in order.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, select, text, tuple_

from contracts.base.words import WordsFile
from gateway.audit.search import facts
from gateway.audit.search.errors import AUDIT_BAD_CURSOR
from gateway.audit.search.facts import Facts, Logged
from gateway.audit.search.fields import FIELDS, Conditions, Role, is_actor, kinds_in, wide
from gateway.audit.search.index import keys_of, parties_of, watermark
from gateway.journal.schema import tables

_words = WordsFile(__file__)

LOOKS: Final = 10_000  # rows of the index per page, at most
RAW_LOOKS: Final = 4_000  # entries that are read in full per page, at most
_RAW: Final = 500
_PROBE: Final = 1_000
_BESIDE, _PAGES_BESIDE = 8, 3
_WIDEST: Final = 4_000
PARTY: Final = "party"  # stands for the column of `log_party`
_index: Final = tables.log_index.c
_party: Final = tables.log_party.c
# PostgreSQL misjudges how many rows a range over two columns has, and might sort them all: force it to walk an index.
_IN_ORDER: Final = select(
    *[func.set_config(f"enable_{name}", "off", True) for name in ("sort", "bitmapscan", "seqscan")]
)


# Bisection in one statement: twenty of them cost more than the rest of a page. Without a row in a half, `high` moves.
_LATER: Final = """
    (SELECT sequenced FROM log_entry WHERE idx >= (low + high) / 2 AND idx < high ORDER BY idx LIMIT 1)
    < CAST(:moment AS DOUBLE PRECISION)
"""
_FIRST: Final = text(
    """
    WITH RECURSIVE span (low, high) AS (
        SELECT CAST(:low AS BIGINT), CAST(:high AS BIGINT)
        UNION ALL
        SELECT
            CASE WHEN later THEN (low + high) / 2 + 1 ELSE low END,
            CASE WHEN later THEN high ELSE (low + high) / 2 END
        FROM span WHERE low < high
    )
    SELECT low FROM span WHERE low >= high
    """.replace("later", _LATER)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Conditions):
    """The conditions of a search. `message` is the keyed hash; times are those of sequencing, `until` excluded.

    `role` is that of `agency` in an entry; None: any.
    """

    role: Role | None = None
    trouble: bool | None = None
    since: float | None = None
    until: float | None = None
    oldest_first: bool = False

    def fits(self, entry: Facts) -> bool:
        """Whether an entry matches; times are not compared."""
        if self.kind is not None and entry.kind not in kinds_in(self.kind):
            return False
        if self.agency is not None and not any(
            each.agency == self.agency and self.role in (None, each.role) for each in entry.parties
        ):
            return False
        if self.transfer is not None and self.transfer not in (entry.about, entry.transfer):
            return False
        if self.trouble is not None and entry.trouble is not self.trouble:
            return False
        if self.actor is not None and not is_actor(self.actor, entry.actor):
            return False
        return all((sought := getattr(self, name)) is None or getattr(entry, name) == sought for name in WORDS)

    def keys(self) -> dict[str, int]:
        """The required values of an index row, by column."""
        keys = {
            field.column or name: field.digest(sought)
            for name, field in FIELDS.items()
            if (sought := getattr(self, name)) is not None
        }
        if self.agency is not None and self.role != "caller":
            keys[PARTY] = keys.pop("agency")
        if self.trouble is not None:
            keys["trouble"] = int(self.trouble)
        return keys

    @property
    def mark(self) -> str:
        """Distinguishes the cursors of two searches."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()[:16]


# A transfer matches two facts, an agency has several, a kind may be any of several, and an actor has short names.
WORDS: Final = tuple(name for name in FIELDS if name not in ("transfer", "agency", "kind", "actor"))


class Page(NamedTuple):
    """`next` is the cursor of the next page; None at the end. `disagree`: entries that contradict their index row."""

    hits: tuple[Logged, ...]
    next: str | None
    looked: int
    reached: int | None  # the index of the last entry that was read
    disagree: tuple[int, ...]


class _At(NamedTuple):
    """A place in a search: the bound of the next entry, and the size of the log at the first page.

    The bound is excluded if the newest entries come first.
    """

    place: int
    top: int


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that sees one state of the database throughout."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(_IN_ORDER)
        yield connection


def renew(connection: Connection) -> None:
    """Moves a `reading` connection to the present state of the database; cursors stay valid."""
    connection.rollback()
    if connection.dialect.name == "postgresql":
        connection.execute(_IN_ORDER)


def search(
    connection: Connection, query: Query, *, limit: int = 50, cursor: str | None = None, indexed: bool = True
) -> Page:
    """Returns one page. Raises `audit.bad-cursor` for a cursor of another search."""
    table = tables.log_entry.c
    top = connection.scalar(select(func.max(table.idx)))
    at = _from_cursor(query, cursor) if cursor is not None else None
    size = at.top if at is not None else 0 if top is None else int(top) + 1
    low = first_at(connection, query.since, 0, size) if query.since is not None else 0
    high = first_at(connection, query.until, low, size) if query.until is not None else size
    walk = _Walk(connection, query.oldest_first, watermark(connection).upto if indexed else 0)
    at = at or _At(low if query.oldest_first else high, size)
    hits: list[Logged] = []
    while True:
        left = (at.place, high) if query.oldest_first else (low, at.place)
        if left[0] >= left[1]:
            return Page(tuple(hits), None, walk.looked, walk.reached, tuple(walk.disagree))
        if len(hits) >= limit or walk.exhausted:
            return Page(tuple(hits), _cursor(query, at), walk.looked, walk.reached, tuple(walk.disagree))
        rows, place = walk.on(query, *left, limit - len(hits))
        hits += rows
        at = at._replace(place=place)


def before(query: Query, idx: int) -> str:
    """The cursor of a page, newest first, that begins before entry `idx`."""
    return _cursor(query, _At(idx, idx))


def neighbours(connection: Connection, query: Query, idx: int, about: str) -> tuple[Logged | None, Logged | None]:
    """The matching entries before and after entry `idx` in the order of the query, of other transfers than `about`.

    None where there is none within a few pages.
    """
    turned = replace(query, oldest_first=not query.oldest_first)
    return _following(connection, turned, idx, about), _following(connection, query, idx, about)


def _following(connection: Connection, query: Query, idx: int, about: str) -> Logged | None:
    top = connection.scalar(select(func.max(tables.log_entry.c.idx)))
    cursor: str | None = _cursor(query, _At(idx + query.oldest_first, 0 if top is None else int(top) + 1))
    for _ in range(_PAGES_BESIDE):
        page = search(connection, query, limit=_BESIDE, cursor=cursor)
        for each in page.hits:
            if each.facts.about != about:
                return each
        if (cursor := page.next) is None:
            break
    return None


def first_at(connection: Connection, moment: float, low: int, high: int) -> int:
    """The first of the entries `low` to before `high` sequenced at `moment` or later; `high` if there is none."""
    return int(connection.execute(_FIRST, {"low": low, "high": max(low, high), "moment": moment}).scalar_one())


class _Walk:
    """A walk along the log in one direction, over the index or the entries."""

    def __init__(self, connection: Connection, up: bool, upto: int) -> None:
        self._connection: Final = connection
        self._up: Final = up
        self._upto: Final = upto
        self._raw = 0
        self._probe = _PROBE
        self.looked = 0
        self.reached: int | None = None
        self.disagree: list[int] = []

    @property
    def exhausted(self) -> bool:
        return self.looked >= LOOKS or self._raw >= RAW_LOOKS

    def on(self, query: Query, low: int, high: int, need: int) -> tuple[list[Logged], int]:
        """Some of the matching entries `low` to before `high`, and the place to continue."""
        keys = query.keys()
        if not keys or (low >= self._upto if self._up else high > self._upto):
            hits, place = self._entries(query, low if self._up else max(low, self._upto if keys else low), high, need)
        else:
            hits, place = self._any_kind(query, low, min(high, self._upto), need)
        self.reached = max(place - 1, low) if self._up else place
        return hits, place

    def _entries(self, query: Query, low: int, high: int, need: int) -> tuple[list[Logged], int]:
        table = tables.log_entry.c
        statement = select(*facts.COLUMNS).where(table.idx >= low, table.idx < high)
        number = min(_RAW, need) if not query.keys() else _RAW
        rows = self._connection.execute(
            statement.order_by(table.idx if self._up else table.idx.desc()).limit(number)
        ).all()
        self._raw += len(rows)
        self.looked += len(rows)
        hits: list[Logged] = []
        for each in facts.read(self._connection, rows):
            if query.fits(each.facts):
                hits.append(each)
                if len(hits) == need:
                    return hits, each.idx + self._up
        if len(rows) == number:
            return hits, int(rows[-1][0]) + self._up
        return hits, high if self._up else low

    def _any_kind(self, query: Query, low: int, high: int, need: int) -> tuple[list[Logged], int]:
        """One walk for each kind that the query names, as far as the shortest of them came."""
        alone = [replace(query, kind=each) for each in kinds_in(query.kind)] if query.kind is not None else [query]
        walks = [self._rows(each, each.keys(), low, high, need) for each in alone]
        place = (min if self._up else max)(place for _, place in walks)
        hits = sorted((hit for found, _ in walks for hit in found), key=lambda hit: hit.idx, reverse=not self._up)
        hits = [hit for hit in hits if (hit.idx < place if self._up else hit.idx >= place)][:need]
        if len(hits) == need:
            place = hits[-1].idx + self._up
        return hits, place

    def _rows(self, query: Query, keys: dict[str, int], low: int, high: int, need: int) -> tuple[list[Logged], int]:
        if query.transfer is not None:  # entries of this id itself are found by the log's own index
            return self._of_transfer(query, low, high, need)
        leader, place = next(iter(keys)), low if not self._up else high
        if len(keys) > 1:
            reach = {name: self._reach(name, key, low, high) for name, key in keys.items()}
            leader, place = (max if self._up else min)(reach.items(), key=lambda each: each[1])
        span = (low, place) if self._up else (place, high)
        others = _others(leader, keys)
        rows = (
            self._connection.execute(self._walked(leader, keys[leader], *span).where(*others).limit(need))
            .scalars()
            .all()
        )
        if len(rows) == need:
            place = rows[-1] + self._up
        self.looked += self._probe if others else len(rows)
        self._probe = min(self._probe * 2, _WIDEST)
        return self._read(query, rows), place

    def _reach(self, name: str, key: int, low: int, high: int) -> int:
        """How far the next rows of one condition reach."""
        last = self._connection.scalar(self._walked(name, key, low, high).offset(self._probe - 1).limit(1))
        if last is None:
            return high if self._up else low
        return int(last) + self._up

    def _walked(self, name: str, key: int, low: int, high: int) -> Select[int]:
        """The rows of one condition in order.

        It is a range over both columns: with `name = key` a database may walk all entries in order of index instead.
        """
        column, idx = _columns(name)
        pair = tuple_(column, idx)
        order: tuple[ColumnElement[Any], ...] = (column, idx) if self._up else (column.desc(), idx.desc())
        return select(idx).where(pair >= (key, low), pair < (key, high)).order_by(*order)

    def _of_transfer(self, query: Query, low: int, high: int, need: int) -> tuple[list[Logged], int]:
        assert query.transfer is not None
        table = tables.log_entry.c
        walked = self._walked("about", wide(query.transfer), low, high).limit(_PROBE)
        about = self._connection.execute(walked).scalars().all()
        place = high if self._up else low
        if len(about) == _PROBE:
            place = about[-1] + self._up
        span = (low, place) if self._up else (place, high)
        own = self._connection.execute(
            select(table.idx).where(table.transfer == query.transfer, table.idx >= span[0], table.idx < span[1])
        ).scalars()
        self.looked += len(about)
        hits = self._read(query, sorted({*about, *own}, reverse=not self._up), whole=False)
        if len(hits) > need:
            hits = hits[:need]
            place = hits[-1].idx + self._up
        return hits, place

    def _read(self, query: Query, indexes: Sequence[int], *, whole: bool = True) -> list[Logged]:
        """The matching entries; those that contradict their index row go to `disagree`."""
        table, hits = tables.log_entry.c, list[Logged]()
        for start in range(0, len(indexes), _RAW):
            some = indexes[start : start + _RAW]
            order = table.idx if self._up else table.idx.desc()
            rows = self._connection.execute(select(*facts.COLUMNS).where(table.idx.in_(some)).order_by(order)).all()
            for each in facts.read(self._connection, rows):
                if query.fits(each.facts):
                    hits.append(each)
                elif whole and not _same_digests(query, each.facts):
                    self.disagree.append(each.idx)
        return hits


def _columns(name: str) -> tuple[ColumnElement[int], ColumnElement[int]]:
    """The column of a condition, and the index of its entries."""
    return (_party.party, _party.idx) if name == PARTY else (_index[name], _index.idx)


def _others(leader: str, keys: dict[str, int]) -> list[ColumnElement[bool]]:
    """The conditions beside the leader's. `+ 0` keeps the database from choosing another index.

    A value of the other table is fetched for each row: a join might be turned round, and sorted.
    """
    idx = _columns(leader)[1]
    others: list[ColumnElement[bool]] = []
    for name, key in keys.items():
        column, own = _columns(name)
        if name == leader:
            continue
        if name == PARTY or leader == PARTY:
            found = select(column).where(own == idx, *([column == key] if name == PARTY else []))
            others.append(found.correlate(idx.table).scalar_subquery() == key)
        else:
            others.append(column + 0 == key)
    return others


def _same_digests(query: Query, entry: Facts) -> bool:
    """Whether the entry has the requested digests although its values differ."""
    keys, wanted = keys_of(entry), query.keys()
    party = wanted.pop(PARTY, None)
    return all(keys[name] == key for name, key in wanted.items()) and (party is None or party in parties_of(entry))


def _cursor(query: Query, at: _At) -> str:
    return base64.urlsafe_b64encode(json.dumps([2, query.mark, *at]).encode()).decode("ascii").rstrip("=")


def _from_cursor(query: Query, text: str) -> _At:
    try:
        version, mark, *at = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        place = _At(*at)
    except (ValueError, TypeError):
        raise AUDIT_BAD_CURSOR(reason="—") from None
    if version != 2 or mark != query.mark or not all(type(each) is int and each >= 0 for each in place):
        raise AUDIT_BAD_CURSOR(reason=_words("cursor.other-search"))
    return place
