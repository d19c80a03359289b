"""Admits vendors: a tenant with its agency, first system, grants and account, approved by the policy.

Invariant: agency, systems and grants of a join are one change of the registry with one entry of the log. The entry
  names the policy as what approved them.
Invariant: a production instance admits nobody.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, select

from adapters.model import Endpoint
from contracts.base.errors import Failure
from contracts.base.words import Words
from gateway.console.accounts import signing_in, store, tokens
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.console.site.desk import Desk
from gateway.exchange.floods import block_of
from gateway.journal.schema import tables
from gateway.push.addresses import Networks
from gateway.registry.changes import self_service
from gateway.registry.changes.suspending import listed
from gateway.registry.contacts import Contact
from gateway.registry.places import Places
from gateway.registry.records import ACTIVE, Agency, Change, System
from gateway.registry.seals import account_rows
from gateway.registry.seals.sealing import Act, Seal, changing
from gateway.registry.snapshot import Snapshot
from gateway.registry.tenants import POLICY, PREFIX, ROLE
from gateway.sandbox.vendors import application, invitations
from gateway.sandbox.vendors.application import Application, Reach, Wanted
from gateway.sandbox.vendors.errors import SANDBOX_ATTEMPTS, SANDBOX_CLOSED, SANDBOX_FULL
from security.grants.grants import Grant
from security.grants.windows import Quota

TOKEN_DAYS: Final = 30
DAYS: Final = 365  # of a grant
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_DAY: Final = 86_400


@dataclass(slots=True)
class Attempts:
    """Counts who tries to join, in the desk's memory: a wrong code weighs more than a join. Memory is bounded."""

    most: int = 40  # weight of one source in a window
    window: float = 900.0
    sources: int = 10_000
    _seen: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, source: str, now: float, weight: int) -> None:
        """Raises `sandbox.attempts` when there were too many."""
        block = block_of(source)
        with self._lock:
            began, seen = self._seen.pop(block, (now, 0))
            if not 0 <= now - began < self.window:
                began, seen = now, 0
            self._seen[block] = began, min(seen + weight, 2 * self.most)
            while len(self._seen) > self.sources:
                self._seen.popitem(last=False)
        if seen + weight > self.most:
            raise SANDBOX_ATTEMPTS(retry_after=max(1, round(began + self.window - now)))


@dataclass(frozen=True, slots=True)
class Joined:
    """`agency` is the tenant's code. `key` is a session or an access token of its account."""

    agency: str
    system: str
    account: str
    key: str


@dataclass(frozen=True)
class Vendors:
    """Enrolment at one desk."""

    desk: Desk
    attempts: Attempts = field(default_factory=Attempts)

    def _reach(self, agency: str = "") -> Reach:
        settings, snapshot = self.desk.services.settings, self.desk.services.registry.snapshot
        others = (each for each in snapshot.systems.values() if each.agency != agency)
        return Reach(Networks(settings.push_networks), Places(settings, others))

    def join(
        self, given: Mapping[str, Any], source: str, open_key: Callable[[account_rows.Change, str], str]
    ) -> Joined:
        """Admits a vendor. `open_key` makes her session or token. It runs in a thread.

        Raises `sandbox.closed`, `sandbox.attempts`, `sandbox.form`, `sandbox.invitation`, `sandbox.full`.
        """
        settings, now = self.desk.services.settings, self.desk.now()
        if settings.kind != "sandbox" or settings.sandbox_join == "off":
            raise SANDBOX_CLOSED()
        self.attempts.count(source, now, 1)
        asked = application.read(given, self.desk.services.registry.snapshot, self._reach())
        invited = settings.sandbox_join == "invited"
        if invited:
            self._look(asked.code, source, now)
        with self._changing() as act:
            if invited:
                invitation = invitations.spend(act.connection, asked.code, now)
            if self_service.count(act.connection) >= settings.sandbox_vendors:
                raise SANDBOX_FULL(what="sandbox_vendors", most=settings.sandbox_vendors)
            code = _new_code(act.connection)
            changes = self_service.admit(act.connection, _agency(code, asked), now)
            system, more = self._system(act.connection, code, asked.name, asked.wanted, now)
            by = {"invitation": invitation.mark, "label": invitation.label} if invited else {"open": True}
            note(act, code, changes + more, now, joined=True, **by)
        self.desk.follow()
        account = code.lower().replace(".", "-")
        with account_rows.changing(self.desk.services.engine, self.desk.seal, now, POLICY) as change:
            store.add(change, Account(account, code, asked.name, (Role.VENDOR,), True), reason=POLICY)
            key = open_key(change, account)
        return Joined(code, system, account, key)

    def add_system(self, agency: str, given: Mapping[str, Any]) -> str:
        """Another system of a tenant; its id. Raises `sandbox.form`, `sandbox.full`, `sandbox.closed`."""
        asked, known, now = self._wanted(agency, given)
        with self._changing() as act:
            system, changes = self._system(act.connection, agency, known.name.vi, asked, now)
            note(act, agency, changes, now)
        self.desk.follow()
        return system

    def change_system(self, agency: str, system: str, given: Mapping[str, Any]) -> None:
        """What a system of the tenant does, and where it is called, from now on. Its grants stay; new ones are added.

        Raises as `add_system`, and `registry.policy-scope` for a system of another agency.
        """
        asked, _known, now = self._wanted(agency, given)
        snapshot = self.desk.services.registry.snapshot
        title = snapshot.systems[system].title
        with self._changing() as act:
            changes = self_service.put_system(act.connection, _record(system, agency, title, asked, snapshot), now)
            changes += _grants(act.connection, snapshot, agency, asked, now)
            note(act, agency, changes, now)
        self.desk.follow()

    def _wanted(self, agency: str, given: Mapping[str, Any]) -> tuple[Wanted, Agency, float]:
        if self.desk.services.settings.kind != "sandbox":
            raise SANDBOX_CLOSED()
        snapshot = self.desk.services.registry.snapshot
        known = snapshot.agencies.get(agency)
        if known is None or known.state != ACTIVE or ROLE not in known.roles:
            raise SANDBOX_CLOSED()
        return application.wanted(given, snapshot, self._reach(agency)), known, self.desk.now()

    def _system(
        self, connection: Connection, agency: str, name: str, asked: Wanted, now: float
    ) -> tuple[str, list[Change]]:
        most = self.desk.services.settings.sandbox_vendor_systems
        present = self_service.systems_of(connection, agency)
        if len(present) >= most:
            raise SANDBOX_FULL(what="sandbox_vendor_systems", most=most)
        snapshot = self.desk.services.registry.snapshot
        id = f"{agency.lower().replace('.', '-')}-{len(present) + 1}"  # systems are never deleted
        title = Words(f"{name}, hệ thống {len(present) + 1}", f"{name}, system {len(present) + 1}")
        changes = self_service.put_system(connection, _record(id, agency, title, asked, snapshot), now)
        return id, changes + _grants(connection, snapshot, agency, asked, now)

    def _look(self, code: str, source: str, now: float) -> None:
        """Whether a code holds, before anything is locked. Of a source that guesses, no more are looked at."""
        try:
            with self.desk.reading() as connection:
                invitations.check(connection, code, now)
        except Failure:
            self.attempts.count(source, now, 7)
            raise

    def _changing(self) -> Any:
        services = self.desk.services
        return changing(services.engine, Seal.of(services.settings))


