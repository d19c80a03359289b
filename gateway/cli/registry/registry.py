"""`lgsp registry apply|accept|show`: agencies and systems."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.common import arguments
from gateway.cli.common.actor import actor, person
from gateway.cli.common.options import AsJson, At, Data, load_instance
from gateway.cli.common.output import Exit, emit, fail
from gateway.cli.common.waiting import in_force_lines, lines

if TYPE_CHECKING:
    from gateway.registry.records import Change
    from gateway.registry.snapshot import Snapshot
    from gateway.settings import Settings

commands = typer.Typer()


@commands.command("apply")
def registry_apply(
    file: Path,
    no_sign: Annotated[
        bool,
        typer.Option("--no-sign", help="In a sandbox: let its stand-in officers sign nothing, as in production."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Bring the registry to what a document declares. Roles of agencies, systems and routes are proposals: each holds
    once two officers have signed it. Each change is logged."""
    from gateway.journal.database import open_engine
    from gateway.keys.authority import EmbeddedAuthority
    from gateway.registry.changes import applying, deciding
    from gateway.registry.seals.revisions import raise_revision, revision
    from gateway.registry.seals.sealing import Seal, changing
    from gateway.sandbox.officers import sign_waiting

    settings = load_instance(data, as_json)
    advice = (
        "Name a registry document; docs/operating.md tells what one holds."
        " / Chỉ tài liệu đăng ký; xem docs/vi/operating.md."
    )
    text = arguments.content(file, advice, as_json)
    snapshot, embedded = current(settings), EmbeddedAuthority(settings).trust()
    now = time.time()
    with changing(open_engine(settings.database_url), Seal.of(settings)) as act:
        before = revision(act.connection)
        applied = applying.apply_text(act.connection, text, snapshot, embedded, now, person())
        effects = [] if no_sign else sign_waiting(act.connection, settings, now)
        if effects:
            raise_revision(act.connection)
        result: dict[str, Any] = {
            **applied.facts(),
            "in_force": deciding.in_force_rows(effects),
            "waiting": deciding.waiting_rows(act.connection, now),
        }
        if revision(act.connection) != before:
            act.note(applying.NOTE, {**result, "stand_ins": bool(effects)}, now, actor=actor())
    text_lines = [f"{each.what} {each.id}: {each.how} {', '.join(each.fields)}".rstrip() for each in applied.changes]
    if applied.left_out:
        names = ", ".join(applied.left_out)
        text_lines.append(
            f"suspended, for the document does not name them / bị tạm dừng vì tài liệu không nêu: {names};"
            " begin from / hãy bắt đầu từ: lgsp registry show --document"
        )
    if result["founding"]:
        text_lines.append(
            "the first document of this instance: all of it is in force / tài liệu đầu tiên: toàn bộ có hiệu lực ngay"
        )
    text_lines += [*in_force_lines(effects, sandbox=True), *lines(result["waiting"])]
    text_lines = text_lines or ["nothing to change"]
    if applied.remaining:
        text_lines.append(
            "still suspended: applying a document lifts no suspension; to resume"
            " / vẫn bị tạm dừng: áp dụng tài liệu không mở lại; để mở lại:"
        )
        text_lines += [f"      lgsp registry resume {what} {name}" for what, name in applied.remaining]
    result["suspended"] = [{"what": what, "id": name} for what, name in applied.remaining]
    emit({"ok": True, **result}, as_json, "\n".join(text_lines))


