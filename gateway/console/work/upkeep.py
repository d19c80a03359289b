"""What the doctor finds."""

from __future__ import annotations

from typing import NamedTuple

from gateway.console.site.desk import Desk
from gateway.doctor import examined
from gateway.doctor.findings import Finding, kinds


class Upkeep(NamedTuple):
    """`trouble`: why the doctor could not look. The database's file is not read as a whole."""

    findings: tuple[Finding, ...]
    usual: tuple[Finding, ...]  # normal in a sandbox, and findings in production
    trouble: str | None
    looked_for: int


def upkeep(desk: Desk) -> Upkeep:
    findings: tuple[Finding, ...] = ()
    usual: tuple[Finding, ...] = ()
    trouble = None
    try:
        findings, usual = map(tuple, examined(desk.services.settings, desk.now, whole=False))
    except OSError as missing:
        trouble = f"{missing.filename}: {missing.strerror}"
    return Upkeep(findings, usual, trouble, len(kinds()))
