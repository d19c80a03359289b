"""Which agencies and systems are connected, and which of them exchanged data in the period."""

from __future__ import annotations

from typing import Final

from gateway.reports.drawing import Drawing, Provider
from gateway.reports.figures import Column, Fact, Row, Section, Table

_COLUMNS: Final = (
    Column("agency", "agency"), Column("systems"), Column("active"), Column("used"), Column("contracts"),
    Column("grants"),
)  # fmt: skip


def draw(drawing: Drawing) -> Section:
    snapshot, used, contracts = drawing.snapshot, dict[str, set[str]](), dict[str, set[str]]()
    for flow in drawing.tally.flows:
        for agency, system in ((flow.agency, flow.system), (flow.provider_agency, flow.provider)):
            if system:
                used.setdefault(agency, set()).add(system)
                contracts.setdefault(agency, set()).add(flow.contract)
    for agency, system, contract in drawing.tally.reads:
        used.setdefault(agency, set()).add(system)
        contracts.setdefault(agency, set()).add(contract)
    rows: list[Row] = []
    for code in sorted(code for code in snapshot.agencies if drawing.has(code)):
        systems = [each for each in snapshot.systems.values() if each.agency == code]
        grants = sum(each.valid_from <= drawing.now < each.valid_until for each in snapshot.grants(code))
        active = sum(each.active for each in systems)
        rows.append((code, len(systems), active, len(used.get(code, ())), len(contracts.get(code, ())), grants))
    table = Table.of("agencies", "registry", _COLUMNS, rows)
    # A contract that two agencies use is one: the sums of the last two columns say nothing.
    total = None if table.total is None else (*table.total[:4], None, None)
    facts = (
        Fact("agencies", len(rows), "registry"),
        Fact("systems", sum(int(row[1] or 0) for row in rows), "registry"),
        Fact("used", sum(int(row[3] or 0) for row in rows), "flows"),
        Fact("contracts", len(snapshot.contracts), "registry"),
    )
    return Section("connections", facts, (Table(table.id, table.query, table.columns, table.rows, total),))


SECTION = Provider(10, draw)
