"""`lgsp client transfers`: what a component system sent and received, and its refused requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any

import typer

from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer()
_PAGE = 100


class Role(StrEnum):
    SENDER = "sender"
    RECEIVER = "receiver"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Conditions:
    """Which transfers are listed; all conditions hold together."""

    role: Annotated[Role | None, typer.Option("--role", help="What the system is in them (default: either).")] = None
    transfer_state: Annotated[
        str | None,
        typer.Option(
            "--transfer-state", help="accepted, forwarding, queued, answered, failed, in-doubt, dead or refused."
        ),
    ] = None
    contract: Annotated[str | None, typer.Option("--contract", help="Such as incident-alert/v1.")] = None
    failure: Annotated[str | None, typer.Option("--failure", help="Code of the failure that ended them.")] = None
    since: Annotated[
        str | None, typer.Option("--since", help="Received at this time or later: 2026-11-24T07:00:00+07:00.")
    ] = None
    until: Annotated[str | None, typer.Option("--until", help="Received before this time.")] = None


@commands.command("transfers")
@grouped
def client_transfers(
    kit: Kit,
    conditions: Conditions,
    transfer: Annotated[
        str | None, typer.Argument(help="Show this transfer alone, with its tries and what was found wrong.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The system's own transfers, newest first: sent, received, refused."""
    from gateway.client.transfers import Wanted

    wanted = Wanted(
        role=conditions.role,
        state=conditions.transfer_state,
        contract=conditions.contract,
        failure=conditions.failure,
        since=conditions.since,
        until=conditions.until,
    )
    with kit_failures(as_json), kit.client(as_json) as client:
        if transfer is not None:
            shown = client.transfer(transfer)
            emit({"ok": True, **shown}, as_json, "\n".join(_details(shown)))
        found = list(islice(client.transfers(wanted, min(limit, _PAGE)), limit))
        emit({"ok": True, "transfers": found}, as_json, "\n".join(map(_line, found)) or "no transfers")


def _line(each: Mapping[str, Any]) -> str:
    from security.grants.windows import civil

    what = f"{each.get('contract', '–')} {each.get('operation', '–')}"
    parties = f"{each.get('sender', '–')} → {each.get('receiver', '–')}"
    end = each.get("failure") or each.get("status") or ""
    received = civil(each.get("received", "–"))
    return f"{each['transfer']}  {received}  {each.get('state', '–'):<10}  {what}  {parties}  {end}"


def _details(shown: Mapping[str, Any]) -> list[str]:
    from security.grants.windows import civil

    lines = [_line(shown)]
    for each in shown.get("failedTries", ()):
        lines.append(f"  try {each['try']}  {civil(each['at'])}  {each['failure']}  {each.get('reason', '')}".rstrip())
        lines += [_finding(finding) for finding in each.get("findings", ())]
    return lines + [_finding(finding) for finding in shown.get("findings", ())]


def _finding(finding: Mapping[str, str]) -> str:
    place = finding.get("here") or finding.get("canonical") or "–"
    return f"    {place}: {finding['rule']}, {finding.get('expected', '–')} ≠ {finding.get('got', '–')}"
