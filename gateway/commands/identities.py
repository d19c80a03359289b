"""`lgsp registry enrol`, `revoke` and `keys`: the certificates of systems."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from contracts.base.times import rfc3339
from gateway.commands import given, known
from gateway.commands.labels import both
from gateway.commands.output import Exit, emit, fail
from gateway.journal.database import lock_of, open_engine
from gateway.keeper import revocation_fetch as fetch
from gateway.keeper.tasks.certificate_status import OutsideAuthorities
from gateway.keys.authority import EmbeddedAuthority
from gateway.registry.changes import enrolment, keys
from gateway.registry.records import ACTIVE, Change, Key, Use
from gateway.registry.seals.sealing import Act, Seal, changing
from gateway.registry.snapshot import load_snapshot
from gateway.settings import Settings
from security.grants.windows import civil
from security.transparency.entry import Json

_DAY = 86_400.0


def enrol(
    settings: Settings,
    system: str,
    use: Use,
    request: Path | None,
    certificate: Path | None,
    key_id: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    file = request or certificate
    if file is None or request is not None and certificate is not None:
        what = "name either a certificate request or a certificate / chỉ nêu một trong hai: yêu cầu chứng thư hoặc chứng thư"
        fail(
            Exit.USAGE,
            "request-or-certificate",
            what,
            "Use --request FILE or --certificate FILE. / Dùng --request TỆP hoặc --certificate TỆP.",
            as_json,
        )
    content = given.content(file, "Name a PEM file. / Chỉ một tệp PEM.", as_json)
    now, own = time.time(), EmbeddedAuthority(settings)
    engine = open_engine(settings.database_url)
    with changing(engine, Seal.of(settings)) as act:
        connection = act.connection
        if request is not None:
            done = enrolment.by_request(
                connection, own.issuer(enrolment.ISSUER[use]), system, use, content, key_id, now
            )
        else:
            done = enrolment.by_certificate(
                connection, keys.trusted(connection, own.trust()), system, use, content, key_id, now
            )
        _note(act, done.changes, now)
        if out is not None:  # before it is enrolled for good: a key whose certificate nobody has could never be used
            out.write_bytes(done.certificate)
    result = {
        "ok": True,
        "key": done.key_id,
        "system": system,
        "use": use,
        "authority": done.authority,
        "added": bool(done.changes),
        "certificate": done.certificate.decode("ascii"),
        "file": str(out) if out is not None else None,
    }
    text = f"{done.key_id}: enrolled for {system} ({use}) / đã đăng ký cho {system}" + (
        f"; certificate in / chứng thư ở {out}" if out is not None else f"\n{result['certificate']}"
    )
    emit(result, as_json, text)


def revoke(settings: Settings, key_id: str, reason: str, as_json: bool) -> None:
    if reason not in keys.REASONS:
        what = f"{reason} is not a reason / không có lý do {reason}"
        fail(
            Exit.USAGE,
            "unknown-reason",
            what,
            f"The reasons are / Các lý do: {', '.join(keys.REASONS)} (RFC 5280)",
            as_json,
        )
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        changes = keys.revoke_key(act.connection, key_id, now, reason)
        _note(act, changes, now)
    text = (
        f"{key_id}: revoked ({reason}) / đã thu hồi"
        if changes
        else f"{key_id}: was revoked before / đã thu hồi từ trước"
    )
    emit({"ok": True, "key": key_id, "revoked": bool(changes), "reason": reason}, as_json, text)


def show(settings: Settings, system: str | None, as_json: bool) -> None:
    now = time.time()
    with open_engine(settings.database_url).connect() as connection:
        snapshot = load_snapshot(connection)
    if system is not None and system not in snapshot.systems:
        known.refuse("system", system, snapshot.systems, as_json)
    found: list[dict[str, Any]] = [
        {
            "key": key.key_id,
            "system": key.system,
            "use": key.use,
            "state": _state(key, now),
            "valid_from": rfc3339(key.valid_from),
            "valid_until": rfc3339(key.valid_until),
            "days_left": int((key.valid_until - now) // _DAY),
            "thumbprint": key.thumbprint,
            "authority": key.authority,
            "standing": key.status,
        }
        for key in sorted(snapshot.keys.values(), key=lambda each: (each.system, each.use, each.valid_from))
        if system in (None, key.system)
    ]
    lines = [
        f"{each['key']:<24} {each['use']:<8} {both(each['state']):<24} {civil(each['valid_until'])}  {each['days_left']:>4} days / ngày"
        + (f"  {each['authority']}: {each['standing'].partition('; ')[2]}" if each["authority"] else "")
        for each in found
    ]
    emit({"ok": True, "keys": found}, as_json, "\n".join(lines))


def refresh(settings: Settings, as_json: bool) -> None:
    """Ask all outside authorities now."""
    engine = open_engine(settings.database_url)

    async def ask() -> list[str]:
        async with fetch.open_session() as session:
            return await OutsideAuthorities(engine, lock_of(engine), session, 0.0, Seal.of(settings)).ask_all()

    troubles = asyncio.run(ask())
    emit(
        {"ok": not troubles, "troubles": troubles},
        as_json,
        "\n".join(troubles) or "all outside authorities answered / mọi cơ quan chứng thực bên ngoài đều trả lời",
    )


def _state(key: Key, now: float) -> str:
    if key.state != ACTIVE or key.in_force(now):
        return key.state
    return "ended" if now >= key.valid_until else "not yet" if now < key.valid_from else "unknown"


def _note(act: Act, changes: list[Change], now: float) -> None:
    listed: list[Json] = [
        {"what": each.what, "id": each.id, "how": each.how, "fields": list(each.fields)} for each in changes
    ]
    if changes:
        act.note("registry", {"changes": listed}, now)
