"""Calls that failed by the fault of called systems, and transfers that ended without an answer."""

from __future__ import annotations

from typing import Final

from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table

_SYSTEMS: Final = (
    Column("agency", "agency"), Column("system", "system"), Column("transfers"), Column("hours"),
    Column("first", "time"), Column("last", "time"),
)  # fmt: skip
_FAILURES: Final = (Column("system", "system"), Column("error", "error"), Column("times"))


def draw(drawing: Drawing) -> Section:
    tally = drawing.tally
    systems: list[Row] = [
        (drawing.agency_of(system), system, fault.transfers, len(fault.hours), fault.first, fault.last)
        for system, fault in sorted(tally.faults.items(), key=lambda each: (-len(each[1].hours), each[0]))
    ]
    failures: list[Row] = [(*key, number) for key, number in sorted(tally.failures.items())]
    facts = (
        Fact("systems", len(systems), "faults"),
        Fact("transfers", sum(fault.transfers for fault in tally.faults.values()), "faults"),
        Fact("failed", tally.failures.total(), "failures"),
    )
    return Section(
        "incidents",
        facts,
        (Table.of("systems", "faults", _SYSTEMS, systems), Table.of("failures", "failures", _FAILURES, failures)),
    )


SECTION = Provider(50, draw)
