"""What was exchanged: transfers by what became of them, and data supplied and received by agency and contract."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from contracts.canonical.model import Pattern
from gateway.reports.drawing import Drawing, Provider, supplies
from gateway.reports.figures import Chart, Column, Fact, Row, Section, Series, Table
from gateway.reports.tally import State

_SUPPLY: Final = (
    Column("agency", "agency"), Column("contract", "contract"), Column("supplied"), Column("received"), Column("read"),
    Column("unfinished"),
)  # fmt: skip
_CONTRACTS: Final = (
    Column("contract", "contract"), Column("transfers"), Column("done"), Column("failed"), Column("doubtful"),
    Column("open"),
)  # fmt: skip
_STATES: Final[tuple[State, ...]] = ("done", "failed", "in-doubt", "open")
_BARS: Final = 15


def draw(drawing: Drawing) -> Section:
    tally = drawing.tally
    supply: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    contracts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for flow, number in tally.flows.items():
        contracts[flow.contract][_STATES.index(flow.state)] += number
        sender, receiver = flow.agency, flow.provider_agency
        if not supplies(drawing, flow.contract, flow.operation):
            sender, receiver = receiver, sender
        if flow.state == "done":
            supply[sender, flow.contract][0] += number
            if receiver and _delivered(drawing, flow.contract, flow.operation):
                supply[receiver, flow.contract][1] += number
        else:
            supply[flow.agency, flow.contract][3] += number
    for (agency, _, contract), events in tally.reads.items():
        supply[agency, contract][2] += events
    rows: list[Row] = [(*key, *numbers) for key, numbers in sorted(supply.items()) if key[0] and drawing.has(key[0])]
    by_contract: list[Row] = [(name, sum(each), *each) for name, each in sorted(contracts.items())]
    totals = [sum(each[at] for each in contracts.values()) for at in range(len(_STATES))]
    facts = (
        Fact("transfers", sum(totals), "flows"),
        *(Fact(id, number, "flows") for id, number in zip(("done", "failed", "doubtful", "open"), totals, strict=True)),
        Fact("repeats", tally.repeats.total(), "repeats"),
        Fact("read", tally.reads.total(), "reads"),
    )
    tables = (Table.of("contracts", "flows", _CONTRACTS, by_contract), Table.of("supply", "supply", _SUPPLY, rows))
    return Section("exchange", facts, tables, (_days(drawing), *_agencies(rows)))


def _delivered(drawing: Drawing, contract: str, operation: str) -> bool:
    """Whether another agency got it at once; what is submitted goes to the feed, and is read there."""
    return drawing.patterns.get((contract, operation)) != Pattern.SUBMIT


def _days(drawing: Drawing) -> Chart:
    days = [drawing.tally.days.get(at, [0, 0, 0]) for at in range(drawing.wanted.period.days)]
    labels = tuple(str(at) for at in range(len(days)))
    series = (Series(id, tuple(day[at] for day in days)) for at, id in enumerate(("done", "unfinished", "refused")))
    return Chart("days", "days", "number", labels, tuple(series))


def _agencies(rows: list[Row]) -> tuple[Chart, ...]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for agency, _, supplied, received, read, _ in rows:
        sums[str(agency)][0] += int(supplied or 0)
        sums[str(agency)][1] += int(received or 0) + int(read or 0)
    most = sorted(sums, key=lambda code: (-sum(sums[code]), code))[:_BARS]
    if len(most) < 2:
        return ()
    series = (Series(id, tuple(sums[code][at] for code in most)) for at, id in enumerate(("supplied", "received")))
    return (Chart("agencies", "bars", "agency", tuple(most), tuple(series)),)


SECTION = Provider(20, draw)
