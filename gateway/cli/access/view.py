"""`lgsp access explain|matrix`: what the grants come to, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from contracts.base.times import rfc3339
from contracts.base.words import Words, WordsFile
from gateway.cli.access import past
from gateway.cli.common import arguments, name_checks
from gateway.cli.common.language import spoken
from gateway.cli.common.options import AsJson, At, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from contracts.base.errors import Failure
    from gateway.exchange.explaining import Receiver
    from gateway.registry.changes.matrix import Cell
    from gateway.registry.snapshot import Snapshot
    from security.grants.grants import Grant
    from security.grants.windows import Quota

commands = typer.Typer()

Personal = Annotated[bool, typer.Option("--personal", help="Of personal fields alone.")]
PERSONAL: Final = {"basic": "personal / cá nhân", "sensitive": "sensitive / nhạy cảm"}
words: Final = WordsFile(__file__)


@commands.command("explain")
def access_explain(
    agency: Annotated[str | None, typer.Argument()] = None,
    contract: Annotated[str | None, typer.Argument()] = None,
    operation: Annotated[str | None, typer.Argument()] = None,
    at: At = None,
    transfer: Annotated[
        str | None,
        typer.Option("--transfer", help="Judge this transfer, accepted or refused, by the registry that decided it."),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Why an agency may, or may not, call an operation: which grant, the fields it sees, hours, what is left of the
    quota, and whom to ask."""
    from gateway.exchange.explaining import explain
    from gateway.journal.database import open_engine
    from gateway.registry.changes.matrix import operations
    from gateway.registry.judging import standing_at
    from gateway.registry.snapshot import load_snapshot
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    engine = open_engine(settings.database_url)
    judged = None
    if transfer is not None and (at, agency) == (None, None):
        judged = past.judged_of(engine, arguments.transfer_id(transfer, as_json), as_json)
        agency, contract, operation = judged.agency, judged.contract, judged.operation
    if agency is None or contract is None or operation is None or transfer is not None and judged is None:
        what = (
            "name an agency, a contract and an operation, or a transfer alone"
            " / nêu cơ quan, hợp đồng, thao tác, hoặc chỉ một giao dịch"
        )
        then = (
            "Such as / Ví dụ: lgsp access explain H14.7 indicator/v1 getValue; or / hoặc:"
            " lgsp access explain --transfer ID"
        )
        fail(Exit.USAGE, "usage", what, then, as_json)
    opened = (
        past.moment(settings, at, as_json, rights=True)
        if judged is None
        else standing_at(engine, judged.at, judged.revision)
    )
    with opened as stands:
        now, snapshot = stands.at, load_snapshot(stands.registry)
        compiled = snapshot.contracts.get(contract)
        if agency not in snapshot.agencies:
            name_checks.refuse("agency", agency, snapshot.agencies, as_json)
        if compiled is None:
            name_checks.refuse("contract", contract, snapshot.contracts, as_json)
        if operation not in operations(compiled):
            name_checks.refuse("operation", operation, operations(compiled), as_json)
        told = explain(stands, snapshot, agency, compiled, operation)
    whole, allowed, grant, ask = told.decision, told.allowed, told.grant, told.ask
    result = _row(told.cell) | {
        "ok": allowed,
        "allowed": allowed,
        "at": rfc3339(now),
        "ask": {"vi": ask.vi, "en": ask.en},
        "registry": snapshot.revision,
    }
    facts = {"agency": agency, "contract": contract, "operation": operation, "at": civil(now)}
    lines = spoken(words("allowed" if allowed else "denied", **facts))
    if judged is not None:
        agrees, verdict = judged.agrees(whole, snapshot), judged.verdict(whole, snapshot)
        result |= {"transfer": judged.transfer, "logged": judged.said, "agrees": agrees, "judged": verdict}
        # The count of then may be unknown, or differ by calls that came in the same moment.
        certain = None if judged.said.get("failure") == "access.quota" and allowed and agrees else agrees
        lines = [*spoken(_right(judged.said.get("failure"), certain, facts)), *([] if certain else lines)]
        lines += [
            past.judgement_line(result | verdict),
            f"logged / nhật ký ghi: {' '.join(f'{name}={value}' for name, value in judged.said.items())}",
        ]
    if allowed:
        suspended = [each for each in snapshot.systems.values() if each.agency == agency and not each.active]
        for each in suspended:
            lines += spoken(words("but", system=each.name, why=_said(snapshot.suspension(each))))
        result["suspended"] = [each.id for each in suspended]
    elif (why := told.why) is not None:
        result["reason"] = why.code.removeprefix("access.")
        result["messages"] = {
            each: {"title": why.title(each), "detail": why.what(each), "next": why.next(each)} for each in ("vi", "en")
        }
        title, steps = (Words(of("vi"), of("en")) for of in (why.title, why.next))
        lines += [*spoken(words("why", title=title, what=_said(why))), *spoken(words("next", next=steps))]
    if grant is not None:
        limits, limit_lines = _limits(grant, now)
        result |= limits
        lines += limit_lines
    if told.counted:
        quotas = {each.grant.id: _quota(each.quota, each.calls, now) for each in told.counted}
        result |= {"quotas": quotas, "quota": quotas.get(grant.id if grant is not None else "")}
        for counted in told.counted:
            id = counted.grant.id
            known = {"quota": counted.quota, "grant": id, "until": civil(quotas[id]["until"])}
            left = quotas[id]["left"]
            lines += spoken(
                words("quota.none", **known) if id in told.used_up else words("quota.left", left=left, **known)
            )
    if told.unknown:
        result["quota_unknown"] = list(told.unknown)
        lines += spoken(words("quota.unknown", grants=", ".join(told.unknown)))
    if result["also"]:
        lines += spoken(words("also", grants=", ".join(result["also"])))
    for message, fields in told.cell.seen:
        for leaf in fields:
            mark = f" ({PERSONAL[leaf.personal]})" if leaf.personal is not None else ""
            lines += spoken(words("sees" if leaf.shown else "hides", message=message, path=leaf.path + mark))
    receivers, receiver_lines = _receivers(snapshot, contract, operation, told.receivers)
    result |= {"receivers": receivers}
    lines += [*receiver_lines, *spoken(words("ask", who=ask))]
    emit(result, as_json, "\n".join(lines))


