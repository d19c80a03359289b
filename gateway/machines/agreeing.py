"""Settings that all machines of an instance must have alike: recorded in the database, compared at each start.

They decide what callers are told and what is kept. Ports, addresses to bind, paths and sizes of a machine are its own.
While no other machine runs, a start records them anew: so they are changed by stopping all machines but one.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection, func, select

from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.machines.errors import INSTANCE_SETTINGS_DIFFER
from gateway.settings import Settings

KEY: Final = "machines.settings"  # in `instance`
ALIVE_SECONDS: Final = 15.0
AGREED: Final = (
    "kind", "origin", "public_base", "token_seconds", "body_limit", "large_body_limit", "opaque_body_limit",
    "opaque_body_hours", "witnesses", "witness_policy", "witness_quorum", "stamp_url", "stamp_policy", "oidc_issuer",
    "oidc_client", "oidc_claim", "push_networks", "sandbox_join", "standby",
)  # fmt: skip
STORES: Final = "machines.stores"  # in `instance`: the machines whose settings name a second database
STORE: Final = "vault_database"  # compared is whether there is one: its address may differ, and has a password
# A machine that joins chooses these itself; all others are handed on with the keys.
OWN: Final = frozenset(
    {
        *("data", "machine", "host", "desk_host", "exchange_port", "desk_port", "metrics_host", "metrics_port"),
        *("edge_port", "edge_socket", "edge_socket_group", "desk_certificate", "desk_key", "secret_file"),
        *("pkcs11_module", "pkcs11_pin_file", "doors", "roles", "drops", "large_bodies", "vault_backup", "live"),
    }
)


def handed(settings: Settings) -> dict[str, Any]:
    """What a machine that joins is told: settings that differ from the defaults, but for those of a machine."""
    plain = Settings(settings.data)
    values = {each.name: getattr(settings, each.name) for each in fields(Settings) if each.name not in OWN}
    return {name: value for name, value in values.items() if value != getattr(plain, name)}


def check(connection: Connection, settings: Settings, machine: str, now: float) -> None:
    """Within a writing transaction. Raises `instance.settings-differ`."""
    own = {name: getattr(settings, name) for name in AGREED} | {STORE: bool(settings.vault_database)}
    text = value_of(connection, KEY)
    if text is not None:
        known = json.loads(text)
        differing = [name for name in own if name in known and known[name] != own[name]]
        others = sorted(running(connection, now) - {machine}) if differing else []
        if others:
            raise INSTANCE_SETTINGS_DIFFER(
                what=", ".join(differing),
                here=", ".join(f"{name}={own[name]!r}" for name in differing)[:400],
                there=", ".join(f"{name}={known[name]!r}" for name in differing)[:400],
                machines=", ".join(others),
            )
    keep(connection, KEY, json.dumps(own, sort_keys=True))
    keep_store(connection, machine, second=bool(settings.vault_database))


def keep_store(connection: Connection, machine: str, *, second: bool) -> None:
    """Within a writing transaction: whether this machine's keys of the vault lie in a second database."""
    before = with_second(connection)
    keep(connection, STORES, json.dumps(sorted(before | {machine} if second else before - {machine})))


def with_second(connection: Connection) -> frozenset[str]:
    """The machines whose keys of the vault lie in a second database, by their last start or move."""
    text = value_of(connection, STORES)
    return frozenset() if text is None else frozenset(json.loads(text))


def running(connection: Connection, now: float) -> set[str]:
    """The machines whose processes beat."""
    row = tables.process.c
    heard = func.coalesce(row.heard, row.seen) > now - ALIVE_SECONDS
    query = select(row.machine).where(row.state == "alive", row.machine.is_not(None), heard)
    return set(connection.scalars(query))
