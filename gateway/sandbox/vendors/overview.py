"""What an operator sees of the vendors: who came, contracts, limits, last call, and what went wrong with her calls.

Invariant: the cost is bounded: so many vendors a page, and of each the newest entries by the index of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select

from contracts.base.times import rfc3339
from gateway.audit.search.facts import Logged
from gateway.audit.search.search import Query, reading, search
from gateway.console.accounts.store import listed as accounts_in
from gateway.console.accounts.store import row_of
from gateway.console.site.desk import Desk
from gateway.exchange.quotas import VendorLimits
from gateway.journal.schema import tables
from gateway.registry.records import Agency, System
from gateway.registry.tenants import POLICY, is_tenant
from gateway.sandbox.vendors.errors import SANDBOX_UNKNOWN

A_PAGE: Final = 25
FINDINGS: Final = 20  # the newest, of the last day
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A vendor. `used`: calls by period, with the limit. `joined` and `last` are Unix time.

    `findings` are refusals of her calls and failures of the last day, newest first, at most FINDINGS.
    """

    agency: Agency
    joined: float | None
    systems: tuple[System, ...]
    calls: tuple[str, ...]  # contracts that she may call
    answers: tuple[str, ...]  # contracts that she provides
    used: Mapping[str, tuple[int, int]]
    last: float | None
    findings: tuple[Logged, ...]

    def shown(self) -> dict[str, Any]:
        """As programs get it."""
        return {
            "vendor": self.agency.code,
            "name": {"vi": self.agency.name.vi, "en": self.agency.name.en},
            "contact": self.agency.contacts[0].email if self.agency.contacts else "",
            "state": self.agency.state,
            "joined": None if self.joined is None else rfc3339(self.joined),
            "systems": [each.id for each in self.systems],
            "calls": list(self.calls),
            "provides": list(self.answers),
            "used": {per: {"used": used, "most": most} for per, (used, most) in self.used.items()},
            "last": None if self.last is None else rfc3339(self.last),
            "findings": len(self.findings),
        }


def vendors(desk: Desk, after: str = "") -> tuple[list[Seen], str]:
    """A page of vendors by code, and the code after which the next page begins; empty at the end."""
    known = sorted(each for each in desk.services.registry.snapshot.agencies if is_tenant(each) and each > after)
    codes = known[:A_PAGE]
    return _seen(desk, codes), codes[-1] if len(known) > A_PAGE else ""


def vendor(desk: Desk, code: str) -> Seen:
    """Raises `sandbox.unknown`."""
    if not is_tenant(code) or code not in desk.services.registry.snapshot.agencies:
        raise SANDBOX_UNKNOWN(agency=code[:60])
    return _seen(desk, [code])[0]


def _seen(desk: Desk, codes: list[str]) -> list[Seen]:
    snapshot, now = desk.services.registry.snapshot, desk.now()
    joined, used = _joined(desk, set(codes)), _used(desk, codes)
    found: list[Seen] = []
    with reading(desk.services.engine) as connection:
        for code in codes:
            grants = snapshot.grants(code)
            newest = search(connection, Query(agency=code, role="caller"), limit=1).hits
            findings = Query(agency=code, role="caller", trouble=True, since=now - _DAY)
            found.append(
                Seen(
                    agency=snapshot.agencies[code],
                    joined=joined.get(code),
                    systems=tuple(each for _, each in sorted(snapshot.systems.items()) if each.agency == code),
                    calls=tuple(sorted({each.contract for each in grants if not each.receives})),
                    answers=tuple(sorted({each.contract for each in grants if each.receives})),
                    used=used[code],
                    last=newest[0].sequenced if newest else None,
                    findings=tuple(search(connection, findings, limit=FINDINGS).hits),
                )
            )
    return found


def _joined(desk: Desk, codes: set[str]) -> dict[str, float]:
    """When each came: with her first account."""
    times: dict[str, float] = {}
    with desk.accounts() as rows:
        for each in accounts_in(rows):
            if each.agency in codes:
                made = float(row_of(rows, each.id).created)
                times[each.agency] = min(made, times.get(each.agency, made))
    return times


def _used(desk: Desk, codes: list[str]) -> dict[str, dict[str, tuple[int, int]]]:
    settings, table = desk.services.settings, tables.quota_use.c
    limits = VendorLimits.of(settings)
    with desk.reading() as connection:
        rows = connection.execute(
            select(table.agency, table.per, table.begins, table.used).where(
                table.grant_id == POLICY, table.agency.in_(codes)
            )
        )
        counts = {(row.agency, row.per, int(row.begins)): int(row.used) for row in rows}
    return {
        code: {
            use.per: (counts.get((code, use.per, int(use.begins)), 0), use.limit)
            for use in limits.uses(code, desk.now())
        }
        for code in codes
    }
