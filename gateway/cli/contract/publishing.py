"""`lgsp contract publish`: puts a contract in force, and proposes its workflow if that is another one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common.actor import actor, person
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, finding_json, finding_line
from gateway.cli.contract.versions import change_lines, not_in_force

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from contracts.base.errors import Finding
    from gateway.registry.changes.publish import Accepted, Publication
    from gateway.settings import Settings

commands = typer.Typer()


@commands.command("publish")
def contract_publish(
    folder: Annotated[str, typer.Argument(help="A contract's folder; with --rollback, the name of one in force.")],
    data: Data = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Put the version before the one in force in force again.")
    ] = False,
    accept_personal: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-personal",
            help="A personal field (`Message.path`) that signed grants may show from now on; logged.",
        ),
    ] = None,
    no_sign: Annotated[
        bool,
        typer.Option("--no-sign", help="In a sandbox: let its stand-in officers sign nothing, as in production."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove a contract, compare it with the version in force, and put it in force; all doors move to it, no call is
    lost. A workflow that changed is a proposal: it holds once two officers have signed it, one of them of the
    contract's owner."""
    from gateway.registry.changes.publish import Accepted

    accepted = Accepted(accept_personal or (), time.time(), person())
    if rollback:
        _roll_back(load_instance(data, as_json), folder, accepted, not no_sign, as_json)
    else:
        _publish(load_instance(data, as_json), Path(folder), accepted, not no_sign, as_json)


def _publish(settings: Settings, folder: Path, accepted: Accepted, signs: bool, as_json: bool) -> None:
    from contracts.proof.budget import Budget
    from contracts.proof.check import check as check_folder
    from gateway.registry.changes import publish as publishing

    if not (folder / "contract.yaml").exists():
        fail(
            Exit.USAGE,
            "no-contract",
            f"there is no contract.yaml in {folder} / trong {folder} không có contract.yaml",
            "Name a contract's folder. / Chỉ thư mục của một hợp đồng.",
            as_json,
        )
    report = check_folder(folder, Budget(time.process_time))
    bundle, compiled = report.bundle, report.compiled
    if not report.ok or bundle is None or compiled is None:
        from contracts.errors import CONTRACT_INVALID

        raise CONTRACT_INVALID(findings=report.findings, count=len(report.findings))
    _change(
        settings,
        lambda connection: publishing.publish(connection, bundle, compiled, accepted),
        signs,
        as_json,
        report.warnings,
    )


def _roll_back(settings: Settings, name: str, accepted: Accepted, signs: bool, as_json: bool) -> None:
    from gateway.journal.database import open_engine
    from gateway.registry import versions
    from gateway.registry.changes import publish as publishing

    with open_engine(settings.database_url).connect() as connection:
        known = sorted(versions.in_force(connection))
    if name not in known:
        not_in_force(name, known, as_json)
    _change(settings, lambda connection: publishing.roll_back(connection, name, accepted), signs, as_json)


def _change(
    settings: Settings,
    act: Callable[[Connection], Publication],
    signs: bool,
    as_json: bool,
    warnings: Sequence[Finding] = (),
) -> None:
    """Move the pointer and log it in one transaction; once that is on disk, tell what was done."""
    from gateway.cli.common import waiting
    from gateway.journal.database import open_engine
    from gateway.registry.changes import deciding
    from gateway.registry.changes import publish as publishing
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.versions import minor_of
    from gateway.sandbox.officers import sign_waiting

    with changing(open_engine(settings.database_url), Seal.of(settings)) as change:
        done = act(change.connection)
        effects, facts = [], dict[str, Any]()
        if signs and done.workflow.proposal is not None:
            effects = sign_waiting(change.connection, settings, time.time(), done.workflow.proposal.subject)
            facts = {"in_force": deciding.in_force_rows(effects), "stand_ins": True} if effects else {}
        publishing.record(change, done, time.time(), actor(), **facts)
        subject = f"workflow/{done.now.contract}"
        waits = [each for each in deciding.waiting_rows(change.connection, time.time()) if each["subject"] == subject]
        pins = publishing.pins(change.connection, done.now.contract)
    now, before = done.now, done.before
    behind = {system: pin for system, pin in pins.items() if pin != minor_of(now.version)}
    result: dict[str, Any] = {
        "ok": True,
        "moved": done.moved,
        "how": done.how,
        "contract": now.contract,
        "version": now.version,
        "digest": now.digest,
        "before": None if before is None else {"version": before.version, "digest": before.digest},
        "level": done.level.name.lower(),
        "changes": [change.to_json() for change in done.changes],
        "disclosed": [each.facts() for each in done.disclosed],
        "warnings": [finding_json(each) for each in warnings],
        "pinned": behind,
        "workflow": {"in_force": deciding.in_force_rows(effects), "waiting": waits},
    }
    told = [*waiting.in_force_lines(effects, sandbox=True), *waiting.lines(waits)]
    if not done.moved:
        same = f"{now.contract} {now.version}: vốn đã có hiệu lực / in force already"
        emit(result, as_json, "\n".join([same, *told]))
    lines = [
        f"{now.contract} {now.version}: đã có hiệu lực / in force"
        + (f" (trước / before: {before.version})" if before is not None else "")
    ]
    lines += [f"  {now.digest}", *change_lines(done.changes)]
    lines += [f"  {each.field}: nay cho xem / shown now: {each.seen_by}" for each in done.disclosed]
    lines += [f"  nên xem lại / look again: {finding_line(each)}" for each in warnings]
    lines += [f"  {system}: vẫn theo bản {pin} / stays with {pin}" for system, pin in behind.items()]
    lines += told
    emit(result, as_json, "\n".join(lines))
