"""`lgsp access propose|list|show|revoke|refuse`: grants, and what else waits for the signatures of officers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import rfc3339
from gateway.cli.access import candidates, contents, past, rows, shown
from gateway.cli.access.signing import read
from gateway.cli.common import waiting
from gateway.cli.common.actor import actor, person
from gateway.cli.common.labels import both
from gateway.cli.common.options import AsJson, At, Data, load_instance
from gateway.cli.common.output import Exit, emit, say
from gateway.cli.registry.registry import listed

if TYPE_CHECKING:
    from gateway.registry.judging import Moment

commands = typer.Typer()


@commands.command("propose")
def access_propose(
    file: Path,
    replace: Annotated[
        bool, typer.Option("--replace", help="Also change grants that are signed; they end until signed again.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put the grants of a file in as proposals; each holds once two officers have signed it."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import deciding, granting
    from gateway.registry.changes.document import parse_grants
    from gateway.registry.errors import GRANT_STANDS
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    text, now = read(file, "a file of grants", as_json), time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        snapshot = load_snapshot(connection)
        stated = parse_grants(text, snapshot.contracts, snapshot.agencies, snapshot.systems)
        proposals = granting.proposed_by(connection, stated, person())
        ended = [each.grant.id for each in proposals if granting.ends(connection, each.grant)]
        if ended and not replace:
            raise GRANT_STANDS(grant=", ".join(ended))
        changes = [change for proposal in proposals for change in granting.propose(connection, proposal, now)]
        deciding.record(act, changes, now, actor())
        standing = {each.grant.id: rows.grant_of(connection, each.grant.id) for each in proposals}
    lines = [f"{name}: {rows.signatures(grant)}" for name, grant in standing.items()]
    if lacking := [name for name, each in standing.items() if rows.lacks(each)]:
        lines.append(f"      lgsp access approve {' '.join(lacking)} --officer ID --key FILE")
    emit(
        {"ok": True, "changes": listed(changes), "grants": [rows.row(each, now) for each in standing.values()]},
        as_json,
        "\n".join(lines),
    )


@commands.command("list")
def access_list(
    at: At = None,
    every: Annotated[bool, typer.Option("--all", help="Also the grants that were revoked or removed.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """All grants with what holds of them, the officers, the persons who operate or audit, and what else waits for
    signatures."""
    from gateway.registry.changes import deciding, passkeys
    from gateway.registry.changes.officers import officers, persons
    from gateway.registry.history import grant_names
    from gateway.registry.snapshot import all_grants
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        known = officers(stands.registry)
        listing = [rows.row(grant, stands.at) for grant in all_grants(stands.registry)]
        gone = sorted(grant_names(stands.here) - {row["id"] for row in listing}) if every else []
        listing += [rows.ended(last, stands.at) for name in gone if (last := past.ended(stands, name)) is not None]
        waits = deciding.waiting_rows(stands.registry, stands.at)
        acting, candidate_lines = persons(stands.registry), list(candidates.waiting(stands.registry))
    lines = [
        f"{row['id']:<10} {row['holder']:<14} {rows.way(row):<23}"
        f" {row['contract']:<20} {' '.join(row['operations']):<24} {both(row['standing']):<30}"
        f" {rows.signed(row)}, until / đến {row['last_day']}"
        f"{', ended / kết thúc ' + civil(row['ended']) if 'ended' in row else ''}"
        for row in listing
    ]
    people: list[dict[str, Any]] = [
        {"id": each.id, "agency": each.agency, "name": each.name.vi, "state": each.state, "key": each.thumbprint}
        | ({"passkeys": [passkeys.described(key, each) for key in each.passkeys]} if each.passkeys else {})
        for each in known.values()
    ]
    lines += [
        f"officer / cán bộ {each['id']:<20} {each['agency']:<8} {both(each['state']):<24} {each['key']}  {each['name']}"
        for each in people
    ]
    lines += [
        f"  passkey {key.thumbprint} of / của {each.id} {both(key.state)} {key.origin}"
        for each in known.values()
        for key in each.passkeys
    ]
    named = [
        {
            "id": each.id, "agency": each.agency, "role": each.role,
            "name": each.name.vi, "state": each.state, "key": each.thumbprint,
        }
        for each in acting.values()
    ]  # fmt: skip
    lines += [
        f"{both(each['role'])} {each['id']:<20} {each['agency']:<8} {both(each['state']):<24} {each['key']}"
        f"  {each['name']}"
        for each in named
    ]
    lines += [*candidate_lines, *waiting.lines(waits)]
    result = {"ok": True, "grants": listing, "officers": people, "people": named, "waiting": waits}
    emit(result, as_json, "\n".join(lines) or "no grants / chưa có quyền nào")


@commands.command("show")
def access_show(
    grants: list[str],
    canonical: Annotated[
        bool, typer.Option("--canonical", help="Only the bytes that officers sign; of several, a line each.")
    ] = False,
    at: At = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """One grant: its content, the fields it shows, its digest, every signature, those that were voided too, and all
    that ever held of it. Of route/CONTRACT/OPERATION, system/ID or agency/CODE: who will receive what, and what that
    changes. Of workflow/CONTRACT: what differs from the live one.

    Of officer/ID or person/ID: whose key it is, and who admitted it. Several are shown one after the other."""
    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        if canonical and not as_json:
            say("\n".join(_canonical(stands, each) for each in grants), end="")
            raise SystemExit(Exit.WELL)
        shown_all = [_shown(stands, each) for each in grants]
    if len(shown_all) == 1:
        emit({"ok": True, **shown_all[0][0]}, as_json, shown_all[0][1])
    listing = [{"subject": each, **told} for each, (told, _) in zip(grants, shown_all, strict=True)]
    emit({"ok": True, "subjects": listing}, as_json, "\n\n".join(text for _, text in shown_all))


def _canonical(stands: Moment, subject: str) -> str:
    """What officers sign: RFC 8785, so without a line feed."""
    from gateway.registry.changes import deciding
    from security.grants.grants import Grant

    if "/" in subject:
        return deciding.asked(stands.registry, subject).content.decode()
    last = past.ended(stands, subject)
    found = rows.grant_of(stands.registry, subject) if last is None else Grant.from_json(last.content)
    return found.canonical().decode()


def _shown(stands: Moment, subject: str) -> tuple[dict[str, Any], str]:
    """For programs and for people. Raises `registry.unknown`."""
    from gateway.registry.changes.content import Subject

    if (content := Subject.at(subject)) is not None:
        return contents.show(stands.registry, content, stands.at)
    if (named := candidates.named(subject)) is not None:
        return candidates.show(stands.registry, named[0], candidates.candidate(stands.registry, *named))
    return _grant(stands, subject)


def _grant(stands: Moment, name: str) -> tuple[dict[str, Any], str]:
    from sqlalchemy import select

    from gateway.journal.schema import tables
    from gateway.registry.changes import granting
    from gateway.registry.snapshot import load_snapshot
    from security.grants.grants import Grant, digest
    from security.grants.windows import civil

    connection, versions, last = stands.registry, past.held(stands, name), past.ended(stands, name)
    found = rows.grant_of(connection, name) if last is None else Grant.from_json(last.content)
    row = rows.row(found, stands.at) if last is None else rows.ended(last, stands.at)
    content, sees = found.canonical(), shown.messages(load_snapshot(connection), found)
    table = tables.approval.c
    signed = [
        {
            "officer": each.officer,
            "given": rfc3339(each.given),
            "holds": each.officer in found.approved_by and each.voided is None and each.digest == digest(content),
            "voided": rfc3339(each.voided) if each.voided is not None else None,
            "digest": each.digest,
            "signature": each.signature,
        }
        for each in connection.execute(
            select(*table).where(table.subject == f"{granting.GRANT} {name}").order_by(table.given)
        )
    ]
    result = {
        **row,
        "content": found.content(),
        "shows": sees,
        "digest": digest(content),
        "approvals": signed,
        "versions": past.versions_json(versions),
    }
    days = {"valid_from": row["first_day"], "valid_until": row["last_day"]}
    lines = [
        f"{key:<12} {days.get(key) or json.dumps(value, ensure_ascii=False)}" for key, value in found.content().items()
    ]
    lines += shown.lines(sees)
    lines += [f"{'standing':<12} {both(row['standing'])}", f"{'digest':<12} {digest(content)}"]
    if found.adopted and not found.confirmed:
        lines.append(
            f"{'confirm':<12} adopted from a route, to be confirmed by two officers before {civil(found.confirm_until)}"
            f" / chuyển từ tuyến, chờ hai cán bộ xác nhận trước {civil(found.confirm_until)}"
        )
    lines += [
        (
            f"{'signed':<12} {each['officer']} {civil(each['given'])}"
            f" {'holds / có giá trị' if each['holds'] else 'void / vô hiệu'}"
        )
        for each in signed
    ]
    return result, "\n".join([*lines, *past.version_lines(versions)])


@commands.command("revoke")
def access_revoke(
    grant: str,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; the log keeps it.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a grant up for good, with its approvals; or, by passkey/THUMBPRINT, an officer's passkey with all that it
    approved."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import deciding, granting, passkeys
    from gateway.registry.changes.officers import PASSKEY
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        if (passkey := grant.removeprefix(f"{PASSKEY}/")) != grant:
            changes = passkeys.end(act.connection, passkey, revoked=True, now=now)
        else:
            changes = granting.revoke(act.connection, grant, now)
        deciding.record(act, changes, now, actor(), **({} if reason is None else {"reason": reason}))
    emit(
        {"ok": True, "changes": listed(changes)},
        as_json,
        f"{grant}: revoked, with its approvals / đã thu hồi cùng các chữ ký",
    )


@commands.command("refuse")
def access_refuse(
    subject: Annotated[str, typer.Argument(help="A workflow that waits: workflow/CONTRACT.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; the log keeps it.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a workflow that waits for officers: its signatures are void, and the former one stays. Publishing the
    contract again proposes it again."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import deciding
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        change = deciding.refuse(act, subject, reason, time.time(), actor())
    emit({"ok": True, "changes": listed([change])}, as_json, f"{subject}: refused / đã từ chối")
