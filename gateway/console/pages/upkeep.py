"""Upkeep: backups and drills, the vault with its holds, the instance's keys and authorities, the doctor's findings."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Live, Menu, Moved, Page, Sent, Shown
from gateway.console.work import backups, instance_keys, retention, upkeep
from gateway.journal.jobs import RUNNING
from security.grants.windows import VIETNAM

_BACKUPS: Final = "/console/backups"
_VAULT: Final = "/console/vault"
_KEYS: Final = "/console/keys"
_DOCTOR: Final = "/console/doctor"


def doctor(ask: Ask) -> Shown:
    return Shown("doctor.html", {"it": upkeep.upkeep(ask.desk)})


def acknowledge(ask: Ask) -> Moved:
    upkeep.acknowledge(ask.desk, ask.viewer, ask.path["finding"], ask.reason())
    return Moved(_DOCTOR + "#standing", "finding-acknowledged")


def made(ask: Ask) -> Shown:
    today = datetime.fromtimestamp(ask.now, VIETNAM).date().isoformat()
    return Shown("backups.html", {"it": backups.backups(ask.desk), "today": today})


def drill(ask: Ask) -> Moved:
    of = (ask.field("kind", 20), ask.field("day", 10), ask.form.get("ok") == "yes")
    backups.record_drill(ask.desk, ask.viewer, of, ask.reason())
    return Moved(_BACKUPS, "drill-recorded")


def vault(ask: Ask) -> Shown:
    counted = ask.query.get("counted") == "yes"
    contracts = sorted(ask.desk.services.registry.snapshot.contracts)
    values = {"it": retention.kept(ask.desk, counted=counted), "now": ask.now, "contracts": contracts}
    return Shown("vault.html", values)


def hold(ask: Ask) -> Moved:
    retention.add(ask.desk, ask.viewer, ask.form, ask.reason())
    return Moved(_VAULT, "hold-added")


def release(ask: Ask) -> Moved:
    retention.release(ask.desk, ask.viewer, ask.path["hold"], ask.reason())
    return Moved(_VAULT, "hold-released")


def clock(ask: Ask) -> Moved:
    retention.confirm_clock(ask.desk, ask.viewer)
    return Moved(_VAULT, "clock-confirmed")


def keys(ask: Ask) -> Shown:
    values = {
        "it": instance_keys.instance_keys(ask.desk),
        "now": ask.now,
        "soon": instance_keys.SOON,
        "authority_soon": instance_keys.AUTHORITY_SOON,
    }
    return Shown("keys.html", values)


def revocation_list(ask: Ask) -> Sent:
    issuer = ask.path["issuer"]
    return Sent(instance_keys.revocation_list(ask.desk, issuer), "application/x-pem-file", f"{issuer}.crl.pem")


def ask_outside(ask: Ask) -> Moved:
    instance_keys.ask_outside(ask.desk, ask.viewer)
    return Moved(_KEYS + "#outside", "")


def asked_events(ask: Ask) -> Live:
    def look() -> object:
        job = instance_keys.newest_asked(ask.desk)
        return None if job is None else (job.id, job.state)

    def going() -> bool:
        job = instance_keys.newest_asked(ask.desk)
        return job is not None and job.state == RUNNING

    return Live(("authorities",), look, going=going)


PAGES = (
    Page("/backups", made, May.OPERATE, N_("Backups"), Menu.OPERATION),
    Page("/backups/drills", drill, May.OPERATE, method="POST", operation="recordDrill"),
    Page("/vault", vault, May.OPERATE, N_("Vault and holds"), Menu.OPERATION),
    Page("/vault/holds", hold, May.OPERATE, method="POST", operation="addHold"),
    Page("/vault/holds/{hold}/release", release, May.OPERATE, method="POST", operation="releaseHold"),
    Page("/vault/clock", clock, May.OPERATE, method="POST", operation="confirmClock"),
    Page("/keys", keys, May.OPERATE, N_("Keys and authorities"), Menu.OPERATION),
    Page("/keys/lists/{issuer}", revocation_list, May.OPERATE),
    Page("/keys/outside", ask_outside, May.OPERATE, method="POST", operation="askAuthorities"),
    Page("/keys/outside/events", asked_events, May.OPERATE),
    Page("/doctor", doctor, May.OPERATE, N_("Doctor"), Menu.OPERATION),
    Page(
        "/doctor/findings/{finding}/acknowledge",
        acknowledge,
        May.OPERATE,
        method="POST",
        operation="acknowledgeFinding",
    ),
)
