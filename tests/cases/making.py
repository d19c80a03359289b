"""A province whose agencies have cases, without doors and processes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select

from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.cases import check_cases
from gateway.cases import texts
from gateway.cases.acting import Acting, By, Reply
from gateway.cases.checks import Wanted
from gateway.journal.schema import tables
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.transfer.case_entries import Folded
from gateway.vault.vault import Vault
from security.grants.windows import VIETNAM
from tests.registry.making import filled, province

CENTRE, HEALTH, BUILD, FINANCE = "H14.0", "H14.7", "H14.3", "H14.4"
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=VIETNAM).timestamp()  # a working morning
DAY = 86_400.0
TEXT = texts.checked("Thiếu số liệu tuần 47", "Đề nghị gửi lại bảng 3.\nXin cảm ơn.")


@dataclass
class Office:
    """Cases over one database. `now` may be moved."""

    engine: Engine
    folder: Path
    now: float = MONDAY
    mails: bool = False
    snapshot: Snapshot = field(init=False)
    vault: Vault = field(init=False)

    def __post_init__(self) -> None:
        self.vault = Vault(self.folder / "vault-keys")
        self.follow()

    def follow(self) -> None:
        with self.engine.connect() as connection:
            self.snapshot = load_snapshot(connection)

    @property
    def acting(self) -> Acting:
        return Acting(
            engine=self.engine, vault=self.vault, snapshot=self.snapshot, clock=lambda: self.now, mails=self.mails
        )

    def open(self, sender: str, kind: str, *receivers: str, **more: Any) -> Folded:
        return self.acting.open(by(sender), Wanted(kind=kind, content=TEXT, receivers=receivers, **more))

    def act(self, agency: str, case: Folded, act: str, **reply: Any) -> Folded:
        return self.acting.act(by(agency), case.id, act, Reply(**reply))

    def answer(self, agency: str, case: Folded, **reply: Any) -> Folded:
        return self.act(agency, case, "answer", content=TEXT, **reply)

    def wrong(self) -> list[str]:
        """What the verification of the log says of the rows of cases."""
        with self.engine.connect() as connection:
            return verified(connection)


def verified(connection: Connection) -> list[str]:
    findings = Findings()
    check_cases(connection, findings)
    return list(findings.wrong)


def by(agency: str) -> By:
    return By(agency, f"{agency}/an: test")


def office(engine: Engine, folder: Path) -> Office:
    filled(engine, province(), [])
    return Office(engine, folder)


def mails(engine: Engine) -> list[tuple[str, str | None]]:
    """Kind and agency of the mails that wait, in their order."""
    with engine.connect() as connection:
        table = tables.mail.c
        return [
            (row.kind, row.system) for row in connection.execute(select(table.kind, table.system).order_by(table.id))
        ]
