"""Decides whether a key is in force: from its state in the registry, and the last status from an outside authority.

Invariant: only a newer status replaces one, so replaying an old list reverts nothing.
Invariant: a key that any source calls revoked is revoked.
Invariant: a good status is valid until the latest `next_update` plus the authority's grace.
Invariant: a key whose authority is not registered, or gave no status, is not in force.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, cast

from sqlalchemy import Connection, insert, select, update

from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from gateway.registry.changes.keys import UNSPECIFIED
from gateway.registry.records import ACTIVE, REVOKED, Key, OutsideAuthority, System, Use
from security.encryption_keys import EncryptKey
from security.grants.windows import civil
from security.keys import VerifyKey
from security.pki.revocation import Status

Readiness = Literal["ready", "suspended", "no-keys", "revoked", "ended", "unknown"]


def readiness(systems: Iterable[System], keys: Iterable[Key], now: float) -> dict[str, Readiness]:
    """System -> whether it can call, or why not: it needs a key in force for TLS, and one for signatures."""
    by_system: dict[str, list[Key]] = {}
    for key in keys:
        by_system.setdefault(key.system, []).append(key)
    return {system.id: _ready(system, by_system.get(system.id, []), now) for system in systems}


def _ready(system: System, keys: Sequence[Key], now: float) -> Readiness:
    if not system.active:
        return "suspended"
    if system.drop is not None and not keys:  # its folder is its identity
        return "ready"
    for use in ("tls", "sign"):
        of_use = [key for key in keys if key.use == use]
        if any(key.in_force(now) for key in of_use):
            continue
        if not of_use:
            return "no-keys"
        if all(key.state != ACTIVE for key in of_use):
            return "revoked"
        return "ended" if all(key.state != ACTIVE or now >= key.valid_until for key in of_use) else "unknown"
    return "ready"


class Standing(NamedTuple):
    state: str
    known_until: float
    status: str
    since: str = "—"
    reason: str = UNSPECIFIED


def standings(connection: Connection) -> dict[str, list[Status]]:
    """The statuses by thumbprint."""
    statuses: dict[str, list[Status]] = {}
    for row in connection.execute(select(tables.certificate_status)):
        status = Status(
            source=row.source,
            good=row.status == "good",
            this_update=row.this_update,
            next_update=row.next_update,
            digest=row.digest,
            revoked=row.revoked,
            reason=row.reason,
        )
        statuses.setdefault(row.thumbprint, []).append(status)
    return statuses


def standing(
    row: Mapping[str, Any],
    authorities: Mapping[str, OutsideAuthority],
    statuses: Mapping[str, Sequence[Status]],
    revision: int,
) -> Standing:
    """The standing of a registered key. `revision` is the registry's, which decides for the embedded authority."""
    name = row["key_id"]
    if row["state"] == REVOKED:
        return Standing(REVOKED, math.inf, f"{name}; revoked", _moment(row["revoked"]), row["reason"] or UNSPECIFIED)
    if row["authority"] is None:
        return Standing(row["state"], math.inf, f"{name}; active; registry={revision}")
    own = statuses.get(row["thumbprint"], [])
    for each in own:
        if not each.good:
            return Standing(
                REVOKED, math.inf, f"{name}; {_line(each)}", _moment(each.revoked), each.reason or UNSPECIFIED
            )
    authority = authorities.get(row["authority"])
    if authority is None or not own:
        return Standing(row["state"], 0.0, f"{name}; unknown")
    last = max(own, key=lambda each: each.next_update)
    return Standing(
        row["state"], last.next_update + authority.grace, f"{name}; {_line(last)}; authority={authority.name}"
    )


def _line(status: Status) -> str:
    times = f"this-update={rfc3339(status.this_update)}; next-update={rfc3339(status.next_update)}"
    return f"{'good' if status.good else 'revoked'}; {status.source}; {times}; sha256={status.digest}"


def _moment(at: float | None) -> str:
    return civil(at, seconds=True) if at is not None else "—"


def remember(connection: Connection, thumbprint: str, authority: str, statuses: Iterable[Status]) -> bool:
    """Store the statuses newer than the known ones; whether there were any."""
    table, moved = tables.certificate_status, False
    for status in statuses:
        here = (table.c.thumbprint == thumbprint, table.c.source == status.source)
        before = connection.execute(select(table.c.this_update, table.c.digest, table.c.status).where(*here)).first()
        if before is not None and (
            before.digest == status.digest
            or before.this_update > status.this_update
            or before.this_update == status.this_update
            and before.status == "revoked"
        ):
            continue
        row = {
            "authority": authority,
            "status": "good" if status.good else "revoked",
            "this_update": status.this_update,
            "next_update": status.next_update,
            "revoked": status.revoked,
            "reason": status.reason,
            "digest": status.digest,
        }
        if before is None:
            connection.execute(insert(table).values(thumbprint=thumbprint, source=status.source, **row))
        else:
            connection.execute(update(table).where(*here).values(row))
        moved = True
    return moved


def key_of(row: Mapping[str, Any], known: Key | None, stands: Standing) -> Key:
    """A row as a value. Parsed keys are reused from `known`, the same key in the previous snapshot."""
    use, algorithm = cast(Use, row["use"]), row["algorithm"]
    same = (row["thumbprint"], row["system"], use, algorithm)
    verify, encrypt = None, None
    if known is not None and (known.thumbprint, known.system, known.use, known.algorithm) == same:
        verify, encrypt = known.verify, known.encrypt
    elif use == "sign":
        verify = VerifyKey.from_certificate(row["key_id"], row["system"], row["certificate"], algorithm)
    elif use == "encrypt":
        encrypt = EncryptKey.from_certificate(row["key_id"], row["system"], row["certificate"])
    if verify is not None and verify.known_until != stands.known_until:
        verify = replace(verify, known_until=stands.known_until)
    until = min(row["valid_until"], stands.known_until)
    if encrypt is not None and encrypt.valid_until != until:
        encrypt = replace(encrypt, valid_until=until)
    return Key(
        key_id=row["key_id"],
        system=row["system"],
        use=use,
        thumbprint=row["thumbprint"],
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        state=stands.state,
        verify=verify,
        encrypt=encrypt,
        algorithm=algorithm,
        authority=row["authority"],
        known_until=stands.known_until,
        status=stands.status,
        since=stands.since,
        reason=stands.reason,
    )
