"""The wall view of the centre: how many messages are handled in each area, what is open or late, which systems are not
well, which values of indicators are missing, and which cases are open.

Areas are tiles, placed as on the map by `tiles.csv`; an area without a place stands below. Codes that were replaced
count for the area that holds theirs now.
Invariant: it costs the same in every database: at most `MOST` open handlings are read, those with the nearest deadline.
Invariant: nothing of a message is opened but the values of the indicators in the list, as the feed shows them to the
  viewer; kinds and areas stand with the handling.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from sqlalchemy import Connection

from contracts.base.times import moment
from contracts.base.words import Words
from contracts.canonical.model import CodeTable
from contracts.compiled.contract import CompiledContract
from gateway.cases import reading as reading_cases
from gateway.cases.kinds import TASK, kinds
from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.console.work import indicators, watch
from gateway.indicators.owed import Owed
from gateway.indicators.values import CONTRACT
from gateway.journal.write import HandlingRow
from gateway.registry.snapshot import Snapshot
from gateway.transfer.case_entries import Folded
from gateway.workflow import reading
from gateway.workflow.reading import Sought

MOST: Final = 2000
ROWS: Final = 3  # of a list
ALERTS: Final = "incident-alert/v1"
_AREAS: Final = "area"
_COLUMNS: Final = 6  # of areas without a place


class Place(NamedTuple):
    column: int
    row: int


@dataclass(frozen=True, slots=True)
class Tile:
    """An area. `open`: messages that are handled; `alerts`, `late`: how many of them are alerts, or overdue."""

    code: str
    name: Words
    place: Place
    open: int = 0
    alerts: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One handling. `left`: seconds to its nearest deadline, negative if it is over; None without one."""

    id: str
    kind: Words
    area: Words
    agency: Words
    state: Words
    left: float | None
    alert: bool


class Newest(NamedTuple):
    """The newest value of an indicator and area that is due. `value` is None if it is missing or not for the viewer."""

    owed: Owed
    late: float | None  # seconds since it was due, of a missing one
    area: Words
    owner: Words
    value: Decimal | int | None


class CaseRow(NamedTuple):
    """An open case. `left` as in a Row."""

    id: str
    kind: Words
    receivers: tuple[Words, ...]
    task: bool
    left: float | None


@dataclass(frozen=True, slots=True)
class Wall:
    """`capped`: there are more open handlings than were read. Lists have the first of each; an overdue alert stands
    with what is overdue alone. Of indicators the missing ones come first.
    """

    at: float
    tiles: tuple[Tile, ...]
    alerts: tuple[Row, ...]
    late: tuple[Row, ...]
    troubles: tuple[watch.Row, ...]
    indicators: tuple[Newest, ...]
    cases: tuple[CaseRow, ...]
    numbers: Mapping[str, int]
    capped: bool


def wall(desk: Desk, viewer: Viewer) -> Wall:
    """What concerns the viewer's agency. The centre's people, and whoever sees all agencies, see all."""
    snapshot, now, scope = desk.services.registry.snapshot, desk.now(), indicators.scope_of(desk, viewer)
    with desk.reading() as connection:
        rows, capped = _open(connection, scope)
        cases = reading_cases.nearest(connection, scope, now, ROWS)
        counted = reading_cases.counts(connection, scope, now)
        tasks = reading_cases.counts(connection, scope, now, TASK)
    newest = indicators.newest(desk, viewer)
    missing = indicators.missing(desk, viewer)
    troubles = watch.every(desk, viewer).open
    late = [row for row in rows if row.nearest < now]
    alerts = [row for row in rows if row.contract == ALERTS]
    numbers = {
        "alerts": len(alerts),
        "reports": len(rows) - len(alerts),
        "late": len(late),
        "systems": len({each.system.id for each in troubles}),
        "indicators": len(missing),
        "cases": counted["open"],
        "cases-late": counted["overdue"],
        "tasks": tasks["open"],
    }
    first = [*sorted(missing, key=lambda each: each.due), *sorted(newest, key=lambda each: -each.due)]
    shown = list(dict.fromkeys(first))[:ROWS]
    values = indicators.values_of(desk, viewer, shown)
    return Wall(
        at=now,
        tiles=_tiles(snapshot, rows, now),
        alerts=tuple(_row(snapshot, row, now) for row in [row for row in alerts if row not in late][:ROWS]),
        late=tuple(_row(snapshot, row, now) for row in late[:ROWS]),
        troubles=tuple(troubles[:ROWS]),
        indicators=tuple(_newest(snapshot, each, values.get(each.key), now) for each in shown),
        cases=tuple(_case(snapshot, each, now) for each in cases),
        numbers=numbers,
        capped=capped,
    )


