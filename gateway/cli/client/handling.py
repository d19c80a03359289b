"""`lgsp client handling list|show`: how the messages are handled that a system's agency sent or handles."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common import casework
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer(no_args_is_help=True, help="How messages of the system's agency are handled.")
_PAGE = 200


class Which(StrEnum):
    OPEN = "open"
    OVERDUE = "overdue"
    ENDED = "ended"
    ALL = "all"


View = Annotated[Which, typer.Option("--view", help="open, overdue, ended or all.")]
_Of = Annotated[
    Which | None, typer.Option("--view", help="open, overdue, ended or all; default: all with --transfer, else open.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Filtered:
    """Which handlings; all conditions hold together."""

    view: _Of = None
    contract: Annotated[str | None, typer.Option("--contract", help="Only those of this contract.")] = None
    handling_state: Annotated[str | None, typer.Option("--handling-state", help="Only those in this state.")] = None
    transfer: Annotated[
        str | None,
        typer.Option(
            "--transfer", help="Only those of the message that this transfer handed in, with each step and reason."
        ),
    ] = None


@commands.command("list")
@grouped
def client_handling_list(kit: Kit, filtered: Filtered, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Handlings of messages that the system's agency sent or handles, the nearest deadline first."""
    from gateway.client.casework import HandlingsWanted

    wanted = HandlingsWanted(
        list=filtered.view, contract=filtered.contract, state=filtered.handling_state, transfer=filtered.transfer
    )
    with kit_failures(as_json), kit.client(as_json) as client:
        found = list(islice(client.handlings(wanted, min(limit, _PAGE)), limit))
        lines = casework.listed(map(casework.handling_line, found))
        emit({"ok": True, "handlings": found}, as_json, lines)


@commands.command("show")
@grouped
def client_handling_show(
    handling: Annotated[str, typer.Argument(help="The id of the handling.")], kit: Kit, as_json: AsJson = False
) -> None:
    """One handling: its steps, its deadlines with each minute counted or skipped, and the steps to report now."""
    with kit_failures(as_json), kit.client(as_json) as client:
        told = client.handling(handling)
        emit({"ok": True, **told}, as_json, "\n".join(casework.handling_lines(told)))
