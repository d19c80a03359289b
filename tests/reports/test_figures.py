"""The figures of a report against SQL over the log alone, and what keeps them true."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, func, select, update

from contracts.base import jcs
from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.reports import store
from gateway.reports.drawing import Wanted
from gateway.reports.figures import Row, figures_of
from gateway.reports.periods import BadPeriod, Period
from gateway.reports.store import Making, Report
from gateway.settings import Settings
from tests.journal.databases import KINDS, migrated
from tests.reports import seeding
from tests.reports.recount import Recount
from tests.size import FULL

NUMBER = 200_000 if FULL else 2_000  # in two months
PERIOD = Period.of(seeding.NOW, seeding.MONTH)


@pytest.fixture(scope="module", params=KINDS)
def month(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = seeding.seeded(migrated(request.param, tmp_path_factory.mktemp("month")), NUMBER)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(tmp_path_factory.mktemp("reports"))


def made(engine: Engine, settings: Settings, agency: str = "", now: float = seeding.NOW, anew: bool = False) -> Report:
    return store.make(engine, settings, Wanted(PERIOD, agency), Making("lan, command line", now, anew))


def rows(report: Report, section: str, table: str) -> tuple[Row, ...]:
    found = report.figures.section(section)
    assert found is not None
    return next(each.rows for each in found.tables if each.id == table)


def facts(report: Report, section: str) -> dict[str, int]:
    found = report.figures.section(section)
    assert found is not None
    return {fact.id: fact.value for fact in found.facts}


def test_totals_equal_the_logs(month: Engine, settings: Settings) -> None:
    report = made(month, settings)
    with month.connect() as connection:
        recount = Recount(connection)
        contracts, refusals, kinds = recount.contracts(), recount.refusals(), recount.kinds()
        done, failed, reads = recount.called(False), recount.called(True), recount.reads()
    assert {row[0]: row[2:] for row in rows(report, "exchange", "contracts")} == contracts
    exchange = facts(report, "exchange")
    assert exchange["transfers"] == kinds["intent"] == sum(map(sum, contracts.values())) > NUMBER // 4
    assert min(sum(each) for each in zip(*contracts.values(), strict=True)) > 0  # the seed has each end
    assert exchange["repeats"] == kinds["repeat"] and exchange["read"] == sum(reads.values())
    supplied, received = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for (caller, provider, contract, pattern), number in done.items():
        giver, taker = (provider, caller) if pattern == "query" else (caller, provider)
        supplied[giver, contract] += number
        if pattern != "submit" and taker is not None:
            received[taker, contract] += number
    shown = {(row[0], row[1]): row[2:4] for row in rows(report, "exchange", "supply")}
    assert {key: numbers[0] for key, numbers in shown.items() if numbers[0]} == dict(supplied)
    assert {key: numbers[1] for key, numbers in shown.items() if numbers[1]} == dict(received)
    codes = Counter[str]()
    for (code, _), number in refusals.items():
        codes[code] += number
    assert dict(rows(report, "refusals", "codes")) == dict(codes)  # type: ignore[arg-type]
    assert facts(report, "refusals") == {
        "refused": codes.total(),
        "unproved": sum(number for (_, agency), number in refusals.items() if not agency),
    }
    assert {(row[0], row[1]): row[2] for row in rows(report, "incidents", "failures")} == failed
    assert dict(rows(report, "running", "entries")) == kinds  # type: ignore[arg-type]
    days = next(each for each in report.figures.sections if each.id == "exchange").charts[0]
    assert sum(sum(each.values) for each in days.series) == exchange["transfers"] + codes.total()


def test_an_agency_gets_its_own_figures(month: Engine, settings: Settings) -> None:
    whole, own = made(month, settings), made(month, settings, "H14.7")
    supply = rows(whole, "exchange", "supply")
    assert [row for row in supply if row[0] == "H14.7"] == list(rows(own, "exchange", "supply"))
    agencies = {
        row[at]
        for section in own.figures.sections
        for table in section.tables
        for at, column in enumerate(table.columns)
        if column.kind == "agency"
        for row in table.rows
    }
    assert agencies == {"H14.7"}
    assert own.id != whole.id and "H14.3" not in own.figures.names.agency


def test_a_rerun_uses_the_same_entry(month: Engine, settings: Settings) -> None:
    first = made(month, settings)
    again = made(month, settings, now=seeding.NOW + 5000)
    assert (again.id, again.raw, again.leaf) == (first.id, first.raw, first.leaf)
    with month.connect() as connection:
        entry = entry_of(connection, first.id, "report")
        notes = select(func.count()).select_from(tables.log_pending).where(tables.log_pending.c.transfer == first.id)
        assert connection.scalar(notes) == 1
    assert entry is not None and entry.value["facts"]["sha256"] == first.digest.hex()
    assert entry.value["facts"]["size"] == first.figures.log.size > 0
    anew = made(month, settings, now=seeding.NOW + 6000, anew=True)
    assert anew.id != first.id and anew.figures.edition == first.figures.edition + 1
    assert anew.figures.sections == first.figures.sections  # of the same entries
    assert made(month, settings).id == anew.id


def test_figures_are_canonical_and_come_back(month: Engine, settings: Settings) -> None:
    report = made(month, settings)
    assert jcs.encode(json.loads(report.raw)) == report.raw
    assert figures_of(json.loads(report.raw)).encoded() == report.raw


def test_altered_figures_are_not_given_out(month: Engine, settings: Settings) -> None:
    report = made(month, settings, "H14.5")
    table = tables.report

    def put(raw: bytes) -> None:
        with writing(month) as connection:
            connection.execute(update(table).where(table.c.id == report.id).values(figures=raw))

    put(report.raw.replace(b'"value":', b'"value":1', 1))
    with month.connect() as connection, pytest.raises(Failure, match="report.altered"):
        store.find(connection, report.id)
    put(report.raw)
    with month.connect() as connection:
        assert store.find(connection, report.id).raw == report.raw
        with pytest.raises(Failure, match="report.unknown"):
            store.find(connection, "nobody")


def test_a_period_that_is_not_over_is_drawn_again(month: Engine, settings: Settings) -> None:
    now = seeding.NOW - 25 * 86_400
    open_month = Wanted(Period.of(now, seeding.MONTH), "H14.6")
    assert not open_month.period.is_month
    first = store.make(month, settings, open_month, Making("lan", now))
    again = store.make(month, settings, open_month, Making("lan", now + 60))
    assert (first.figures.edition, again.figures.edition) == (1, 2)


@pytest.mark.parametrize(
    "asked",
    [("2026-13",), ("2026-12",), ("x",), ("2026-09", "2026-09-01"), ("", "2026-09-01"),
     ("", "2026-09-02", "2026-09-01"), ("", "2025-01-01", "2026-09-01"),
     ("", "2026-10-20", "2026-10-21"), ("", "1970-01-01", "1970-01-02")],
)  # fmt: skip
def test_what_is_no_period(asked: tuple[str, ...]) -> None:
    with pytest.raises(BadPeriod):
        Period.of(seeding.NOW, *asked)


def test_periods() -> None:
    assert str(Period.of(seeding.NOW).first) == "2026-09-01" and Period.of(seeding.NOW).is_month
    assert PERIOD.name.vi == "tháng 9 năm 2026" and PERIOD.name.en == "September 2026"
    days = Period.of(seeding.NOW, "", "2026-02-01", "2026-02-10")
    assert days.name.vi == "từ ngày 01/02/2026 đến ngày 10/02/2026" and days.days == 10
    assert Period.of(seeding.NOW, "2026-02").name.vi == "tháng 02 năm 2026"
