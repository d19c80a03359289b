"""What the doctor finds, what of it stands for long, and who was told."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.console.accounts.records import Viewer
from gateway.console.site.desk import Desk
from gateway.doctor import examined
from gateway.doctor.findings import Finding, kinds
from gateway.notices import store
from gateway.notices.store import Notice
from gateway.watch import findings as watched
from gateway.watch import operators
from gateway.watch.findings import Standing, Taken

ENDED: Final = 20  # that a page shows


class Upkeep(NamedTuple):
    """`trouble`: why the doctor could not look. The database's file is not read as a whole. `standing`: what operators
    are told of; `told`: the newest messages to them, by receiver; `receivers`: how many there are."""

    findings: tuple[Finding, ...]
    usual: tuple[Finding, ...]  # normal in a sandbox, and findings in production
    trouble: str | None
    looked_for: int
    standing: tuple[Standing, ...] = ()
    ended: tuple[Standing, ...] = ()
    told: tuple[tuple[str, Notice], ...] = ()
    receivers: int = 0
    at: float = 0.0


def upkeep(desk: Desk) -> Upkeep:
    findings: tuple[Finding, ...] = ()
    usual: tuple[Finding, ...] = ()
    trouble = None
    try:
        findings, usual = map(tuple, examined(desk.services.settings, desk.now, whole=False))
    except OSError as missing:
        trouble = f"{missing.filename}: {missing.strerror}"
    to = operators.receivers(desk.services.settings)
    with desk.reading() as connection:
        standing, ended = watched.standing(connection), watched.standing(connection, ended=True)[:ENDED]
        told = [(to.get(each.system, "–"), each) for each in store.to_operators(connection)]
    return Upkeep(
        findings, usual, trouble, len(kinds()), tuple(standing), tuple(ended), tuple(told), len(to), desk.now()
    )


def acknowledge(desk: Desk, viewer: Viewer, id: str, reason: str) -> Standing:
    """Nobody is told of it any more until it is over. Raises `alarm.unknown` and `alarm.acknowledged`."""
    with desk.writing() as connection:
        one = watched.find(connection, id)
        return watched.acknowledge(connection, one, Taken(desk.now(), viewer.actor, reason))
