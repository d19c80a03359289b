"""The part of the list in `columns.py` about processes and machines."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.journal.schema import tables
from tests.attacks.audit.column_kinds import exempt, same
from tests.attacks.audit.picking import Column, Pick, Value, now, nth, to


def machines() -> Iterator[Column]:
    yield from exempt(
        "process",
        "leases of processes, renewed each second; a wrong one stops or delays a process and is fenced "
        "by the journal, and decides nothing else",
        *tables.process.c.keys(),
    )
    yield from exempt(
        "lease",
        "the lease of the leading keeper; whoever is overtaken stops, and each signature is held against "
        "the checkpoint outside the database",
        *tables.lease.c.keys(),
    )
    yield from exempt(
        "vault_key_digest",
        "what machines compare their keys of the vault with; a wrong one stops sealing, and opens nothing",
        *tables.vault_key_digest.c.keys(),
    )
    drained = nth()
    compared: dict[str, tuple[Pick, Value]] = {
        "name": (drained, to("two")),
        "state": (drained, to("active")),
        "thumbprint": (drained, to("ab" * 32)),
        "expires": (drained, now),
        "public_key": (drained, to("-----BEGIN PUBLIC KEY-----")),
        "actor": (drained, to("somebody else")),
        "reason": (drained, to("another one")),
    }
    yield from same("machine", "tables", "the machine {name}: ", compared)
    yield from exempt(
        "machine",
        "what a machine tells of itself each few seconds, and the proof of its public key, without which no keys are "
        "sealed for it; a wrong one stops or delays the machine",
        *(name for name in tables.machine.c.keys() if name not in compared),
    )
    yield from exempt(
        "machine_bundle",
        "keys that wait for a machine, sealed for it under a keyed hash; an altered one is not installed",
        *tables.machine_bundle.c.keys(),
    )
    yield from exempt(
        "drop_claim",
        "who works in which drop folder; a wrong one delays the files in a folder, each of which ends once by its own "
        "rows",
        *tables.drop_claim.c.keys(),
    )
