"""`lgsp access`: grants proposed, signed by officers, given up; and what of them holds."""

from __future__ import annotations

import json
import time
from getpass import getpass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.errors import Finding
from contracts.base.times import rfc3339
from gateway.commands import given
from gateway.commands.labels import both
from gateway.commands.output import Exit, emit, fail
from gateway.commands.registry import listed
from gateway.journal.database import open_engine
from gateway.journal.schema import tables
from gateway.registry.changes import granting
from gateway.registry.changes.document import parse_grants
from gateway.registry.changes.officers import officers
from gateway.registry.errors import GRANT_MASK_UNSHOWN, unknown
from gateway.registry.parts.grants import unshown
from gateway.registry.records import Change
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Act, Seal, changing
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.settings import Settings
from security.grants import approvals
from security.grants.grants import OFFICERS, Grant, Reason, digest, judge
from security.grants.windows import civil

OFFICER_PREFIX: Final = "officer/"
ACTOR: Final = "command line"


def propose(settings: Settings, file: Path, as_json: bool) -> None:
    text, now = _read(file, "a file of grants", as_json), time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        snapshot = load_snapshot(connection)
        found = parse_grants(text, snapshot.contracts, snapshot.agencies, snapshot.systems)
        changes = [change for proposal in found for change in granting.propose(connection, proposal, now)]
        _done(act, changes, now)
        standing = {each.grant.id: _standing(connection, each.grant.id) for each in found}
    lines = [f"{name}: {_signatures(grant)}" for name, grant in standing.items()]
    lines += [
        f"      lgsp access approve {name} --officer ID --key FILE" for name, each in standing.items() if _lacks(each)
    ]
    emit(
        {"ok": True, "changes": listed(changes), "grants": [_row(each, now) for each in standing.values()]},
        as_json,
        "\n".join(lines),
    )


def approve(
    settings: Settings, name: str, officer: str, key: Path | None, signature: str | None, as_json: bool
) -> None:
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        connection = act.connection
        if name.startswith(OFFICER_PREFIX):
            candidate = officers(connection).get(name.removeprefix(OFFICER_PREFIX))
            content = candidate.content() if candidate is not None else b""
        else:
            grant = granting.content_of(connection, name)
            _check_shown(load_snapshot(connection), grant)
            content = grant.canonical()
        mark = signature or _signed(content, officer, key, as_json)
        if name.startswith(OFFICER_PREFIX):
            changes = granting.approve_officer(connection, name.removeprefix(OFFICER_PREFIX), officer, mark, now)
            result: dict[str, Any] = {"officer": name.removeprefix(OFFICER_PREFIX)}
            text = (
                ", ".join(f"{each.what} {each.id}: {each.how}" for each in changes) or "signed before / đã ký từ trước"
            )
        else:
            changes = granting.approve_grant(connection, name, officer, mark, now)
            standing = _standing(connection, name)
            result = _row(standing, now)
            text = f"{name}: {_signatures(standing)}: {', '.join(standing.approved_by) or '–'}"
            text += "" if changes else "; signed before / đã ký từ trước"
        facts = {"subject": name, "officer": officer, "digest": digest(content), "signature": mark}
        _done(act, changes, now, **({"approval": facts} if changes else {}))
    emit({"ok": True, "changes": listed(changes), **result}, as_json, text)


def sign(content: Path, officer: str, key: Path, as_json: bool) -> None:
    """Away from the gateway: the officer's own machine sees the content, makes the signature, keeps the key."""
    raw = _read(content, "a content, as `lgsp access show --canonical` gives it", as_json).strip()
    mark = _signed(raw, officer, key, as_json)
    emit({"ok": True, "officer": officer, "digest": digest(raw), "signature": mark}, as_json, mark)


def revoke(settings: Settings, name: str, as_json: bool) -> None:
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        changes = granting.revoke(act.connection, name, now)
        _done(act, changes, now)
    emit(
        {"ok": True, "changes": listed(changes)},
        as_json,
        f"grant {name}: revoked, with its approvals / đã thu hồi quyền cùng các chữ ký",
    )


