"""What a door does for a machine that joins: takes its public key, once, and hands out what was sealed for it.

    POST   /machines/join   {"public_key", "proof", "host", "version"}   202: the keeper seals the keys
    GET    /machines/join   202: not yet; 200: {"generation", "sealed"}
    DELETE /machines/join   204: they are there; nothing is kept for it any more

The connection's certificate is the invitation. It identifies no system, so no other address knows it.
Invariants: a public key is taken once, in one transaction, also of two at the same time. The door has no key of the
authority, and cannot seal.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Engine, delete, select

from gateway.journal.database import moment, writing
from gateway.journal.schema import tables
from gateway.machines import bundles, records
from gateway.machines.errors import (
    MACHINE_INVITATION_EXPIRED,
    MACHINE_INVITATION_UNKNOWN,
    MACHINE_INVITATION_USED,
    MACHINE_INVITATION_WITHDRAWN,
    MACHINE_JOIN_UNREADABLE,
)
from gateway.machines.records import Machine, State
from gateway.machines.secrets import Secrets

PATH: Final = "/machines/join"
LARGEST: Final = 4096  # bytes of what a machine hands in
METHODS: Final = ("POST", "GET", "DELETE")
_TEXTS: Final = {"public_key": 1000, "proof": 64, "host": 300, "version": 60}  # and their longest


@dataclass(frozen=True, slots=True)
class HandedIn:
    """What a machine hands in. Lengths are checked, contents are not."""

    public_key: str
    proof: str
    host: str
    version: str

    @classmethod
    def parse(cls, body: bytes) -> HandedIn:
        """Raises `machine.join-unreadable`."""
        value: Any = None
        if len(body) <= LARGEST:
            try:
                value = json.loads(body)
            except (ValueError, RecursionError):
                value = None
        if not isinstance(value, dict) or set(value) != set(_TEXTS):
            raise MACHINE_JOIN_UNREADABLE(expected=", ".join(_TEXTS))
        for name, longest in _TEXTS.items():
            text = value[name]
            if not isinstance(text, str) or not text.isascii() or not 0 < len(text) <= longest or "\0" in text:
                raise MACHINE_JOIN_UNREADABLE(expected=", ".join(_TEXTS))
        return cls(**value)

    def json(self) -> bytes:
        return json.dumps({name: getattr(self, name) for name in _TEXTS}).encode()


class Answered(NamedTuple):
    """`body` is JSON, or empty."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Joining:
    """Answers the machines that join at this door."""

    engine: Engine
    secrets: Secrets
    clock: Callable[[], float]

    async def answer(self, method: str, thumbprint: str | None, body: bytes) -> Answered:
        """`thumbprint`: of the connection's certificate. Raises failures, which the door logs."""
        return await asyncio.to_thread(self._answer, method, thumbprint, body)

    def _answer(self, method: str, thumbprint: str | None, body: bytes) -> Answered:
        if thumbprint is None:
            raise MACHINE_INVITATION_UNKNOWN(thumbprint="–")
        if method == "POST":
            return self._take(thumbprint, HandedIn.parse(body))
        if method == "DELETE":
            return self._done(thumbprint)
        return self._waiting(thumbprint)

    def _take(self, thumbprint: str, handed: HandedIn) -> Answered:
        with writing(self.engine) as connection:
            now = moment(connection, self.clock)
            machine = _invited(records.invited_by(connection, thumbprint, locked=True), thumbprint)
            if machine.public_key == handed.public_key and machine.state is State.JOINING:
                return Answered(202, b"{}")  # the same machine again, whose first answer was lost
            if machine.state is State.REMOVED and machine.public_key is None:
                raise MACHINE_INVITATION_WITHDRAWN(name=machine.name)
            if machine.state is not State.INVITED:
                raise MACHINE_INVITATION_USED(name=machine.name)
            if machine.expires is None or machine.expires <= now:
                raise MACHINE_INVITATION_EXPIRED(name=machine.name)
            secret = self.secrets.of_machine(machine.name, thumbprint)
            if not secret.proves(handed.public_key, handed.proof):
                raise MACHINE_JOIN_UNREADABLE(expected="proof")
            try:
                bundles.public_key(handed.public_key)
            except ValueError:
                raise MACHINE_JOIN_UNREADABLE(expected="public_key: EC P-256, PEM") from None
            values = {"public_key": handed.public_key, "proof": handed.proof}
            records.change(
                connection,
                machine.name,
                State.INVITED,
                state=State.JOINING,
                host=handed.host,
                version=handed.version,
                seen=now,
                **values,
            )
            digest = records.key_digest(handed.public_key)
            records.note(connection, "join", machine.name, self.clock(), "gateway", key=digest)
        return Answered(202, b"{}")

    def _waiting(self, thumbprint: str) -> Answered:
        with self.engine.connect() as connection:
            machine = _joins(_invited(records.invited_by(connection, thumbprint), thumbprint))
            row = tables.machine_bundle.c
            found = connection.execute(select(row.generation, row.sealed).where(row.machine == machine.name)).first()
        if found is None:
            return Answered(202, b"{}")
        return Answered(200, json.dumps({"generation": found[0], "sealed": found[1]}).encode())

    def _done(self, thumbprint: str) -> Answered:
        with writing(self.engine) as connection:
            machine = _joins(_invited(records.invited_by(connection, thumbprint, locked=True), thumbprint))
            table = tables.machine_bundle
            number = connection.scalar(select(table.c.generation).where(table.c.machine == machine.name))
            if number is not None:
                records.change(connection, machine.name, State.JOINING, generation=number)
                connection.execute(delete(table).where(table.c.machine == machine.name))
        return Answered(204, b"")


def _invited(machine: Machine | None, thumbprint: str) -> Machine:
    if machine is None:
        raise MACHINE_INVITATION_UNKNOWN(thumbprint=thumbprint)
    return machine


def _joins(machine: Machine) -> Machine:
    """One that handed in its key and has no keys yet. Whoever has the invitation later gets nothing by it."""
    if machine.state is not State.JOINING or machine.generation > 0:
        raise MACHINE_INVITATION_USED(name=machine.name)
    return machine