def session(source: str) -> Callable[[account_rows.Change, str], str]:
    """Signs the new account in at once, as its one-time link would."""
    return lambda change, account: signing_in.succeed(change, account, "link", source)


def token(now: float) -> Callable[[account_rows.Change, str], str]:
    """An access token of the new account, for programs."""
    return lambda change, account: tokens.make(change, tokens.wanted(account, POLICY, TOKEN_DAYS, now))[0]


def note(act: Act, agency: str, changes: list[Change], now: float, **more: Any) -> None:
    """The entry of what the policy approved; without changes there is none."""
    if changes:
        facts = {"changes": listed(changes), "policy": POLICY, "tenant": agency, "approved_by": [POLICY], **more}
        act.note("registry", facts, now, actor=POLICY)


def _new_code(connection: Connection) -> str:
    known = set(connection.scalars(select(tables.agency.c.code)))
    while (code := PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(8))) in known:
        pass
    return code


def _agency(code: str, asked: Application) -> Agency:
    """Its name says that it is no agency of the province."""
    name = Words(f"{asked.name} (nhà cung cấp, thử nghiệm)", f"{asked.name} (vendor, sandbox)")
    contact = Contact(office=asked.name, phone="", email=asked.contact)
    return Agency(code, name, "outside", (ROLE,), (contact,))


def _record(id: str, agency: str, title: Words, asked: Wanted, snapshot: Snapshot) -> System:
    """It names a format for each contract that it provides: by that it is found as the tenant's own provider."""
    provided = [each for each in asked.contracts if asked.provides and application.called(snapshot.contracts[each])]
    endpoint = Endpoint(id, asked.protocol, asked.address) if provided else None
    return System(id, agency, title, dict.fromkeys(provided, "canonical"), endpoint)


def _grants(connection: Connection, snapshot: Snapshot, agency: str, asked: Wanted, now: float) -> list[Change]:
    """The grants that the tenant lacks: to call the operations of each contract, and to be called by them."""
    held = set(connection.scalars(select(tables.access_grant.c.id)))
    begins = Quota(1, "day").window(now).begins  # midnight in Vietnam
    changes: list[Change] = []
    for name in asked.contracts:
        contract = snapshot.contracts[name]
        ways = {"asks": tuple(contract.contract.operations) if asked.calls else (),
                "receives": application.called(contract) if asked.provides else ()}  # fmt: skip
        for way, operations in ways.items():
            id = f"{agency}-{name.replace('/', '-')}-{way}"
            if not operations or id in held:
                continue
            wanted = Grant(
                id=id,
                agency=agency,
                role=None,
                contract=name,
                operations=operations,
                fields=("*",),
                purpose="Kiểm thử của nhà cung cấp trong phiên bản thử nghiệm",
                legal_basis="Không áp dụng trong phiên bản thử nghiệm: dữ liệu đều là giả lập",
                valid_from=float(begins),
                valid_until=float(begins + DAYS * _DAY),
                receives=way == "receives",
            )
            changes += self_service.grant(connection, wanted, now)
    return changes
