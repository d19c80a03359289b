"""What is known of a certificate's revocation: our own state, and the last word of an authority from outside.

Invariants
- A word is replaced by a newer one only, so that an old list played back takes nothing back.
- What any source calls revoked is revoked. What is good, is so until the latest `next_update` and the authority's stated grace, and no longer.
- A key whose authority is not in the registry, or never said a word of it, is not in force.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, insert, select, update

from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from gateway.registry.changes.keys import UNSPECIFIED
from gateway.registry.records import REVOKED, Key, OutsideAuthority, Use
from security.encryption_keys import EncryptKey
from security.grants.windows import civil
from security.keys import VerifyKey
from security.pki.revocation import Status


class Standing(NamedTuple):
    state: str
    known_until: float
    said: str
    since: str = "—"
    reason: str = UNSPECIFIED


def standings(connection: Connection) -> dict[str, list[Status]]:
    """What was said, by thumbprint."""
    found: dict[str, list[Status]] = {}
    for row in connection.execute(select(tables.certificate_status)):
        said = Status(
            row.source, row.status == "good", row.this_update, row.next_update, row.digest, row.revoked, row.reason
        )
        found.setdefault(row.thumbprint, []).append(said)
    return found


def standing(
    row: Mapping[str, Any],
    authorities: Mapping[str, OutsideAuthority],
    said: Mapping[str, Sequence[Status]],
    revision: int,
) -> Standing:
    """How a key of the registry stands. `revision` is that of the registry, whose state is the word of the embedded authority."""
    name = row["key_id"]
    if row["state"] == REVOKED:
        return Standing(REVOKED, math.inf, f"{name}; revoked", _moment(row["revoked"]), row["reason"] or UNSPECIFIED)
    if row["authority"] is None:
        return Standing(row["state"], math.inf, f"{name}; active; registry={revision}")
    words = said.get(row["thumbprint"], [])
    for each in words:
        if not each.good:
            return Standing(
                REVOKED, math.inf, f"{name}; {_line(each)}", _moment(each.revoked), each.reason or UNSPECIFIED
            )
    authority = authorities.get(row["authority"])
    if authority is None or not words:
        return Standing(row["state"], 0.0, f"{name}; unknown")
    last = max(words, key=lambda each: each.next_update)
    return Standing(
        row["state"], last.next_update + authority.grace, f"{name}; {_line(last)}; authority={authority.name}"
    )


def _line(said: Status) -> str:
    times = f"this-update={rfc3339(said.this_update)}; next-update={rfc3339(said.next_update)}"
    return f"{'good' if said.good else 'revoked'}; {said.source}; {times}; sha256={said.digest}"


def _moment(at: float | None) -> str:
    return civil(at) if at is not None else "—"


def remember(connection: Connection, thumbprint: str, authority: str, words: Iterable[Status]) -> bool:
    """Keep what is newer than what is known; whether anything was."""
    table, moved = tables.certificate_status, False
    for said in words:
        here = (table.c.thumbprint == thumbprint, table.c.source == said.source)
        before = connection.execute(select(table.c.this_update, table.c.digest, table.c.status).where(*here)).first()
        if before is not None and (
            before.digest == said.digest
            or before.this_update > said.this_update
            or before.this_update == said.this_update
            and before.status == "revoked"
        ):
            continue
        row = {
            "authority": authority,
            "status": "good" if said.good else "revoked",
            "this_update": said.this_update,
            "next_update": said.next_update,
            "revoked": said.revoked,
            "reason": said.reason,
            "digest": said.digest,
        }
        if before is None:
            connection.execute(insert(table).values(thumbprint=thumbprint, source=said.source, **row))
        else:
            connection.execute(update(table).where(*here).values(row))
        moved = True
    return moved


def key_of(row: Mapping[str, Any], known: Key | None, stands: Standing) -> Key:
    """A row as a value. What is costly to make is taken over from `known`, the same key in the snapshot before."""
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
        row["key_id"],
        row["system"],
        use,
        row["thumbprint"],
        row["valid_from"],
        row["valid_until"],
        stands.state,
        verify,
        encrypt,
        algorithm=algorithm,
        authority=row["authority"],
        known_until=stands.known_until,
        said=stands.said,
        since=stands.since,
        reason=stands.reason,
    )
