"""`lgsp sandbox`: who may enrol in a sandbox as a vendor, who has, and the clocks of vendors."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from contracts.base.times import rfc3339
from contracts.base.visible import visible
from gateway.cli import sandbox_faults
from gateway.cli.common.actor import actor
from gateway.cli.common.language import either
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail, failures_as_exits
from security.grants.windows import civil

commands = typer.Typer(no_args_is_help=True, help="A sandbox: vendors who enrol themselves, invitations and faults.")
commands.add_typer(sandbox_faults.commands, name="fault")


@commands.command("invite")
def sandbox_invite(
    label: Annotated[str, typer.Argument(help="Whom it is for, as the log will say.")],
    uses: Annotated[int, typer.Option("--uses", min=1, max=100, help="How many vendors may use it.")] = 1,
    days: Annotated[int, typer.Option("--days", min=1, max=90, help="How long it holds.")] = 14,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an invitation code, and print it this once."""
    from gateway.journal.database import open_engine, writing
    from gateway.sandbox.vendors import invitations

    settings, now = load_instance(data, as_json), time.time()
    if settings.kind != "sandbox":
        fail(
            Exit.NO,
            "sandbox-only",
            "only a sandbox has invitations / chỉ phiên bản thử nghiệm có mã mời",
            "In production two officers approve a vendor. / Trong sản xuất, hai cán bộ duyệt nhà cung cấp.",
            as_json,
        )
    if not 0 < len(label) <= invitations.MOST_LABEL or not label.isprintable():
        fail(
            Exit.USAGE,
            "label",
            f"a label has 1 to {invitations.MOST_LABEL} visible characters"
            f" / nhãn gồm 1 đến {invitations.MOST_LABEL} ký tự",
            "Name whom it is for. / Ghi mời ai.",
            as_json,
        )
    with failures_as_exits(as_json):
        engine = open_engine(settings.database_url)
        try:
            with writing(engine) as connection:
                code, made = invitations.invite(connection, label, uses, days, (actor(), now))
        finally:
            engine.dispose()
    address = f"{settings.desk_named}/sandbox/join"
    result = {"ok": True, "code": code, "mark": made.mark, "uses": uses, "until": rfc3339(made.until), "join": address}
    emit(result, as_json, f"{code}\n{address}\nuntil / đến {civil(made.until)}, × {uses}")


@commands.command("list")
def sandbox_list(data: Data = None, as_json: AsJson = False) -> None:
    """The vendors who enrolled, and the invitations that hold or held."""
    from gateway.journal.database import open_engine, snapshot
    from gateway.registry.snapshot import load_snapshot
    from gateway.registry.tenants import is_tenant
    from gateway.sandbox.vendors import invitations
    from security.grants.windows import civil

    settings, now = load_instance(data, as_json), time.time()
    with failures_as_exits(as_json):
        engine = open_engine(settings.database_url)
        try:
            with snapshot(engine) as connection:
                known, invited = load_snapshot(connection), invitations.listed(connection)
        finally:
            engine.dispose()
    vendors: list[dict[str, Any]] = [
        {
            "code": each.code,
            "name": each.name.en,
            "state": each.state,
            "contact": each.contacts[0].email if each.contacts else "",
            "systems": sorted(name for name, system in known.systems.items() if system.agency == each.code),
        }
        for each in sorted(known.agencies.values(), key=lambda each: each.code)
        if is_tenant(each.code)
    ]
    codes: list[dict[str, Any]] = [
        {
            "mark": each.mark,
            "label": each.label,
            "used": each.used,
            "uses": each.uses,
            "until": rfc3339(each.until),
            "holds": each.holds(now),
        }
        for each in invited
    ]
    names = {each.code: (each.name.en, each.name.vi) for each in known.agencies.values()}
    lines = [
        f"{each['code']}  {visible(either(*names[each['code']]))}  {each['contact']}  {each['state']}"
        for each in vendors
    ]
    lines += [
        f"{each['mark'][:12]}  {visible(str(each['label']))}  {each['used']}/{each['uses']}  {civil(each['until'])}"
        f"{'' if each['holds'] else '  ' + either('ended', 'hết hiệu lực')}"
        for each in codes
    ]
    emit({"ok": True, "vendors": vendors, "invitations": codes}, as_json, "\n".join(lines) or either("none", "chưa có"))


@commands.command("clock")
def sandbox_clock(
    tenant: Annotated[str, typer.Argument(help="The code of the vendor, as `lgsp sandbox list` shows it.")],
    days: Annotated[int | None, typer.Option("--days", min=0, help="Forward by so many days.")] = None,
    hours: Annotated[int | None, typer.Option("--hours", min=0, help="Forward by so many hours.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Forward to this moment (RFC 3339).")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to real time.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the clock of a vendor, or move it."""
    from gateway.journal.database import open_engine
    from gateway.sandbox.clock import moving

    settings, now = load_instance(data, as_json), time.time()
    given = {"days": days, "hours": hours, "to": to, "reset": reset or None}
    with failures_as_exits(as_json):
        engine = open_engine(settings.database_url)
        try:
            if any(each is not None for each in given.values()):
                told = moving.move(settings, engine, tenant, moving.read(given), actor(), now).told()
            else:
                with engine.connect() as connection:
                    told = moving.stands(connection, tenant, now).told()
        finally:
            engine.dispose()
    line = f"{told['now']}  +{told['ahead']} s  (giờ thật / real time {told['real']})"
    emit({"ok": True, **told}, as_json, line)


@commands.command("withdraw")
def sandbox_withdraw(
    mark: Annotated[str, typer.Argument(help="The mark of the invitation, or its first 12 characters.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw an invitation. Vendors who used it stay."""
    from gateway.journal.database import open_engine, writing
    from gateway.sandbox.vendors import invitations

    settings, now = load_instance(data, as_json), time.time()
    with failures_as_exits(as_json):
        engine = open_engine(settings.database_url)
        try:
            with writing(engine) as connection:
                withdrawn = invitations.take_back(connection, mark, (actor(), now))
        finally:
            engine.dispose()
    if withdrawn is None:
        fail(
            Exit.NO,
            "unknown-invitation",
            "no such invitation / không có mã mời này",
            "`lgsp sandbox list` shows their marks. / `lgsp sandbox list` liệt kê.",
            as_json,
        )
    emit({"ok": True, "mark": withdrawn.mark}, as_json, f"{withdrawn.mark[:12]}: withdrawn / đã thu hồi")


@commands.command("expel")
def sandbox_expel(
    vendor: Annotated[str, typer.Argument(help="The vendor's code, as `lgsp sandbox list` shows it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; the log keeps it, and she reads it when she calls.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Expel a vendor: certificates revoked, grants ended, systems and accounts closed. The log keeps everything."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes.suspending import listed
    from gateway.sandbox.vendors.expelling import expel

    settings = load_instance(data, as_json)
    if not 10 <= len(reason.strip()) <= 500:
        fail(
            Exit.USAGE,
            "reason",
            "a reason has 10 to 500 characters / lý do gồm 10 đến 500 ký tự",
            "Say why. / Hãy ghi lý do.",
            as_json,
        )
    with failures_as_exits(as_json):
        engine = open_engine(settings.database_url)
        try:
            changes = expel(engine, settings, vendor, (actor(), reason.strip()), time.time())
        finally:
            engine.dispose()
    result = {"ok": True, "vendor": vendor, "changes": listed(changes)}
    emit(result, as_json, f"{vendor}: expelled / đã loại ({len(changes)})")
