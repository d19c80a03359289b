"""`lgsp client case`: cases between agencies, by a system for its own agency."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any

import typer

from gateway.cli.client.handling import Limit, View, Which
from gateway.cli.client.kit import Kit, kit_failures
from gateway.cli.common import casework
from gateway.cli.common.options import AsJson, grouped
from gateway.cli.common.output import emit

commands = typer.Typer(no_args_is_help=True, help="Cases of which the system's agency is a party.")
Id = Annotated[str, typer.Argument(help="The case.")]
Text = Annotated[str, typer.Option("--text", help="The text; it is sealed, and the log has its digest.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Key of the act, 8 characters or more; give it again to repeat the act.")
]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Opened:
    """The case that is opened."""

    subject: Annotated[str, typer.Option("--subject", help="One line.")]
    text: Text
    to: Annotated[list[str] | None, typer.Option("--to", help="An agency that receives it; may be repeated.")] = None
    reference: Annotated[
        str | None, typer.Option("--about", help="transfer:ID, contract:NAME, feed:NAME or system:ID.")
    ] = None
    days: Annotated[int | None, typer.Option("--days", min=1, max=120, help="Working days for an answer.")] = None
    begins: Annotated[str | None, typer.Option("--begins", help="Of a notice: 2026-12-01T22:00:00+07:00.")] = None
    ends: Annotated[str | None, typer.Option("--ends", help="Of a notice: when it is over.")] = None
    urgent: Annotated[bool, typer.Option("--urgent", help="An outage that could not be announced in time.")] = False


@commands.command("list")
@grouped
def client_case_list(
    kit: Kit,
    view: View = Which.OPEN,
    kind: Annotated[str | None, typer.Option("--kind", help="Only those of this kind, such as complaint.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Cases of which the system's agency is a party, overdue ones first."""
    with kit_failures(as_json), kit.client(as_json) as client:
        found = list(islice(client.cases(view, kind), limit))
        emit({"ok": True, "cases": found}, as_json, casework.listed(map(casework.case_line, found)))


@commands.command("show")
@grouped
def client_case_show(case: Id, kit: Kit, as_json: AsJson = False) -> None:
    """One case with its steps and texts, and the steps that the agency may take now."""
    with kit_failures(as_json), kit.client(as_json) as client:
        told = client.case(case)
        lines = [*casework.case_lines(told["case"]), f"  possible / có thể: {', '.join(told['acts']) or '–'}"]
        emit({"ok": True, **told}, as_json, "\n".join(lines))


@commands.command("open")
@grouped
def client_case_open(
    kind: Annotated[str, typer.Argument(help="Such as complaint or difficulty; docs/operating.md has all.")],
    kit: Kit,
    opened: Opened,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Opens a case for the system's agency."""
    from gateway.client.casework import NewCase

    new = NewCase(
        kind=kind,
        subject=opened.subject,
        text=opened.text,
        receivers=tuple(opened.to or ()),
        reference=opened.reference,
        days=opened.days,
        begins=opened.begins,
        ends=opened.ends,
        urgent=opened.urgent,
    )
    with kit_failures(as_json), kit.client(as_json) as client:
        _told(client.open_case(new, key), as_json)


@commands.command("answer")
@grouped
def client_case_answer(
    case: Id,
    kit: Kit,
    text: Text,
    decision: Annotated[str | None, typer.Option("--decision", help="granted or refused, of a data request.")] = None,
    link: Annotated[str | None, typer.Option("--link", help="grant:ID or proposal:ID that it became.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Answers for a receiver."""
    _take(kit, case, "answer", {"text": text, "decision": decision, "link": link}, key, as_json)


@commands.command("acknowledge")
@grouped
def client_case_acknowledge(case: Id, kit: Kit, key: Key = None, as_json: AsJson = False) -> None:
    """Confirms receipt for a receiver."""
    _take(kit, case, "acknowledge", {}, key, as_json)


@commands.command("close")
@grouped
def client_case_close(case: Id, kit: Kit, text: Text = "", key: Key = None, as_json: AsJson = False) -> None:
    """Closes a case that was answered, for its sender."""
    _take(kit, case, "close", {"text": text}, key, as_json)


@commands.command("withdraw")
@grouped
def client_case_withdraw(case: Id, kit: Kit, text: Text = "", key: Key = None, as_json: AsJson = False) -> None:
    """Withdraws a case that nobody has answered, for its sender."""
    _take(kit, case, "withdraw", {"text": text}, key, as_json)


@commands.command("remind")
@grouped
def client_case_remind(case: Id, kit: Kit, key: Key = None, as_json: AsJson = False) -> None:
    """Reminds the receivers who have not answered, for its sender."""
    _take(kit, case, "remind", {}, key, as_json)


def _take(kit: Kit, case: str, act: str, reply: dict[str, Any], key: str | None, as_json: bool) -> None:
    from gateway.client.casework import CaseReply

    with kit_failures(as_json), kit.client(as_json) as client:
        _told(client.take_case_step(case, act, CaseReply(**reply), key), as_json)


def _told(state: dict[str, Any], as_json: bool) -> None:
    emit({"ok": True, **state}, as_json, f"{state['case']}: {state['state']}, due {state['due'] or '–'}")