def list_grants(settings: Settings, as_json: bool) -> None:
    now = time.time()
    with open_engine(settings.database_url).connect() as connection:
        known = officers(connection)
        rows = [_row(grant, now) for grant in granting.grants(connection, known)]
    lines = [
        f"{row['id']:<10} {row['holder']:<14} {row['contract']:<20} {' '.join(row['operations']):<24} {both(row['standing']):<30} "
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
    emit({"ok": True, "grants": rows, "officers": people}, as_json, "\n".join(lines) or "no grants / chưa có quyền nào")


def show(settings: Settings, name: str, canonical: bool, as_json: bool) -> None:
    now = time.time()
    with open_engine(settings.database_url).connect() as connection:
        grant = _standing(connection, name)
        content = grant.canonical()
        if canonical and not as_json:
            print(content.decode(), end="")
            raise SystemExit(Exit.WELL)
        table = tables.approval.c
        signed = [
            {
                "officer": row.officer,
                "given": rfc3339(row.given),
                "holds": row.officer in grant.approved_by and row.voided is None and row.digest == digest(content),
                "voided": rfc3339(row.voided) if row.voided is not None else None,
                "digest": row.digest,
                "signature": row.signature,
            }
            for row in connection.execute(
                select(*table).where(table.subject == f"{granting.GRANT} {name}").order_by(table.given)
            )
        ]
    result = {
        "ok": True,
        **_row(grant, now),
        "content": grant.content(),
        "digest": digest(content),
        "approvals": signed,
    }
    lines = [f"{key:<12} {json.dumps(value, ensure_ascii=False)}" for key, value in grant.content().items()]
    lines += [f"{'standing':<12} {both(_row(grant, now)['standing'])}", f"{'digest':<12} {digest(content)}"]
    lines += [
        f"{'signed':<12} {each['officer']} {civil(each['given'])} {'holds / có giá trị' if each['holds'] else 'void / vô hiệu'}"
        for each in signed
    ]
    emit(result, as_json, "\n".join(lines))


# --- small parts ------------------------------------------------------------------------------------------------------


def _done(act: Act, changes: list[Change], now: float, **facts: Any) -> None:
    if changes:
        raise_revision(act.connection)
        act.note("access", {"changes": listed(changes), **facts}, now, actor=ACTOR)


def _check_shown(snapshot: Snapshot, grant: Grant) -> None:
    """What was checked when it was proposed may have changed since: formats, versions, systems."""
    compiled = snapshot.contracts.get(grant.contract)
    if compiled is None:
        raise unknown("contract", grant.contract)
    holders = {
        each.code for each in snapshot.agencies.values() if grant.agency == each.code or grant.role in each.roles
    }
    readers = [system for system in snapshot.systems.values() if system.agency in holders]
    found = [
        Finding(here, path, form, "mask", "a word for `not-permitted`")
        for form, here, path in unshown(compiled, grant.operations, grant.fields, readers)
    ]
    if found:
        raise GRANT_MASK_UNSHOWN(findings=found, grant=grant.id, count=len(found))


def _standing(connection: Connection, name: str) -> Grant:
    found = next((each for each in granting.grants(connection, officers(connection)) if each.id == name), None)
    if found is None:
        raise unknown("grant", name)
    return found


def _signatures(grant: Grant) -> str:
    count = len(grant.approved_by)
    return f"{count} of {OFFICERS} signatures / {count} trên {OFFICERS} chữ ký"


def _lacks(grant: Grant) -> bool:
    return not grant.denies and len(grant.approved_by) < OFFICERS


def _row(grant: Grant, now: float) -> dict[str, Any]:
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
    if key is None:
        fail(
            Exit.USAGE,
            "no-key",
            "neither --key nor --signature is given / chưa có --key hoặc --signature",
            "Sign with --key FILE, or bring a signature made elsewhere. / Ký bằng --key TỆP, hoặc đưa chữ ký đã ký ở nơi khác.",
            as_json,
        )
    private = _read(key, "an officer's key", as_json)
    password = getpass(f"Mật khẩu của / password of {key}: ").encode() if b"ENCRYPTED" in private else None
    return approvals.approve(content, officer, private, password)


def _read(file: Path, what: str, as_json: bool) -> bytes:
    then = f"Name {what}; docs/access.md tells how it is made. / Chỉ đúng tệp; docs/vi/access.md hướng dẫn cách tạo."
    return given.content(file, then, as_json)
