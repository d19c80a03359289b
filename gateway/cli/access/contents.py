"""What `lgsp access show` and `approve` do with `route/…`, `system/…` and `agency/…`: content that officers sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.cli.common import waiting
from gateway.cli.common.labels import both

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.registry.changes.content import Subject
    from gateway.registry.changes.deciding import Signed
    from gateway.registry.changes.effects import Compared, Sight
    from gateway.registry.changes.proposals import Proposal
    from gateway.registry.snapshot import Snapshot


def opened(connection: Connection, subject: Subject) -> Proposal:
    """What officers sign of it."""
    from gateway.registry.changes.proposals import open_proposal

    return open_proposal(connection, subject)


def show(connection: Connection, subject: Subject, now: float) -> tuple[dict[str, Any], str]:
    """For programs and for people: the content, what it changes, and who receives what by it."""
    from sqlalchemy import select

    from gateway.journal.schema import tables
    from gateway.registry.changes.content import in_force
    from gateway.registry.changes.dependencies import waits_for
    from gateway.registry.changes.effects import compared
    from gateway.registry.changes.proposals import open_proposal, proposals, signed_by
    from gateway.registry.snapshot import load_snapshot
    from security.grants.windows import civil

    snapshot, proposal = load_snapshot(connection), open_proposal(connection, subject)
    held = waits_for(proposal.subject, proposal.content, proposals(connection, "waiting"), in_force(connection))
    result = _row(proposal, signed_by(connection, proposal))
    effect = compared(connection, snapshot, proposal, now)
    table = tables.approval.c
    approvals = [
        {
            "officer": row.officer,
            "given": rfc3339(row.given),
            "holds": row.voided is None and row.digest == proposal.digest and row.officer in result["signed_by"],
            "voided": rfc3339(row.voided) if row.voided is not None else None,
            "digest": row.digest,
            "signature": row.signature,
        }
        for row in connection.execute(select(*table).where(table.subject == str(subject)).order_by(table.given))
    ]
    result |= {
        "waits_for": [each.path for each in held] if proposal.state == "waiting" else [],
        "content": proposal.content,
        "changes": [{"name": name, "old": old, "new": new} for name, old, new in effect.changes],
        "new": [each.json() for each in effect.new],
        "gone": [each.json() for each in effect.gone],
        "kept": [each.json() for each in effect.kept],
        "approvals": approvals,
    }
    lines = [f"{subject.path}: {both(result['standing'])}, {_signatures(result)}"]
    if result["waits_for"]:
        lines.append(f"      waits for / chờ {', '.join(result['waits_for'])}")
    lines += _told(snapshot, effect)
    lines.append(f"digest / mã băm {proposal.digest}")
    lines += [
        f"signed / người ký {each['officer']} {civil(each['given'])}"
        f" {'holds / có giá trị' if each['holds'] else 'void / vô hiệu'}"
        for each in approvals
    ]
    return result, "\n".join(lines)


def told(
    connection: Connection, subject: Subject, proposal: Proposal, signed: Signed, now: float
) -> tuple[dict[str, Any], str]:
    """What a signature for `proposal` did: for programs and for people."""
    from gateway.registry.changes.deciding import in_force_rows, waiting_rows
    from gateway.registry.changes.proposals import signed_by

    rows = waiting_rows(connection, now)
    result = {"subject": subject.path, "in_force": in_force_rows(signed.effects), "waiting": rows}
    lines = waiting.in_force_lines(signed.effects)
    lines += waiting.lines([each for each in rows if each["subject"] == subject.path])
    if proposal.state != "waiting":
        lines.append(f"{subject.path}: {_signatures(_row(proposal, signed_by(connection, proposal)))}")
    if not signed.changes:
        lines.append("signed before / đã ký từ trước")
    return result, "\n".join(lines)


def _row(proposal: Proposal, signed_by: tuple[str, ...]) -> dict[str, Any]:
    from gateway.registry.changes.proposals import ADOPTED, FOUNDING
    from gateway.registry.tenants import POLICY
    from security.grants.grants import OFFICERS

    standing = "not-approved"
    if proposal.state != "waiting":
        founded = proposal.basis in (ADOPTED, FOUNDING, POLICY) and len(signed_by) < OFFICERS
        standing = proposal.basis if founded else "in force"
    return {
        **proposal.facts(),
        "subject": proposal.subject.path,
        "standing": standing,
        "signed_by": list(signed_by),
    }


def _signatures(row: dict[str, Any]) -> str:
    from security.grants.grants import OFFICERS

    count = len(row["signed_by"])
    named = f": {', '.join(row['signed_by'])}" if count else ""
    by = f"; proposed by / người đề xuất: {row['proposed_by']}" if row["proposed_by"] else ""
    return f"{count} of {OFFICERS} signatures / {count} trên {OFFICERS} chữ ký{named}{by}"


def _told(snapshot: Snapshot, effect: Compared) -> list[str]:
    from gateway.registry.changes.effects import said

    lines = [f"  {name}: {said(old)} -> {said(new)}" for name, old, new in effect.changes]
    for mark, title, sights in (
        ("+", "from now on / từ nay", effect.new),
        ("-", "no longer / không còn", effect.gone),
        ("=", "as before / như cũ", effect.kept),
    ):
        if sights:
            lines.append(f"{title}:")
        for each in sights:
            lines += _sight(snapshot, each, mark)
    if not (effect.new or effect.gone or effect.kept):
        lines.append("nobody receives anything by it / không ai nhận gì theo nội dung này")
    return lines


def _sight(snapshot: Snapshot, sight: Sight, mark: str) -> list[str]:
    known = snapshot.agencies.get(sight.agency)
    name = known.name if known is not None else Words("", "")
    agency = Words(f"{name.vi} ({sight.agency})", f"{name.en} ({sight.agency})")
    text = sight.say(agency)
    lines = [f"  {mark} {text.en}", f"    {text.vi}"]
    if sight.shown:
        lines.append(f"      sees / xem: {', '.join(sight.shown)}")
    if sight.hidden:
        lines.append(f"      hidden / che: {', '.join(sight.hidden)}")
    return lines
