"""Registers passkeys of officers, so that they can approve in a browser.

A passkey is a further key of an officer in office, who stays one officer with one vote. It is proposed, and counts once
that officer and another one signed it, each by the key of his own: so nobody else can add a passkey to an officer.
Invariant: a passkey that left does not come back, and shares its key with nobody.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection, insert, update

from contracts.base.times import rfc3339
from gateway.journal.schema import tables
from gateway.registry.changes.granting import Approved, take
from gateway.registry.changes.officers import PASSKEY, acting, officers, passkey_content
from gateway.registry.errors import ACT_NOT_IN_OFFICE, OFFICER_KEY_TAKEN, OFFICER_PASSKEY_ORIGIN, unknown
from gateway.registry.records import Change
from gateway.registry.seals.revisions import alone
from security.errors import APPROVAL_INVALID
from security.grants.approvals import Officer, public_pem, thumbprint
from security.grants.passkeys import Passkey, is_assertion, rp_id

LOCAL: Final = "localhost"  # the one host whose pages browsers trust without TLS
_table: Final = tables.officer_passkey


def found(connection: Connection, mark: str) -> Passkey:
    """Raises `registry.unknown`."""
    every = (each for officer in officers(connection).values() for each in officer.passkeys)
    passkey = next((each for each in every if each.thumbprint == mark), None)
    if passkey is None:
        raise unknown(PASSKEY, mark)
    return passkey


def propose(
    connection: Connection, officer: str, credential: str, origin: str, public: ec.EllipticCurvePublicKey, now: float
) -> list[Change]:
    """Add a passkey that waits for signatures. Raises `officer.key-taken`, `officer.passkey-origin`."""
    alone(connection)
    known, mark = acting(connection), thumbprint(public)
    owner = officers(connection).get(officer)
    if owner is None:
        raise unknown("officer", officer)
    if owner.state != "active":
        raise ACT_NOT_IN_OFFICE(person=officer, state=owner.state)
    if not (origin.startswith("https://") or origin.startswith("http://") and rp_id(origin) == LOCAL):
        raise OFFICER_PASSKEY_ORIGIN(origin=origin)
    if any(mark in (each.thumbprint, *(key.thumbprint for key in each.passkeys)) for each in known.values()):
        raise OFFICER_KEY_TAKEN(id=officer)
    connection.execute(
        insert(_table).values(
            thumbprint=mark,
            officer=officer,
            credential=credential,
            origin=origin,
            public_key=public_pem(public),
            state="open",
            since=now,
        )
    )
    return [Change(PASSKEY, mark, "proposed", (officer,))]


def approved(connection: Connection, mark: str) -> Approved:
    """What officers sign to admit it. Raises `registry.unknown`."""
    return Approved(PASSKEY, mark, passkey_content(found(connection, mark)), None)


def approve(connection: Connection, mark: str, officer: str, signature: str, now: float) -> list[Change]:
    """Add a signature by an officer's own key. Raises `approval.invalid`, also for one of a passkey."""
    alone(connection)
    asked, before = approved(connection, mark), found(connection, mark)
    if before.state not in ("proposed", "active"):
        raise unknown("proposed passkey", mark)
    if is_assertion(signature):
        raise APPROVAL_INVALID(subject=f"{PASSKEY} {mark}", officer=officer)
    changes = take(connection, asked, officer, signature, now)
    if before.state == "proposed" and found(connection, mark).state == "active":
        changes.append(Change(PASSKEY, mark, "approved", ("state",)))
    return changes


def end(connection: Connection, mark: str, *, revoked: bool, now: float) -> list[Change]:
    """Take a passkey out of use. `revoked`: somebody else may have it, so nothing that it signed counts."""
    alone(connection)
    before = found(connection, mark)
    left = "revoked" if revoked else "retired"
    if before.state in ("revoked", left):
        return []
    connection.execute(update(_table).where(_table.c.thumbprint == mark).values(state=left, since=now))
    return [Change(PASSKEY, mark, "revoked" if revoked else "retired", (before.officer,))]


def described(passkey: Passkey, officer: Officer) -> dict[str, str]:
    """For pages and programs."""
    return {
        "passkey": passkey.thumbprint,
        "officer": officer.id,
        "origin": passkey.origin,
        "state": passkey.state,
        "since": rfc3339(passkey.since),
    }
