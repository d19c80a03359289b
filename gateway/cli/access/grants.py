"""`lgsp access propose|approve|sign|list|show|revoke`: grants and the signatures of officers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.times import rfc3339
from gateway.cli.access import candidates, contents, past, rows, shown
from gateway.cli.access.signing import read, signature_of
from gateway.cli.common import waiting
from gateway.cli.common.actor import actor
from gateway.cli.common.labels import both
from gateway.cli.common.options import AsJson, At, Data, load_instance
from gateway.cli.common.output import Exit, emit
from gateway.cli.registry.registry import listed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from security.grants.grants import Grant

commands = typer.Typer()
Officer = Annotated[str, typer.Option("--officer", help="Id of the officer who signs.")]


@commands.command("propose")
def access_propose(file: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Put the grants of a file in as proposals; each holds once two officers have signed it."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import deciding, granting
    from gateway.registry.changes.document import parse_grants
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    text, now = read(file, "a file of grants", as_json), time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        snapshot = load_snapshot(connection)
        proposals = parse_grants(text, snapshot.contracts, snapshot.agencies, snapshot.systems)
        changes = [change for proposal in proposals for change in granting.propose(connection, proposal, now)]
        deciding.record(act, changes, now, actor())
        standing = {each.grant.id: _standing(connection, each.grant.id) for each in proposals}
    lines = [f"{name}: {rows.signatures(grant)}" for name, grant in standing.items()]
    lines += [
        f"      lgsp access approve {name} --officer ID --key FILE"
        for name, each in standing.items()
        if rows.lacks(each)
    ]
    emit(
        {"ok": True, "changes": listed(changes), "grants": [rows.row(each, now) for each in standing.values()]},
        as_json,
        "\n".join(lines),
    )


@commands.command("approve")
def access_approve(
    grant: str,
    officer: Officer,
    key: Annotated[
        Path | None, typer.Option("--key", help="The officer's private key (PEM, P-256 or Ed25519).")
    ] = None,
    signature: Annotated[
        str | None, typer.Option("--signature", help="A signature made elsewhere by `lgsp access sign`.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Sign a grant as it stands, as an officer; or, by officer/ID or person/ID, somebody who is to be admitted, or by
    passkey/THUMBPRINT an officer's passkey; or what a registry document proposes: route/CONTRACT/OPERATION, system/ID,
    agency/CODE; or workflow/CONTRACT, which also an officer of the contract's owner has to sign."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import deciding
    from gateway.registry.changes.content import Subject
    from gateway.registry.changes.granting import GRANT
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
    now, subject, named = time.time(), Subject.at(grant), candidates.named(grant)
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        asked = deciding.asked(connection, grant)
        mark = signature or signature_of(asked.content, officer, key, as_json)
        before = contents.opened(connection, subject) if subject is not None else None
        signed = deciding.sign(connection, grant, officer, mark, now)
        deciding.record(act, signed.changes, now, actor(), **signed.facts())
        result: dict[str, Any]
        if subject is not None and before is not None:
            result, text = contents.told(connection, subject, before, signed, now)
        elif asked.what == GRANT:
            standing = _standing(connection, grant)
            result = rows.row(standing, now)
            text = f"{grant}: {rows.signatures(standing)}: {', '.join(standing.approved_by) or '–'}"
            text += "" if signed.changes else "; signed before / đã ký từ trước"
        elif named is not None:
            roll, name = named
            told, text = candidates.approved(connection, roll, name, new=bool(signed.changes))
            result = {roll.what: name, **told}
        else:
            result = {asked.what: asked.name}
            done = ", ".join(f"{each.what} {each.id}: {each.how}" for each in signed.changes)
            text = done or "signed before / đã ký từ trước"
    emit({"ok": True, "changes": listed(signed.changes), **result}, as_json, text)


@commands.command("sign")
def access_sign(
    content: Path,
    officer: Officer,
    key: Annotated[Path, typer.Option("--key", help="The officer's private key.")],
    as_json: AsJson = False,
) -> None:
    """Sign a content away from the gateway: CONTENT is what `lgsp access show GRANT --canonical` printed."""
    from security.grants.grants import digest

    # Away from the gateway: the officer's own machine sees the content, makes the signature, keeps the key.
    raw = read(content, "a content, as `lgsp access show --canonical` gives it", as_json).strip()
    mark = signature_of(raw, officer, key, as_json)
    emit({"ok": True, "officer": officer, "digest": digest(raw), "signature": mark}, as_json, mark)


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
    grant: str,
    canonical: Annotated[bool, typer.Option("--canonical", help="Only the bytes that officers sign.")] = False,
    at: At = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """One grant: its content, the fields it shows, its digest, every signature, those that were voided too, and all
    that ever held of it. Of route/CONTRACT/OPERATION, system/ID or agency/CODE: who will receive what, and what that
    changes. Of workflow/CONTRACT: what differs from the live one.

    Of officer/ID or person/ID: whose key it is, and who admitted it."""
    from sqlalchemy import select

    from gateway.journal.schema import tables
    from gateway.registry.changes import deciding, granting
    from gateway.registry.changes.content import Subject
    from gateway.registry.snapshot import load_snapshot
    from security.grants.grants import Grant, digest
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        if canonical and not as_json and "/" in grant:
            print(deciding.asked(stands.registry, grant).content.decode(), end="")
            raise SystemExit(Exit.WELL)
        if (subject := Subject.at(grant)) is not None:
            told, text = contents.show(stands.registry, subject, stands.at)
            emit({"ok": True, **told}, as_json, text)
        if (named := candidates.named(grant)) is not None:
            told, text = candidates.show(stands.registry, named[0], candidates.candidate(stands.registry, *named))
            emit({"ok": True, **told}, as_json, text)
        connection, versions = stands.registry, past.held(stands, grant)
        last = past.ended(stands, grant)
        found = _standing(connection, grant) if last is None else Grant.from_json(last.content)
        row = rows.row(found, stands.at) if last is None else rows.ended(last, stands.at)
        content, sees = found.canonical(), shown.messages(load_snapshot(connection), found)
        if canonical and not as_json:
            print(content.decode(), end="")
            raise SystemExit(Exit.WELL)
        table = tables.approval.c
        signed = [
            {
                "officer": row.officer,
                "given": rfc3339(row.given),
                "holds": row.officer in found.approved_by and row.voided is None and row.digest == digest(content),
                "voided": rfc3339(row.voided) if row.voided is not None else None,
                "digest": row.digest,
                "signature": row.signature,
            }
            for row in connection.execute(
                select(*table).where(table.subject == f"{granting.GRANT} {grant}").order_by(table.given)
            )
        ]
    result = {
        "ok": True,
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
    lines += past.version_lines(versions)
    emit(result, as_json, "\n".join(lines))


@commands.command("revoke")
def access_revoke(grant: str, data: Data = None, as_json: AsJson = False) -> None:
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
        deciding.record(act, changes, now, actor())
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


def _standing(connection: Connection, name: str) -> Grant:
    from gateway.registry.errors import unknown
    from gateway.registry.snapshot import all_grants

    grant = next((each for each in all_grants(connection) if each.id == name), None)
    if grant is None:
        raise unknown("grant", name)
    return grant
