"""`lgsp access explain|matrix`: what the grants come to, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from contracts.base.times import rfc3339
from contracts.base.words import Words, WordsFile
from gateway.cli.common import arguments, name_checks
from gateway.cli.common.language import spoken
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

if TYPE_CHECKING:
    from contracts.base.errors import Failure
    from gateway.registry.changes.matrix import Cell
    from gateway.registry.snapshot import Snapshot
    from security.grants.grants import Grant
    from security.grants.windows import Quota

commands = typer.Typer()
words: Final = WordsFile(__file__)
At = Annotated[str | None, typer.Option("--at", help="At another moment than now (2026-12-01T17:30, time in Vietnam).")]


@commands.command("explain")
def access_explain(
    agency: str, contract: str, operation: str, at: At = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Why an agency may, or may not, call an operation: which grant, the fields it sees, hours, what is left of the
    quota, and whom to ask."""
    from gateway.exchange.quotas import GrantQuery, refused, used
    from gateway.journal.database import open_engine
    from gateway.registry.changes.matrix import cell, operations
    from gateway.registry.snapshot import load_snapshot
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    now = time.time() if at is None else arguments.moment(at, as_json)
    with open_engine(settings.database_url).connect() as connection:
        snapshot = load_snapshot(connection)
        compiled = snapshot.contracts.get(contract)
        if agency not in snapshot.agencies:
            name_checks.refuse("agency", agency, snapshot.agencies, as_json)
        if compiled is None:
            name_checks.refuse("contract", contract, snapshot.contracts, as_json)
        if operation not in operations(compiled):
            name_checks.refuse("operation", operation, operations(compiled), as_json)
        whole = snapshot.decide(agency, contract, operation, now)
        nearest = (whole.nearest,) if whole.nearest is not None else ()
        counts = [
            (each, each.quota, used(connection, each, agency, now))
            for each in (*whole.limited, *nearest)
            if each.quota is not None
        ]
    used_up = {each.id for each, quota, count in counts if count >= quota.calls}
    decided = cell(snapshot, agency, compiled, operation, now, used_up=used_up)
    grant = decided.decision.grant or decided.decision.nearest
    allowed = whole.without(used_up) is not None
    ask = snapshot.owner_of(compiled.contract)
    result = _row(decided) | {
        "ok": allowed,
        "allowed": allowed,
        "at": rfc3339(now),
        "ask": {"vi": ask.vi, "en": ask.en},
    }
    facts = {"agency": agency, "contract": contract, "operation": operation, "at": civil(now)}
    lines = spoken(words("allowed" if allowed else "denied", **facts))
    if allowed:
        suspended = [each for each in snapshot.systems.values() if each.agency == agency and not each.active]
        for each in suspended:
            lines += spoken(words("but", system=each.name, why=_said(snapshot.suspension(each))))
        result["suspended"] = [each.id for each in suspended]
    else:
        asked = GrantQuery(snapshot, agency, compiled.contract, operation, now)
        why = refused(asked) if whole.allowed else snapshot.refusal(whole, agency, compiled.contract, operation, now)
        result["reason"] = why.code.removeprefix("access.")
        result["messages"] = {
            each: {"title": why.title(each), "detail": why.what(each), "next": why.next(each)} for each in ("vi", "en")
        }
        title, then = (Words(of("vi"), of("en")) for of in (why.title, why.next))
        lines += [*spoken(words("why", title=title, what=_said(why))), *spoken(words("next", next=then))]
    if grant is not None:
        limits, limit_lines = _limits(grant, now)
        result |= limits
        lines += limit_lines
    if counts:
        quotas = {each.id: _quota(quota, count, now) for each, quota, count in counts}
        result |= {"quotas": quotas, "quota": quotas.get(grant.id if grant is not None else "")}
        for each, quota, _ in counts:
            known = {"quota": quota, "grant": each.id, "until": civil(quotas[each.id]["until"])}
            left = quotas[each.id]["left"]
            lines += spoken(
                words("quota.none", **known) if each.id in used_up else words("quota.left", left=left, **known)
            )
    if result["also"]:
        lines += spoken(words("also", grants=", ".join(result["also"])))
    for message, fields in decided.seen:
        for path, shown in fields:
            lines += spoken(words("sees" if shown else "hides", message=message, path=path))
    lines += spoken(words("ask", who=ask))
    emit(result, as_json, "\n".join(lines))


@commands.command("matrix")
def access_matrix(at: At = None, data: Data = None, as_json: AsJson = False) -> None:
    """Agency × contract × operation × field: who may what."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes.matrix import matrix, text
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    now = time.time() if at is None else arguments.moment(at, as_json)
    with open_engine(settings.database_url).connect() as connection:
        snapshot: Snapshot = load_snapshot(connection)
    cells = list(matrix(snapshot, now))
    emit({"ok": True, "at": rfc3339(now), "matrix": [_row(each) for each in cells]}, as_json, text(cells).rstrip("\n"))


def _said(failure: Failure) -> Words:
    return Words(failure.what("vi"), failure.what("en"))


def _row(shown_cell: Cell) -> dict[str, Any]:
    decision = shown_cell.decision
    return {
        "agency": shown_cell.agency,
        "contract": shown_cell.contract,
        "operation": shown_cell.operation,
        "allowed": decision.allowed,
        "reason": decision.reason,
        "grant": decision.grant.id if decision.grant is not None else None,
        "also": [each.id for each in decision.through[1:]],
        "nearest": decision.nearest.id if decision.nearest is not None else None,
        "visible": [f"{message}: {path}" for message, fields in shown_cell.seen for path, shown in fields if shown],
        "hidden": [f"{message}: {path}" for message, fields in shown_cell.seen for path, shown in fields if not shown],
    }


def _limits(grant: Grant, now: float) -> tuple[dict[str, Any], list[str]]:
    """Who the grant is for and what bounds it, for programs and for people."""
    from security.grants.windows import civil

    holder = grant.agency or f"role {grant.role}"
    named = Words(grant.agency, grant.agency) if grant.agency else words("role", role=grant.role)
    limits: dict[str, Any] = {
        "purpose": grant.purpose,
        "legal_basis": grant.legal_basis,
        "holder": holder,
        "approved_by": list(grant.approved_by),
        "valid_from": rfc3339(grant.valid_from),
        "valid_until": rfc3339(grant.valid_until),
    }
    by = words("by.grant", grant=grant.id, holder=named, purpose=grant.purpose, basis=grant.legal_basis)
    since, until = civil(grant.valid_from), civil(grant.valid_until)
    signers = ", ".join(grant.approved_by) or "–"
    lines = [*spoken(by), *spoken(words("valid", since=since, until=until, signers=signers))]
    if grant.hours is not None:
        limits["hours"] = {
            "window": str(grant.hours),
            "open": grant.hours.holds(now),
            "opens": rfc3339(grant.hours.next_open(now)),
        }
        opens = civil(grant.hours.next_open(now))
        lines += spoken(
            words("hours.open", hours=grant.hours)
            if grant.hours.holds(now)
            else words("hours.closed", hours=grant.hours, opens=opens)
        )
    return limits, lines


def _quota(quota: Quota, counted: int, now: float) -> dict[str, Any]:
    left = max(0, quota.calls - counted)
    return {
        "calls": quota.calls,
        "per": quota.per,
        "used": counted,
        "left": left,
        "until": rfc3339(quota.window(now).ends),
    }
