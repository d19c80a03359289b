"""Who may do what: a pure decision over rows that a security officer can read.

Default deny; a denial in force beats every permission; what several permissions let be seen adds up. A refusal names the nearest miss, the grant
that came closest, so that the answer can say what is lacking and whom to ask. A call counts against every grant that lets it through and has a quota; a
grant whose quota is used up is as if it were not there (`Decision.without`).
Invariants: `decide` reads nothing but its arguments, and allows only through a grant that it names; the order of rows means nothing; a permission
more never allows less, nor shows less, whichever quotas are used up.
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
from contracts.base.errors import Policy
from contracts.base.times import rfc3339
from contracts.base.words import Words
from security.errors import (
    ACCESS_DENIED,
    ACCESS_EXPIRED,
    ACCESS_NO_CONTRACT,
    ACCESS_NO_GRANT,
    ACCESS_NO_OPERATION,
    ACCESS_NOT_APPROVED,
    ACCESS_NOT_YET_VALID,
    ACCESS_OUT_OF_HOURS,
    ACCESS_QUOTA,
    ACCESS_SUSPENDED,
)
from security.grants.windows import Hours, Quota, civil, words

ALL: Final = "*"
OFFICERS: Final = 2
ACTIVE: Final = "active"
_STATES: Final = (ACTIVE, "suspended")


class Reason(StrEnum):
    """Why. Later ones came nearer to being allowed."""

    NO_GRANT = "no-grant"
    NO_CONTRACT = "no-contract"
    NO_OPERATION = "no-operation"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    SUSPENDED = "suspended"
    NOT_APPROVED = "not-approved"
    OUT_OF_HOURS = "out-of-hours"
    DENIED = "denied"
    GRANTED = "granted"


_REFUSALS: Final = {
    Reason.NO_GRANT: ACCESS_NO_GRANT,
    Reason.NO_CONTRACT: ACCESS_NO_CONTRACT,
    Reason.NO_OPERATION: ACCESS_NO_OPERATION,
    Reason.EXPIRED: ACCESS_EXPIRED,
    Reason.NOT_YET_VALID: ACCESS_NOT_YET_VALID,
    Reason.SUSPENDED: ACCESS_SUSPENDED,
    Reason.NOT_APPROVED: ACCESS_NOT_APPROVED,
    Reason.OUT_OF_HOURS: ACCESS_OUT_OF_HOURS,
    Reason.DENIED: ACCESS_DENIED,
}


_NEARNESS: Final = {reason: number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Grant:
    """One row: agency or role · contract (`indicator/v1`) and operations (`*` for all) · fields · purpose · basis · time · hours · quota.

    `fields` are visible canonical paths, `!path` hides one, `*` shows all. `denies` turns the row into a prohibition, for which
    neither fields nor officers matter. `state` and `approved_by` are no part of its content: officers sign all the rest. `edition` is raised
    where a content that was given up is wanted again, so that old approvals do not come back with it.
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
    approved_by: tuple[str, ...] = ()
    state: str = ACTIVE

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

    def content(self) -> dict[str, Any]:
        """What officers approve; absent values are left out."""
        made = {
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
        }
        return {name: value for name, value in made.items() if value is not None}

    def canonical(self) -> bytes:
        """The content in RFC 8785 form: the bytes that are stored and signed."""
        return jcs.encode(self.content())

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Grant:
        """The reverse of `content`; ValueError for anything else."""
        unknown = set(value) - _CONTENT
        if unknown:
            raise ValueError(f"a grant has no {', '.join(sorted(unknown))}")
        denies, edition = value.get("denies", False), value.get("edition", 1)
        if not isinstance(denies, bool) or isinstance(edition, bool) or not isinstance(edition, int):
            raise ValueError("denies is true or false, edition a number")
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
            )
        except KeyError as missing:
            raise ValueError(f"a grant needs {missing}") from None

    def standing(self, state: str, approved_by: Iterable[str]) -> Grant:
        """The same content, as it stands: suspended or not, and by whom it is approved."""
        return replace(self, state=state, approved_by=tuple(approved_by))


_CONTENT: Final = {*Grant.__slots__} - {"state", "approved_by"}


def digest(content: bytes) -> str:
    """SHA-256 of a canonical content, in hex: what an approval is bound to."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class Request:
    agency: str
    roles: frozenset[str]
    contract: str
    operation: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`through` are the grants that allow, `grant` the first of them; `nearest` the one that came nearest to it, or the prohibition. `views` are the
    fields of every grant that allows: what one of them shows is seen. `limited` are those of them that have a quota, which all count."""

    allowed: bool
    reason: Reason
    grant: Grant | None = None
    views: tuple[tuple[str, ...], ...] = ()
    nearest: Grant | None = None
    through: tuple[Grant, ...] = ()
    limited: tuple[Grant, ...] = ()

    @classmethod
    def by(cls, through: tuple[Grant, ...]) -> Decision:
        """Allowed by these, in their order of rank."""
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
        """As it would be if these grants were not there; None where no grant is left that allows. Prohibitions have no quota."""
        left = tuple(grant for grant in self.through if grant.id not in used_up)
        return None if not left else self if len(left) == len(self.through) else Decision.by(left)


