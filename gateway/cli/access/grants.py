"""`lgsp access propose|approve|sign|list|show|revoke`: grants and the signatures of officers."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from contracts.base.errors import Finding
from contracts.base.times import rfc3339
from gateway.cli.common import arguments
from gateway.cli.common.actor import actor
from gateway.cli.common.labels import both
from gateway.cli.common.options import AsJson, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail
from gateway.cli.registry.registry import listed

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.registry.records import Change
    from gateway.registry.seals.sealing import Act
    from gateway.registry.snapshot import Snapshot
    from security.grants.grants import Grant

commands = typer.Typer()
Officer = Annotated[str, typer.Option("--officer", help="Id of the officer who signs.")]
_CANDIDATE: Final = re.compile(r"(officer|person)/(.+)")


@commands.command("propose")
def access_propose(file: Path, data: Data = None, as_json: AsJson = False) -> None:
    """Put the grants of a file in as proposals; each holds once two officers have signed it."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import granting
    from gateway.registry.changes.document import parse_grants
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    text, now = _read(file, "a file of grants", as_json), time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        snapshot = load_snapshot(connection)
        proposals = parse_grants(text, snapshot.contracts, snapshot.agencies, snapshot.systems)
        changes = [change for proposal in proposals for change in granting.propose(connection, proposal, now)]
        _done(act, changes, now)
        standing = {each.grant.id: _standing(connection, each.grant.id) for each in proposals}
    lines = [f"{name}: {_signatures(grant)}" for name, grant in standing.items()]
    lines += [
        f"      lgsp access approve {name} --officer ID --key FILE" for name, each in standing.items() if _lacks(each)
    ]
    emit(
        {"ok": True, "changes": listed(changes), "grants": [_row(each, now) for each in standing.values()]},
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
    """Sign a grant as it stands, as an officer; or, by officer/ID or person/ID, somebody who is to be admitted."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import granting
    from gateway.registry.changes.officers import OFFICERS, PERSONS
    from gateway.registry.changes.officers import listed as registered
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.registry.snapshot import load_snapshot
    from security.grants.grants import digest

    settings = load_instance(data, as_json)
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        named = _CANDIDATE.fullmatch(grant)
        roll = PERSONS if named is not None and named[1] == PERSONS.what else OFFICERS
        if named is not None:
            candidate = registered(connection, roll).get(named[2])
            content = candidate.content() if candidate is not None else b""
        else:
            proposed = granting.content_of(connection, grant)
            _check_shown(load_snapshot(connection), proposed)
            content = proposed.canonical()
        mark = signature or _signed(content, officer, key, as_json)
        if named is not None:
            changes = granting.approve_officer(connection, named[2], officer, mark, now, roll=roll)
            result: dict[str, Any] = {roll.what: named[2]}
            text = (
                ", ".join(f"{each.what} {each.id}: {each.how}" for each in changes) or "signed before / đã ký từ trước"
            )
        else:
            changes = granting.approve_grant(connection, grant, officer, mark, now)
            standing = _standing(connection, grant)
            result = _row(standing, now)
            text = f"{grant}: {_signatures(standing)}: {', '.join(standing.approved_by) or '–'}"
            text += "" if changes else "; signed before / đã ký từ trước"
        facts = {"subject": grant, "officer": officer, "digest": digest(content), "signature": mark}
        _done(act, changes, now, **({"approval": facts} if changes else {}))
    emit({"ok": True, "changes": listed(changes), **result}, as_json, text)


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
    raw = _read(content, "a content, as `lgsp access show --canonical` gives it", as_json).strip()
    mark = _signed(raw, officer, key, as_json)
    emit({"ok": True, "officer": officer, "digest": digest(raw), "signature": mark}, as_json, mark)


@commands.command("list")
def access_list(data: Data = None, as_json: AsJson = False) -> None:
    """All grants with what holds of them, the officers, and the persons who operate or audit."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import granting
    from gateway.registry.changes.officers import officers, persons
    from security.grants.grants import OFFICERS
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    now = time.time()
    with open_engine(settings.database_url).connect() as connection:
        known = officers(connection)
        rows = [_row(grant, now) for grant in granting.grants(connection, known)]
        acting = persons(connection)
    lines = [
        f"{row['id']:<10} {row['holder']:<14} {row['contract']:<20} {' '.join(row['operations']):<24}"
        f" {both(row['standing']):<30} "
        f"{len(row['approved_by'])}/{OFFICERS} signed / chữ ký, until / đến {civil(row['valid_until'])[:10]}"
        for row in rows
    ]
    people = [
        {"id": each.id, "agency": each.agency, "name": each.name.vi, "state": each.state, "key": each.thumbprint}
        for each in known.values()
    ]
    lines += [
        f"officer / cán bộ {each['id']:<20} {each['agency']:<8} {both(each['state']):<24} {each['key']}  {each['name']}"
        for each in people
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
    emit(
        {"ok": True, "grants": rows, "officers": people, "people": named},
        as_json,
        "\n".join(lines) or "no grants / chưa có quyền nào",
    )


@commands.command("show")
def access_show(
    grant: str,
    canonical: Annotated[bool, typer.Option("--canonical", help="Only the bytes that officers sign.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """One grant: its content, its digest, and every signature, those that were voided too."""
    from sqlalchemy import select

    from gateway.journal.database import open_engine
    from gateway.journal.schema import tables
    from gateway.registry.changes import granting
    from security.grants.grants import digest
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    now = time.time()
    with open_engine(settings.database_url).connect() as connection:
        shown = _standing(connection, grant)
        content = shown.canonical()
        if canonical and not as_json:
            print(content.decode(), end="")
            raise SystemExit(Exit.WELL)
        table = tables.approval.c
        signed = [
            {
                "officer": row.officer,
                "given": rfc3339(row.given),
                "holds": row.officer in shown.approved_by and row.voided is None and row.digest == digest(content),
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
        **_row(shown, now),
        "content": shown.content(),
        "digest": digest(content),
        "approvals": signed,
    }
    lines = [f"{key:<12} {json.dumps(value, ensure_ascii=False)}" for key, value in shown.content().items()]
    lines += [f"{'standing':<12} {both(_row(shown, now)['standing'])}", f"{'digest':<12} {digest(content)}"]
    lines += [
        (
            f"{'signed':<12} {each['officer']} {civil(each['given'])}"
            f" {'holds / có giá trị' if each['holds'] else 'void / vô hiệu'}"
        )
        for each in signed
    ]
    emit(result, as_json, "\n".join(lines))


@commands.command("revoke")
def access_revoke(grant: str, data: Data = None, as_json: AsJson = False) -> None:
    """Give a grant up for good, with its approvals."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import granting
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        changes = granting.revoke(act.connection, grant, now)
        _done(act, changes, now)
    emit(
        {"ok": True, "changes": listed(changes)},
        as_json,
        f"grant {grant}: revoked, with its approvals / đã thu hồi quyền cùng các chữ ký",
    )


def _done(act: Act, changes: list[Change], now: float, **facts: Any) -> None:
    from gateway.registry.seals.revisions import raise_revision

    if changes:
        raise_revision(act.connection)
        act.note("access", {"changes": listed(changes), **facts}, now, actor=actor())


def _check_shown(snapshot: Snapshot, grant: Grant) -> None:
    """What was checked when it was proposed may have changed since: formats, versions, systems."""
    from gateway.registry.errors import unknown
    from gateway.registry.parts.grants import unshown

    compiled = snapshot.contracts.get(grant.contract)
    if compiled is None:
        raise unknown("contract", grant.contract)
    holders = {
        each.code for each in snapshot.agencies.values() if grant.agency == each.code or grant.role in each.roles
    }
    readers = [system for system in snapshot.systems.values() if system.agency in holders]
    findings = [
        Finding(here, path, form, "mask", "a word for `not-permitted`")
        for form, here, path in unshown(compiled, grant.operations, grant.fields, readers)
    ]
    if findings:
        from gateway.registry.errors import GRANT_MASK_UNSHOWN

        raise GRANT_MASK_UNSHOWN(findings=findings, grant=grant.id, count=len(findings))


def _standing(connection: Connection, name: str) -> Grant:
    from gateway.registry.changes import granting
    from gateway.registry.changes.officers import officers
    from gateway.registry.errors import unknown

    grant = next((each for each in granting.grants(connection, officers(connection)) if each.id == name), None)
    if grant is None:
        raise unknown("grant", name)
    return grant


def _signatures(grant: Grant) -> str:
    from security.grants.grants import OFFICERS

    count = len(grant.approved_by)
    return f"{count} of {OFFICERS} signatures / {count} trên {OFFICERS} chữ ký"


def _lacks(grant: Grant) -> bool:
    from security.grants.grants import OFFICERS

    return not grant.denies and len(grant.approved_by) < OFFICERS


def _row(grant: Grant, now: float) -> dict[str, Any]:
    from security.grants.grants import Reason, judge

    verdict = judge(grant, now)
    standing = (
        "in force"
        if verdict in (Reason.GRANTED, Reason.DENIED)
        else "not in force"
        if verdict is None
        else str(verdict)
    )
    return {
        "id": grant.id,
        "holder": grant.agency or f"role {grant.role}",
        "contract": grant.contract,
        "operations": list(grant.operations),
        "fields": list(grant.fields),
        "denies": grant.denies,
        "standing": standing,
        "state": grant.state,
        "approved_by": list(grant.approved_by),
        "hours": str(grant.hours) if grant.hours is not None else None,
        "quota": str(grant.quota) if grant.quota is not None else None,
        "valid_from": rfc3339(grant.valid_from),
        "valid_until": rfc3339(grant.valid_until),
    }


def _signed(content: bytes, officer: str, key: Path | None, as_json: bool) -> str:
    from getpass import getpass

    from security.grants import approvals

    if key is None:
        fail(
            Exit.USAGE,
            "no-key",
            "neither --key nor --signature is given / chưa có --key hoặc --signature",
            "Sign with --key FILE, or bring a signature made elsewhere."
            " / Ký bằng --key TỆP, hoặc đưa chữ ký đã ký ở nơi khác.",
            as_json,
        )
    private = _read(key, "an officer's key", as_json)
    password = getpass(f"Mật khẩu của / password of {key}: ").encode() if b"ENCRYPTED" in private else None
    return approvals.approve(content, officer, private, password)


def _read(file: Path, what: str, as_json: bool) -> bytes:
    then = f"Name {what}; docs/access.md tells how it is made. / Chỉ đúng tệp; docs/vi/access.md hướng dẫn cách tạo."
    return arguments.content(file, then, as_json)
