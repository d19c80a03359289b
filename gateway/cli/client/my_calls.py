"""`lgsp client my-calls`: a vendor's own calls, as the page `/sandbox/calls` has them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.base.words import Words
from gateway.cli.client.kit import kit_failures
from gateway.cli.common.language import spoken
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Conditions:
    """Which calls are listed; all conditions hold together."""

    contract: Annotated[str | None, typer.Option("--contract", help="Such as incident-alert/v1.")] = None
    outcome: Annotated[
        str | None, typer.Option("--outcome", help="ok, refused, failed, in-doubt, queued or repeated.")
    ] = None
    failure: Annotated[str | None, typer.Option("--failure", help="Code of the failure that ended them.")] = None
    cursor: Annotated[str | None, typer.Option("--cursor", help="The next page, as the page before names it.")] = None


@commands.command("my-calls")
@grouped
def client_my_calls(
    conditions: Conditions,
    identity: Annotated[Path, typer.Option("--identity", help="The folder that `lgsp client join` made.")],
    call: Annotated[str | None, typer.Argument(help="Show this call alone, with what was checked.")] = None,
    base: Annotated[
        Path | None, typer.Option("--base", help="A file with your own signature base, to compare with the gateway's.")
    ] = None,
    anchors: Annotated[
        Path | None, typer.Option("--anchors", help="Authorities (PEM) of the pages' TLS certificate.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """A vendor's own calls in a sandbox: what was checked, why one was refused, what to change."""
    from gateway.client.identities import tenant_calls

    async def ask() -> dict[str, Any]:
        async with tenant_calls.opened(identity, anchors) as sandbox:
            if call is None:
                given = {name: text for name, text in vars(conditions).items() if text}
                return await sandbox.calls(given)
            if base is not None:
                return await sandbox.compare(call, base.read_bytes())
            return await sandbox.call(call)

    with kit_failures(as_json):
        told = asyncio.run(ask())
    lines = _listed(told) if call is None else _compared(told) if base is not None else _shown(told)
    emit({"ok": True, **told}, as_json, "\n".join(lines))


def _listed(told: Mapping[str, Any]) -> list[str]:
    from security.grants.windows import civil

    lines = [
        f"{each['id']}  {civil(each['at'])}  {each['outcome'] or '–':<9}  {each['contract'] or '–'}"
        f" {each['operation'] or '–'}  {each['code'] or ''}".rstrip()
        for each in told["calls"]
    ]
    return [*(lines or ["no calls"]), *([f"--cursor {told['next']}"] if told["next"] else [])]


def _shown(told: Mapping[str, Any]) -> list[str]:
    from security.grants.windows import civil

    lines = [f"{told['call']}  {civil(told['at'])}  {told['contract'] or '–'} {told['operation'] or '–'}"]
    lines += [f"  {each['state']:<11}  {each['check']}" for each in told["checks"]]
    refusal = told["refusal"]
    if refusal is not None:
        told_in = refusal["messages"]
        lines.append(refusal["code"])
        for part in ("detail", "next"):
            lines += spoken(Words(*(told_in[each][part] or "–" for each in ("vi", "en"))), "  ")
        for each in refusal["findings"]:
            place = each["here"] or each["canonical"] or "–"
            lines.append(f"    {place}: {each['rule']}, {each['expected']} ≠ {each['got']}")
    if told["signatureBase"]:
        lines += ["", told["signatureBase"]]
    return lines


def _compared(told: Mapping[str, Any]) -> list[str]:
    if told["equal"]:
        return [f"equal: {told['sizes'][0]} bytes"]
    place = f"byte {told['offset']}, line {told['line']}, column {told['column']}"
    return [place, f"  gateway  {told['ours']}", f"  yours    {told['hers']}"]
