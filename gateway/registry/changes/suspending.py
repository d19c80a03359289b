"""Suspends and resumes with a notice, and revokes, as one change with its entry in the log: for commands and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.base.times import rfc3339
from gateway.registry.changes import keys, notices
from gateway.registry.changes.notices import Notice, What
from gateway.registry.records import Change
from gateway.registry.seals.sealing import Act


def suspend(act: Act, whom: tuple[What, str], notice: Notice, actor: str, *, shorten: bool = False) -> list[Change]:
    """`notice.since` is now."""
    what, name = whom
    changes = notices.suspend(act.connection, what, name, notice, shorten=shorten)
    facts: dict[str, Any] = {"changes": listed(changes), "reason": {"vi": notice.reason.vi, "en": notice.reason.en}}
    if notice.until is not None:
        facts["until"] = rfc3339(notice.until)
    act.note("suspended", facts, notice.since, actor=actor)
    return changes


def resume(act: Act, whom: tuple[What, str], by: tuple[str, str | None], now: float) -> list[Change]:
    """`by` is who, and why where a reason was given."""
    changes = notices.resume(act.connection, *whom)
    if changes:
        reason = {} if by[1] is None else {"reason": by[1]}
        act.note("resumed", {"changes": listed(changes), **reason}, now, actor=by[0])
    return changes


def revoke(act: Act, name: tuple[What | str, str], why: tuple[str, str | None], actor: str, now: float) -> list[Change]:
    """Revokes a key, or all keys of a system. `why` is a reason of RFC 5280, and one in words."""
    what, id = name
    of = keys.revoke_system if what == "system" else keys.revoke_key
    changes = of(act.connection, id, now, why[0])
    if changes:
        reason = {} if why[1] is None else {"reason": why[1]}
        act.note("registry", {"changes": listed(changes), **reason}, now, actor=actor)
    return changes


def listed(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Changes as the log and programs get them."""
    return [{"what": each.what, "id": each.id, "how": each.how, "fields": list(each.fields)} for each in changes]
