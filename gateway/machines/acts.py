"""What people do about machines: invite, drain, take back, remove. Each act is a note in the log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, delete, update

from contracts.base.times import rfc3339
from gateway.journal.database import moment, writing
from gateway.journal.schema import tables
from gateway.keys.keyring import Keyring
from gateway.machines import agreeing, invitation, records
from gateway.machines.errors import MACHINE_LAST, MACHINE_NAME_TAKEN, MACHINE_ONE_DATABASE, MACHINE_VAULT_FOLDER
from gateway.machines.invitation import Invitation
from gateway.machines.records import State
from gateway.machines.secrets import Secrets
from gateway.settings import Settings
from gateway.vault.stores import shared
from security.transparency.entry import Json

HOUR: Final = 3600.0
_WORKING: Final = (State.ACTIVE, State.DRAINING)


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, when (Unix seconds), and why."""

    actor: str
    at: float
    reason: str = ""


def check_vault(settings: Settings) -> None:
    """Raises `machine.vault-folder` where the vault's keys lie in this machine's folder alone: another machine could
    not seal. A link to a folder that machines share is another's business."""
    if not shared(settings) and not settings.vault_keys.is_symlink():
        raise MACHINE_VAULT_FOLDER()


def invite(settings: Settings, engine: Engine, name: str, hours: float, by: By, address: str = "") -> Invitation:
    """Raises `machine.name`, `machine.name-taken`, `machine.one-database`, `machine.vault-folder`."""
    records.checked(name)
    if engine.dialect.name == "sqlite":
        raise MACHINE_ONE_DATABASE()
    check_vault(settings)
    keyring = Keyring(settings)
    with writing(engine) as connection:
        now = moment(connection, time.time)
        expires = now + hours * HOUR
        issued = invitation.issue(keyring.issuer("tls"), name, expires, by.at)
        values = {"thumbprint": issued.thumbprint, "expires": expires, "added": now, "actor": by.actor}
        if not records.add(connection, name, state=State.INVITED, **values):
            raise MACHINE_NAME_TAKEN(name=name)
        facts = {"thumbprint": issued.thumbprint, "until": rfc3339(expires)}
        _note(connection, "invite", name, by, facts)
    secret = Secrets.of(settings).of_machine(name, issued.thumbprint)
    return Invitation(
        machine=name,
        instance=secret.instance,
        address=(address or settings.base).rstrip("/"),
        server=urlsplit(settings.base).hostname or "localhost",
        expires=rfc3339(expires),
        anchors=keyring.trust_anchors.read_text("ascii"),
        certificate=issued.certificate,
        key=issued.key,
        secret=secret.key.hex(),
        protected=settings.secret_path is not None,
    )


def drain(engine: Engine, name: str, by: By) -> bool:
    """It takes no new work. Whether another machine does. Raises `machine.unknown`, `machine.other-state`."""
    with writing(engine) as connection:
        machine = records.known(connection, name)
        records.moved(connection, machine, State.ACTIVE, state=State.DRAINING, reason=by.reason)
        _note(connection, "drain", name, by, {})
        return any(it.state is State.ACTIVE for it in records.every(connection))


def end_drain(engine: Engine, name: str, by: By) -> None:
    """It works again. Raises `machine.unknown`, `machine.other-state`."""
    with writing(engine) as connection:
        machine = records.known(connection, name)
        records.moved(connection, machine, State.DRAINING, state=State.ACTIVE, reason=None)
        _note(connection, "end-drain", name, by, {})


def remove(engine: Engine, name: str, by: By) -> bool:
    """For good: its processes write nothing more, and no keys are sealed for it. Whether it may have had keys: a
    machine that joins can fetch what is sealed for it, before it says so.

    Raises as `drain`, and `machine.last`: no machine could start any more, and none could be invited.
    """
    with writing(engine) as connection:
        machines = records.every(connection, locked=True)  # two removals at once leave one, too
        machine = records.known(connection, name)
        if machine.state in _WORKING and not any(it.state in _WORKING and it.name != name for it in machines):
            raise MACHINE_LAST(name=name)
        before = (State.INVITED, State.JOINING, State.ACTIVE, State.DRAINING)
        records.moved(connection, machine, *before, state=State.REMOVED, reason=by.reason)
        bundle, process = tables.machine_bundle, tables.process
        sealed = connection.execute(delete(bundle).where(bundle.c.machine == name)).rowcount
        its_own = update(process).where(process.c.machine == name, process.c.state == "alive")
        agreeing.keep_store(connection, name, second=False)
        ended = connection.execute(its_own.values(state="dead")).rowcount  # the journal fences them
        _note(connection, "remove", name, by, {"processes": ended})
        return machine.state in _WORKING or machine.generation > 0 or sealed > 0


def _note(connection: Connection, act: str, name: str, by: By, facts: Mapping[str, Json]) -> None:
    reason: Mapping[str, Json] = {"reason": by.reason} if by.reason else {}
    records.note(connection, act, name, by.at, by.actor, **facts, **reason)
