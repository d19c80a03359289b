"""`lgsp registry enrol|revoke|keys|refresh`: the certificates of systems."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contracts.base.errors import Failure
from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.cli.common import arguments, name_checks
from gateway.cli.common.actor import actor
from gateway.cli.common.labels import both
from gateway.cli.common.options import AsJson, At, Data, load_instance
from gateway.cli.common.output import Exit, emit, exit_of, fail, failed

if TYPE_CHECKING:
    from gateway.registry.records import Change, Key
    from gateway.registry.seals.sealing import Act

commands = typer.Typer()


class KeyUse(StrEnum):
    TLS = "tls"
    SIGN = "sign"
    ENCRYPT = "encrypt"


_DAY = 86_400.0


@commands.command("enrol")
def registry_enrol(
    system: str,
    use: Annotated[KeyUse, typer.Option("--use", help="What the key is for.")],
    request: Annotated[
        Path | None,
        typer.Option("--request", help="Certificate request (PKCS#10, PEM) that the embedded authority answers."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", help="Certificate (PEM) that an authority of the registry issued.")
    ] = None,
    key_id: Annotated[str | None, typer.Option("--id", help="Id of the key (default: <system>.<use>-<n>).")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write the certificate.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Register a key of a system, beside those it has; the certificate is issued for a request, or was made outside."""
    from gateway.journal.database import open_engine
    from gateway.keys.authority import EmbeddedAuthority
    from gateway.registry.changes import enrolment, keys
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
    file = request or certificate
    if file is None or request is not None and certificate is not None:
        what = (
            "name either a certificate request or a certificate"
            " / chỉ nêu một trong hai: yêu cầu chứng thư hoặc chứng thư"
        )
        fail(
            Exit.USAGE,
            "request-or-certificate",
            what,
            "Use --request FILE or --certificate FILE. / Dùng --request TỆP hoặc --certificate TỆP.",
            as_json,
        )
    content = (
        arguments.content(file, "Name a PEM file. / Chỉ một tệp PEM.", as_json)
        if request is None
        else arguments.certificate_request(request, as_json)
    )
    now, own = time.time(), EmbeddedAuthority(settings)
    engine = open_engine(settings.database_url)
    with changing(engine, Seal.of(settings)) as act:
        connection = act.connection
        wanted = enrolment.Wanted(system, use.value, key_id)
        if request is not None:
            done = enrolment.by_request(connection, own.issuer, wanted, content, now)
        else:
            trusts = keys.trusted(connection, own.trust())
            done = enrolment.by_certificate(connection, trusts, wanted, content, now)
        note_keys(act, done.changes, now)
        if out is not None:  # before it is enrolled for good: a key whose certificate nobody has could never be used
            out.write_bytes(done.certificate)
    result = {
        "ok": True,
        "key": done.key_id,
        "system": system,
        "use": use.value,
        "authority": done.authority,
        "added": bool(done.changes),
        "unnamed_host": done.unnamed,
        "certificate": done.certificate.decode("ascii"),
        "file": str(out) if out is not None else None,
    }
    text = f"{done.key_id}: enrolled for {system} ({use.value}) / đã đăng ký cho {system}" + (
        f"; certificate in / chứng thư ở {out}" if out is not None else f"\n{result['certificate']}"
    )
    if done.unnamed is not None:
        text += (
            f"\nThe certificate does not name {done.unnamed}, where the gateway calls {system}: it cannot serve there."
            f" / Chứng thư không ghi {done.unnamed}, nơi cổng gọi {system}: không dùng cho máy chủ ở đó được."
            f" (`lgsp client keygen --host {done.unnamed}`)"
        )
    emit(result, as_json, text)


@commands.command("revoke")
def registry_revoke(
    name: Annotated[str, typer.Argument(help="Id of a key, or with --all of a system.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, as RFC 5280 names it: keyCompromise, superseded, …")],
    all_: Annotated[bool, typer.Option("--all", help="Withdraw all keys of the system.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Withdraw a key for good, from the next request on; the revocation list tells others."""
    from gateway.journal.database import open_engine
    from gateway.registry.changes import keys, suspending
    from gateway.registry.seals.sealing import Seal, changing

    settings = load_instance(data, as_json)
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
        try:
            changes = suspending.revoke(act, ("system" if all_ else "key", name), (reason, None), actor(), now)
        except Failure as unknown:
            if all_ or not keys.is_system(act.connection, name):
                raise
            with_all = f"lgsp registry revoke {name} --all --reason {reason}"
            then = Words(
                f"{name} là một hệ thống; để thu hồi mọi khóa của nó: {with_all}",
                f"{name} is a system; to revoke all its keys: {with_all}",
            )
            failed(exit_of(unknown.code, unknown.branch), unknown, as_json, then=then)
    revoked = ", ".join(each.id for each in changes)
    text = f"{revoked}: revoked ({reason}) / đã thu hồi"
    if not changes:
        text = f"{name}: was revoked before / đã thu hồi từ trước"
    if all_:
        emit({"ok": True, "system": name, "revoked": [each.id for each in changes], "reason": reason}, as_json, text)
    emit({"ok": True, "key": name, "revoked": bool(changes), "reason": reason}, as_json, text)


@commands.command("keys")
def registry_keys(
    system: Annotated[str | None, typer.Argument()] = None, at: At = None, data: Data = None, as_json: AsJson = False
) -> None:
    """The keys of all systems, or of one: what for, in force or not, how long."""
    from gateway.cli.access import past
    from gateway.registry.snapshot import load_snapshot
    from security.grants.windows import civil

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        now, snapshot = stands.at, load_snapshot(stands.registry)
    if system is not None and system not in snapshot.systems:
        name_checks.refuse("system", system, snapshot.systems, as_json)
    rows: list[dict[str, Any]] = [
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
        (
            f"{each['key']:<24} {each['use']:<8} {both(each['state']):<24}"
            f" {civil(each['valid_until'])}  {each['days_left']:>4} days / ngày"
        )
        + (f"  {each['authority']}: {each['standing'].partition('; ')[2]}" if each["authority"] else "")
        for each in rows
    ]
    emit({"ok": True, "keys": rows}, as_json, "\n".join(lines))


@commands.command("refresh")
def registry_refresh(data: Data = None, as_json: AsJson = False) -> None:
    """Ask the outside authorities now what they have revoked, without waiting for the keeper's next round."""
    import asyncio

    from gateway.journal.database import lock_of, open_engine
    from gateway.keeper import revocation_fetch as fetch
    from gateway.keeper.tasks.certificate_status import OutsideAuthorities
    from gateway.registry.seals.sealing import Seal

    # Ask all outside authorities now.
    settings = load_instance(data, as_json)
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
    from gateway.registry.records import ACTIVE

    if key.state != ACTIVE or key.in_force(now):
        return key.state
    return "ended" if now >= key.valid_until else "not yet" if now < key.valid_from else "unknown"


def note_keys(act: Act, changes: list[Change], now: float) -> None:
    """Enter enrolled keys into the log."""
    from gateway.registry.changes.suspending import listed

    if changes:
        act.note("registry", {"changes": listed(changes)}, now, actor=actor())
