"""What events tell of a message: completeness, age, the end of its validity, its administrative units."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.base.times import moment
from contracts.canonical.model import Kind
from contracts.compiled.contract import CompiledContract
from contracts.compiled.event_facts import age, area_table, areas, counted, counted_where, expires
from contracts.compiled.identity import kind_of
from tests.registry.making import contracts

INFO: dict[str, Any] = {"category": ["Fire"], "event": "Cháy", "urgency": "Past", "severity": "Minor"}


def alert() -> CompiledContract:
    return contracts()["incident-alert/v1"]


def test_each_field_of_a_message_counts_once() -> None:
    known = counted(alert(), "Alert")
    assert known.size == 14
    assert known.of({}) == "0/14"
    assert known.of({"identifier": "a", "sender": "b", "info": [{}, {}], "note": "", "code": []}) == "3/14"
    assert known.of({"identifier": {"absent": "unknown"}, "sent": {"absent": "not-permitted"}}) == "0/14"


def test_fields_of_objects_count_and_hidden_ones_do_not() -> None:
    contract = contracts()["dossier-status/v1"]
    whole = counted(contract, "DossierStatus")
    assert whole.of({"event": "1", "dossier": {"code": "x"}}).startswith("2/")
    seen = counted_where(contract, "DossierStatus", lambda path: path != "dossier.code")
    assert seen.size == whole.size - 1
    assert seen.of({"event": "1", "dossier": {"code": "x"}}).startswith("1/")


@pytest.mark.parametrize(
    ("infos", "until"),
    [
        ([{"expires": "2026-11-24T08:00:00+07:00"}], "2026-11-24T01:00:00Z"),
        ([{"expires": "2026-11-24T08:00:00+07:00"}, {"expires": "2026-11-24T02:00:00+00:00"}], "2026-11-24T02:00:00Z"),
        ([{"expires": "2026-11-24T08:00:00+07:00"}, {}], None),  # one part of it holds on
        ([{}], None),
        ([], None),
        ([{"expires": {"absent": "unknown"}}], None),
        ([{"expires": "9999-12-31T23:59:59-12:00"}], None),
        ([{"expires": "0001-01-01T00:00:00+12:00"}], None),
        ([{"expires": "1969-12-31T00:00:00+00:00"}], None),
    ],
)
def test_a_message_ends_with_its_last_part(infos: list[dict[str, Any]], until: str | None) -> None:
    operation = alert().contract.operations["submitAlert"]
    message = {"info": [INFO | each for each in infos]}
    assert expires(operation, message) == (None if until is None else moment(until))
    assert expires(contracts()["camera-event/v1"].contract.operations["submitEvent"], message) is None


def test_the_age_is_that_of_the_content() -> None:
    operation = alert().contract.operations["submitAlert"]
    taken_in = moment("2026-11-24T08:01:00.900+07:00") or 0.0
    assert age(operation, {"sent": "2026-11-24T08:00:00+07:00"}, taken_in) == "60"
    assert age(operation, {"sent": "2026-11-24T08:02:00+07:00"}, taken_in) == "-59"
    assert age(operation, {}, taken_in) == "unknown"
    values = contracts()["indicator/v1"].contract.operations["submitValues"]
    assert age(values, {"values": []}, taken_in) == "unknown"


def test_the_areas_of_a_message() -> None:
    operation = alert().contract.operations["submitAlert"]
    codes = [{"valueName": "ma-xa", "value": "01273"}, {"valueName": "ma-xa", "value": "01288"}]
    message = {"info": [INFO, INFO | {"area": [{"areaDesc": "x"}, {"areaDesc": "y", "geocode": codes}]}]}
    assert list(areas(operation, message)) == ["01273", "01288"]
    for name, of in (("incident-alert/v1", "submitAlert"), ("indicator/v1", "submitValues")):
        table = area_table(contracts()[name], contracts()[name].contract.operations[of])
        assert table is not None
        assert table.inside("01273") == {"01273"} and len(table.inside("04")) == len(table.rows)


def test_the_first_sample_of_a_message_needs_no_earlier_one() -> None:
    for contract in contracts().values():
        for operation in contract.contract.operations.values():
            if (identity := operation.identity) is None:
                continue
            for name in contract.formats:
                of = [each for each in contract.samples if (each.format, each.message) == (name, operation.request)]
                for content in of[:1]:
                    canonical = json.loads(content.canonical)
                    messages = canonical if isinstance(canonical, list) else [canonical]
                    assert {kind_of(identity, each) for each in messages} == {Kind.SUBMITTED}, (name, content.name)
    cap = [each.name for each in alert().samples if each.format == "cap12"]
    assert cap == ["lu-quet-tra-linh", "huy-canh-bao"]
