"""Quotas in the intent's transaction: exact over processes and restarts, refused alone, not counted twice."""

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select, text

from gateway.journal.batch import one_by_one
from gateway.journal.database import lock_of
from gateway.journal.readback import Promised
from gateway.journal.schema import tables
from gateway.journal.statements import Statements
from gateway.journal.write import QuotaUse, ReplayKey, Verdict, Write, Written
from gateway.journal.writer import Journal
from tests.journal.databases import committed, log_row, submission

FIVE = QuotaUse("G-1", "H14.2", "minute", 1_795_503_600, 5)


def three_at_once(door: Callable[[str], None]) -> None:
    """Runs three doors, each in a thread of its own, to their end."""
    doors = [threading.Thread(target=door, args=(f"door-{n}",)) for n in range(3)]
    for each in doors:
        each.start()
    for each in doors:
        each.join()


def call(*quota: QuotaUse, **options: Any) -> Write:
    return submission("door-1", **options)._replace(quota=tuple(sorted(quota)) or (FIVE,))


def used(engine: Engine) -> dict[tuple[str, str, str, int], int]:
    with engine.connect() as connection:
        return {tuple(row)[:4]: row.used for row in connection.execute(select(tables.quota_use))}


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


async def all_at_once(journal: Journal, units: list[Write]) -> list[Written]:
    return await asyncio.gather(*[journal.commit(unit) for unit in units])


def test_so_many_and_no_more(database: Engine, journal: Journal) -> None:
    verdicts = [committed(journal, call()).verdict for _ in range(7)]
    assert verdicts == [Verdict.COMMITTED] * 5 + [Verdict.FULL] * 2
    assert used(database) == {FIVE[:4]: 5}
    assert [count(database, name) for name in ("transfer", "replay", "log_pending", "vault", "feed_pending")] == [
        5,
        5,
        10,
        5,
        5,
    ]


def test_a_full_quota_refuses_its_own_rows_and_never_its_batch(database: Engine, journal: Journal) -> None:
    units = [call() if number % 2 else submission("door-1") for number in range(40)]
    results = asyncio.run(all_at_once(journal, units))
    assert all(one.verdict is Verdict.COMMITTED for unit, one in zip(units, results, strict=True) if not unit.quota)
    assert sum(one.verdict is Verdict.COMMITTED for unit, one in zip(units, results, strict=True) if unit.quota) == 5
    assert {one.verdict for one in results} == {Verdict.COMMITTED, Verdict.FULL}
    assert count(database, "transfer") == 25 and used(database) == {FIVE[:4]: 5}


def test_a_repeat_does_not_count_and_gets_its_row_when_the_quota_is_full(database: Engine, journal: Journal) -> None:
    first = call(message="m-1")
    committed(journal, first)
    again = [committed(journal, call(message="m-1")) for _ in range(9)]
    assert {one.verdict for one in again} == {Verdict.DUPLICATE} and used(database) == {FIVE[:4]: 1}
    for _ in range(9):
        committed(journal, call())
    late = committed(journal, call(message="m-1"))
    assert late.verdict is Verdict.DUPLICATE and late.existing is not None and first.transfer is not None
    assert late.existing["id"] == first.transfer.id and used(database) == {FIVE[:4]: 5}


def test_repeats_and_replays_in_one_batch_with_a_full_quota(database: Engine, journal: Journal) -> None:
    """Whatever the batch holds, the result is that of its units one after the other."""
    units = [call(message=f"m-{number % 4}", key=bytes([number % 9]) * 32) for number in range(36)]
    units = [unit._replace(quota=(FIVE._replace(limit=2),)) for unit in units]
    results = asyncio.run(all_at_once(journal, units))
    assert sum(one.verdict is Verdict.COMMITTED for one in results) == 2 == count(database, "transfer")
    assert used(database) == {FIVE[:4]: 2}


def test_what_is_refused_can_come_again_in_the_next_window(database: Engine, journal: Journal) -> None:
    one = FIVE._replace(limit=1)
    committed(journal, call(one))
    refused = call(one, message="m-2", key=b"k" * 32)
    assert committed(journal, refused).verdict is Verdict.FULL
    later = refused._replace(quota=(one._replace(begins=one.begins + 60),))
    assert committed(journal, later).verdict is Verdict.COMMITTED, "nothing of it was written, its replay key neither"