@dataclass(frozen=True, slots=True)
class Held:
    """The grants that one agency holds, by itself or by its roles, sorted out once: a decision costs the same whatever their number.

    A decision stays true until the next moment at which one of its grants begins or ends, or its hours do; so it is kept until then.
    """

    grants: tuple[Grant, ...]
    _fit: Mapping[tuple[str, str], tuple[Grant, ...]]  # contract and operation, or `*` for those that no grant names
    _of_contract: Mapping[str, Grant]
    _any: Grant | None
    _kept: dict[tuple[str, str], tuple[float, float, Decision]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, grants: Iterable[Grant]) -> Held:
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
        kept = self._kept.get(key)
        if kept is None or not kept[0] <= now < kept[1]:
            rows = self._fit.get(key) or self._fit.get((contract, ALL), ())
            kept = (
                now,
                min((_until(grant, now) for grant in rows), default=math.inf),
                self._decide(rows, contract, now),
            )
            self._kept[key] = kept
        return kept[2]

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


def decide(grants: Iterable[Grant], request: Request, now: float) -> Decision:
    """Among several that allow, that of the agency comes before that of a role, then the newest, then the least id."""
    held = [
        grant
        for grant in grants
        if grant.agency == request.agency or grant.role is not None and grant.role in request.roles
    ]
    return Held.of(held).decide(request.contract, request.operation, now)


def judge(grant: Grant, now: float) -> Reason | None:
    """What one row says of a request that it fits; None for a prohibition that is not in force."""
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
    if len(set(grant.approved_by)) < OFFICERS:
        return Reason.NOT_APPROVED
    if grant.hours is not None and not grant.hours.holds(now):
        return Reason.OUT_OF_HOURS
    return Reason.GRANTED


def _until(grant: Grant, now: float) -> float:
    edges = [edge for edge in (grant.valid_from, grant.valid_until) if edge > now]
    return min([*edges, grant.hours.next_change(now) if grant.hours is not None else math.inf], default=math.inf)


def _rank(grant: Grant) -> tuple[bool, float, str]:
    return grant.agency is None, -grant.valid_from, grant.id


def refusal(
    decision: Decision, request: Request, ask: Words, now: float, notice: Mapping[str, Any] | None = None
) -> Policy:
    """The failure to raise for a decision that refuses; `ask` names whom to ask, `notice` why and since when the grant is suspended."""
    nearest = decision.nearest
    facts: dict[str, Any] = {}
    retry = None
    if nearest is not None:
        facts = {
            "grant": nearest.id,
            "valid_from": civil(nearest.valid_from),
            "valid_until": civil(nearest.valid_until),
            "lacking": OFFICERS - min(OFFICERS, len(set(nearest.approved_by))),
        }
        if decision.reason is Reason.OUT_OF_HOURS and nearest.hours is not None:
            opens = nearest.hours.next_open(now)
            facts |= {"hours": str(nearest.hours), "opens": civil(opens) if opens < nearest.valid_until else "—"}
            retry = math.ceil(opens - now) if opens < nearest.valid_until else None
    return _REFUSALS[decision.reason](retry_after=retry, **_asked(request, ask), **facts, **(notice or {}))


def quota_refusal(grant: Grant, request: Request, ask: Words, now: float) -> Policy:
    """The failure to raise where no grant is left whose quota is not used up; this one counts anew first."""
    assert grant.quota is not None
    ends = grant.quota.window(now).ends
    return ACCESS_QUOTA(
        retry_after=max(1, math.ceil(ends - now)),
        grant=grant.id,
        calls=grant.quota.calls,
        per=words(f"period.{grant.quota.per}"),
        left=0,
        opens=civil(ends),
        **_asked(request, ask),
    )


def _asked(request: Request, ask: Words) -> dict[str, Any]:
    return {
        "agency": request.agency,
        "contract": request.contract,
        "operation": request.operation,
        "ask": ask,
    }


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value[name]
    if not isinstance(found, str) or not found:
        raise ValueError(f"a grant's {name} is a text")
    return found


def _texts(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = value[name]
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, str) and one for one in found):
        raise ValueError(f"a grant's {name} are a list of texts")
    return tuple(found)


def _time(value: Mapping[str, Any], name: str) -> float:
    try:
        at = datetime.fromisoformat(_text(value, name))
    except ValueError:
        raise ValueError(f"a grant's {name} is a time of RFC 3339") from None
    if at.tzinfo is None:
        raise ValueError(f"a grant's {name} needs its offset from UTC")
    return at.timestamp()
