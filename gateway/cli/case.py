"""`lgsp case`: cases between agencies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.common import casework
from gateway.cli.common.actor import actor
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import emit

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.cases.acting import Acting, By
    from gateway.settings import Settings
    from gateway.vault.vault import Vault

commands = typer.Typer(no_args_is_help=True, help="Requests, complaints, notices and tasks between agencies.")
Id = Annotated[str, typer.Argument(help="The case.")]
For = Annotated[str, typer.Option("--agency", help="For which agency; the centre without it.")]
Text = Annotated[str, typer.Option("--text", help="The text; it is sealed, and the log has its digest.")]


@commands.command("list")
def case_list(
    agency: Annotated[str | None, typer.Option("--agency", help="Only cases of this agency.")] = None,
    view: Annotated[str, typer.Option("--view", help="open, overdue, ended or all.")] = "open",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Cases with their state and deadline, overdue ones first."""
    from gateway.cases import reading
    from gateway.cli.common.name_checks import refuse
    from gateway.journal.database import open_engine, snapshot

    settings = load_instance(data, as_json)
    if view not in reading.VIEWS:
        refuse("view", view, reading.VIEWS, as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        found = reading.listed(
            connection, _vault(settings, connection.engine), reading.Asked(agency, view), time.time()
        )
    cases = [each.shown() for each in found.cases]
    lines = casework.listed(map(casework.case_line, cases))
    emit({"ok": True, "cases": cases, "next": found.next}, as_json, lines)


@commands.command("show")
def case_show(case: Id, data: Data = None, as_json: AsJson = False) -> None:
    """One case with its steps and texts."""
    from gateway.cases import reading
    from gateway.journal.database import open_engine, snapshot

    settings = load_instance(data, as_json)
    with snapshot(open_engine(settings.database_url)) as connection:
        told = reading.one(connection, _vault(settings, connection.engine), case, None, time.time()).shown()
    emit({"ok": True, "case": told}, as_json, "\n".join(casework.case_lines(told)))


@commands.command("open")
def case_open(
    kind: Annotated[str, typer.Argument(help="Such as complaint, guidance, task; docs/operating.md has all.")],
    subject: Annotated[str, typer.Option("--subject", help="One line.")],
    text: Text,
    to: Annotated[list[str] | None, typer.Option("--to", help="An agency that receives it; may be repeated.")] = None,
    agency: For = "",
    reference: Annotated[
        str | None, typer.Option("--about", help="transfer:ID, contract:NAME, feed:NAME or system:ID.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Opens a case."""
    from gateway.cases import texts
    from gateway.cases.checks import Wanted

    acting, by = _acting(load_instance(data, as_json), agency)
    content = texts.checked(subject, text)
    case = acting.open(by, Wanted(kind=kind, content=content, receivers=tuple(to or ()), reference=reference))
    result = {"ok": True, "case": case.id, "state": case.state, "due": case.due}
    emit(result, as_json, f"{case.id}: {case.state}, due {case.due}")


@commands.command("answer")
def case_answer(
    case: Id,
    text: Text,
    decision: Annotated[str | None, typer.Option("--decision", help="granted or refused, of a data request.")] = None,
    link: Annotated[str | None, typer.Option("--link", help="grant:ID or proposal:ID that it became.")] = None,
    agency: For = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Answers for a receiver."""
    _take(case, "answer", (text, decision, link), agency, (data, as_json))


@commands.command("acknowledge")
def case_acknowledge(case: Id, agency: For = "", data: Data = None, as_json: AsJson = False) -> None:
    """Confirms receipt for a receiver."""
    _take(case, "acknowledge", ("", None, None), agency, (data, as_json))


@commands.command("close")
def case_close(case: Id, text: Text = "", agency: For = "", data: Data = None, as_json: AsJson = False) -> None:
    """Closes a case that was answered, for its sender."""
    _take(case, "close", (text, None, None), agency, (data, as_json))


@commands.command("withdraw")
def case_withdraw(case: Id, text: Text = "", agency: For = "", data: Data = None, as_json: AsJson = False) -> None:
    """Withdraws a case that nobody has answered, for its sender."""
    _take(case, "withdraw", (text, None, None), agency, (data, as_json))


@commands.command("remind")
def case_remind(case: Id, agency: For = "", data: Data = None, as_json: AsJson = False) -> None:
    """Reminds the receivers who have not answered, for its sender."""
    _take(case, "remind", ("", None, None), agency, (data, as_json))


def _take(case: str, act: str, given: tuple[str, str | None, str | None], agency: str, of: tuple[Data, bool]) -> None:
    from gateway.cases import texts
    from gateway.cases.acting import Reply

    text, decision, link = given
    acting, by = _acting(load_instance(*of), agency)
    reply = Reply(content=texts.reply(text) if text else None, decision=decision, link=link)
    after = acting.act(by, case, act, reply)
    emit({"ok": True, "case": case, "state": after.state, "due": after.due}, of[1], f"{case}: {after.state}")


def _acting(settings: Settings, agency: str) -> tuple[Acting, By]:
    from gateway.cases.acting import Acting, By
    from gateway.journal.database import open_engine
    from gateway.registry.snapshot import load_snapshot

    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        snapshot = load_snapshot(connection)
    centre = snapshot.centre()
    acting = Acting(
        engine=engine,
        vault=_vault(settings, engine),
        snapshot=snapshot,
        clock=time.time,
        mails=bool(settings.mail_server),
    )
    return acting, By(agency or ("" if centre is None else centre.code), actor())


def _vault(settings: Settings, engine: Engine) -> Vault:
    from gateway.vault.stores import open_vault

    return open_vault(settings, engine)
