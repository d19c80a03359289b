"""The vault of bodies: classes, keys, what is due, and legal holds. The keeper seals what a hold covers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from contracts.base.errors import Theirs
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORM
from gateway.console.site.desk import Desk
from gateway.console.work.people import agency_of
from gateway.console.work.searching import moment
from gateway.journal.schema import tables
from gateway.keeper.retention import holds, status
from gateway.keeper.retention.holds import Hold
from gateway.keeper.retention.status import KeyLine
from gateway.vault.classes import HOLD_NAME
from gateway.vault.stores import open_vault
from gateway.vault.vault import Vault

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MOST: Final = 200  # transfers that one hold names


class Class(NamedTuple):
    """Keys of one retention class, under one hold or none. `due`: when the first of them is destroyed."""

    name: str
    hold: str | None
    keys: int
    first: str
    last: str
    bodies: int
    bytes: int
    due: float | None
    overdue: int


class Kept(NamedTuple):
    """`waiting`: keys that wait because the clock is not sure; `log` is the newest entry's time."""

    classes: tuple[Class, ...]
    holds: tuple[tuple[Hold, int], ...]
    destroyed: int
    missing: tuple[str, ...]
    waiting: int
    log: str
    counted: bool


def kept(desk: Desk, *, counted: bool = False) -> Kept:
    """Counting bodies and bytes reads the whole index of the vault."""
    vault, now, engine = _vault(desk), desk.now(), desk.services.engine
    found = status.status(engine, vault, counted=counted)
    waiting, log = status.doubted(engine, vault, now)
    groups: dict[tuple[str, str | None], list[KeyLine]] = {}
    for line in found.keys:
        groups.setdefault((line.name.retention, line.name.hold), []).append(line)
    return Kept(
        classes=tuple(_class(*key, lines, now) for key, lines in sorted(groups.items(), key=lambda each: str(each[0]))),
        holds=found.holds,
        destroyed=found.destroyed,
        missing=tuple(line.name.id for line in found.keys if not line.stands and line.ended is None),
        waiting=waiting,
        log=log,
        counted=counted,
    )


def add(desk: Desk, viewer: Viewer, given: Mapping[str, str], reason: str) -> str:
    """Puts a hold in place; the keeper seals what it covers. Returns its name.

    Raises `console.form`, `console.unknown-name`, `console.ambiguous-name`, `vault.hold-stands`,
    `vault.hold-too-late`, `vault.nothing-of`.
    """
    hold = _hold(desk, viewer, given, reason)
    if hold.agency is not None:
        hold = replace(hold, agency=_agency(desk, hold.agency))
    known = desk.services.registry.snapshot.contracts
    with desk.writing() as connection:
        if hold.contract not in (None, *known) and not _covers(connection, contract=hold.contract):
            raise CONSOLE_FORM(field="contract", why="no such contract")
        holds.add(connection, hold)
    return hold.name


def release(desk: Desk, viewer: Viewer, name: str, reason: str) -> None:
    """Raises `vault.hold-unknown`."""
    with desk.writing() as connection:
        holds.release(connection, name[:60], reason, viewer.actor, desk.now())


def confirm_clock(desk: Desk, viewer: Viewer) -> None:
    """The viewer says that this host's time is right; it stands for two days."""
    status.confirm_clock(desk.services.engine, _vault(desk).keys, desk.now(), viewer.actor)


def _hold(desk: Desk, viewer: Viewer, given: Mapping[str, str], reason: str) -> Hold:
    texts = {name: given.get(name, "").strip() for name in ("name", "agency", "contract", "begins", "ends")}
    if HOLD_NAME.fullmatch(texts["name"]) is None:
        raise CONSOLE_FORM(field="name", why="small letters, digits and hyphens, 40 at most")
    ids = tuple(dict.fromkeys(given.get("transfers", "").split()))
    for id in ids:
        if len(ids) > MOST or _ID.fullmatch(id) is None:
            raise CONSOLE_FORM(field="transfers", why=f"ids of transfers, {MOST} at most")
    others = [texts[name] for name in ("agency", "contract", "begins", "ends") if texts[name]]
    if bool(ids) is bool(others):
        why = "either transfers, or agency, contract and times" if ids else "missing"
        raise CONSOLE_FORM(field="transfers", why=why)
    begins = moment(texts["begins"] or None, "begins")
    ends = moment(texts["ends"] or None, "ends", whole=True)
    if begins is not None and ends is not None and begins >= ends:
        raise CONSOLE_FORM(field="ends", why="not after the beginning")
    return Hold(
        name=texts["name"],
        reason=reason,
        actor=viewer.actor,
        since=desk.now(),
        transfers=ids or None,
        agency=texts["agency"][:60] or None,
        contract=texts["contract"][:100] or None,
        begins=begins,
        ends=ends,
    )


def _agency(desk: Desk, text: str) -> str:
    """The code of an agency by its code or name; a text that the registry lacks may be that of old transfers."""
    with desk.reading() as connection:
        try:
            return agency_of(connection, text)
        except Theirs:
            if _covers(connection, agency=text):
                return text
            raise


def _covers(connection: Connection, *, agency: str | None = None, contract: str | None = None) -> bool:
    """Whether a hold on it would cover a transfer."""
    alone = Hold("-", "", "", 0.0, agency=agency, contract=contract)
    return connection.scalar(select(tables.transfer.c.id).where(alone.covers()).limit(1)) is not None


def _class(name: str, hold: str | None, lines: list[KeyLine], now: float) -> Class:
    due = [line.name.due for line in lines if line.name.due is not None and not line.held]
    return Class(
        name=name,
        hold=hold,
        keys=len(lines),
        first=lines[0].name.day.isoformat(),
        last=lines[-1].name.day.isoformat(),
        bodies=sum(line.bodies for line in lines),
        bytes=sum(line.bytes for line in lines),
        due=min(due, default=None),
        overdue=sum(each < now for each in due),
    )


def _vault(desk: Desk) -> Vault:
    return open_vault(desk.services.settings, desk.services.engine)
