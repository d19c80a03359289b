"""A grant as a row: for programs, and what lists say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.base.times import rfc3339

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.registry.history import GrantVersion
    from security.grants.grants import Grant


def grant_of(connection: Connection, name: str) -> Grant:
    """The grant of that id. Raises `registry.unknown`."""
    from gateway.registry.errors import unknown
    from gateway.registry.snapshot import all_grants

    grant = next((each for each in all_grants(connection) if each.id == name), None)
    if grant is None:
        raise unknown("grant", name)
    return grant


def signatures(grant: Grant) -> str:
    from security.grants.grants import OFFICERS

    if grant.denies:
        return "forbids, in force without signatures / cấm, có hiệu lực không cần chữ ký"
    if grant.policy:
        return f"by the policy / theo chính sách {grant.policy}"
    count = len(grant.approved_by)
    return f"{count} of {OFFICERS} signatures / {count} trên {OFFICERS} chữ ký"


def way(row: dict[str, Any]) -> str:
    """What the grant is for; a prohibition says so first."""
    if row["denies"]:
        return "FORBIDS to receive / CẤM nhận" if row["receives"] else "FORBIDS to ask / CẤM gọi"
    return "receives / nhận" if row["receives"] else "asks / gọi"


def signed(row: dict[str, Any]) -> str:
    from security.grants.grants import OFFICERS

    if row["denies"]:
        return "needs no signatures / không cần chữ ký"
    if row["policy"]:
        return f"policy / chính sách {row['policy']}"
    return f"{len(row['approved_by'])}/{OFFICERS} signed / chữ ký"


def lacks(grant: Grant) -> bool:
    from security.grants.grants import OFFICERS

    return not grant.denies and not grant.policy and len(grant.approved_by) < OFFICERS


def row(grant: Grant, now: float) -> dict[str, Any]:
    from security.grants.grants import Reason, judge
    from security.grants.windows import first_day, last_day

    verdict = judge(grant, now)
    if verdict is Reason.NOT_YET_VALID and lacks(grant) and not grant.adopted:
        verdict = Reason.NOT_APPROVED  # time alone will not bring it into force
    standing = (
        "in force"
        if verdict in (Reason.GRANTED, Reason.DENIED)
        else "not in force"
        if verdict is None
        else str(verdict)
    )
    if verdict is Reason.GRANTED and grant.adopted and not grant.confirmed:
        standing = "overdue" if grant.overdue(now) else "adopted"
    return {
        "id": grant.id,
        "holder": grant.agency or f"role {grant.role}",
        "contract": grant.contract,
        "operations": list(grant.operations),
        "fields": list(grant.fields),
        "denies": grant.denies,
        "receives": grant.receives,
        "confirm_until": rfc3339(grant.confirm_until) if grant.adopted and not grant.confirmed else None,
        "standing": standing,
        "state": grant.state,
        "approved_by": list(grant.approvers),
        "policy": grant.policy or None,
        "hours": str(grant.hours) if grant.hours is not None else None,
        "quota": str(grant.quota) if grant.quota is not None else None,
        "valid_from": rfc3339(grant.valid_from),
        "valid_until": rfc3339(grant.valid_until),
        "first_day": first_day(grant.valid_from),
        "last_day": last_day(grant.valid_until),
    }


def ended(last: GrantVersion, now: float) -> dict[str, Any]:
    """A grant that was revoked, or removed by a document."""
    from security.grants.grants import Grant

    told = row(Grant.from_json(last.content), now)
    return told | {"standing": last.state, "state": last.state, "ended": rfc3339(last.since), "ended_by": last.actor}
