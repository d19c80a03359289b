"""`lgsp audit search|journey|reindex|reconcile`: finding what the log holds, and comparing it with what an agency counted."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.audit import audit
from gateway.cli.base import Data, Json, load_instance
from gateway.commands.output import failures_told


class Outcome(StrEnum):
    OK = "ok"
    REFUSED = "refused"
    FAILED = "failed"
    IN_DOUBT = "in-doubt"
    QUEUED = "queued"
    REPEATED = "repeated"


class Order(StrEnum):
    NEWEST = "newest"
    OLDEST = "oldest"


@audit.command("search")
def audit_search(
    data: Data = None,
    agency: Annotated[
        str | None, typer.Option("--agency", help="Code of the agency that called, or whose doing it was.")
    ] = None,
    system: Annotated[str | None, typer.Option("--system", help="Id of its system.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Id of the system that was called.")] = None,
    contract: Annotated[str | None, typer.Option("--contract", help="Such as incident-alert/v1.")] = None,
    operation: Annotated[str | None, typer.Option("--operation", help="Name of the operation.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="How it ended.")] = None,
    failure: Annotated[
        str | None, typer.Option("--failure", help="Code of docs/errors.md, such as access.no-grant.")
    ] = None,
    grant: Annotated[str | None, typer.Option("--grant", help="The grant that allowed it, or came nearest.")] = None,
    transfer: Annotated[str | None, typer.Option("--transfer", help="Id of a transfer.")] = None,
    message: Annotated[str | None, typer.Option("--message", help="Id of a message, as its sender gave it.")] = None,
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor",
            help="Who did it, for what is no transfer: exports, changes, readings; a part that is no other's will do.",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="intent, outcome, refusal, repeat, in-doubt, or what a note is: export, …"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", help="From when it was logged: 2026-11-24 or 2026-11-24T17:30, time in Vietnam."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="Until when; a day is meant as a whole.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many entries.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Cursor `next` of the page before, with the same conditions.")
    ] = None,
    order: Annotated[Order, typer.Option("--order", help="Which come first.")] = Order.NEWEST,
    denied: Annotated[
        bool, typer.Option("--denied", help="First all that was refused, failed or is in doubt, then the rest.")
    ] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="Read the entries themselves, not the index: slow, and trusts nothing else.")
    ] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="A table with comma-separated values; that it was made is logged.")
    ] = False,
    json: Json = False,
) -> None:
    """Entries of the audit log that fit all conditions, each with its index. Goes on by itself until the limit or the end is reached."""
    from gateway.commands import audit_search as command

    conditions = {
        "agency": agency, "system": system, "provider": provider, "contract": contract, "operation": operation, "failure": failure,
        "outcome": None if outcome is None else outcome.value, "grant": grant, "transfer": transfer, "actor": actor, "kind": kind,
    }  # fmt: skip
    with failures_told(json):
        command.search(
            load_instance(data, json),
            {name: value for name, value in conditions.items() if value is not None},
            message=message,
            since=since,
            until=until,
            oldest_first=order is Order.OLDEST,
            trouble_first=denied,
            limit=limit,
            cursor=cursor,
            indexed=not raw,
            as_csv=csv,
            as_json=json,
        )


@audit.command("journey")
def audit_journey(
    id: Annotated[str, typer.Argument(help="Id of a transfer; or, with --system, of a message as its sender gave it.")],
    data: Data = None,
    system: Annotated[str | None, typer.Option("--system", help="The system that sent the message.")] = None,
    json: Json = False,
) -> None:
    """All that the gateway knows of one transfer, in order: log, queue, feed, receipt, what the vault holds; no bodies."""
    from gateway.commands import audit_search as command

    with failures_told(json):
        command.journey(load_instance(data, json), id, system, json)


@audit.command("reindex")
def audit_reindex(data: Data = None, json: Json = False) -> None:
    """Throw the search's index away and make it anew from the log. The gateway may run meanwhile."""
    from gateway.commands import audit_search as command

    with failures_told(json):
        command.reindex(load_instance(data, json), json)


@audit.command("reconcile")
def audit_reconcile(
    file: Annotated[Path, typer.Argument(help="What the agency counted: CSV, or JSON as in openapi/audit.yaml.")],
    agency: Annotated[str, typer.Option("--agency", help="Code of the agency.")],
    data: Data = None,
    day: Annotated[
        str | None,
        typer.Option("--day", help="The day in Vietnam, such as 2026-11-24; may be left out where the file names it."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare an agency's own counts of a day with the log: its numbers in, differences out. That it was done is logged."""
    from gateway.commands import audit_reconcile as command

    with failures_told(json):
        command.reconcile(load_instance(data, json), file, agency, day, json)
