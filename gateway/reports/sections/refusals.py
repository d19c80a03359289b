"""What the gateway refused, by reason and by agency, and what was handed in again."""

from __future__ import annotations

from collections import Counter
from typing import Final

from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table

_CODES: Final = (Column("error", "error"), Column("times"))
_AGENCIES: Final = (Column("agency", "agency"), Column("refused"), Column("repeats"))


def draw(drawing: Drawing) -> Section:
    tally, codes, agencies = drawing.tally, Counter[str](), Counter[str]()
    for (agency, _, code), times in tally.refusals.items():
        codes[code] += times
        agencies[agency] += times
    by_code: list[Row] = [(code, times) for code, times in sorted(codes.items(), key=lambda each: (-each[1], each[0]))]
    by_agency: list[Row] = [
        (agency, agencies[agency], tally.repeats[agency]) for agency in sorted({*agencies, *tally.repeats})
    ]
    facts = (Fact("refused", codes.total(), "refusals"), Fact("unproved", agencies[""], "refusals"))
    return Section(
        "refusals",
        facts,
        (
            Table.of("codes", "refusals", _CODES, by_code),
            Table.of("agencies", "refusals", _AGENCIES, by_agency),
        ),
    )


SECTION = Provider(40, draw)
