"""The stand-in persons of a sandbox: who operates it by default, and who audits it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.settings import Settings

OPERATOR: Final = "nguoi-van-hanh"
AUDITOR: Final = "kiem-toan-vien"
KEY: Final = "person.key"


def key_of(settings: Settings, person: str) -> Path:
    """The private key of a stand-in person; of an older sandbox there is none."""
    return settings.identities / person / KEY


def console_link(settings: Settings, now: float) -> str:
    """An address of the console that signs the sandbox's operator in once; the account is made if there is none."""
    from gateway.console.accounts import store
    from gateway.console.accounts.records import Account
    from gateway.console.roles import Role
    from gateway.journal.database import open_engine
    from gateway.registry.seals.account_rows import changing
    from gateway.registry.seals.accounts import Seal

    engine = open_engine(settings.database_url)
    roles = (Role.AUDITOR, Role.OFFICER, Role.OPERATOR, Role.STEWARD)
    try:
        with changing(engine, Seal.of(settings), now, "sandbox") as change:
            if store.row_of(change, OPERATOR) is None:
                store.add(change, Account(OPERATOR, "H14.0", "Người vận hành thử nghiệm", roles, True))
            return f"{settings.desk_named}/console/link/{store.make_link(change, OPERATOR)}"
    finally:
        engine.dispose()
