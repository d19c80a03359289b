"""Why a transfer was refused, by the registry that decided it, and the request for the grant that it lacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from contracts.base.errors import Failure
from contracts.base.words import Words
from contracts.codecs.mask import PERSONAL
from gateway.audit.search.steps import both, words
from gateway.console.site.desk import Desk
from gateway.console.work.journeys import Seen
from gateway.console.work.revoked import CODE, RevokedKey, revoked_keys
from gateway.exchange.explaining import Explanation, explain
from gateway.registry.judging import PRESENT, Judged, judged, standing_at
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.grants.grants import Decision, Grant

NEW: Final = "/console/access/proposals/new"
_EVERYTHING: Final = ("*",)  # what a draft asks for where no grant is near, but personal data
_RECEIVING: Final = "route.not-granted"


@dataclass(frozen=True, slots=True)
class Fault:
    """A kept finding: where, by which rule; never a value."""

    here: Words | str
    canonical: str
    rule: str
    expected: Words
    got: Words


@dataclass(frozen=True, slots=True)
class Why:
    """`code` is what the log says. `explained` is None if grants were not asked, or the registry of then is not known;
    `unknown` is the code of why."""

    code: str
    faults: tuple[Fault, ...]
    more: int
    nearest: str | None = None  # as the log names it
    asked: Judged | None = None
    explained: Explanation | None = None
    grant: Grant | None = None  # the one that came nearest, to call or to receive
    agrees: bool | None = None
    unknown: str | None = None
    draft: str | None = None
    revoked: tuple[RevokedKey, ...] = ()


def why(desk: Desk, seen: Seen) -> Why | None:
    """None for a transfer that was not refused."""
    if not seen.refused:
        return None
    found, system = _why(desk, seen), (seen.entry.get("caller") or {}).get("system")
    return replace(found, revoked=revoked_keys(desk, str(system))) if system and found.code == CODE else found


def _why(desk: Desk, seen: Seen) -> Why:
    entry = seen.entry
    code, nearest = str(entry.get("failure")), entry.get("nearest")
    faults, more = faults_of(entry), int(entry.get("more") or 0)
    asked = judged(entry)
    if asked is None:
        return Why(code, faults, more, nearest)
    registry = desk.services.registry.snapshot
    revision = PRESENT if asked.revision == registry.revision else asked.revision
    try:
        with standing_at(desk.services.engine, asked.at, revision) as stands:
            snapshot = registry if revision == PRESENT else load_snapshot(stands.registry)
            compiled = snapshot.contract(asked.contract)
            if compiled is None or asked.operation not in compiled.contract.operations:
                return Why(code, faults, more, nearest, asked)
            explained = explain(stands, snapshot, asked.agency, compiled, asked.operation)
            received = _received(snapshot, asked, entry)
    except Failure as unknown:
        return Why(code, faults, more, nearest, asked, unknown=unknown.code)
    lacking = code == _RECEIVING and received is not None and not received.allowed
    grant = received.nearest if lacking and received is not None else explained.grant
    return Why(
        code=code,
        faults=faults,
        more=more,
        nearest=nearest,
        asked=asked,
        explained=explained,
        grant=grant,
        agrees=asked.agrees(explained.decision, snapshot),
        draft=_draft(snapshot, asked, grant, receives=lacking) if lacking or not explained.allowed else None,
    )


def faults_of(kept: Mapping[str, object]) -> tuple[Fault, ...]:
    """The kept findings of an entry, or of the facts of a note."""
    listed = kept.get("findings")
    return tuple(
        Fault(
            here=str(each.get("here") or "") or words("finding.nowhere"),
            canonical=str(each.get("canonical") or ""),
            rule=str(each.get("rule", "–")),
            expected=both(str(each.get("expected", "–"))),
            got=both(str(each.get("got", "–"))),
        )
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    )


def _received(snapshot: Snapshot, asked: Judged, entry: Mapping[str, object]) -> Decision | None:
    system = snapshot.system(str(entry.get("provider")))
    if system is None:
        return None
    return snapshot.decide_receiving(system.agency, asked.contract, asked.operation, asked.at)


def _draft(snapshot: Snapshot, asked: Judged, grant: Grant | None, *, receives: bool) -> str:
    """The address of a form that is filled in. A near grant of the same contract says which fields are usual."""
    provider = snapshot.system(str(asked.entry.get("provider"))) if receives else None
    fields = grant.fields if grant is not None and grant.contract == asked.contract else _EVERYTHING
    fields = fields if PERSONAL in fields else (*fields, PERSONAL)  # an officer adds personal data by his own hand
    given = {
        "agency": provider.agency if provider is not None else asked.agency,
        "contract": asked.contract,
        "operations": asked.operation,
        "fields": " ".join(fields),
        "transfer": asked.transfer,
        **({"receives": "1"} if receives else {}),
    }
    return f"{NEW}?{urlencode(given)}"
