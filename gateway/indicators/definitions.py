"""Definitions of indicators, and the document that states them: YAML that officers can review.

    indicators:
      - code: KT-05
        title: {vi: Thu ngân sách nhà nước trên địa bàn, en: State budget revenue in the province}
        unit: tỷ đồng
        frequency: Q           # A, Q, M: codes of SDMX
        areas: ["04"]          # that a value is expected of
        owner: H14.4           # the agency that owes the values
        due: 12                # working days after the end of a period
        formula: {vi: …, en: …}
        from: 2026-Q1          # the first period that the definition holds for
        until: 2026-Q4         # the last one; without it until another version begins

A document may state several versions of an indicator, oldest first.
Invariant: a document is accepted whole or not at all, and all its faults are reported at once, each with its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import yaml

from contracts.base import jcs, safeyaml
from contracts.base.errors import Finding
from contracts.base.words import Words
from contracts.canonical.model import CodeTable
from contracts.compiled.contract import CompiledContract
from gateway.indicators.errors import INDICATOR_INVALID, INDICATOR_NO_CONTRACT
from gateway.indicators.periods import FREQUENCIES, Frequency, Period, first_from
from gateway.registry.values import Values, kind

MOST: Final = 1000  # definitions in a document
MOST_AREAS: Final = 400
MOST_DAYS: Final = 250
_FIELDS: Final = {"code", "title", "unit", "frequency", "areas", "owner", "due", "formula", "from", "until"}
_LONGEST: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One version. `due` is in working days after the end of a period; `last` None: until another version begins."""

    code: str
    version: int
    title: Words
    unit: str
    frequency: Frequency
    areas: tuple[str, ...]
    owner: str
    due: int
    formula: Words
    first: Period
    last: Period | None = None

    def same(self, other: Definition) -> bool:
        """Whether both say the same, whatever their versions."""
        return replace(self, version=other.version) == other

    def json(self) -> dict[str, Any]:
        """As the document states it."""
        until = {} if self.last is None else {"until": str(self.last)}
        return {
            "code": self.code,
            "title": {"vi": self.title.vi, "en": self.title.en},
            "unit": self.unit,
            "frequency": self.frequency,
            "areas": list(self.areas),
            "owner": self.owner,
            "due": self.due,
            "formula": {"vi": self.formula.vi, "en": self.formula.en},
            "from": str(self.first),
            **until,
        }

    def text(self) -> str:
        """As the registry's row holds it."""
        return jcs.encode(self.json()).decode()


@dataclass(frozen=True, slots=True)
class Known:
    """What a document may name."""

    codes: CodeTable
    areas: CodeTable
    agencies: Mapping[str, object]


def known_to(contract: CompiledContract | None, agencies: Mapping[str, object]) -> Known:
    """By the contract of indicators in force. Raises `indicator.no-contract`."""
    if contract is None:
        raise INDICATOR_NO_CONTRACT()
    return Known(contract.tables["indicator"], contract.tables["area"], agencies)


def of_row(code: str, version: int, body: Mapping[str, Any]) -> Definition:
    """The inverse of `Definition.text`."""
    first, last = Period.of(body["from"]), Period.of(body.get("until", ""))
    assert first is not None
    return Definition(
        code=code,
        version=version,
        title=Words(**body["title"]),
        unit=body["unit"],
        frequency=body["frequency"],
        areas=tuple(body["areas"]),
        owner=body["owner"],
        due=body["due"],
        formula=Words(**body["formula"]),
        first=first,
        last=last,
    )


def windows(versions: Sequence[Definition]) -> Iterator[tuple[Definition, date, date]]:
    """The versions of one indicator, in their order, each with the days between which its periods begin.

    A version holds until the next one begins. Of two that begin at the same time the later one holds.
    """
    after: Sequence[Definition | None] = [*versions[1:], None]
    for version, following in zip(versions, after, strict=True):
        end = date.max if version.last is None else version.last.end
        if following is not None:
            end = min(end, following.first.begin)
        yield version, version.first.begin, end


def periods(versions: Sequence[Definition], since: date, until: date) -> Iterator[tuple[Definition, Period]]:
    """The periods of one indicator that begin from `since` on and before `until`, each with the version that holds."""
    for version, begin, end in windows(versions):
        period = first_from(version.frequency, max(begin, since))
        while period.begin < min(end, until):
            yield version, period
            period = period.next