@commands.command("accept")
def registry_accept(
    reason: Annotated[
        str, typer.Option("--reason", help="Why the rows are to stand as they are; it goes into the log.")
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take rows that differ from the log as they stand, after somebody has looked at each; what differed and why is
    logged."""
    from gateway.journal.database import open_engine
    from gateway.registry.seals import sealing
    from gateway.registry.seals.sealing import Seal

    settings = load_instance(data, as_json)
    if not reason.strip():
        empty = "the reason is empty / lý do còn trống"
        fail(
            Exit.USAGE,
            "no-reason",
            empty,
            "Say why the rows are right: the log keeps it. / Nêu lý do: nhật ký lưu lại.",
            as_json,
        )
    accepted = sealing.accept(
        open_engine(settings.database_url), Seal.of(settings), reason.strip(), actor(), time.time()
    )
    lines = [f"accepted / đã chấp nhận: {each}" for each in accepted]
    rows = [{"table": each.table, "key": each.key, "how": each.how} for each in accepted]
    emit(
        {"ok": True, "accepted": rows},
        as_json,
        "\n".join(lines) or "the registry is what the log has / sổ đăng ký khớp với nhật ký",
    )


@commands.command("show")
def registry_show(
    at: At = None,
    document: Annotated[
        bool,
        typer.Option("--document", help="Print the registry document to begin a change from, which `apply` takes."),
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Agencies and systems with their state; or the whole as a registry document."""
    from gateway.cli.access import past
    from gateway.registry.contacts import lasting
    from gateway.registry.snapshot import load_snapshot

    settings = load_instance(data, as_json)
    with past.moment(settings, at, as_json) as stands:
        if document:
            from gateway.registry.changes.stating import document_text

            text = document_text(stands.registry)
            emit({"ok": True, "document": text}, as_json, text.rstrip())
        snapshot = load_snapshot(stands.registry)
        ready = snapshot.readiness(stands.at)
    agencies = [
        {
            "code": each.code,
            "name": each.name.vi,
            "level": each.level,
            "roles": list(each.roles),
            "state": each.state,
            "contacts": [at.stated() for at in each.contacts],
        }
        for each in snapshot.agencies.values()
    ]
    systems = [
        {
            "id": each.id,
            "agency": each.agency,
            "title": each.title.vi,
            "formats": dict(each.formats),
            "versions": dict(each.versions),
            "endpoint": each.endpoint.url if each.endpoint is not None else None,
            "state": each.state,
            "ready": ready[each.id],
            "contact": dict(lasting(each.contacts or snapshot.agencies[each.agency].contacts)),
            "keys": sorted(key.key_id for key in snapshot.keys.values() if key.system == each.id),
        }
        for each in snapshot.systems.values()
    ]
    lines = [
        f"{each['code']:<10} {each['state']:<10} {each['name']}{_why(snapshot, 'agency', str(each['code']))}"
        for each in agencies
    ]
    lines += [
        (
            f"{each['id']:<12} {each['agency']:<10} {each['state']:<10} {each['title']} "
            f" {each['endpoint'] or ''}{_spoken(each)}{_unable(ready[str(each['id'])])}"
            f"{_why(snapshot, 'system', str(each['id']))}"
        ).rstrip()
        for each in systems
    ]
    authorities: list[dict[str, Any]] = [
        {
            "name": each.name,
            "uses": list(each.uses),
            "crl": list(each.crl),
            "ocsp": each.ocsp,
            "grace_hours": round(each.grace / 3600),
        }
        for each in snapshot.authorities.values()
    ]
    lines += [
        f"{each['name']}: trusted for {', '.join(each['uses'])}; grace {each['grace_hours']} h" for each in authorities
    ]
    result = {
        "ok": True,
        "revision": snapshot.revision,
        "agencies": agencies,
        "systems": systems,
        "authorities": authorities,
    }
    nobody = (
        "Nobody is registered yet: lgsp registry apply FILE (docs/operating.md)."
        " / Chưa đăng ký ai: lgsp registry apply TỆP (docs/vi/operating.md)."
    )
    emit(result, as_json, "\n".join(lines) or nobody)


def _why(snapshot: Snapshot, what: str, name: str) -> str:
    """Why it is suspended, since when, and until when it is expected to be."""
    from security.grants.windows import civil

    notice = snapshot.notices.get((what, name))
    if notice is None:
        return ""
    until = f", until / đến {civil(notice.until)}" if notice.until is not None else ""
    return f"    suspended since / tạm dừng từ {civil(notice.since)}{until}: {notice.reason.en} / {notice.reason.vi}"


def current(settings: Settings) -> Snapshot:
    from gateway.journal.database import open_engine
    from gateway.registry.snapshot import load_snapshot

    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        return load_snapshot(connection)


def listed(changes: list[Change]) -> list[Any]:
    """Changes as the log and programs get them."""
    from gateway.registry.changes import deciding

    return deciding.listed(changes)


def _unable(ready: str) -> str:
    """Why an active system cannot call."""
    from gateway.console.words import WORDS

    words = f"ready.{ready}"
    return "" if ready in ("ready", "suspended") else f"  !! {WORDS['en'][words]} / {WORDS['vi'][words]}"


def _spoken(system: dict[str, Any]) -> str:
    """What a system speaks of each contract: its format and the minor version that it is pinned to."""
    from gateway.registry.records import NEWEST

    return "".join(
        f"  [{name}: {form} {system['versions'].get(name, NEWEST)}]" for name, form in system["formats"].items()
    )
