"""A document of definitions is taken whole or not at all; old periods keep their definition."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from contracts.base.errors import Theirs
from contracts.base.words import Words
from gateway.indicators.definitions import Definition, parse, periods
from gateway.indicators.periods import FREQUENCIES, Period
from gateway.indicators.store import apply, defined, every
from gateway.journal.schema import tables
from gateway.registry.seals.sealing import changing
from tests.indicators.defining import definition, document, known, parsed
from tests.registry.making import NOW, filled, province

PAST, PRESENT = Period.of("2026-Q3"), Period.of("2026-Q4")


@pytest.mark.parametrize(
    ("name", "value", "path", "rule"),
    [
        ("code", "KT-99", "indicators[0].code", "reference"),
        ("areas", ["04", "99999"], "indicators[0].areas[1]", "reference"),
        ("areas", [], "indicators[0].areas", "length"),
        ("owner", "H99", "indicators[0].owner", "reference"),
        ("due", -1, "indicators[0].due", "range"),
        ("due", True, "indicators[0].due", "range"),
        ("frequency", "W", "indicators[0].frequency", "code"),
        ("from", "2026-01", "indicators[0].from", "format"),
        ("until", "2025-Q4", "indicators[0].until", "range"),
        ("unit", None, "indicators[0].unit", "required"),
        ("formula", {"vi": "x"}, "indicators[0].formula.en", "required"),
        ("weight", 3, "indicators[0].weight", "unknown"),
    ],
)
def test_a_fault_is_named_with_its_path(name: str, value: Any, path: str, rule: str) -> None:
    with pytest.raises(Theirs) as refused:
        parse(document(definition(), **{name: value}), known())
    assert refused.value.code == "indicator.invalid"
    assert (path, rule) in {(each.here, each.rule) for each in refused.value.findings}


@pytest.mark.parametrize("text", ["", "- x", "indicators: 3", "indicators: [3]", "indicators: [", "a: 1\na: 2"])
def test_what_is_no_document(text: str) -> None:
    with pytest.raises(Theirs, match=r"indicator\.invalid"):
        parse(text, known())


@given(st.data())
def test_each_period_has_one_definition(data: st.DataObject) -> None:
    """The newest version that begins at or before the period and has not ended."""
    versions: list[Definition] = []
    day = date(2020, 1, 1)
    for number in range(data.draw(st.integers(1, 4))):
        frequency = data.draw(st.sampled_from(FREQUENCIES))
        first = Period.at(frequency, day)
        first = first if first.begin >= day else first.next
        last = data.draw(st.one_of(st.none(), st.integers(0, 9)))
        until = None if last is None else Period(frequency, first.number + last)
        versions.append(definition(frequency, version=number + 1, first=first, last=until))
        day = first.begin.replace(year=first.begin.year + data.draw(st.integers(0, 2)))
    found = list(periods(versions, date(2019, 1, 1), date(2032, 1, 1)))
    begins = [period.begin for _, period in found]
    assert begins == sorted(set(begins))
    for held, period in found:
        newest = [each for each in versions if each.first.begin <= period.begin][-1]
        assert held == newest and period.frequency == held.frequency
        assert held.last is None or period <= held.last


def test_versions_are_sealed_and_logged(database: Engine) -> None:
    filled(database, province(), [])
    assert PRESENT is not None
    first = parsed(definition(first=PAST))

    def put(*stated: Definition) -> list[str]:
        with changing(database, None) as act:
            return [each.id for each in apply(act, stated, NOW, ("H14.0/truc-ban", ""))]

    assert put(*first) == ["KT-05 1"] and put(*first) == []
    changed = replace(first[0], formula=Words("Thu nội địa", "Domestic revenue"), first=PRESENT)
    assert put(changed) == ["KT-05 2"] and put(*first, changed) == []
    with database.connect() as connection:
        one, two = every(connection)["KT-05"]
        logged = connection.scalars(select(tables.log_pending.c.entry)).all()
    assert one.same(first[0]) and two.same(changed) and (one.version, two.version) == (1, 2)
    assert [held.version for held, _ in periods((one, two), date(2026, 1, 1), date(2027, 1, 1))] == [1, 2]
    assert b'"fields":["formula","from"],"how":"added","id":"KT-05 2","what":"indicator"' in logged[-1]


def test_what_was_reported_keeps_its_definition(database: Engine) -> None:
    filled(database, province(), [])
    assert PAST is not None
    with changing(database, None) as act:
        apply(act, parsed(definition()), NOW, ("test", ""))
    for first, why in ((PAST, "has not ended"), (Period("Q", PAST.number - 9), "or later")):
        late = replace(definition(), unit="triệu đồng", first=first)
        with pytest.raises(Theirs) as refused, changing(database, None) as act:
            apply(act, parsed(late), NOW, ("test", ""))
        (finding,) = refused.value.findings
        assert (finding.here, finding.rule) == ("indicators[0].from", "version") and why in finding.expected
    with database.connect() as connection:
        assert len(every(connection)["KT-05"]) == 1 and defined(connection) == {}
