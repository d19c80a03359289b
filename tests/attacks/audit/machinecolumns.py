"""The part of the list in `columns.py` about processes and machines."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.journal.schema import tables
from tests.attacks.audit.column_kinds import exempt
from tests.attacks.audit.picking import Column


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
    yield Column(
        "instance",
        "value",
        why="what folder and database compare at the start; a wrong one refuses the start: `instance.other`",
        part="identity",
    )
