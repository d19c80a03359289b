"""The checks of the tables around the log: no false alarm where nothing is wrong, and the index is compared alike by
both ways."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, delete, insert, select, update

from gateway.audit.log.changes import note_changes
from gateway.audit.search import facts
from gateway.audit.search.index import Indexer, keys_of, parties_of
from gateway.audit.verify.findings import MOST, Findings
from gateway.audit.verify.rows.index import Quick, check_index
from gateway.audit.verify.rows.quotas import check_quotas
from gateway.audit.verify.rows.vendors import check_vendors
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.registry.tenants import POLICY
from gateway.settings import Settings
from security.grants.windows import Quota
from security.transparency.entry import Caller, Digest, Intent, Json, Note, Repeat, freeze
from tests.audit import making
from tests.registry.making import NOW, PROVINCE, province
from tests.registry.making import filled as filled_registry

AT = NOW - 4 * 86_400  # in the middle of a month


def filled(engine: Engine, number: int, seed: int) -> None:
    with writing(engine) as connection:
        making.clear(connection)
        making.write(connection, list(making.entries(Random(seed), number)))
    indexer = Indexer(engine, None)
    while indexer.waiting():
        indexer.step(None)


def looked(engine: Engine) -> Findings:
    with engine.connect() as connection:
        wrong = Findings()
        check_index(connection, wrong)
        return wrong


@pytest.mark.parametrize("seed", range(3))
def test_the_quick_way_gives_the_rows_of_the_index(sqlite: Engine, seed: int) -> None:
    filled(sqlite, 3000, seed)
    quick, known = Quick({}), 0
    with sqlite.connect() as connection:
        rows = connection.execute(select(*facts.COLUMNS).order_by(tables.log_entry.c.idx)).all()
        for row, logged in zip(rows, facts.read(connection, rows), strict=True):
            values = quick.rows(row)
            known += values is not None
            expected = (tuple(keys_of(logged.facts).values()), parties_of(logged.facts))
            assert values is None or values == expected, logged.facts
    assert known > 1000, "most intents and outcomes are known by their shape"
    assert looked(sqlite).wrong == []


def test_rows_of_the_index_that_are_missing_or_too_many(database: Engine) -> None:
    filled(database, 300, 7)
    assert looked(database).wrong == [] and looked(database).checked == {"rows of the index": 300}
    index, party, state = tables.log_index, tables.log_party, tables.log_indexed
    with database.connect() as connection:
        lost = connection.execute(select(party.c.party, party.c.idx).where(party.c.idx > 100).limit(1)).one()
    row = (party.c.party == lost.party, party.c.idx == lost.idx)
    for change in (delete(party).where(*row), insert(party).values(party=5, idx=lost.idx)):
        with writing(database) as connection:
            connection.execute(change)
        (said,) = looked(database).wrong
        assert f"entry {lost.idx} " in said and "its agencies are others" in said
    with writing(database) as connection:
        connection.execute(delete(party).where(party.c.party == 5))
        connection.execute(insert(party).values(party=lost.party, idx=lost.idx))
    assert looked(database).wrong == []
    with writing(database) as connection:
        connection.execute(delete(index).where(index.c.idx == 77))
    assert [each.partition(")")[2] for each in looked(database).wrong] == [": it has no row"]
    with writing(database) as connection:
        connection.execute(delete(index))
    assert len(looked(database).wrong) == MOST
    with writing(database) as connection:
        connection.execute(update(state).values(upto=0, leaf=None))
    assert ["beyond its watermark" in each for each in looked(database).wrong] == [True]
    with writing(database) as connection:
        connection.execute(delete(party))
    assert looked(database).wrong == [], "an index that lags is none that lies"


GRANT = "G-0004"  # of the centre's role, for a feed; here with a quota


@pytest.fixture
def counting(database: Engine) -> Engine:
    """A registry whose grant for a feed has a quota, approved some days ago."""
    quoted = PROVINCE.replace(f"- id: {GRANT}\n", f"- id: {GRANT}\n    quota: {{calls: 100, per: month}}\n", 1)
    assert quoted != PROVINCE
    filled_registry(database, province(quoted), [], AT - 3 * 86_400)
    return database


def test_readings_of_feeds_and_calls_are_counted_as_they_were_made(counting: Engine) -> None:
    begins = Quota(100, "month").window(AT).begins
    assert _quotas(counting) == []
    with writing(counting) as connection:
        told: list[dict[str, Json]] = [{"grant": "G-0001", "also": [GRANT]}, {"grant": GRANT}, {"grant": "G-0008"}]
        for number, facts_of in enumerate(told):
            note = freeze(Note(f"n{number}", AT + number, "feed-read", "H14.0/dieu-hanh", facts_of))
            append(connection, [LogRow(*note)])
        repeat = freeze(Repeat("r1", AT + 9, "rest", Caller("H14.0", "dieu-hanh"), "n0", 200))
        append(connection, [LogRow(*repeat)])
    assert _quotas(counting) == [
        f"the quota of the grant {GRANT} for H14.0: 0 uses are counted, and the log has 2 in this window"
    ]
    use = {"grant_id": GRANT, "agency": "H14.0", "per": "month", "begins": begins}
    with writing(counting) as connection:
        connection.execute(insert(tables.quota_use).values(**use, used=2))
    assert _quotas(counting) == []
    with writing(counting) as connection:
        connection.execute(update(tables.quota_use).values(used=3))
    assert _quotas(counting) == [], "a repeat may have counted"
    with writing(counting) as connection:
        connection.execute(update(tables.quota_use).values(used=4))
    assert _quotas(counting) == [
        f"the quota of the grant {GRANT} for H14.0: 4 uses are counted, and the log has at most 3 in this window"
    ]


def test_the_calls_of_vendors_are_those_of_the_log(counting: Engine) -> None:
    """Whoever edits the counts gets more calls than a vendor has, or takes calls from her."""
    hers, anothers = "NCC.AAAAAAA1", "NCC.BBBBBBB2"
    counts = tables.quota_use
    with writing(counting) as connection:
        for code in (hers, anothers):
            connection.execute(
                insert(tables.agency).values(
                    code=code, name_vi="x", name_en="x", level="outside", roles="[]", contact="[]", state="active"
                )
            )
        note_changes(connection, Settings(Path("x")), AT - 86_400)
        for number, (code, at) in enumerate([(hers, AT), (hers, AT + 1), (hers, AT - 300), (anothers, AT + 2)]):
            digest = Digest(bytes(32), 2)
            caller = Caller(code, "he-thong")
            it = Intent(f"i{number}", at, "rest", caller, "x/v1", "x", "b", "m", "g", None, digest)
            append(connection, [LogRow(*freeze(it))])
        repeat = freeze(Repeat("r2", AT + 3, "rest", Caller(hers, "he-thong"), "i0", 200))
        append(connection, [LogRow(*repeat)])
        for code, per, used in ((hers, "minute", 2), (hers, "day", 3), (anothers, "minute", 1), (anothers, "day", 1)):
            begins = Quota(1, per).window(AT + 4).begins
            connection.execute(insert(counts).values(grant_id=POLICY, agency=code, per=per, begins=begins, used=used))
    assert _vendors(counting) == []
    of_day = (counts.c.agency == hers, counts.c.per == "day")
    for used in (2, 4):
        with writing(counting) as connection:
            connection.execute(update(counts).where(*of_day).values(used=used))
        assert _vendors(counting) == [f"the calls of {hers} in this day: {used} are counted, and the log has 3"]
    with writing(counting) as connection:
        connection.execute(delete(counts).where(counts.c.agency == anothers))
        connection.execute(update(counts).where(*of_day).values(used=3))
    assert [each.partition(":")[0] for each in _vendors(counting)] == [
        f"the calls of {anothers} in this day",
        f"the calls of {anothers} in this minute",
    ]
    with writing(counting) as connection:
        note_changes(connection, Settings(Path("x"), sandbox_vendor_day=0, sandbox_vendor_minute=0), AT + 3)
    assert _vendors(counting) == [], "limits that were set later count from then on"


def _vendors(engine: Engine) -> list[str]:
    wrong = Findings()
    with engine.connect() as connection:
        check_vendors(connection, AT + 4, wrong)
    return wrong.wrong


def _quotas(engine: Engine) -> list[str]:
    wrong = Findings()
    with engine.connect() as connection:
        check_quotas(connection, AT + 60, wrong)
    return wrong.wrong
