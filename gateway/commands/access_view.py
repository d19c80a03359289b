"""`lgsp access explain` and `lgsp access matrix`: what the grants come to."""

from __future__ import annotations

import time
from typing import Any

from gateway.commands.output import Exit, emit, fail
from gateway.commands.registry import current
from gateway.registry.snapshot import Snapshot
from gateway.settings import Settings
from security.grants import Decision


def explain(settings: Settings, agency: str, contract: str, operation: str, as_json: bool) -> None:
    snapshot, now = current(settings), time.time()
    decision = _decide(snapshot, agency, contract, operation, now, as_json)
    result: dict[str, Any] = {
        "ok": decision.allowed,
        "reason": decision.reason,
        "agency": agency,
        "contract": contract,
        "operation": operation,
    }
    if decision.grant is not None:
        grant = decision.grant
        result |= {"grant": grant.id, "fields": list(decision.views), "purpose": grant.purpose, "legal_basis": grant.legal_basis}
        text = f"allowed by grant {grant.id} ({grant.purpose}; {grant.legal_basis}); fields: {', '.join(map(' '.join, decision.views))}"
    else:
        why = snapshot.refusal(decision, agency, snapshot.contracts[contract].contract, operation, now)
        result |= {
            "nearest": decision.nearest.id if decision.nearest is not None else None,
            "messages": {"vi": why.what("vi"), "en": why.what("en")},
        }
        text = f"denied ({decision.reason}): {why.what('en')} / {why.what('vi')}"
    emit(result, as_json, text)


def matrix(settings: Settings, as_json: bool) -> None:
    snapshot, now = current(settings), time.time()
    rows: list[dict[str, Any]] = []
    for code in sorted(snapshot.agencies):
        for name, compiled in sorted(snapshot.contracts.items()):
            for operation in (*compiled.contract.operations, "feed"):
                decision = _decide(snapshot, code, name, operation, now, as_json)
                rows.append(
                    {
                        "agency": code,
                        "contract": name,
                        "operation": operation,
                        "allowed": decision.allowed,
                        "reason": decision.reason,
                        "fields": [list(view) for view in decision.views],
                    }
                )
    lines = [
        f"{row['agency']:<10} {row['contract']:<20} {row['operation']:<16} {'yes' if row['allowed'] else 'no  ' + row['reason']}"
        for row in rows
    ]
    emit({"ok": True, "matrix": rows}, as_json, "\n".join(lines))


def _decide(snapshot: Snapshot, agency: str, contract: str, operation: str, now: float, as_json: bool) -> Decision:
    if agency not in snapshot.agencies or contract not in snapshot.contracts:
        missing = f"agency {agency}" if agency not in snapshot.agencies else f"contract {contract}"
        fail(Exit.USAGE, "unknown", f"there is no {missing}", "See `lgsp registry show`; a contract's name is like indicator/v1.", as_json)
    return snapshot.decide(agency, contract, operation, now)
