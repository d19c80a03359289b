"""A history of changes of grants and roles over a real registry, with a door that calls, and an oracle that writes down
what was done. The oracle shares no code with the product.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from gateway.exchange.exchange import Exchange
from gateway.journal.database import lock_of, open_engine, snapshot
from gateway.journal.write import ReplayKey
from gateway.journal.writer import Journal
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.content import Subject, in_force
from gateway.registry.changes.proposals import Wanted, apply_contents
from gateway.registry.registry import Registry
from gateway.registry.seals.mark import Mark
from gateway.registry.seals.sealing import Act, Seal, changing
from gateway.transfer.stages import Addressed, Authenticated, Channel
from gateway.vault.vault import Vault
from security.grants.approvals import approve
from security.grants.grants import Grant
from security.pki.authority import private_pem
from tests.exchange.house import PlainDoor, Provider, received_at, sample
from tests.registry.making import NOW, OFFICERS, contracts, province, sign_proposals

CONTRACT, OPERATION = "indicator/v1", "getValue"
CALLERS = {"H14.21": "thuc-phan", "H14.5": "mot-cua"}
DAY = 86_400.0
SECRETS = {name: private_pem(key) for name, key in OFFICERS.items()}


def seal_of(folder: Path) -> Seal:
    return Seal(b"k" * 32, "localhost/past", Mark(folder / "registry"))


def receiving() -> tuple[granting.Proposal, ...]:
    """The grants of the province to receive; without them no call is forwarded."""
    return tuple(each for each in province().grants if each.grant.receives)


# --- the oracle -------------------------------------------------------------------------------------------------------
@dataclass
class Row:
    """What somebody who watched would have written down of one grant."""

    holder: str
    begins: float
    ends: float
    denies: bool
    signed: set[str] = field(default_factory=set)
    suspended: bool = False
    revoked: bool = False

    def in_force(self, at: float) -> bool:
        on = not self.revoked and not self.suspended and self.begins <= at < self.ends
        return on and (self.denies or len(self.signed) == 2)


@dataclass
class Oracle:
    rows: dict[str, Row] = field(default_factory=dict)
    roles: dict[str, set[str]] = field(default_factory=dict)

    def lets(self, agency: str, at: float) -> frozenset[str]:
        """The grants by which the agency may call; none: it may not."""
        held = {agency, *(f"role {each}" for each in self.roles[agency])}
        mine = {name: row for name, row in self.rows.items() if row.holder in held and row.in_force(at)}
        return frozenset() if any(row.denies for row in mine.values()) else frozenset(mine)


# --- the door ---------------------------------------------------------------------------------------------------------
class FixedDoor(PlainDoor):
    """A door to which one agency's system has proved itself."""

    def __init__(self, message_id: str, message: Any, system: str) -> None:
        super().__init__(message_id, message)
        self.system = system

    def authenticate(self, addressed: Addressed) -> Authenticated:
        proven = addressed._replace(channel=Channel(addressed.snapshot.systems[self.system], None))
        return Authenticated(proven, None, ReplayKey(addressed.received.transfer.encode(), NOW * 2), b"d" * 32, None)


class Asked(NamedTuple):
    transfer: str
    agency: str
    at: float
    wanted: frozenset[str]


class Played:
    """One history of changes over a copy of the base, with a door that calls after each."""

    def __init__(self, base: Path, folder: Path) -> None:
        shutil.copytree(base, folder)
        self.folder, self.now, self.asked = folder, NOW, list[Asked]()
        self.engine = open_engine(f"sqlite:///{folder / 'lgsp.db'}")
        self.seal = seal_of(folder)
        self.registry = Registry(self.engine, self.seal)
        assert all(self.registry.snapshot.systems[name].agency == agency for agency, name in CALLERS.items())
        self.oracle = Oracle(roles={each: {*self.registry.snapshot.agencies[each].roles} for each in CALLERS})
        self.editions = itertools.count(1)
        self.journal = Journal(self.engine, lock_of(self.engine), "door-1")
        self.journal.start()
        compiled = contracts()[CONTRACT]
        self.operation = compiled.contract.operations[OPERATION]
        self.compiled = copy.copy(compiled)
        forwarder = cast(Any, Provider(sample(compiled, self.operation.answer)))
        vault = Vault(folder / "keys")
        self.exchange = Exchange(self.journal, vault, forwarder, self.engine, "door-1", str, lambda: self.now, 1.0)

    def close(self) -> None:
        self.journal.stop()
        self.engine.dispose()

    def call(self, agency: str) -> None:
        message = sample(self.compiled, self.operation.request)
        received = received_at(self.now, self.registry.snapshot, "GET")
        addressed = Addressed(received, cast(Any, None), self.compiled, self.operation)
        door = FixedDoor(received.transfer, message, CALLERS[agency])
        asyncio.run(self.exchange.carry(addressed, door))
        self.asked.append(Asked(received.transfer, agency, self.now, self.oracle.lets(agency, self.now)))

    @contextmanager
    def change(self) -> Iterator[Act]:
        with changing(self.engine, self.seal) as act:
            yield act
            act.note("access", {}, self.now)
        with snapshot(self.engine) as connection:
            self.registry.refresh(connection)

    def do(self, step: Step) -> None:
        name, row = step.name, self.oracle.rows.get(step.name)
        stands = row is not None and not row.revoked
        if step.what == "propose":
            agency, _, role = step.holder.partition("role ")
            new = Row(step.holder, NOW + step.begins * DAY, NOW + step.ends * DAY, step.denies)
            new.suspended = row is not None and row.suspended and not row.revoked
            grant = Grant(
                id=name,
                agency=agency or None,
                role=role or None,
                contract=CONTRACT,
                operations=(OPERATION,),
                fields=("*",),
                purpose="x",
                legal_basis="y",
                valid_from=new.begins,
                valid_until=new.ends,
                denies=new.denies,
                edition=next(self.editions),
            )
            with self.change() as act:
                granting.propose(act.connection, granting.Proposal(grant), self.now, "document")
            self.oracle.rows[name] = new
        elif step.what == "role":
            roles = self.oracle.roles[step.agency]
            roles ^= {step.role}
            with self.change() as act:
                content = {"code": step.agency, "roles": sorted(roles)}
                wanted = in_force(act.connection) | {Subject("agency", step.agency): content}
                apply_contents(act.connection, Wanted(wanted, {}, None), self.now)
                sign_proposals(act.connection, self.now)
        elif step.what == "remove":  # a document that names none of them
            self.oracle.rows.clear()
            with self.change() as act:
                granting.apply_grants(act.connection, receiving(), self.now)
        elif row is not None and stands and step.what == "sign":
            with self.change() as act:
                signed = granting.content_of(act.connection, name)
                mark = approve(signed.canonical(), step.officer, SECRETS[step.officer])
                granting.approve_grant(act.connection, name, step.officer, mark, self.now)
            row.signed.add(step.officer)
        elif row is not None and stands and step.what in ("suspend", "resume"):
            row.suspended = step.what == "suspend"
            with self.change() as act:
                store.set_state(act.connection, "grant", name, not row.suspended)
        elif row is not None and stands and step.what == "revoke":
            row.revoked = True
            with self.change() as act:
                granting.revoke(act.connection, name, self.now)


class Step(NamedTuple):
    what: str
    name: str
    holder: str
    begins: int
    ends: int
    denies: bool
    officer: str
    agency: str
    role: str
    waits: int
