"""Puts the figures of a report into words: what each form of the document says, in one language.

The order follows Nghị định 30/2020/NĐ-CP, annex I: nation and motto, issuer, number, place and date, title and subject,
content, recipients, signature.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple

from contracts.base.words import Language, Words, WordsFile
from contracts.wire.xmltext import ILLEGAL
from gateway.audit.search.steps import kind_words
from gateway.cases.kinds import kinds
from gateway.errors import every
from gateway.reports.charts import Line, drawn
from gateway.reports.figures import NUMERIC, Chart, Column, Figures, Names, Section, Table, Value
from gateway.reports.periods import Period, shown_day, shown_month
from gateway.reports.store import Report
from security.grants.windows import VIETNAM

_words: Final = WordsFile(__file__)
ROMAN: Final = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV")
_WEIGHTS: Final[dict[str, int]] = {
    "number": 12, "tenths": 10, "decimal": 15, "time": 17, "part": 16, "period": 13, "area": 18, "absent": 20,
    "text": 13,
}  # fmt: skip
_NAME_WEIGHT: Final = 32
Cell = str | int | float | Decimal | None


class Head(NamedTuple):
    """A column of a table as shown."""

    title: str
    numeric: bool
    weight: int  # of its width


@dataclass(frozen=True, slots=True)
class ShownTable:
    """Rows have numbers as numbers; `said` writes them."""

    title: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: tuple[Cell, ...] | None


@dataclass(frozen=True, slots=True)
class ShownChart:
    title: str
    svg: str


@dataclass(frozen=True, slots=True)
class ShownSection:
    number: str
    title: str
    summary: str
    tables: tuple[ShownTable, ...]
    charts: tuple[ShownChart, ...]


class Source(NamedTuple):
    """Which tables and summaries one query counts."""

    what: str
    how: str


class Content:
    """What a report says in one language."""

    def __init__(self, report: Report, language: Language) -> None:
        self.report: Final = report
        self.figures: Final = _written(report.figures)
        self.language: Final[Language] = language
        self._numbers: Final = {"table": 0, "chart": 0}
        self._uses: Final[dict[str, list[str]]] = {}
        self.sections: Final = tuple(
            self._section(ROMAN[at], section) for at, section in enumerate(self.figures.sections)
        )

    def say(self, name: str, /, **facts: object) -> str:
        return _words(name).say(self.language, facts)

    # --- head and foot ------------------------------------------------------------------------------------------------
    @property
    def issuer(self) -> str:
        return self.figures.letter.issuer.of(self.language)

    @property
    def heading(self) -> tuple[str, str]:
        """The bodies in the head, above one another."""
        return _unbroken(self.superior.upper()), _unbroken(self.issuer.upper())

    @property
    def superior(self) -> str:
        return self.figures.letter.superior

    @property
    def number(self) -> str:
        return self.say("number", symbol=self.figures.letter.symbol)

    @property
    def dated(self) -> str:
        at = self.drawn
        place = self.figures.letter.place or self.say("blank")
        return self.say("dated", place=place, day=f"{at.day:02}", month=shown_month(at.month), year=at.year)

    @property
    def subject(self) -> str:
        name = "subject-agency" if self.figures.agency else "subject"
        period = Words(*(_unbroken(each, 5) for each in (self.period.name.vi, self.period.name.en)))
        return self.say(name, period=period, agency=self.agency)

    @property
    def opening(self) -> str:
        name = "opening-agency" if self.figures.agency else "opening"
        return self.say(name, issuer=self.issuer, period=self.period.name, agency=self.agency)

    @property
    def recipients(self) -> tuple[str, ...]:
        lines = [self.say("to-superior", superior=self.superior)] if self.superior else []
        lines.append(self.say("to-agency", agency=self.agency) if self.figures.agency else self.say("to-agencies"))
        return (*lines, self.say("to-file"))

    @property
    def signer(self) -> str:
        return self.figures.letter.signer.upper() or self.say("signer")

    @property
    def agency(self) -> str:
        return self._named("agency", self.figures.agency)

    @cached_property
    def period(self) -> Period:
        return Period.from_days(self.figures.first, self.figures.last)

    @cached_property
    def drawn(self) -> datetime:
        return datetime.fromisoformat(self.figures.drawn).astimezone(VIETNAM)

    # --- annex --------------------------------------------------------------------------------------------------------
    @property
    def log(self) -> str:
        log = self.figures.log
        past = "; ".join(self.say("past-log", origin=origin, size=self.said(size)) for origin, size in log.past)
        return self.say(
            "annex-log",
            drawn=f"{self.drawn:%H:%M:%S} {shown_day(self.drawn.date()).of(self.language)}",
            origin=log.origin,
            size=self.said(log.size),
            past=past or self.say("past-none"),
            registry=self.said(self.figures.registry),
        )

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """How the report is proved: label and value."""
        report = self.report
        return (
            (self.say("annex-edition"), str(self.figures.edition)),
            (self.say("annex-entry"), report.id),
            (self.say("annex-leaf"), report.leaf.hex()),
            (self.say("annex-digest"), report.digest.hex()),
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(Source("; ".join(uses), self.say(f"query.{query}")) for query, uses in self._uses.items())

    # --- sections -----------------------------------------------------------------------------------------------------
    def _section(self, number: str, section: Section) -> ShownSection:
        facts = {fact.id: self.said(fact.value) for fact in section.facts}
        name = f"summary-agency.{section.id}"
        if not self.figures.agency or name not in set(_words):
            name = f"summary.{section.id}"
        for fact in section.facts:
            self._use(fact.query, self.say("in-summary", number=number))
        return ShownSection(
            number=number,
            title=self.say(f"section.{section.id}"),
            summary=self.say(name, **facts),
            tables=tuple(self._table(section.id, table) for table in section.tables),
            charts=tuple(self._chart(section.id, chart) for chart in section.charts),
        )

    def _table(self, section: str, table: Table) -> ShownTable:
        title = self._numbered("table", self.say(f"table.{section}.{table.id}"))
        self._use(table.query, title.partition(".")[0])
        heads = (Head(self.say("order"), True, 1), *map(self._head, table.columns))
        rows = tuple(
            (at, *(self._cell(*each) for each in zip(table.columns, row, strict=True)))
            for at, row in enumerate(table.rows, 1)
        )
        total: tuple[Cell, ...] | None = None
        if table.total is not None:
            total = (None, self.say("total"), *table.total[1:])
        return ShownTable(title, heads, rows, total)

    def _head(self, column: Column) -> Head:
        weight = _WEIGHTS.get(column.kind, _NAME_WEIGHT)
        return Head(self.say(f"column.{column.id}"), column.kind in NUMERIC, weight)

    def _chart(self, section: str, chart: Chart) -> ShownChart:
        title = self._numbered("chart", self.say(f"chart.{section}.{chart.id}"))
        if chart.form == "days":
            labels = [self.period.day(int(each)) for each in chart.labels]
        else:
            labels = [self._named(chart.kind, each) for each in chart.labels]
        tenths = section == "quality"
        lines = [Line(self.say(f"series.{each.id}"), each.values) for each in chart.series]
        return ShownChart(
            title, drawn(chart.form, title, labels, lines, lambda value: self.said(value / 10 if tenths else value))
        )

    def _numbered(self, of: str, title: str) -> str:
        self._numbers[of] += 1
        return self.say(of, number=self._numbers[of], title=title)

    def _use(self, query: str, what: str) -> None:
        uses = self._uses.setdefault(query, [])
        if what not in uses:
            uses.append(what)

    def _cell(self, column: Column, value: Value) -> Cell:
        if value is None or column.kind == "number":
            return value
        if column.kind == "tenths":
            return int(value) / 10
        if column.kind == "decimal":
            return Decimal(value)
        return self._named(column.kind, str(value))

    def _named(self, kind: str, code: str) -> str:
        names = self.figures.names
        match kind:
            case "agency":
                return _of(names.agency.get(code), self.language) or code or self.say("nobody")
            case "system":
                return _of(names.system.get(code), self.language) or code
            case "contract":
                title = _of(names.contract.get(code), self.language)
                return f"{title} ({code})" if title else code
            case "error":
                error = every().get(code)
                return code if error is None else f"{error.title.of(self.language)} ({code})"
            case "indicator" | "area":
                known = names.indicator if kind == "indicator" else names.area
                return _of(known.get(code), self.language) or code
            case "period":
                return self._period(code)
            case "absent":
                return self.say(f"absent.{code}") if f"absent.{code}" in set(_words) else code
            case "case":
                known_kind = kinds().get(code)
                return code if known_kind is None else known_kind.title.of(self.language)
            case "entry":
                return kind_words(code).of(self.language)
            case "part":
                return self.say(f"part.{code}")
            case "alarm":
                return self.say(f"alarm.{code}") if f"alarm.{code}" in set(_words) else code
            case "time":
                at = datetime.fromisoformat(code).astimezone(VIETNAM)
                return f"{at:%H:%M %d/%m/%Y}"
        return code

    def _period(self, code: str) -> str:
        """A period of an indicator: a year, a quarter or a month."""
        year, _, part = code.partition("-")
        if part.startswith("Q"):
            return self.say("quarter", number=ROMAN[int(part[1:]) - 1], year=year)
        return self.say("month", number=part, year=year) if part else year

    def said(self, value: Cell) -> str:
        """A cell as text: numbers as people of the language write them."""
        if isinstance(value, Decimal):
            text = f"{value:,f}"
        elif isinstance(value, float):
            text = f"{value:,.1f}"
        elif isinstance(value, int):
            text = f"{value:,}"
        else:
            return value or "–" if value is None else unicodedata.normalize("NFC", value)
        return text if self.language == "en" else text.translate(str.maketrans(",.", ".,"))

    def tables(self) -> Iterator[ShownTable]:
        for section in self.sections:
            yield from section.tables


def parts(
    content: Content, table: Callable[[ShownTable], object], chart: Callable[[ShownChart], object], qr: object
) -> dict[str, Any]:
    """What the letter says, for the templates of its forms. A form makes its own of tables, charts and QR code."""
    say = content.say
    superior, issuer = content.heading
    return {
        "superior": superior,
        "issuer": issuer,
        "number": content.number,
        "nation": say("nation"),
        "motto": say("motto"),
        "dated": content.dated,
        "title": say("title"),
        "subject": content.subject,
        "opening": content.opening,
        "closing": say("closing", issuer=content.issuer),
        "recipients": {"title": say("recipients"), "lines": content.recipients},
        "signer": content.signer,
        "nothing": say("nothing"),
        "sections": [
            {
                "title": f"{section.number}. {section.title}",
                "summary": section.summary,
                "tables": [table(each) for each in section.tables],
                "charts": [chart(each) for each in section.charts],
            }
            for section in content.sections
        ],
        "annex": {
            "title": say("annex"),
            "subject": say("annex-title"),
            "log": content.log,
            "proof": say("annex-proof"),
            "heads": [say("annex-of"), say("annex-query")],
            "sources": [{"of": each.what, "how": each.how} for each in content.sources],
            "facts": [*content.facts, (say("page-qr"), content.report.proof)],
            "qr": qr,
        },
    }


def _written(figures: Figures) -> Figures:
    """With names that XML can carry, as drawings and documents are XML: else one name would break every form."""
    names = Names(*({code: _legal(each) for code, each in known.items()} for known in figures.names))
    letter = figures.letter
    texts = {name: ILLEGAL.sub("\ufffd", getattr(letter, name)) for name in ("superior", "place", "symbol", "signer")}
    return replace(figures, names=names, letter=replace(letter, issuer=_legal(letter.issuer), **texts))


def _legal(words: Words) -> Words:
    return Words(*(ILLEGAL.sub("\ufffd", each) for each in (words.vi, words.en)))


def _unbroken(text: str, last: int = 3) -> str:
    """Its last words stay on one line."""
    words = text.split(" ")
    return " ".join([*words[:-last], "\u00a0".join(words[-last:])])


def _of(words: Words | None, language: Language) -> str:
    return "" if words is None else words.of(language)
