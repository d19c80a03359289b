"""The roles of people at the console, and what each may do.

Invariant: whatever a page or an operation does needs one `May`; nothing is allowed by being signed in.
Invariant: no role approves. An approval needs the officer's own key or passkey, whatever his roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    OFFICER = "officer"
    OPERATOR = "operator"
    STEWARD = "steward"
    AUDITOR = "auditor"
    VENDOR = "vendor"
    CENTRE = "centre"
    AGENCY = "agency"


class May(StrEnum):
    """What somebody may do. Each page and each operation of the API names one."""

    ENTER = "enter"  # pages that every signed-in person has
    SEARCH = "search"  # entries of the log, journeys, proofs
    FEEDS = "feeds"  # events of the feeds that the agency may read
    EXPORT = "export"  # tables and packages of entries
    BODIES = "bodies"  # open the body of a message, with a reason
    LOG = "log"  # checkpoints, witnesses, verification
    ACCESS = "access"  # grants, the matrix, who receives what
    PROPOSE = "propose"  # proposals for two officers
    RESTRICT = "restrict"  # suspend, resume and revoke grants; each restricts, or lets hold what officers signed
    REPORTS = "reports"  # make and read reports; who sees one agency, that one's
    SYSTEMS = "systems"  # the board of systems
    ALARMS = "alarms"  # acknowledge alarms of systems
    QUEUE = "queue"  # what waits or is in doubt
    HANDLE = "handle"  # take steps of handlings, for one's own agency
    SETTLE = "settle"  # settle, retry, discard
    OPERATE = "operate"  # suspend, resume, revoke, maintenance, backups
    CONTRACTS = "contracts"  # contracts, mapping tables, routes
    PUBLISH = "publish"  # hand in versions of contracts
    CONFIRM = "confirm"  # confirm or reject what another person handed in
    REGISTRY = "registry"  # registry documents: what one would change, and applying it
    ACCOUNTS = "accounts"  # people and their roles
    CASES = "cases"  # cases between agencies
    CORRESPOND = "correspond"  # open cases, and take their steps
    TENANT = "tenant"  # a vendor's own systems in a sandbox


_READS: Final = {
    *(May.ENTER, May.SEARCH, May.LOG, May.ACCESS, May.SYSTEMS, May.QUEUE, May.CONTRACTS, May.REPORTS, May.CASES),
}
ROLES: Final[Mapping[Role, frozenset[May]]] = {
    Role.OFFICER: frozenset(
        {
            *(*_READS, May.EXPORT, May.BODIES, May.PROPOSE, May.RESTRICT, May.OPERATE),
            *(May.CONFIRM, May.REGISTRY, May.ALARMS, May.CORRESPOND),
        }
    ),
    Role.OPERATOR: frozenset(
        {
            *(*_READS, May.BODIES, May.SETTLE, May.HANDLE, May.RESTRICT, May.OPERATE),
            *(May.ACCOUNTS, May.REGISTRY, May.ALARMS, May.CORRESPOND),
        }
    ),
    Role.STEWARD: frozenset(
        {
            *(May.ENTER, May.SYSTEMS, May.ACCESS, May.CONTRACTS, May.PUBLISH, May.PROPOSE, May.REPORTS),
            *(May.RESTRICT, May.CONFIRM, May.REGISTRY),
            *(May.CASES, May.CORRESPOND),
        }
    ),
    Role.AUDITOR: frozenset(_READS | {May.EXPORT, May.BODIES}),
    Role.VENDOR: frozenset({May.ENTER, May.CONTRACTS, May.TENANT}),
    Role.CENTRE: frozenset(
        {
            *(May.FEEDS, May.ENTER, May.SEARCH, May.ACCESS, May.SYSTEMS, May.CONTRACTS),
            *(May.ALARMS, May.HANDLE, May.REPORTS),
            *(May.CASES, May.CORRESPOND),
        }
    ),
    Role.AGENCY: frozenset(
        {
            *(May.ENTER, May.SEARCH, May.ACCESS, May.SYSTEMS, May.CONTRACTS, May.PROPOSE, May.RESTRICT),
            *(May.ALARMS, May.HANDLE, May.REPORTS),
            *(May.CASES, May.CORRESPOND),
        }
    ),
}
_EVERYWHERE: Final = frozenset({Role.OFFICER, Role.OPERATOR, Role.STEWARD, Role.AUDITOR})


def allowed(roles: Iterable[Role]) -> frozenset[May]:
    """What these roles may do together."""
    return frozenset().union(*(ROLES[role] for role in roles))


def sees_all(roles: Iterable[Role]) -> bool:
    """Whether somebody sees more than his own agency."""
    return not _EVERYWHERE.isdisjoint(roles)
