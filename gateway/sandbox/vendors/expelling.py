"""Expels a vendor from a sandbox: certificates revoked, grants ended, systems gone, accounts closed, faults reset.

All of the registry is one change with one entry; each account that is closed has its own. What she did stays in the log
and in the vault for as long as all that is kept there. She may be invited anew, as another tenant.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from contracts.base.words import Words
from gateway.console.accounts import store
from gateway.delivery.faults import reset
from gateway.journal.database import snapshot
from gateway.registry.changes import granting, keys, self_service
from gateway.registry.changes.notices import Notice, in_both, suspend
from gateway.registry.changes.officers import officers
from gateway.registry.changes.suspending import listed
from gateway.registry.records import Change
from gateway.registry.seals import account_rows, accounts
from gateway.registry.seals.sealing import Seal, changing
from gateway.registry.snapshot import load_snapshot
from gateway.registry.tenants import is_tenant
from gateway.sandbox.vendors.errors import SANDBOX_UNKNOWN
from gateway.settings import Settings

WITHDRAWN: Final = "privilegeWithdrawn"  # of RFC 5280: why her certificates are revoked


def expel(engine: Engine, settings: Settings, agency: str, why: tuple[str, str], now: float) -> list[Change]:
    """Expels a tenant. `why`: who does it, and the reason in words. Raises `sandbox.unknown`.

    Of one who was expelled before, it ends what came after. Returns what it changed in the registry.
    """
    actor, reason = why
    with snapshot(engine) as connection:
        known = load_snapshot(connection).agencies
    if settings.kind != "sandbox" or not is_tenant(agency) or agency not in known:
        raise SANDBOX_UNKNOWN(agency=agency[:60])
    seal = accounts.Seal.of(settings)
    # First her people: whoever is signed in adds nothing while the rest ends.
    with account_rows.changing(engine, seal, now, actor) as change:
        for each in store.listed(change):
            if each.agency == agency and each.active:
                store.set_active(change, each.id, False, reason=reason)
    with changing(engine, Seal.of(settings)) as act:
        connection = act.connection
        changes: list[Change] = []
        systems = self_service.systems_of(connection, agency)
        for system in systems:
            changes += keys.revoke_system(connection, system, now, WITHDRAWN)
        for grant in granting.grants(connection, officers(connection)):
            if grant.agency == agency:
                changes += granting.revoke(connection, grant.id, now)
        notice = Notice(_reason(reason), now)
        for system in systems:
            changes += suspend(connection, "system", system, notice)
        changes += suspend(connection, "agency", agency, notice)
        reset(connection, agency)
        facts = {"changes": listed(changes), "tenant": agency, "expelled": True, "reason": reason}
        act.note("registry", facts, now, actor=actor)
    return changes


def _reason(text: str) -> Words:
    """As whoever calls with her certificates reads it."""
    return in_both(f"Đã bị loại khỏi phiên bản thử nghiệm: {text}", f"Expelled from the sandbox: {text}")
