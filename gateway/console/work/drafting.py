"""A grant as a form: its fields as texts, and the raw grant that a file of grants would have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection, select

from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.journal.schema import tables
from gateway.registry.changes.granting import content_of
from gateway.registry.changes.matrix import operations
from gateway.registry.changes.officers import officers
from gateway.registry.errors import unknown
from gateway.registry.snapshot import Snapshot
from security.grants.grants import OFFICERS
from security.grants.windows import DAYS, first_day, last_day

_NUMBER: Final = re.compile(r"G-([0-9]{1,9})")
_LIST: Final = re.compile(r"[\s,]+")


def missing_officers(connection: Connection, viewer: Viewer) -> int:
    """How many officers are missing in office to sign what somebody proposes: he does not sign it himself."""
    known = officers(connection).values()
    return max(0, OFFICERS - sum(each.state == "active" and each.id != viewer.account.id for each in known))


def raw(form: Mapping[str, str]) -> dict[str, Any]:
    """The grant of a form, unchecked. Raises `console.form`."""

    def text(name: str) -> str:
        return form.get(name, "").strip()

    item: dict[str, Any] = {name: text(name) for name in ("id", "contract", "purpose", "legal_basis") if text(name)}
    item |= {name: text(name) for name in ("agency", "role") if text(name)}
    item |= {name: _day(text(name)) for name in ("valid_from", "valid_until") if text(name)}
    item |= {name: [each for each in _LIST.split(text(name)) if each] for name in ("operations", "fields")}
    for name in ("receives", "denies"):
        if text(name) == "true":
            item[name] = True
    if text("hours_from") or text("hours_until"):
        days = [each for each in _LIST.split(text("days")) if each] or list(DAYS)
        item["hours"] = {"days": days, "from": text("hours_from"), "until": text("hours_until")}
    if text("calls"):
        item["quota"] = {"calls": _whole("calls", text("calls")), "per": text("per") or "day"}
    if text("edition") not in ("", "1"):
        item["edition"] = _whole("edition", text("edition"))
    return item


def of_json(given: Mapping[str, Any]) -> dict[str, Any]:
    """The grant of a program, as a file of grants has it, unchecked. Days are texts there."""
    return {name: _day(value) if name in ("valid_from", "valid_until") else value for name, value in given.items()}


def of_grant(connection: Connection, viewer: Viewer, name: str) -> dict[str, str]:
    """The fields of a form for a grant that stands. Raises `registry.unknown`."""
    grant = content_of(connection, name)
    if viewer.account.scope not in (None, grant.agency):
        raise unknown("grant", name)
    given = {
        "id": grant.id,
        "agency": grant.agency or "",
        "role": grant.role or "",
        "contract": grant.contract,
        "operations": " ".join(grant.operations),
        "fields": " ".join(grant.fields),
        "purpose": grant.purpose,
        "legal_basis": grant.legal_basis,
        "valid_from": first_day(grant.valid_from),
        "valid_until": last_day(grant.valid_until),
        "receives": "true" if grant.receives else "",
        "denies": "true" if grant.denies else "",
        "edition": str(grant.edition),
    }
    if grant.hours is not None:
        hours: dict[str, Any] = grant.hours.to_json()
        given |= {"days": " ".join(hours["days"]), "hours_from": hours["from"], "hours_until": hours["until"]}
    if grant.quota is not None:
        given |= {"calls": str(grant.quota.calls), "per": grant.quota.per}
    return given


def next_id(connection: Connection) -> str:
    """An id that no grant had before."""
    history = tables.registry_history.c
    names = connection.scalars(select(history.key).where(history.of_table == tables.access_grant.name).distinct())
    numbers = [int(found[1]) for name in names if (found := _NUMBER.fullmatch(name))]
    present = [
        int(found[1])
        for name in connection.scalars(select(tables.access_grant.c.id))
        if (found := _NUMBER.fullmatch(name))
    ]
    return f"G-{max([*numbers, *present], default=0) + 1:04}"


def contracts(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """The operations that a grant of each contract can name."""
    return {name: operations(contract) for name, contract in sorted(snapshot.contracts.items())}


def _day(text: str) -> date | str:
    """What is no day stays as it is written, and is reported."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise CONSOLE_FORM(field=name, why="a whole number")
    return int(text)
