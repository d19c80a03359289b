"""`lgsp registry` and `lgsp access`: who is known, and who may what."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from gateway.commands.output import Exit, emit, fail
from gateway.exchange import entries
from gateway.journal.append import append
from gateway.journal.database import open_engine, writing
from gateway.registry import store, versions
from gateway.registry.document import parse
from gateway.registry.records import NEWEST
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.settings import Settings
from security.grants import Decision, Request, refusal


def _snapshot(settings: Settings) -> Snapshot:
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        return load_snapshot(connection)


def apply(settings: Settings, file: Path, as_json: bool) -> None:
    if not file.is_file():
        fail(
            Exit.USAGE, "no-file", f"there is no file {file}", "Name a registry document; docs/operating.md tells what one holds.", as_json
        )
    snapshot = _snapshot(settings)
    endpoints = {each.id: each.endpoint.url for each in snapshot.systems.values() if each.endpoint is not None}
    now = time.time()
    engine = open_engine(settings.database_url)
    with writing(engine) as connection:
        document = parse(file.read_bytes(), snapshot.contracts, endpoints, partial(versions.compiled, connection))
        changes = store.apply(document, connection, now)
        listed = [{"what": each.what, "id": each.id, "how": each.how, "fields": list(each.fields)} for each in changes]
        if changes:
            append(connection, [entries.note("registry", {"changes": listed}, now, actor="command line")])
    lines = [f"{each.what} {each.id}: {each.how} {', '.join(each.fields)}".rstrip() for each in changes]
    emit({"ok": True, "changes": listed}, as_json, "\n".join(lines) or "nothing to change")


def show(settings: Settings, as_json: bool) -> None:
    snapshot = _snapshot(settings)
    agencies = [
        {"code": each.code, "name": each.name.vi, "level": each.level, "roles": list(each.roles), "state": each.state}
        for each in snapshot.agencies.values()
    ]
    systems = [
        {
            "id": each.id,
            "agency": each.agency,
            "title": each.title.vi,
            "formats": dict(each.formats),
            "versions": dict(each.versions),
            "endpoint": each.endpoint.url if each.endpoint is not None else None,
            "state": each.state,
            "keys": sorted(key.key_id for key in snapshot.keys.values() if key.system == each.id),
        }
        for each in snapshot.systems.values()
    ]
    lines = [f"{each['code']:<10} {each['state']:<10} {each['name']}" for each in agencies]
    lines += [
        f"{each['id']:<12} {each['agency']:<10} {each['state']:<10} {each['title']}  {each['endpoint'] or ''}{_spoken(each)}".rstrip()
        for each in systems
    ]
    emit({"ok": True, "revision": snapshot.revision, "agencies": agencies, "systems": systems}, as_json, "\n".join(lines))


def _spoken(system: dict[str, Any]) -> str:
    """What a system speaks of each contract: its format and the minor version that it is pinned to."""
    return "".join(f"  [{name}: {form} {system['versions'].get(name, NEWEST)}]" for name, form in system["formats"].items())


def explain(settings: Settings, agency: str, contract: str, operation: str, as_json: bool) -> None:
    snapshot = _snapshot(settings)
    decision, request = _decide(snapshot, agency, contract, operation, as_json)
    result: dict[str, Any] = {
        "ok": decision.allowed,
        "reason": decision.reason,
        "agency": agency,
        "contract": contract,
        "operation": operation,
    }
    if decision.grant is not None:
        grant = decision.grant
        result |= {"grant": grant.id, "fields": list(decision.fields), "purpose": grant.purpose, "legal_basis": grant.legal_basis}
        text = f"allowed by grant {grant.id} ({grant.purpose}; {grant.legal_basis}); fields: {', '.join(decision.fields)}"
    else:
        why = refusal(decision, request, "—")
        result |= {
            "nearest": decision.nearest.id if decision.nearest is not None else None,
            "messages": {"vi": why.what("vi"), "en": why.what("en")},
        }
        text = f"denied ({decision.reason}): {why.what('en')} / {why.what('vi')}"
    emit(result, as_json, text)


def matrix(settings: Settings, as_json: bool) -> None:
    snapshot = _snapshot(settings)
    rows: list[dict[str, Any]] = []
    for code in sorted(snapshot.agencies):
        for name, compiled in sorted(snapshot.contracts.items()):
            for operation in (*compiled.contract.operations, "feed"):
                decision, _ = _decide(snapshot, code, name, operation, as_json)
                rows.append(
                    {
                        "agency": code,
                        "contract": name,
                        "operation": operation,
                        "allowed": decision.allowed,
                        "reason": decision.reason,
                        "fields": list(decision.fields),
                    }
                )
    lines = [
        f"{row['agency']:<10} {row['contract']:<20} {row['operation']:<16} {'yes ' + ' '.join(row['fields']) if row['allowed'] else 'no  ' + row['reason']}"
        for row in rows
    ]
    emit({"ok": True, "matrix": rows}, as_json, "\n".join(lines))


def _decide(snapshot: Snapshot, agency: str, contract: str, operation: str, as_json: bool) -> tuple[Decision, Request]:
    known = snapshot.agencies.get(agency)
    if known is None or contract not in snapshot.contracts:
        missing = f"agency {agency}" if known is None else f"contract {contract}"
        fail(Exit.USAGE, "unknown", f"there is no {missing}", "See `lgsp registry show`; a contract's name is like indicator/v1.", as_json)
    request = Request(agency, frozenset(known.roles), contract, operation)
    return snapshot.decide(agency, contract, operation, time.time()), request