@commands.command("matrix")
def access_matrix(
    personal: Personal = False,
    agency: Annotated[str | None, typer.Option("--agency", help="Of this agency alone.")] = None,
    contract: Annotated[
        str | None, typer.Option("--contract", help="Of this contract alone (`field-report/v1`).")
    ] = None,
    at: At = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Agency × contract × operation × field: who may what, what a route brings to whom, and who hands in files."""
    from gateway.registry.changes.matrix import MARKS, matrix, text

    snapshot, now = registry_at(data, at, as_json)
    if agency is not None and agency not in snapshot.agencies:
        name_checks.refuse("agency", agency, snapshot.agencies, as_json)
    if contract is not None and contract not in snapshot.contracts:
        name_checks.refuse("contract", contract, snapshot.contracts, as_json)
    cells = [
        each for each in matrix(snapshot, now) if agency in (None, each.agency) and contract in (None, each.contract)
    ]
    if personal:
        cells = [only for each in cells if (only := each.only(MARKS)).seen or each.dead_route]
    emit(
        {"ok": True, "at": rfc3339(now), "registry": snapshot.revision, "matrix": [_row(each) for each in cells]},
        as_json,
        text(snapshot, cells).rstrip("\n"),
    )


def registry_at(data: Path | None, at: str | None, as_json: bool) -> tuple[Snapshot, float]:
    """The registry that a review reads, and the moment that it asks about."""
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json, rights=True) as stands:
        return load_snapshot(stands.registry), stands.at


def _right(code: str | None, agrees: bool | None, facts: dict[str, Any]) -> Words:
    """Whether what the door did with a transfer was right; `agrees` None: grants do not tell. `code` None: accepted."""
    from gateway import errors

    if code is None:
        return words("right.accepted" if agrees else "wrong.accepted", **facts)
    known = errors.every().get(code)
    title = Words(known.title.say("vi", {}), known.title.say("en", {})) if known is not None else code
    other = "quota.refused" if code == "access.quota" else "other.refused"
    name = other if agrees is None else "right.refused" if agrees else "wrong.refused"
    return words(name, code=code, title=title, **facts)


def _said(failure: Failure) -> Words:
    return Words(failure.what("vi"), failure.what("en"))


def _row(shown_cell: Cell) -> dict[str, Any]:
    decision = shown_cell.decision
    fields = [(f"{message}: {leaf.path}", leaf) for message, leaves in shown_cell.seen for leaf in leaves]
    return {
        "agency": shown_cell.agency,
        "contract": shown_cell.contract,
        "operation": shown_cell.operation,
        "how": shown_cell.way,
        "systems": list(shown_cell.systems),
        "allowed": decision.allowed,
        "reason": decision.reason,
        "grant": decision.grant.id if decision.grant is not None else None,
        "also": [each.id for each in decision.through[1:]],
        "nearest": decision.nearest.id if decision.nearest is not None else None,
        "visible": [name for name, leaf in fields if leaf.shown],
        "hidden": [name for name, leaf in fields if not leaf.shown],
        "personal": {name: leaf.personal for name, leaf in fields if leaf.personal is not None},
    }


def _limits(grant: Grant, now: float) -> tuple[dict[str, Any], list[str]]:
    """Who the grant is for and what bounds it, for programs and for people."""
    from security.grants.windows import civil, first_day, last_day

    holder = grant.agency or f"role {grant.role}"
    named = Words(grant.agency, grant.agency) if grant.agency else words("role", role=grant.role)
    limits: dict[str, Any] = {
        "purpose": grant.purpose,
        "legal_basis": grant.legal_basis,
        "holder": holder,
        "approved_by": list(grant.approvers),
        "valid_from": rfc3339(grant.valid_from),
        "valid_until": rfc3339(grant.valid_until),
    }
    facts = {"grant": grant.id, "contract": grant.contract, "purpose": grant.purpose, "basis": grant.legal_basis}
    by = words("by.grant", holder=named, **facts)
    since, until = first_day(grant.valid_from), last_day(grant.valid_until)
    signers = ", ".join(grant.approvers) or "–"
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


def _receivers(
    snapshot: Snapshot, contract: str, operation: str, routed: Iterable[Receiver]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The systems that a route of the operation leads to, and whether they may receive it."""
    from gateway.registry.routing import FEED

    rows, lines = list[dict[str, Any]](), list[str]()
    if snapshot.answers_from_feed(contract, operation):
        rows.append({"system": FEED, "agency": None, "allowed": True, "grants": []})
        lines += spoken(words("from-feed"))
    for system, grants, why in routed:
        if why is not None:
            rows.append({"system": system.id, "agency": system.agency, "allowed": False, "reason": why.code})
            lines += spoken(words("received.not", system=system.name, why=_said(why)))
        else:
            rows.append({"system": system.id, "agency": system.agency, "allowed": True, "grants": list(grants)})
            lines += spoken(words("received", system=system.name, grants=", ".join(grants)))
    return rows, lines


def _quota(quota: Quota, counted: int, now: float) -> dict[str, Any]:
    left = max(0, quota.calls - counted)
    return {
        "calls": quota.calls,
        "per": quota.per,
        "used": counted,
        "left": left,
        "until": rfc3339(quota.window(now).ends),
    }