def mark(desk: Desk, viewer: Viewer) -> object:
    """What the page shows, by the minute."""
    found = wall(desk, viewer)
    rows = [*(row.id for row in (*found.alerts, *found.late)), *(case.id for case in found.cases)]
    return int(found.at // 60), found.tiles, found.numbers, rows, [(each.owed, each.value) for each in found.indicators]


def _open(connection: Connection, scope: str | None) -> tuple[list[HandlingRow], bool]:
    """The nearest deadline first."""
    rows: list[HandlingRow] = []
    after = None
    while len(rows) < MOST:
        page = reading.page(connection, Sought(concerning=scope, ended=False), after, reading.MOST)
        rows += page.handlings
        if (after := page.next) is None:
            return rows, False
    return rows, True


def _newest(snapshot: Snapshot, each: Owed, value: Decimal | int | None, now: float) -> Newest:
    contract, owner = snapshot.contract(CONTRACT), snapshot.agency(each.definition.owner)
    return Newest(
        owed=each,
        late=now - each.due if each.delivered is None else None,
        area=_named(contract, (each.area,), (_AREAS,)),
        owner=_plain(each.definition.owner) if owner is None else owner.name,
        value=value,
    )


def _case(snapshot: Snapshot, case: Folded, now: float) -> CaseRow:
    due = moment(case.due)
    known = [(code, snapshot.agency(code)) for code in case.receivers]
    return CaseRow(
        id=case.id,
        kind=kinds()[case.kind].title,
        receivers=tuple(_plain(code) if agency is None else agency.name for code, agency in known),
        task=case.kind == TASK,
        left=None if due is None else due - now,
    )


def _tiles(snapshot: Snapshot, rows: Iterable[HandlingRow], now: float) -> tuple[Tile, ...]:
    table = _areas(snapshot)
    if table is None:
        return ()
    ends = {row.code: row.replaced_by for row in table.rows}
    everything, alerts, late = Counter[str](), Counter[str](), Counter[str]()
    for row in rows:
        codes = {_now(code, ends) for code in row.area.split()}
        everything.update(codes)
        alerts.update(codes if row.contract == ALERTS else ())
        late.update(codes if row.nearest < now else ())
    shown = [row for row in table.rows if row.within and not row.replaced_by]
    known = places()
    below = max((place.row for place in known.values()), default=-1) + 1
    others = [row.code for row in shown if row.code not in known]
    below_them = {code: Place(at % _COLUMNS, below + at // _COLUMNS) for at, code in enumerate(others)}
    return tuple(
        Tile(
            code=row.code,
            name=Words(row.vi, row.en),
            place=known.get(row.code) or below_them[row.code],
            open=everything[row.code],
            alerts=alerts[row.code],
            late=late[row.code],
        )
        for row in shown
    )


def _now(code: str, ends: Mapping[str, str]) -> str:
    """The code that holds this one's area now. Chains of successors end (`contracts.canonical.code_tables`)."""
    while following := ends.get(code):
        code = following
    return code


@cache
def places() -> Mapping[str, Place]:
    """Where the tiles of areas stand."""
    text = resources.files(__package__).joinpath("tiles.csv").read_text("utf-8")
    return {row["code"]: Place(int(row["column"]), int(row["row"])) for row in csv.DictReader(text.splitlines())}


def _areas(snapshot: Snapshot) -> CodeTable | None:
    """The table of areas of a contract whose messages are handled."""
    known = sorted(snapshot.handled.items())
    return next((each.tables[_AREAS] for _, each in known if _AREAS in each.tables), None)


def _row(snapshot: Snapshot, row: HandlingRow, now: float) -> Row:
    contract = snapshot.handled.get(row.contract) or snapshot.contract(row.contract)
    agency = snapshot.agency(row.agency)
    workflow = None if contract is None else contract.workflow
    state = None if workflow is None else workflow.states.get(row.state)
    due = min((each for each in (row.due, row.whole_due) if each is not None), default=None)
    return Row(
        id=row.id,
        kind=_named(contract, row.kind.split()),
        area=_named(contract, row.area.split()[:1], (_AREAS,)),
        agency=_plain(row.agency) if agency is None else agency.name,
        state=_plain(row.state) if state is None else state.title,
        left=None if due is None else due - now,
        alert=row.contract == ALERTS,
    )


def _named(contract: CompiledContract | None, codes: Sequence[str], tables: Sequence[str] = ()) -> Words:
    """The words of codes in the contract's own tables, or those tables' codes themselves."""
    known = {} if contract is None else contract.tables
    rows: dict[str, Words] = {}
    for name in tables or known:
        for row in known[name].rows:
            rows.setdefault(row.canonical or row.code, Words(row.vi, row.en))
    words = [rows.get(code) or _plain(code) for code in codes]
    return Words(", ".join(each.vi for each in words), ", ".join(each.en for each in words))


def _plain(text: str) -> Words:
    return Words(text, text)
