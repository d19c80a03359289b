"""Writes figures for statistical software: SDMX-JSON 2.0 data messages and SDMX-CSV 2.0.

    dimensions   FREQ, INDICATOR, REF_AREA, UNIT_MEASURE, TIME_PERIOD
    measure      OBS_VALUE, with the digits that were handed in
    attributes   OBS_STATUS (SDMX code list CL_OBS_STATUS), OWNER (the agency that owes the value), DEFINITION (version)

A figure without a value is an observation without one: its status says why. What is not due yet is left out.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from contracts.base.ids import new_id
from contracts.base.times import rfc3339
from contracts.base.words import Words, WordsFile
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import write_json
from gateway.indicators.figures import Figure, State

DATAFLOW: Final = "LGSP:INDICATOR(1.0.0)"
SCHEMA: Final = (
    "https://raw.githubusercontent.com/sdmx-twg/sdmx-json/master/data-message/tools/schemas/2.0.0/"
    "sdmx-json-data-schema.json"
)
_STATUS: Final = {"final": "A", "provisional": "P", "estimated": "E", "missing": "M"}
_HIDDEN: Final = "Q"  # missing value; suppressed
_MISSING: Final = "M"
_RUN: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run a text that begins so
_ID: Final = re.compile(r"[A-Za-z0-9_@$-]+")
_words: Final = WordsFile(__file__)
Naming = Callable[[str], Words]


class _Component(NamedTuple):
    """A dimension or attribute: its id, and what a figure has of it."""

    id: str
    of: Callable[[Figure], str]


def _unit(figure: Figure) -> str:
    """That of the value, where it is known."""
    return (figure.current.unit if figure.current is not None else "") or figure.definition.unit


def _status(figure: Figure) -> str:
    each = figure.current
    if each is None or each.value is None:
        return _HIDDEN if each is not None and each.absent == "not-permitted" else _MISSING
    return _STATUS.get(each.status, "A")


_DIMENSIONS: Final = (
    _Component("FREQ", lambda each: each.definition.frequency),
    _Component("INDICATOR", lambda each: each.definition.code),
    _Component("REF_AREA", lambda each: each.area),
    _Component("UNIT_MEASURE", _unit),
    _Component("TIME_PERIOD", lambda each: str(each.period)),
)
_ATTRIBUTES: Final = (
    _Component("OBS_STATUS", _status),
    _Component("OWNER", lambda each: each.definition.owner),
    _Component("DEFINITION", lambda each: str(each.definition.version)),
)


def write_csv(figures: Sequence[Figure]) -> bytes:
    """SDMX-CSV 2.0, in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    components = [each.id for each in (*_DIMENSIONS, _Component("OBS_VALUE", _unit), *_ATTRIBUTES)]
    writer.writerow(["STRUCTURE", "STRUCTURE_ID", "ACTION", *components])
    for figure in _observed(figures):
        value = "" if figure.value is None else write_json(figure.value).decode()
        dimensions, attributes = ([each.of(figure) for each in part] for part in (_DIMENSIONS, _ATTRIBUTES))
        writer.writerow(["dataflow", DATAFLOW, "I", *map(_plain, dimensions), value, *map(_plain, attributes)])
    return text.getvalue().encode()


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(_RUN) else text


def write_message(figures: Sequence[Figure], contract: CompiledContract, sender: str, now: float) -> bytes:
    """A data message of SDMX-JSON 2.0, flat. `sender` is the name of the centre."""
    observed = list(_observed(figures))
    titles = {each.definition.code: each.definition.title for each in observed}
    areas = {row.code: Words(row.vi, row.en) for row in contract.tables["area"].rows}
    named: dict[str, Naming] = {
        "FREQ": lambda code: _words(f"frequency.{code}"),
        "INDICATOR": lambda code: titles[code],
        "REF_AREA": lambda code: areas.get(code, Words(code, code)),
        "OBS_STATUS": lambda code: _words(f"status.{code}"),
    }
    columns: dict[str, dict[str, int]] = {each.id: {} for each in (*_DIMENSIONS, *_ATTRIBUTES)}
    observations: dict[str, list[Any]] = {}
    for figure in observed:
        places = {
            each.id: columns[each.id].setdefault(each.of(figure), len(columns[each.id]))
            for each in (*_DIMENSIONS, *_ATTRIBUTES)
        }
        key = ":".join(str(places[each.id]) for each in _DIMENSIONS)
        observations[key] = [figure.value, *(places[each.id] for each in _ATTRIBUTES)]

    def component(id: str, **told: Any) -> dict[str, Any]:
        values = [_valued(value, named.get(id)) for value in columns[id]]
        return {"id": id, **_both(_words(f"component.{id}")), **told, "values": values}

    links = [{"rel": "dataflow", "urn": f"urn:sdmx:org.sdmx.infomodel.datastructure.Dataflow={DATAFLOW}"}]
    data_set = {"structure": 0, "action": "Information", "links": links, "observations": observations}
    structure = {
        "dataSets": [0],
        "links": links,
        **_both(_words("dataflow")),
        "dimensions": {
            "dataSet": [],
            "series": [],
            "observation": [component(each.id, keyPosition=at) for at, each in enumerate(_DIMENSIONS)],
        },
        "measures": {"observation": [{"id": "OBS_VALUE", **_both(_words("component.OBS_VALUE"))}]},
        "attributes": {
            "dataSet": [],
            "series": [],
            "observation": [component(each.id, relationship={"observation": {}}) for each in _ATTRIBUTES],
        },
    }
    message = {
        "meta": {
            "schema": SCHEMA,
            "id": new_id(int(now * 1000)),
            "prepared": rfc3339(now),
            "contentLanguages": ["vi", "en"],
            "sender": {"id": "LGSP", "name": sender},
        },
        "data": {
            # A dimension has at least one value, so no observation is no data set.
            "structures": [structure] if observed else [],
            "dataSets": [data_set] if observed else [],
        },
    }
    return write_json(message)


def _observed(figures: Sequence[Figure]) -> Sequence[Figure]:
    return [each for each in figures if each.state is not State.AWAITED]


def _valued(value: str, naming: Naming | None) -> dict[str, Any]:
    """A code with its names, else the value itself: an id of SDMX has neither dots nor blanks."""
    if naming is None or _ID.fullmatch(value) is None:
        return {"value": value}
    return {"id": value, **_both(naming(value))}


def _both(words: Words) -> dict[str, Any]:
    return {"name": words.vi, "names": {"vi": words.vi, "en": words.en}}
