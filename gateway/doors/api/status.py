"""Serves `/api/status` and the data of the status page.

Invariant: names, codes and counts only; no body, no message id, no address of a caller.
Invariant: nobody who did not sign in learns who was refused. The page shows him no names of systems either.
Invariant: no vendor of a sandbox is in the answer: nobody but the vendor and the operators learns that it is there.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, func, select

from contracts.base.errors import TYPES
from contracts.base.times import rfc3339
from gateway.audit.witnessing.config import witness_states
from gateway.doors.api.services import ApiRequest, DeskServices, Handler
from gateway.doors.health import Vitals
from gateway.doors.reply import Reply
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import is_tenant

RECENT: Final = 20
_OF_CALLERS: Final = ("caller", "contract", "operation")
_LOOK_BACK: Final = 5000  # entries of the log that are searched, so the cost does not grow with the log


def handlers(vitals: Vitals) -> dict[str, Handler]:
    async def read_status(services: DeskServices, request: ApiRequest) -> Reply:
        status = await gather(services, vitals, request.snapshot)
        return Reply(200, {"content-type": "application/json"}, json.dumps(status, ensure_ascii=False).encode())

    return {"readStatus": read_status}


async def gather(services: DeskServices, vitals: Vitals, snapshot: Snapshot) -> dict[str, Any]:
    return await asyncio.to_thread(gather_now, services, vitals, snapshot)


def gather_now(services: DeskServices, vitals: Vitals, snapshot: Snapshot) -> dict[str, Any]:
    """Reads the database, so it runs in a thread."""
    counts, settings = vitals.counts_now(), services.settings
    return {
        **pulse_now(services, vitals, snapshot),
        "transfers": dict(counts.transfers),
        "queue": dict(counts.queue),
        "unconfirmed": unconfirmed(snapshot, services.clock()),
        "refusals": [
            {name: value for name, value in each.items() if name not in _OF_CALLERS}
            for each in recent_refusals(services.engine)
        ],
        "contracts": [
            {
                "name": name,
                "version": contract.contract.version,
                "title": {"vi": contract.contract.title.vi, "en": contract.contract.title.en},
                "digest": contract.digest,
                "operations": sorted(contract.contract.operations),
            }
            for name, contract in sorted(snapshot.contracts.items())
        ],
        "base": settings.base,
    }


def pulse_now(services: DeskServices, vitals: Vitals, snapshot: Snapshot) -> dict[str, Any]:
    """The part of it that costs the same in every database. It reads that too."""
    counts, settings = vitals.pulse_now(), services.settings
    ready = snapshot.readiness(services.clock())
    return {
        "ok": counts.keepers > 0,
        "name": settings.name,
        "kind": settings.kind,
        "revision": snapshot.revision,
        "systems": [
            {
                "id": system.id,
                "agency": system.agency,
                "agencyName": {"vi": agency.name.vi, "en": agency.name.en} if agency is not None else None,
                "title": {"vi": system.title.vi, "en": system.title.en},
                "active": system.active,
                "ready": ready[system.id],
                "endpoint": None if system.kind is None else system.kind.name,
                "formats": dict(system.formats),
            }
            for system in snapshot.systems.values()
            if not is_tenant(system.agency)
            for agency in [snapshot.agency(system.agency)]
        ],
        "log": {
            "size": counts.log_size,
            "pending": counts.log_pending,
            "origin": settings.origin,
            "checkpoint": services.newest_checkpoint.note(),
            "age": round(counts.checkpoint_age, 1) if counts.checkpoint_age is not None else None,
        },
        "vouchers": _witness_states(services),
    }


def unconfirmed(snapshot: Snapshot, now: float) -> list[dict[str, Any]]:
    """The adopted grants that two officers did not confirm yet. They are of agencies, not of roles."""
    return [
        {
            "grant": grant.id,
            "agency": code,
            "contract": grant.contract,
            "until": rfc3339(grant.confirm_until),
            "state": "waiting" if not grant.overdue(now) else "suspended" if grant.personal else "overdue",
        }
        for code in sorted(snapshot.agencies)
        if not is_tenant(code)
        for grant in snapshot.grants(code)
        if grant.adopted and not grant.confirmed and now < grant.valid_until
    ]


def _witness_states(services: DeskServices) -> list[dict[str, Any]]:
    with services.engine.connect() as connection:
        return witness_states(connection, services.settings, services.clock())


def recent_refusals(engine: Engine) -> list[dict[str, Any]]:
    """The newest refusals in the log, newest first, with their callers. Runs in a thread."""
    with engine.connect() as connection:
        return [_shown(json.loads(raw)) for raw in _entries(connection)]


def _entries(connection: Connection) -> list[bytes]:
    table = tables.log_entry
    size = connection.execute(select(func.max(table.c.idx))).scalar() or 0
    rows = connection.execute(
        select(table.c.entry)
        .where(table.c.idx > size - _LOOK_BACK, table.c.phase == "refusal")
        .order_by(table.c.idx.desc())
        .limit(RECENT)
    )
    return [bytes(row.entry) for row in rows]


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    caller = entry.get("caller") or {}
    error = TYPES.get(entry["failure"])
    return {
        "at": entry["at"],
        "failure": entry["failure"],
        "title": {"vi": error.title.vi, "en": error.title.en} if error is not None else None,
        "status": entry["status"],
        "door": entry["door"],
        "caller": f"{caller['agency']}/{caller['system']}" if caller else None,
        "contract": entry.get("contract"),
        "operation": entry.get("operation"),
        "count": entry.get("count", 1),
    }
