"""Decides access from grants: a pure function over rows that a security officer can read.

Default deny. A denial in force overrides every permission. The visible fields of several permissions add up. A refusal
names the grant that came closest, so that the answer can say what is missing and whom to ask. A call counts against
every allowing grant with a quota; a grant with an exhausted quota is ignored (`Decision.without`).
Asking and receiving are decided apart: a grant with `receives` lets the holder's systems be called, and shows them
fields of the request; it permits and forbids nothing else.
Invariants: `decide` reads only its arguments, and allows only through a grant that it names; the order of rows does not
matter; one more permission never allows or shows less, whichever quotas are exhausted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from contracts.base import jcs
from contracts.base.times import rfc3339
from security.grants.windows import Hours, Quota

ALL: Final = "*"
OFFICERS: Final = 2
ACTIVE: Final = "active"
TO_CONFIRM: Final = 30 * 86400.0  # seconds in which two officers confirm an adopted grant
_STATES: Final = (ACTIVE, "suspended")


class Reason(StrEnum):
    """The reason of a decision. Later ones are closer to being allowed."""

    NO_GRANT = "no-grant"
    NO_CONTRACT = "no-contract"
    NO_OPERATION = "no-operation"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    SUSPENDED = "suspended"
    NOT_CONFIRMED = "not-confirmed"
    NOT_APPROVED = "not-approved"
    OUT_OF_HOURS = "out-of-hours"
    DENIED = "denied"
    GRANTED = "granted"


_NEARNESS: Final = {reason: number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Grant:
    """One row of access rights.

    Agency or role, contract (`indicator/v1`), operations (`*`: all), fields, purpose, basis, time, hours, quota.
    `fields` are visible canonical paths; `!path` hides one, `*` shows all. `denies` makes the row a prohibition,
    without fields or approvals. `edition` is raised when an earlier content is proposed again, so that old approvals do
    not apply. `receives`: the holder's systems are called, and `fields` are of the request; without hours and quota.
    Officers sign everything except the standing: `state`, `approved_by`, `adopted` (made from a route that was in force
    before routes needed grants), `personal` (of an adopted one: shows personal fields) and `policy` (the named policy
    that approved it in place of officers: only of a tenant of a sandbox).
    """

    id: str
    agency: str | None
    role: str | None
    contract: str
    operations: tuple[str, ...]
    fields: tuple[str, ...]
    purpose: str
    legal_basis: str
    valid_from: float
    valid_until: float
    hours: Hours | None = None
    quota: Quota | None = None
    denies: bool = False
    proposed_by: str | None = None
    edition: int = 1
    receives: bool = False
    approved_by: tuple[str, ...] = ()
    state: str = ACTIVE
    adopted: bool = False
    personal: bool = False
    policy: str = ""

    def __post_init__(self) -> None:
        if (self.agency is None) == (self.role is None):
            raise ValueError(f"grant {self.id}: either an agency or a role")
        if self.state not in _STATES:
            raise ValueError(f"grant {self.id}: state {self.state!r}")
        if not self.operations or not (self.fields or self.denies):
            raise ValueError(f"grant {self.id}: operations and fields must be named, `*` for all")
        if not self.valid_from < self.valid_until < math.inf:
            raise ValueError(f"grant {self.id}: it ends before it begins")
        if self.edition < 1:
            raise ValueError(f"grant {self.id}: editions are counted from 1")
        if self.receives and (self.hours is not None or self.quota is not None):
            raise ValueError(f"grant {self.id}: receiving has no hours and no quota")

    @property
    def confirmed(self) -> bool:
        return bool(self.policy) or len(set(self.approved_by)) >= OFFICERS

    @property
    def approvers(self) -> tuple[str, ...]:
        """The officers whose approvals count, or the named policy."""
        return (self.policy,) if self.policy else self.approved_by

    @property
    def confirm_until(self) -> float:
        """The end of the time in which an adopted grant is confirmed."""
        return self.valid_from + TO_CONFIRM

    def overdue(self, now: float) -> bool:
        """Whether an adopted grant was not confirmed in its time."""
        return self.adopted and not self.confirmed and now >= self.confirm_until

    def content(self) -> dict[str, Any]:
        """The content that officers approve, without absent values."""
        content = {
            "id": self.id,
            "agency": self.agency,
            "role": self.role,
            "contract": self.contract,
            "operations": list(self.operations),
            "fields": list(self.fields),
            "purpose": self.purpose,
            "legal_basis": self.legal_basis,
            "valid_from": rfc3339(self.valid_from),
            "valid_until": rfc3339(self.valid_until),
            "hours": None if self.hours is None else self.hours.to_json(),
            "quota": None if self.quota is None else self.quota.to_json(),
            "denies": self.denies or None,
            "proposed_by": self.proposed_by,
            "edition": self.edition,
            "receives": self.receives or None,
        }
        return {name: value for name, value in content.items() if value is not None}

    def canonical(self) -> bytes:
        """The content in RFC 8785 form: the bytes that are stored and signed."""
        return jcs.encode(self.content())

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grant:
        """The inverse of `content`. ValueError for anything else."""
        unknown = set(value) - _CONTENT
        if unknown:
            raise ValueError(f"a grant has no {', '.join(sorted(unknown))}")
        denies, receives, edition = value.get("denies", False), value.get("receives", False), value.get("edition", 1)
        if not isinstance(denies, bool) or not isinstance(receives, bool):
            raise ValueError("denies and receives are true or false")
        if isinstance(edition, bool) or not isinstance(edition, int):
            raise ValueError("an edition is a number")
        try:
            return cls(
                id=_text(value, "id"),
                agency=None if value.get("agency") is None else _text(value, "agency"),
                role=None if value.get("role") is None else _text(value, "role"),
                contract=_text(value, "contract"),
                operations=_texts(value, "operations"),
                fields=_texts(value, "fields"),
                purpose=_text(value, "purpose"),
                legal_basis=_text(value, "legal_basis"),
                valid_from=_time(value, "valid_from"),
                valid_until=_time(value, "valid_until"),
                hours=None if value.get("hours") is None else Hours.from_json(value["hours"]),
                quota=None if value.get("quota") is None else Quota.from_json(value["quota"]),
                denies=denies,
                proposed_by=None if value.get("proposed_by") is None else _text(value, "proposed_by"),
                edition=edition,
                receives=receives,
            )
        except KeyError as missing:
            raise ValueError(f"a grant needs {missing}") from None

    def with_status(self, state: str, approved_by: Iterable[str]) -> Grant:
        """The same content with this state and these approvals."""
        return replace(self, state=state, approved_by=tuple(approved_by))


STANDING: Final = frozenset({"state", "approved_by", "adopted", "personal", "policy"})  # what nobody signs
_CONTENT: Final = {*Grant.__slots__} - STANDING


def digest(content: bytes) -> str:
    """SHA-256 of a canonical content, in hex; an approval is bound to it."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    """To call the operation, or with `receives` to be called."""

    agency: str
    roles: frozenset[str]
    contract: str
    operation: str
    receives: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`through` are the allowing grants, `grant` the first of them, `nearest` the closest one or the prohibition.

    `views` are the fields of every allowing grant; a field shown by one of them is visible. `limited` are the allowing
    grants with a quota, which all count.
    """

    allowed: bool
    reason: Reason
    grant: Grant | None = None
    views: tuple[tuple[str, ...], ...] = ()
    nearest: Grant | None = None
    through: tuple[Grant, ...] = ()
    limited: tuple[Grant, ...] = ()

    @classmethod
    def by(cls, through: tuple[Grant, ...]) -> Decision:
        """Allowed by these grants, in their order of rank."""
        limited = tuple(grant for grant in through if grant.quota is not None)
        return cls(
            True,
            Reason.GRANTED,
            through[0],
            tuple(sorted({grant.fields for grant in through})),
            through=through,
            limited=limited,
        )

    def without(self, used_up: Collection[str]) -> Decision | None:
        """The decision without these grants; None if no allowing grant is left. Prohibitions have no quota."""
        left = tuple(grant for grant in self.through if grant.id not in used_up)
        return None if not left else self if len(left) == len(self.through) else Decision.by(left)