def test_reading_counts_too_without_a_transfer(database: Engine, journal: Journal) -> None:
    reads = [
        Write(replay=ReplayKey(bytes([n]) * 32, 9e9), log=(log_row(f"n{n}", "feed-read"),), quota=(FIVE,))
        for n in range(7)
    ]
    assert [committed(journal, each).verdict for each in reads] == [Verdict.COMMITTED] * 5 + [Verdict.FULL] * 2
    assert count(database, "log_pending") == 5 == count(database, "replay")


def test_rows_of_quotas_are_taken_last_and_in_one_order(database: Engine) -> None:
    """Processes wait for each other's rows of `quota_use`; in any other order two of them could wait for ever."""
    later, sooner = FIVE._replace(grant_id="G-2"), FIVE
    units = [call(later, id="a"), submission("door-1", id="b"), call(sooner, id="c"), call(later, id="d")]
    sql = Statements(database.dialect.name)
    with database.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        results = one_by_one(sql, driver.cursor() if sql.sqlite else driver.cursor(binary=True), units, Promised())
    assert all(isinstance(one, Written) and one.verdict is Verdict.COMMITTED for one in results)
    with database.connect() as connection:
        written = connection.scalars(select(tables.log_pending.c.transfer).order_by(tables.log_pending.c.id))
        assert list(dict.fromkeys(written)) == ["b", "c", "a", "d"]


def test_exact_over_doors_and_a_restart(database: Engine) -> None:
    """Three doors at once, each restarted in the middle; three agencies share nothing."""
    quotas = [FIVE._replace(agency=f"H14.{n}", limit=10 * n) for n in (1, 2, 3)]
    verdicts: list[tuple[QuotaUse, Verdict]] = []

    def door(name: str) -> None:
        random_order = random.Random(name)
        for life in (1, 2):
            journal = Journal(database, lock_of(database), f"{name}-{life}")
            journal.start()
            asked = [quota for quota in quotas for _ in range(12)]
            random_order.shuffle(asked)
            results = asyncio.run(all_at_once(journal, [call(quota) for quota in asked]))
            verdicts.extend((quota, one.verdict) for quota, one in zip(asked, results, strict=True))
            journal.stop()

    three_at_once(door)
    assert len(verdicts) == 3 * 2 * 36
    for quota in quotas:
        assert sum(verdict is Verdict.COMMITTED for asked, verdict in verdicts if asked == quota) == quota.limit
    assert used(database) == {quota[:4]: quota.limit for quota in quotas}


def test_all_quotas_of_a_unit_count_or_none_and_the_full_one_is_told(database: Engine, journal: Journal) -> None:
    narrow, wide = FIVE._replace(grant_id="G-2", limit=2), FIVE
    assert [committed(journal, call(wide, narrow)).verdict for _ in range(2)] == [Verdict.COMMITTED] * 2
    refused = committed(journal, call(wide, narrow, message="m-1", key=b"k" * 32))
    assert (refused.verdict, refused.full) == (Verdict.FULL, narrow) and used(database) == {wide[:4]: 2, narrow[:4]: 2}
    # Decided anew without the full one, the very same message goes through: nothing of it was written before.
    assert committed(journal, call(wide, message="m-1", key=b"k" * 32)).verdict is Verdict.COMMITTED
    assert used(database) == {wide[:4]: 3, narrow[:4]: 2}
    assert committed(journal, call(wide, narrow, message="m-1")).verdict is Verdict.DUPLICATE


def test_several_quotas_are_exact_over_doors_that_take_them_in_any_order(database: Engine) -> None:
    """Three doors at once, with units that count against one, two or three of three quotas: none waits for another in a
    circle, nothing is lost."""
    quotas = [FIVE._replace(grant_id=f"G-{n}", limit=limit) for n, limit in ((1, 20), (2, 30), (3, 50))]
    units: list[tuple[Write, Written]] = []

    def door(name: str) -> None:
        random_order = random.Random(name)
        journal = Journal(database, lock_of(database), name)
        journal.start()
        asked = [call(*random_order.sample(quotas, random_order.randint(1, 3))) for _ in range(60)]
        units.extend(zip(asked, asyncio.run(all_at_once(journal, asked)), strict=True))
        journal.stop()

    three_at_once(door)
    assert len(units) == 180 and {one.verdict for _, one in units} == {Verdict.COMMITTED, Verdict.FULL}
    counted = used(database)
    for quota in quotas:
        through = sum(quota in unit.quota and one.verdict is Verdict.COMMITTED for unit, one in units)
        assert through == counted.get(quota[:4], 0) <= quota.limit
    for unit, one in units:
        assert one.verdict is Verdict.COMMITTED or one.full in unit.quota
        assert one.full is None or counted[one.full[:4]] == one.full.limit
