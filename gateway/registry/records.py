"""The registry's types: agencies, systems, keys, routes.

They follow article 12.3 of the regulation (a named contact for each agency) and QĐ 20/2020 (agency codes).
Invariant: these are plain frozen values; `store` stores them, `snapshot` looks them up.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from adapters.kinds import FILES, KINDS
from adapters.model import AdapterKind, DropFolder, Endpoint
from contracts.base.words import Words
from gateway.registry.contacts import Contact, lasting
from gateway.registry.tenant_clock import REAL, TenantClock
from security.encryption_keys import EncryptKey
from security.grants.windows import Hours
from security.keys import VerifyKey

ACTIVE: Final = "active"
SUSPENDED: Final = "suspended"
REVOKED: Final = "revoked"
Use = Literal["tls", "sign", "encrypt"]
NEWEST: Final = "newest"  # in place of a minor version: the version in force


@dataclass(frozen=True, slots=True)
class Agency:
    code: str
    name: Words
    level: str
    roles: tuple[str, ...]
    contacts: tuple[Contact, ...]
    state: str = ACTIVE
    clock: TenantClock = REAL  # of a tenant of a sandbox

    @property
    def reached(self) -> Words:
        """Name, code, and contact details (article 12.3)."""
        contact = lasting(self.contacts)
        at = ", ".join(contact[each] for each in ("office", "phone", "email") if each in contact)
        return Words(f"{self.name.vi} ({self.code}; {at})", f"{self.name.en} ({self.code}; {at})")


@dataclass(frozen=True, slots=True)
class Source:
    """What a system is the one source of: the messages of an operation that have one of its values at each path of
    `when`. A value that ends in `*` stands for all that begin so. An empty `when` is every message.
    """

    contract: str
    operation: str
    when: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class System:
    """A component system. `active` is false if it or its agency is suspended; `endpoint` is None if it receives no
    calls."""

    id: str
    agency: str
    title: Words
    formats: Mapping[str, str]  # "<contract>/v<major>" -> name of its format
    endpoint: Endpoint | None
    state: str = ACTIVE
    active: bool = True
    drop: DropFolder | None = None
    versions: Mapping[str, str] = field(
        default_factory=dict
    )  # "<contract>/v<major>" -> the minor version it is pinned to, or NEWEST
    contacts: tuple[Contact, ...] = ()  # if they differ from the agency's
    callback: str | None = None  # https address that is told when an asynchronous transfer has ended
    sources: tuple[Source, ...] = ()  # the data sets, or parts of them, that come from it alone
    ahead: int = 0  # seconds by which the clock of its agency is ahead of real time

    @property
    def name(self) -> str:
        """`agency/system`, as in `Lgsp-Caller`."""
        return f"{self.agency}/{self.id}"

    @property
    def kind(self) -> AdapterKind | None:
        """How it is reached; None if it receives no calls and hands in no files."""
        if self.drop is not None:
            return FILES
        return None if self.endpoint is None else KINDS[self.endpoint.kind]

    @property
    def by_query(self) -> bool:
        """Whether it is asked by a query string."""
        return self.kind is not None and self.kind.query

    def format(self, contract: str) -> str:
        return self.formats.get(contract, "canonical")

    def pin(self, contract: str) -> str | None:
        """The minor version, such as `1.1`, that it is pinned to; None if it follows the version in force."""
        pinned = self.versions.get(contract, NEWEST)
        return None if pinned == NEWEST else pinned


@dataclass(frozen=True, slots=True)
class Key:
    """A registered certificate. `verify` and `encrypt` are the parsed keys, for keys of that use."""

    key_id: str
    system: str
    use: Use
    thumbprint: str
    valid_from: float
    valid_until: float
    state: str  # revoked here, or by the issuing authority
    verify: VerifyKey | None
    encrypt: EncryptKey | None = None
    algorithm: str | None = None
    authority: str | None = None  # None: the embedded one, whose status is `state`
    known_until: float = math.inf  # until when an outside authority's status is valid, with grace
    status: str = ""  # that status in one line, for the evidence of a transfer
    since: str = "—"  # when it was revoked
    reason: str = "unspecified"

    def in_force(self, now: float) -> bool:
        return self.state == ACTIVE and self.valid_from <= now < self.valid_until and now < self.known_until


@dataclass(frozen=True, slots=True)
class OutsideAuthority:
    """An outside certification authority: its uses and its revocation sources. `grace` is in seconds."""

    name: str
    uses: tuple[str, ...]
    certificates: str  # PEM: the root and the issuing authorities below it
    crl: tuple[str, ...]
    ocsp: str | None
    grace: float


@dataclass(frozen=True, slots=True)
class StatedKey:
    """A key stated in a document at `path`. Without `state` its present state stays."""

    path: str
    key_id: str
    system: str
    use: Use
    certificate: str
    algorithm: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Sends messages to `system` if each path of `when` has one of its values. An empty `when` is the fallback.

    `agencies` handle them by the contract's workflow; none: the agency of the system. Outside `hours`, which are a name
    of the workflow's or windows of a week, `outside` handle them; none: those of the fallback. An operation that calls
    no system has an empty `system`.
    """

    contract: str
    operation: str
    when: Mapping[str, tuple[str, ...]]
    system: str
    agencies: tuple[str, ...] = ()
    hours: str | tuple[Hours, ...] | None = None
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the registry, for an entry of the audit log."""

    what: Literal[
        "agency", "system", "authority", "grant", "officer", "passkey", "person", "route", "key", "bundle",
        "contract", "indicator", "workflow",
    ]  # fmt: skip
    id: str
    how: Literal[
        "added",
        "changed",
        "removed",
        "suspended",
        "resumed",
        "revoked",
        "published",
        "rolled back",
        "proposed",
        "withdrawn",
        "approved",
        "retired",
    ]
    fields: tuple[str, ...] = ()