@dataclass(frozen=True, slots=True)
class GrantIndex:
    """Grants of one holder, indexed once, so that a decision's cost does not depend on their number.

    A decision is cached until one of its grants, or of their hours, next begins or ends.
    """

    grants: tuple[Grant, ...]
    # by contract and operation; `*` for operations that no grant names
    _fit: Mapping[tuple[str, str], tuple[Grant, ...]]
    _of_contract: Mapping[str, Grant]
    _any: Grant | None
    _cache: dict[tuple[str, str], tuple[float, float, Decision]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, grants: Iterable[Grant]) -> GrantIndex:
        ordered = tuple(sorted(grants, key=_rank))
        by_contract: dict[str, list[Grant]] = {}
        for grant in ordered:
            by_contract.setdefault(grant.contract, []).append(grant)
        fit = {
            (contract, operation): tuple(row for row in rows if operation in row.operations or ALL in row.operations)
            for contract, rows in by_contract.items()
            for operation in {each for row in rows for each in row.operations}
        }
        permits = [grant for grant in ordered if not grant.denies]
        first = {grant.contract: grant for grant in reversed(permits)}
        return cls(ordered, fit, first, permits[0] if permits else None)

    def decide(self, contract: str, operation: str, now: float) -> Decision:
        key = (contract, operation)
        cached = self._cache.get(key)
        if cached is None or not cached[0] <= now < cached[1]:
            rows = self._fit.get(key) or self._fit.get((contract, ALL), ())
            cached = (
                now,
                min((_until(grant, now) for grant in rows), default=math.inf),
                self._decide(rows, contract, now),
            )
            self._cache[key] = cached
        return cached[2]

    def _decide(self, rows: tuple[Grant, ...], contract: str, now: float) -> Decision:
        allowing: list[Grant] = []
        nearest: Grant | None = None
        reason = Reason.NO_GRANT
        for grant in rows:
            verdict = judge(grant, now)
            if verdict is Reason.DENIED:
                return Decision(False, verdict, nearest=grant)
            if verdict is Reason.GRANTED:
                allowing.append(grant)
            elif verdict is not None and (nearest is None or _NEARNESS[verdict] > _NEARNESS[reason]):
                reason, nearest = verdict, grant
        if allowing:
            return Decision.by(tuple(allowing))
        if nearest is None and contract in self._of_contract:
            return Decision(False, Reason.NO_OPERATION, nearest=self._of_contract[contract])
        if nearest is None and self._any is not None:
            return Decision(False, Reason.NO_CONTRACT, nearest=self._any)
        return Decision(False, reason, nearest=nearest)


