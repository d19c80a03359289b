"""What the registry knows, as typed values: agencies, systems, keys, routes.

The shapes follow article 12.3 of the regulation (a named contact an agency) and QĐ 20/2020 (agency codes). Invariant: these are plain
frozen values; how they are stored is known to `store`, how they are looked up to `snapshot`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from adapters.model import DropFolder, Endpoint
from contracts.base.words import Words
from security.encryption_keys import EncryptKey
from security.keys import VerifyKey

ACTIVE: Final = "active"
SUSPENDED: Final = "suspended"
REVOKED: Final = "revoked"
Use = Literal["tls", "sign", "encrypt"]
NEWEST: Final = "newest"  # instead of a minor version: whatever is in force


@dataclass(frozen=True, slots=True)
class Agency:
    code: str
    name: Words
    level: str
    roles: tuple[str, ...]
    contact: Mapping[str, str]
    state: str = ACTIVE

    @property
    def reached(self) -> Words:
        """Its name and code, and how its contact (article 12.3) is reached."""
        at = ", ".join(self.contact[each] for each in ("office", "phone", "email") if each in self.contact)
        return Words(f"{self.name.vi} ({self.code}; {at})", f"{self.name.en} ({self.code}; {at})")


@dataclass(frozen=True, slots=True)
class System:
    """A component system. `active` is false if it or its agency is suspended; `endpoint` is None for one that only calls, or drops files."""

    id: str
    agency: str
    title: Words
    formats: Mapping[str, str]  # "<contract>/v<major>" -> name of the format that it speaks
    endpoint: Endpoint | None
    state: str = ACTIVE
    active: bool = True
    drop: DropFolder | None = None
    versions: Mapping[str, str] = field(
        default_factory=dict
    )  # "<contract>/v<major>" -> the minor version it is pinned to, or NEWEST
    contact: Mapping[str, str] = field(default_factory=dict)  # its own, where it is not the agency's

    @property
    def name(self) -> str:
        """`agency/system`, as it travels in `Lgsp-Caller`."""
        return f"{self.agency}/{self.id}"

    def format(self, contract: str) -> str:
        return self.formats.get(contract, "canonical")

    def pin(self, contract: str) -> str | None:
        """The minor version, as `1.1`, that it understands; None where it follows what is in force."""
        pinned = self.versions.get(contract, NEWEST)
        return None if pinned == NEWEST else pinned


@dataclass(frozen=True, slots=True)
class Key:
    """A registered certificate. `verify` and `encrypt` are prepared once, for the keys of that use."""

    key_id: str
    system: str
    use: Use
    thumbprint: str
    valid_from: float
    valid_until: float
    state: str  # revoked by us, or by the authority that issued it
    verify: VerifyKey | None
    encrypt: EncryptKey | None = None
    algorithm: str | None = None
    authority: str | None = None  # None: the embedded one, whose word is the state
    known_until: float = math.inf  # until when an outside authority's word holds, grace included
    said: str = ""  # that word in a line, for the evidence of what was let through by it
    since: str = "—"  # when it was revoked, and why
    reason: str = "unspecified"

    def in_force(self, now: float) -> bool:
        return self.state == ACTIVE and self.valid_from <= now < self.valid_until and now < self.known_until


@dataclass(frozen=True, slots=True)
class OutsideAuthority:
    """A certification authority that is not ours: what it may vouch for, and where it says what it has revoked. `grace` is in seconds."""

    name: str
    uses: tuple[str, ...]
    certificates: str  # PEM: the root, and the issuing authorities below it
    crl: tuple[str, ...]
    ocsp: str | None
    grace: float


@dataclass(frozen=True, slots=True)
class StatedKey:
    """A key as a document states it; `path` is where. Without `state` it keeps the one that it has."""

    path: str
    key_id: str
    system: str
    use: Use
    certificate: str
    algorithm: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where an operation's messages go: to `system` if each path of `when` holds one of its values. An empty `when` is the fallback."""

    contract: str
    operation: str
    when: Mapping[str, tuple[str, ...]]
    system: str


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an act on the registry changed, enough for an entry of the audit log."""

    what: Literal["agency", "system", "authority", "grant", "officer", "route", "key", "bundle", "contract"]
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
        "approved",
        "retired",
    ]
    fields: tuple[str, ...] = ()
