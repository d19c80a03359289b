"""What people order about keys of a system: certificates for it, and when its older keys end.

    enrolment   {"pieces": [{"use", "key", "pem"}], "older": "keep" | "until" | "now", "until": Unix seconds | null}
    key-end     {"keys": [id], "at": Unix seconds}

A piece is a certificate request, or a certificate of an outside authority. `read_order` and `carry_out` belong to the
keeper; the desk only gives orders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, cast

from sqlalchemy import Connection, select

from contracts.base.times import rfc3339
from gateway.journal.jobs import Job
from gateway.journal.schema import tables
from gateway.registry.changes import enrolment, keys
from gateway.registry.changes.enrolment import Enrolled, Wanted
from gateway.registry.changes.orders import Orders
from gateway.registry.changes.suspending import listed
from gateway.registry.records import ACTIVE, Change, Use
from gateway.registry.seals.sealing import Act
from security.pki.authority import Authority
from security.pki.chains import Trust

KIND: Final = "enrolment"
END: Final = "key-end"
MINUTES: Final = 10  # that an order of certificates may wait for a keeper
MOST: Final = 16_384  # characters of one request or certificate
REQUEST: Final = "-----BEGIN CERTIFICATE REQUEST-----"
_OLD_REQUEST: Final = "-----BEGIN NEW CERTIFICATE REQUEST-----"


class Older(StrEnum):
    """What becomes of the older keys of the same use."""

    KEEP = "keep"  # they end by themselves
    UNTIL = "until"  # they are revoked at a time
    NOW = "now"  # they are revoked with the enrolment


class Issuing(Protocol):
    """An authority that issues."""

    def issuer(self, name: str) -> Authority: ...
    def trust(self) -> Trust: ...


@dataclass(frozen=True, slots=True)
class Piece:
    use: Use
    key: str  # the id that the new key gets
    pem: str

    @property
    def is_request(self) -> bool:
        return is_request(self.pem)


def is_request(pem: str) -> bool:
    """Whether it is a request rather than a certificate."""
    return REQUEST in pem or _OLD_REQUEST in pem


@dataclass(frozen=True, slots=True)
class Enrolment:
    pieces: tuple[Piece, ...]
    older: Older = Older.KEEP
    until: int | None = None

    def order(self) -> dict[str, Any]:
        pieces = [{"use": each.use, "key": each.key, "pem": each.pem} for each in self.pieces]
        return {"pieces": pieces, "older": self.older.value, "until": self.until}

    @classmethod
    def of(cls, order: Mapping[str, Any]) -> Enrolment:
        pieces = tuple(Piece(cast(Use, each["use"]), each["key"], each["pem"]) for each in order["pieces"])
        return cls(pieces, Older(order["older"]), order["until"])


class Carried(NamedTuple):
    """What came of an order: the new keys, and those whose end was ordered or done."""

    enrolled: tuple[tuple[Use, Enrolled], ...]
    older: tuple[str, ...]

    def facts(self) -> list[dict[str, Any]]:
        """For the job."""
        return [
            {
                "use": use,
                "key": each.key_id,
                "certificate": each.certificate.decode("ascii"),
                "authority": each.authority,
                "unnamed": each.unnamed,
            }
            for use, each in self.enrolled
        ]


def carry_out(act: Act, authority: Issuing, orders: Orders, job: Job, now: float) -> Carried:
    """Enrols, and ends the older keys as ordered, as one change. Raises what enrolment raises."""
    wanted, connection = Enrolment.of(orders.read(job)), act.connection
    done = [
        (each.use, _enrol(connection, authority, Wanted(job.subject, each.use, each.key), each, now))
        for each in wanted.pieces
    ]
    new = {each.key_id for _use, each in done}
    older = [] if wanted.older is Older.KEEP else _older(connection, job.subject, {use for use, _ in done}, new, now)
    changes = [change for _use, each in done for change in each.changes]
    facts: dict[str, Any] = {"order": job.id, "reason": job.reason}
    if wanted.older is Older.NOW:
        changes += [change for key in older for change in keys.revoke_key(connection, key, now, keys.SUPERSEDED)]
    elif older and wanted.until is not None:
        orders.give(connection, (END, job.subject), {"keys": older, "at": wanted.until}, (job.actor, job.reason), now)
        facts |= {"ends": older, "until": rfc3339(wanted.until)}
    act.note("registry", {"changes": listed(changes), **facts}, now, actor=job.actor)
    return Carried(tuple(done), tuple(older))


def end(act: Act, orders: Orders, job: Job, now: float) -> bool | None:
    """Revokes the keys whose time has come. None if it has not; False if they were revoked before."""
    order = orders.read(job)
    if now < order["at"]:
        return None
    known = set(
        act.connection.scalars(select(tables.system_key.c.key_id).where(tables.system_key.c.key_id.in_(order["keys"])))
    )
    changes: list[Change] = [
        change
        for key in order["keys"]
        if key in known
        for change in keys.revoke_key(act.connection, key, now, keys.SUPERSEDED)
    ]
    if changes:
        act.note("registry", {"changes": listed(changes), "order": job.id, "reason": job.reason}, now, actor=job.actor)
    return bool(changes)


def _enrol(connection: Connection, authority: Issuing, wanted: Wanted, piece: Piece, now: float) -> Enrolled:
    content = piece.pem.encode("ascii")
    if piece.is_request:
        return enrolment.by_request(connection, authority.issuer, wanted, content, now)
    return enrolment.by_certificate(connection, keys.trusted(connection, authority.trust()), wanted, content, now)


def _older(connection: Connection, system: str, uses: set[Use], new: Sequence[str] | set[str], now: float) -> list[str]:
    key = tables.system_key.c
    query = select(key.key_id).where(
        key.system == system, key.use.in_(uses), key.state == ACTIVE, key.valid_until > now, key.key_id.not_in(new)
    )
    return sorted(connection.scalars(query))
