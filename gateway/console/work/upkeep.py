"""What the doctor finds, and the last backup."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import select

from gateway.audit.search.facts import Logged
from gateway.audit.search.search import Query, reading, search
from gateway.backup.manifest import LAST
from gateway.console.site.desk import Desk
from gateway.doctor import examined
from gateway.doctor.findings import Finding, kinds
from gateway.journal.schema import tables


class Upkeep(NamedTuple):
    """`last`: time, folder and kind of keys of the last backup. `backups` are entries of the log.

    `trouble`: why the doctor could not look.
    """

    findings: tuple[Finding, ...]
    usual: tuple[Finding, ...]  # normal in a sandbox, and findings in production
    trouble: str | None
    looked_for: int
    last: dict[str, Any] | None
    backups: tuple[Logged, ...]
    restores: tuple[Logged, ...]


def upkeep(desk: Desk) -> Upkeep:
    engine = desk.services.engine
    with desk.reading() as connection:
        text = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == LAST))
    with reading(engine) as connection:
        backups = search(connection, Query(kind="backup"), limit=5).hits
        restores = search(connection, Query(kind="restore"), limit=5).hits
    findings: tuple[Finding, ...] = ()
    usual: tuple[Finding, ...] = ()
    trouble = None
    try:
        findings, usual = map(tuple, examined(desk.services.settings, desk.now))
    except OSError as missing:
        trouble = f"{missing.filename}: {missing.strerror}"
    return Upkeep(
        findings=findings,
        usual=usual,
        trouble=trouble,
        looked_for=len(kinds()),
        last=None if text is None else json.loads(text),
        backups=backups,
        restores=restores,
    )
