"""A page of a tenant with a hundred thousand calls costs about that of one with a thousand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, update

from contracts.base.ids import new_id
from gateway.audit.search import facts
from gateway.audit.search.fields import wide
from gateway.audit.search.index import keys_of, parties_of
from gateway.console.accounts.records import Account, Viewer
from gateway.console.roles import Role
from gateway.journal.database import writing
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.sandbox.calls import listing, one
from security.transparency import entry as form
from tests.sandbox.calls.doors import CONTRACT, Doors
from tests.sandbox.vendors.desks import Vendor

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
MANY = 100_000
OFTEN = 10  # one of so many has another code


def calls(engine: Engine, vendor: Vendor, first: int, last: int, now: float) -> None:
    """Refused calls as the sequencer and the indexer leave them, each in its second. The leaves prove nothing."""
    made = [refusal(vendor, code, now) for code in ("access.quota", "message.invalid")]
    with writing(engine) as connection:
        index = int(connection.scalar(select(func.max(tables.log_entry.c.idx))) or -1) + 1
        entries, rows, parties = [], [], []
        for number in range(first, last):
            at = now - MANY + number
            id, (frozen, keys, agencies) = new_id(int(at * 1000)), made[min(1, number % OFTEN)]
            text = frozen.entry.replace(frozen.transfer.encode(), id.encode())
            entries.append((index, id, frozen.phase, text, frozen.leaf, at))
            rows.append((index, *{**keys, "about": wide(id)}.values()))
            parties += [(each, index) for each in agencies]
            index += 1
        for table, values in ((tables.log_entry, entries), (tables.log_index, rows), (tables.log_party, parties)):
            places = ", ".join("?" * len(values[0]))
            connection.connection.cursor().executemany(f"INSERT INTO {table.name} VALUES ({places})", values)
        connection.execute(update(tables.log_indexed).values(upto=index, leaf=frozen.leaf))


def refusal(vendor: Vendor, code: str, at: float) -> tuple[form.FrozenEntry, dict[str, Any], frozenset[int]]:
    frozen = form.freeze(form.Refusal(
        transfer=new_id(int(at * 1000)), at=at, door="rest", failure=code, status=422, source=None, message="m" * 64,
        caller=form.Caller(vendor.agency, vendor.system), contract=CONTRACT, operation="submitAlert", nearest=None,
    ))  # fmt: skip
    known = facts.facts_of(parse(frozen.entry), frozen.transfer, frozen.phase, {})
    return frozen, keys_of(known), parties_of(known)


@contextmanager
def counted(engine: Engine) -> Iterator[list[int]]:
    """The hundreds of instructions of SQLite that run meanwhile."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    def connected(raw: Any, _record: Any) -> None:
        raw.set_progress_handler(count, 100)

    engine.dispose()
    event.listen(engine, "connect", connected)
    try:
        yield steps
    finally:
        event.remove(engine, "connect", connected)
        engine.dispose()


async def test_a_page_costs_the_same_however_many_calls_there_are(doors: Doors) -> None:
    other, vendor = await doors.vendors.join(name="Công ty Khác"), await doors.vendors.join()
    doors.sequence()
    engine, now = doors.vendors.post.engine, doors.vendors.desk.now()
    desk = doors.vendors.desk.desk()
    viewer = Viewer(Account("x", vendor.agency, "x", (Role.VENDOR,), True), "totp", "x")
    looks: tuple[dict[str, str], ...] = ({}, {"failure": "access.quota"}, {"outcome": "refused", "contract": CONTRACT})
    cost: dict[int, list[int]] = {}
    calls(engine, other, 0, 1000, now)
    for size, first in ((1000, MANY - 1000), (MANY, 0)):
        calls(engine, vendor, first, MANY if size == 1000 else MANY - 1000, now)
        cost[size] = []
        for given in looks:
            with counted(engine) as steps:
                page = listing.page(desk, viewer, given, None)
                again = listing.page(desk, viewer, given, page.next) if page.next else page
            cost[size].append(steps[0])
            with counted(engine) as steps:
                one.find(desk, viewer, page.calls[0].id)
            cost[size].append(steps[0])
            assert page.calls and {each.system for each in (*page.calls, *again.calls)} == {vendor.system}
    for few, many in zip(cost[1000], cost[MANY], strict=True):
        assert many <= 3 * few + 100, cost
