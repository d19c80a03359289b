"""What the commands of `lgsp access` and `lgsp audit` need of the past: the registry of then, versions of a grant, and
the judgement of a transfer by the registry that decided it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from contracts.base.times import rfc3339
from gateway.cli.common import arguments
from gateway.cli.common.labels import both
from gateway.cli.common.output import Exit, fail, warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from gateway.registry.history import GrantVersion
    from gateway.registry.judging import Judged, Moment
    from gateway.registry.snapshot import Snapshot
    from gateway.settings import Settings


@contextmanager
def moment(settings: Settings, at: str | None, as_json: bool, *, rights: bool = False) -> Iterator[Moment]:
    """The registry at a time as a person writes it; now, and in the future, it is the present one.

    Present rows that differ from the log are warned of. Where `rights` are asked about, they are not answered from:
    no door grants anything by them.
    """
    from gateway.journal.database import open_engine
    from gateway.registry.judging import PRESENT, standing_at
    from gateway.registry.seals.reading import differing
    from gateway.registry.seals.sealing import altered

    now = time.time()
    then = now if at is None else arguments.moment(at, as_json)
    with standing_at(open_engine(settings.database_url), then, None if then < now else PRESENT) as stands:
        if not stands.past and (wrong := differing(stands.here, settings)):
            if rights:
                raise altered(wrong)
            warn(altered(wrong))
        yield stands


# --- transfers --------------------------------------------------------------------------------------------------------
def judged_of(engine: Engine, id: str, as_json: bool) -> Judged:
    """The transfer of that id, as its intent or refusal has it; else the command ends."""
    from gateway.journal.logged import entry_of
    from gateway.registry.judging import judged

    with engine.connect() as connection:
        logged = entry_of(connection, id, "intent") or entry_of(connection, id, "refusal")
    if logged is None:
        what = f"the log holds nothing of {id} / nhật ký không có gì về giao dịch này"
        then = "It stands in each answer as Lgsp-Transfer. / Mã giao dịch nằm trong trường Lgsp-Transfer."
        fail(Exit.NO, "no-such-transfer", what, then, as_json)
    asked = judged(logged.value)
    if asked is None:
        what = f"{id} was refused before grants were asked / bị từ chối trước khi xét quyền"
        then = f"See its code ({logged.value.get('failure')}): / Xem mã lỗi: lgsp audit journey {id}"
        fail(Exit.NO, "not-judged", what, then, as_json)
    return asked


def judgements(engine: Engine, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each intent and refusal judged by exactly the revision that decided it; those of older releases are left out."""
    from contracts.base.errors import Failure
    from gateway.registry.judging import judged, standing_at
    from gateway.registry.snapshot import load_snapshot

    told: list[dict[str, Any]] = []
    snapshots: dict[int, Snapshot] = {}
    for asked in filter(None, map(judged, entries)):
        if asked.revision is None:
            continue
        about = {"transfer": asked.transfer, "registry": asked.revision, "at": rfc3339(asked.at)}
        try:
            if asked.revision not in snapshots:
                with standing_at(engine, asked.at, asked.revision) as stands:
                    snapshots[asked.revision] = load_snapshot(stands.registry)
        except Failure as unknown:
            told.append(about | {"unknown": unknown.code})
            continue
        snapshot = snapshots[asked.revision]
        decision = snapshot.decide(asked.agency, asked.contract, asked.operation, asked.at)
        names = {"grant": decision.grant, "nearest": decision.nearest}
        told.append(
            about
            | asked.verdict(decision, snapshot)
            | {"agrees": asked.agrees(decision, snapshot)}
            | {name: each.id for name, each in names.items() if each is not None}
        )
    return told


def judgement_line(told: Mapping[str, Any]) -> str:
    head = f"judged / xét lại {told['transfer']} by revision / theo bản {told['registry']}"
    if "unknown" in told:
        return f"{head}: unknown / không rõ ({told['unknown']})"
    by = told.get("grant") or told.get("nearest") or "–"
    agrees = {True: "as logged / khớp nhật ký", False: "NOT AS LOGGED / KHÔNG KHỚP NHẬT KÝ"}.get(told["agrees"])
    other = agrees or "refused for another reason / bị từ chối vì lý do khác"
    return f"{head}: {'yes / được' if told['allowed'] else 'no / không'} ({told['reason']}, {by}); {other}"


# --- grants -----------------------------------------------------------------------------------------------------------
def versions_json(versions: list[GrantVersion]) -> list[dict[str, Any]]:
    return [
        {
            "revision": each.revision,
            "from": rfc3339(each.since),
            "until": rfc3339(each.until) if each.until is not None else None,
            "by": each.actor,
            "what": each.what,
            "entry": each.entry,
            "state": each.state,
            "standing": each.standing,
            "digest": each.digest,
            "signed": list(each.signed),
            "content": each.content,
        }
        for each in versions
    ]


def version_lines(versions: list[GrantVersion]) -> list[str]:
    from gateway.registry.changes.effects import said
    from security.grants.windows import civil

    lines: list[str] = []
    before: Mapping[str, Any] = {}
    for each in versions:
        until = civil(each.until, seconds=True) if each.until is not None else "now / nay"
        lines.append(
            f"{'version':<12} {civil(each.since, seconds=True)} – {until}: {both(each.standing)}, signed by / người ký:"
            f" {', '.join(each.signed) or '–'}; {each.what} by / bởi {each.actor}; {each.digest[:16]}"
        )
        if before:
            lines += [
                f"{'':<12}   {name}: {said(before.get(name))} → {said(each.content.get(name))}"
                for name in sorted({*before, *each.content})
                if before.get(name) != each.content.get(name)
            ]
        before = each.content
    return lines


def ended(stands: Moment, name: str) -> GrantVersion | None:
    """The last version of a grant that no longer stands; None if it stands or never was."""
    versions = held(stands, name)
    return versions[-1] if versions and versions[-1].state in ("revoked", "removed") else None


def held(stands: Moment, name: str) -> list[GrantVersion]:
    """The versions of a grant up to that time."""
    from gateway.registry.history import grant_versions

    every = grant_versions(stands.here, name)
    upto = [each for each in every if not stands.past or each.since <= stands.at]
    return [*upto[:-1], upto[-1]._replace(until=None)] if stands.past and upto else upto
