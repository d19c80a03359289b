"""Who may do what: a pure decision over rows that a security officer can read.

Default deny; a denial in force beats every permission. A refusal names the nearest miss, the grant that came closest, so
that the answer can say what is lacking and whom to ask.
Invariant: `decide` reads nothing but its arguments, and allows only through a grant that it names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Final

from contracts.base.errors import Policy
from contracts.base.times import rfc3339

ALL: Final = "*"
OFFICERS: Final = 2


class Reason(StrEnum):
    """Why; each but GRANTED is the code `access.<reason>` of a refusal. Later ones came nearer to being allowed."""

    NO_GRANT = "no-grant"
    NO_CONTRACT = "no-contract"
    NO_OPERATION = "no-operation"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    SUSPENDED = "suspended"
    NOT_APPROVED = "not-approved"
    DENIED = "denied"
    GRANTED = "granted"


_NEARNESS: Final = {reason: number for number, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class Grant:
    """One row: agency or role · contract (`indicator/v1`) and operations (`*` for all) · fields · purpose · basis · time · officers.

    `fields` are visible canonical paths, `!path` hides one, `*` shows all. `denies` turns the row into a prohibition, for which
    neither fields nor the second officer matter.
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
    approved_by: tuple[str, ...]
    denies: bool = False
    state: str = "active"

    def __post_init__(self) -> None:
        if (self.agency is None) == (self.role is None):
            raise ValueError(f"grant {self.id}: either an agency or a role")
        if self.state not in ("active", "suspended"):
            raise ValueError(f"grant {self.id}: state {self.state!r}")
        if not self.operations or not (self.fields or self.denies):
            raise ValueError(f"grant {self.id}: operations and fields must be named, `*` for all")
        if self.valid_until <= self.valid_from:
            raise ValueError(f"grant {self.id}: it ends before it begins")

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Grant:
        """The reverse of `to_json`, and what a registry document holds; ValueError for anything else."""
        unknown = set(value) - set(cls.__slots__)
        if unknown:
            raise ValueError(f"a grant has no {', '.join(sorted(unknown))}")
        known: dict[str, object] = {"agency": None, "role": None, "denies": False, "state": "active", **value}
        try:
            return cls(
                id=_str(known, "id"),
                agency=None if known["agency"] is None else _str(known, "agency"),
                role=None if known["role"] is None else _str(known, "role"),
                contract=_str(known, "contract"),
                operations=_strings(known, "operations"),
                fields=_strings(known, "fields"),
                purpose=_str(known, "purpose"),
                legal_basis=_str(known, "legal_basis"),
                valid_from=_number(known, "valid_from"),
                valid_until=_number(known, "valid_until"),
                approved_by=_strings(known, "approved_by"),
                denies=known["denies"] is True,
                state=_str(known, "state"),
            )
        except KeyError as missing:
            raise ValueError(f"a grant needs {missing}") from None


@dataclass(frozen=True, slots=True)
class Request:
    agency: str
    roles: frozenset[str]
    contract: str
    operation: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`grant` is the one that allowed; `nearest` the one that came nearest to it, or the prohibition."""

    allowed: bool
    reason: Reason
    grant: Grant | None = None
    fields: tuple[str, ...] = ()
    nearest: Grant | None = None


def decide(grants: Iterable[Grant], request: Request, now: float) -> Decision:
    """Among several that allow, that of the agency comes before that of a role, then the newest, then the least id."""
    best: Grant | None = None
    nearest: Grant | None = None
    reason = Reason.NO_GRANT
    for grant in grants:
        verdict = _judge(grant, request, now)
        if verdict is None:
            continue
        if verdict is Reason.DENIED:
            return Decision(False, Reason.DENIED, nearest=grant)
        if verdict is Reason.GRANTED:
            if best is None or _rank(grant) < _rank(best):
                best = grant
        elif nearest is None or (-_NEARNESS[verdict], _rank(grant)) < (-_NEARNESS[reason], _rank(nearest)):
            reason, nearest = verdict, grant
    if best is not None:
        return Decision(True, Reason.GRANTED, best, best.fields)
    return Decision(False, reason, nearest=nearest)


def _judge(grant: Grant, request: Request, now: float) -> Reason | None:
    """What one row says; None where it says nothing to this request."""
    if grant.agency != request.agency and (grant.role is None or grant.role not in request.roles):
        return None
    fits = grant.contract == request.contract and (request.operation in grant.operations or ALL in grant.operations)
    if grant.denies:
        in_force = grant.state == "active" and grant.valid_from <= now < grant.valid_until
        return Reason.DENIED if fits and in_force else None
    if grant.contract != request.contract:
        return Reason.NO_CONTRACT
    if not fits:
        return Reason.NO_OPERATION
    if now >= grant.valid_until:
        return Reason.EXPIRED
    if now < grant.valid_from:
        return Reason.NOT_YET_VALID
    if grant.state != "active":
        return Reason.SUSPENDED
    if len(set(grant.approved_by)) < OFFICERS:
        return Reason.NOT_APPROVED
    return Reason.GRANTED


def _rank(grant: Grant) -> tuple[bool, float, str]:
    return grant.agency is None, -grant.valid_from, grant.id


def refusal(decision: Decision, request: Request, ask: str) -> Policy:
    """The failure to raise for a decision that refuses; `ask` names whom to ask."""
    nearest = decision.nearest
    return Policy(
        f"access.{decision.reason}",
        agency=request.agency,
        contract=request.contract,
        operation=request.operation,
        ask=ask,
        grant="" if nearest is None else nearest.id,
        valid_from="" if nearest is None else rfc3339(nearest.valid_from),
        valid_until="" if nearest is None else rfc3339(nearest.valid_until),
    )


def _str(value: Mapping[str, object], name: str) -> str:
    found = value[name]
    if not isinstance(found, str) or not found:
        raise ValueError(f"a grant's {name} is a text")
    return found


def _strings(value: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = value[name]
    if not isinstance(found, (list, tuple)) or not all(isinstance(one, str) and one for one in found):
        raise ValueError(f"a grant's {name} are a list of texts")
    return tuple(found)


def _number(value: Mapping[str, object], name: str) -> float:
    found = value[name]
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise ValueError(f"a grant's {name} is a time in Unix seconds")
    return float(found)
