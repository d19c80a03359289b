"""Indicators: a table of figures by period and area, one indicator with its chart, and the definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from markupsafe import Markup

from contracts.base.errors import Failure
from contracts.base.words import Language
from gateway.console.errors import CONSOLE_FORM
from gateway.console.roles import May
from gateway.console.site.drawing import columns
from gateway.console.site.page import N_, Answer, Ask, Menu, Moved, Page, Sent, Shown
from gateway.console.site.render import failure_values
from gateway.console.work import indicators
from gateway.indicators.figures import Figure, State, Wanted
from gateway.indicators.forms import JSON, MEDIA
from gateway.indicators.owed import State as Owed
from gateway.indicators.periods import FREQUENCIES

HERE: Final = "/console/indicators/definitions"
PERIODS: Final = 12  # of a frequency in the table, the newest
LISTED: Final = 50  # rows of the lists of missing and corrected values
OWED: Final = 500  # rows of the values that are owed
_FIRST: Final = (Owed.MISSING, Owed.AWAITED, Owed.LATE, Owed.IN_TIME)
DRAWN: Final = 24  # periods of a chart
_MOST: Final = 1_000_000  # bytes of a document
_FILES: Final = {JSON: "figures.json", "sdmx-json": "figures.sdmx.json", "sdmx-csv": "figures.sdmx.csv"}


def every(ask: Ask) -> Shown:
    it = indicators.read(ask.desk, ask.viewer, _wanted(ask))
    tables = {frequency: _table(it.found.figures, frequency) for frequency in FREQUENCIES}
    values = {"it": it, "tables": {name: each for name, each in tables.items() if each["rows"]}, "most": LISTED}
    return Shown("indicators.html", {**values, **_shared(ask, it)})


def one(ask: Ask) -> Shown:
    code = ask.path["code"]
    it = indicators.read(ask.desk, ask.viewer, _wanted(ask, code))
    stated = indicators.definitions(ask.desk)
    by_area: dict[str, list[Figure]] = {}
    for each in it.found.figures:
        by_area.setdefault(each.area, []).append(each)
    exactly = partial(exact, ask.language)
    charts = {area: _chart(figures[-DRAWN:], exactly) for area, figures in by_area.items()}
    values: dict[str, Any] = {"it": it, "code": code, "by_area": by_area, "charts": charts}
    values |= {"versions": stated.known[code], "defined": stated.defined}
    return Shown("indicator.html", {**values, **_shared(ask, it)})


def owing(ask: Ask) -> Shown:
    it = indicators.owing(ask.desk, ask.viewer, _wanted(ask))
    state = ask.query.get("state", "")
    rows = [(each, each.state(it.at)) for each in it.values]
    numbers = {each: sum(found is each for _, found in rows) for each in Owed}
    shown = [row for row in rows if not state or row[1] == state]
    shown.sort(key=lambda row: (_FIRST.index(row[1]), row[0].due if row[1] is Owed.MISSING else -row[0].due))
    given = {name: ask.query.get(name, "").strip()[:10] for name in ("from", "until")}
    values = {
        "rows": shown[:OWED],
        "more": max(0, len(shown) - OWED),
        "numbers": numbers,
        "state": state,
        "given": given,
    }
    return Shown("indicators-owed.html", {**values, "it": it, "areas": it.areas, "names": _names(ask), "Owed": Owed})


def file(ask: Ask) -> Sent:
    form = ask.query.get("format", JSON)
    if form not in MEDIA:
        raise CONSOLE_FORM(field="format", why=", ".join(MEDIA))
    body, media = indicators.written(ask.desk, ask.viewer, _wanted(ask), form)
    return Sent(body, media, _FILES[form])


def definitions(ask: Ask) -> Shown:
    return _definitions(ask, "", None)


def define(ask: Ask) -> Answer:
    reason, text = ask.reason(), ask.field("document", _MOST)
    try:
        changes = indicators.define(ask.desk, ask.viewer, text, reason)
    except Failure as failure:
        return _definitions(ask, text, failure)
    return Moved(HERE, "defined" if changes else "nothing-new")


def exact(language: Language, value: Decimal | int) -> str:
    """A number with all its digits, and separators as the language writes them."""
    text = f"{value:,}" if isinstance(value, int) else f"{value:,f}"
    return text.translate(str.maketrans(",.", ".,")) if language == "vi" else text


def _definitions(ask: Ask, text: str, failure: Failure | None) -> Shown:
    it = indicators.definitions(ask.desk)
    values = {
        "it": it,
        "text": text or it.document,
        "failure": None if failure is None else failure_values(failure, ask.language),
        "names": _names(ask),
    }
    return Shown("indicator-definitions.html", values, 200 if failure is None else failure.status)


def _wanted(ask: Ask, code: str = "") -> Wanted:
    given = (ask.query.get("from", "").strip(), ask.query.get("until", "").strip())
    return Wanted.of(ask.now, *given, codes=[code] if code else ())


def _shared(ask: Ask, it: indicators.Read) -> dict[str, Any]:
    given = {name: ask.query.get(name, "").strip()[:10] for name in ("from", "until")}
    query = "".join(f"&{name}={value}" for name, value in given.items() if value)
    return {
        "areas": it.areas,
        "names": _names(ask),
        "exact": partial(exact, ask.language),
        "State": State,
        "given": given,
        "forms": [f"{form}{query}" for form in MEDIA],
    }


def _names(ask: Ask) -> Mapping[str, str]:
    agencies = ask.desk.services.registry.snapshot.agencies
    return {code: each.name.of(ask.language) for code, each in agencies.items()}


def _table(figures: Sequence[Figure], frequency: str) -> dict[str, Any]:
    """The newest periods as columns, indicators and areas as rows."""
    mine = [each for each in figures if each.definition.frequency == frequency]
    periods = sorted({each.period for each in mine})
    rows: dict[tuple[str, str], dict[Any, Figure]] = {}
    for each in mine:
        rows.setdefault((each.definition.code, each.area), {})[each.period] = each
    return {"periods": periods[-PERIODS:], "left_out": len(periods[:-PERIODS]), "rows": rows}


def _chart(figures: Sequence[Figure], exactly: Callable[[Decimal | int], str]) -> Markup:
    """A value of another unit or frequency has its words and no column."""
    points = [
        (
            str(each.period),
            None if each.value is None or each.differs else float(each.value),
            "" if each.value is None else exactly(each.value),
        )
        for each in figures
        if each.state is not State.AWAITED
    ]
    return columns(points)


PAGES = (
    Page("/indicators", every, May.FEEDS, N_("Indicators"), Menu.OPERATION),
    Page("/indicators/owed", owing, May.SYSTEMS, N_("Indicators owed"), Menu.OPERATION),
    Page("/indicators/file", file, May.FEEDS),
    Page("/indicators/definitions", definitions, May.CONTRACTS, N_("Definitions of indicators"), Menu.CONTRACTS),
    Page(
        "/indicators/definitions/new",
        define,
        May.REGISTRY,
        N_("Definitions of indicators"),
        method="POST",
        operation="defineIndicators",
        upload=_MOST + 10_000,
    ),
    Page("/indicators/{code}", one, May.FEEDS, N_("An indicator")),
)