def judge(grant: Grant, now: float) -> Reason | None:
    """The verdict of one row on a matching request; None for a prohibition not in force."""
    if grant.denies:
        in_force = (
            grant.state == ACTIVE
            and grant.valid_from <= now < grant.valid_until
            and (grant.hours is None or grant.hours.holds(now))
        )
        return Reason.DENIED if in_force else None
    if now >= grant.valid_until:
        return Reason.EXPIRED
    if now < grant.valid_from:
        return Reason.NOT_YET_VALID
    if grant.state != ACTIVE:
        return Reason.SUSPENDED
    if not grant.confirmed:
        if not grant.adopted:
            return Reason.NOT_APPROVED
        if grant.personal and grant.overdue(now):
            return Reason.NOT_CONFIRMED
    if grant.hours is not None and not grant.hours.holds(now):
        return Reason.OUT_OF_HOURS
    return Reason.GRANTED


def _until(grant: Grant, now: float) -> float:
    ends = (grant.valid_from, grant.valid_until, *((grant.confirm_until,) if grant.adopted else ()))
    edges = [edge for edge in ends if edge > now]
    return min([*edges, grant.hours.next_change(now) if grant.hours is not None else math.inf], default=math.inf)


def _rank(grant: Grant) -> tuple[bool, float, str]:
    return grant.agency is None, -grant.valid_from, grant.id


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value[name]
    if not isinstance(text, str) or not text:
        raise ValueError(f"a grant's {name} is a text")
    return text


def _texts(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = value[name]
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) and text for text in texts):
        raise ValueError(f"a grant's {name} are a list of texts")
    return tuple(texts)


def _time(value: Mapping[str, Any], name: str) -> float:
    try:
        at = datetime.fromisoformat(_text(value, name))
    except ValueError:
        raise ValueError(f"a grant's {name} is a time of RFC 3339") from None
    if at.tzinfo is None:
        raise ValueError(f"a grant's {name} needs its offset from UTC")
    return at.timestamp()
