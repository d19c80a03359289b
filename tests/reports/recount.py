"""The totals of a report by SQL alone: nothing of `gateway.reports` is used."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

# Midnight of 1 September and 1 October 2026 in Vietnam, as the first digits of a UUIDv7.
LOW, HIGH = (f"{ms:012x}" for ms in (1_788_195_600_000, 1_790_787_600_000))
LOW, HIGH = (f"{each[:8]}-{each[8:]}" for each in (LOW, HIGH))

_LOGS: Final = """
    WITH entries AS (
        SELECT transfer, phase, {value} AS value FROM past_entry WHERE transfer >= :low AND transfer < :high
        UNION ALL
        SELECT transfer, phase, {value} AS value FROM log_entry
        WHERE transfer >= :low AND transfer < :high AND idx < (SELECT max(size) FROM checkpoint)
    ),
    intents AS (SELECT transfer, value FROM entries WHERE phase = 'intent'),
    ends AS (SELECT transfer, value FROM entries WHERE phase = 'outcome'),
    doubts AS (SELECT DISTINCT transfer FROM entries WHERE phase LIKE 'in-doubt%')
"""


class Recount:
    def __init__(self, connection: Connection) -> None:
        self.connection: Final = connection
        self.postgres: Final = connection.dialect.name == "postgresql"

    def of(self, path: str, value: str = "value") -> str:
        """A member of the JSON of an entry."""
        if self.postgres:
            return f"({value} #>> '{{{path.replace('.', ',')}}}')"
        return f"json_extract({value}, '$.{path}')"

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        value = "convert_from(entry, 'UTF8')::json" if self.postgres else "CAST(entry AS TEXT)"
        asked = text(_LOGS.format(value=value) + query)
        return [tuple(row) for row in self.connection.execute(asked, {"low": LOW, "high": HIGH})]

    def contracts(self) -> dict[str, tuple[int, int, int, int]]:
        """By contract: done, failed, in doubt, open."""
        contract, failure = self.of("contract", "i.value"), self.of("failure", "e.value")
        rows = self.rows(f"""
            SELECT {contract},
                sum(CASE WHEN e.transfer IS NOT NULL AND {failure} IS NULL THEN 1 ELSE 0 END),
                sum(CASE WHEN {failure} IS NOT NULL THEN 1 ELSE 0 END),
                sum(CASE WHEN e.transfer IS NULL AND d.transfer IS NOT NULL THEN 1 ELSE 0 END),
                sum(CASE WHEN e.transfer IS NULL AND d.transfer IS NULL THEN 1 ELSE 0 END)
            FROM intents i LEFT JOIN ends e ON e.transfer = i.transfer LEFT JOIN doubts d ON d.transfer = i.transfer
            GROUP BY 1
        """)
        return {row[0]: row[1:] for row in rows}

    def called(self, code: bool) -> dict[Any, int]:
        """Ended transfers of the called systems: those that failed by system and code, or all that are done by the
        pairs of agencies and the contract."""
        system, failure = self.of("provider", "i.value"), self.of("failure", "e.value")
        if code:
            rows = self.rows(f"""
                SELECT {system}, {failure}, count(*) FROM intents i JOIN ends e ON e.transfer = i.transfer
                WHERE {failure} IS NOT NULL AND {system} IS NOT NULL GROUP BY 1, 2
            """)
            return {row[:2]: row[2] for row in rows}
        names = [self.of(each, "i.value") for each in ("caller.agency", "provider_agency", "contract")]
        rows = self.rows(f"""
            SELECT {", ".join(names)}, t.pattern, count(*) FROM intents i JOIN ends e ON e.transfer = i.transfer
            JOIN transfer t ON t.id = i.transfer WHERE {failure} IS NULL GROUP BY 1, 2, 3, 4
        """)
        return {row[:4]: row[4] for row in rows}

    def refusals(self) -> dict[tuple[str, str], int]:
        """By error code and agency; empty for a caller that proved nothing."""
        code, agency, count = self.of("failure"), self.of("caller.agency"), self.of("count")
        rows = self.rows(f"""
            SELECT {code}, coalesce({agency}, ''), sum(CAST(coalesce({count}, '1') AS INTEGER))
            FROM entries WHERE phase = 'refusal' GROUP BY 1, 2
        """)
        return {row[:2]: row[2] for row in rows}

    def kinds(self) -> dict[str, int]:
        """Entries by kind."""
        number = "position('#' in phase)" if self.postgres else "instr(phase, '#')"
        kind = f"CASE WHEN {number} > 0 THEN substr(phase, 1, {number} - 1) ELSE phase END"
        return dict(self.rows(f"SELECT {kind}, count(*) FROM entries GROUP BY 1"))

    def reads(self) -> dict[str, int]:
        """Events that were read, by `agency/system`."""
        actor, events = self.of("actor"), self.of("facts.events")
        rows = self.rows(
            f"SELECT {actor}, sum(CAST({events} AS INTEGER)) FROM entries WHERE phase = 'feed-read' GROUP BY 1"
        )
        return dict(rows)