def parse(text: str | bytes, known: Known) -> tuple[Definition, ...]:
    """The definitions of a document, without versions. Raises `indicator.invalid` with all findings."""
    reader = _Reader(known)
    try:
        raw = safeyaml.load(text)
    except (RecursionError, yaml.YAMLError) as trouble:
        mark = getattr(trouble, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark is not None else "document"
        problem = getattr(trouble, "problem", None) or "not YAML"
        raise invalid([Finding(where, "", str(problem), "syntax", "YAML")]) from None
    definitions = reader.document(raw)
    if reader.findings:
        raise invalid(reader.findings)
    return definitions


def invalid(findings: Sequence[Finding]) -> Exception:
    return INDICATOR_INVALID(count=len(findings), findings=findings)


class _Reader(Values):
    def __init__(self, known: Known) -> None:
        super().__init__()
        self._known = known

    def document(self, raw: Any) -> tuple[Definition, ...]:
        items = self._list("indicators", self._mapping("", raw, {"indicators"}).get("indicators"))
        if len(items) > MOST:
            self._wrong("indicators", "length", f"at most {MOST} definitions", str(len(items)))
            return ()
        return tuple(self._definition(path, item) for path, item in items)

    def _definition(self, path: str, raw: Any) -> Definition:
        item = self._mapping(path, raw, _FIELDS)
        code, owner = self._text(f"{path}.code", item.get("code")), self._text(f"{path}.owner", item.get("owner"))
        if code and code not in self._known.codes.codes:
            self._wrong(f"{path}.code", "reference", f"a code of the table {self._known.codes.name}", code)
        if owner and owner not in self._known.agencies:
            self._wrong(f"{path}.owner", "reference", "the code of a registered agency", owner)
        named = self._text(f"{path}.frequency", item.get("frequency"), choice=FREQUENCIES)
        frequency: Frequency = next((each for each in FREQUENCIES if each == named), "M")
        first = self._period(f"{path}.from", item.get("from"), frequency)
        last = self._period(f"{path}.until", item["until"], frequency) if "until" in item else None
        if last is not None and last < first:
            self._wrong(f"{path}.until", "range", f"{first} or later", str(last))
        return Definition(
            code=code,
            version=0,
            title=self._words(f"{path}.title", item.get("title")),
            unit=self._text(f"{path}.unit", item.get("unit"), limit=60),
            frequency=frequency,
            areas=self._areas(f"{path}.areas", item.get("areas")),
            owner=owner,
            due=self._due(f"{path}.due", item.get("due")),
            formula=self._formula(f"{path}.formula", item.get("formula")),
            first=first,
            last=last,
        )

    def _areas(self, path: str, raw: Any) -> tuple[str, ...]:
        listed = self._list(path, raw)
        if not 1 <= len(listed) <= MOST_AREAS:
            self._wrong(path, "length", f"1 to {MOST_AREAS} areas", str(len(listed)))
            return ()
        areas = [self._text(at, each) for at, each in listed]
        known = set(self._known.areas.codes)
        for (at, _), area in zip(listed, areas, strict=True):
            if area and area not in known:
                self._wrong(at, "reference", f"a code of the table {self._known.areas.name}", area)
        return tuple(dict.fromkeys(areas))

    def _due(self, path: str, raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= MOST_DAYS:
            got = str(raw) if isinstance(raw, int) else kind(raw)
            self._wrong(path, "range", f"whole working days, 0 to {MOST_DAYS}", got)
            return 0
        return raw

    def _period(self, path: str, raw: Any, frequency: Frequency) -> Period:
        """A year may be written without quotes."""
        text = self._text(path, str(raw) if isinstance(raw, int) and not isinstance(raw, bool) else raw)
        period = Period.of(text)
        if period is None or period.frequency != frequency:
            if text:
                example = Period.at(frequency, date(2026, 9, 1))
                self._wrong(path, "format", f"a period of the frequency {frequency}, as {example}", text)
            return Period.at(frequency, date(1970, 1, 1))
        return period

    def _formula(self, path: str, raw: Any) -> Words:
        item = self._mapping(path, raw, {"vi", "en"})
        vi, en = (self._text(f"{path}.{name}", item.get(name), limit=_LONGEST) for name in ("vi", "en"))
        return Words(vi, en)
