"""What waits for officers' signatures, and what each of them would change: for pages and the API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from contracts.base.words import Words
from contracts.compiled.contract import CompiledContract
from gateway.journal.schema import tables
from gateway.registry.changes import deciding, passkeys
from gateway.registry.changes.content import Subject, in_force, named_agencies
from gateway.registry.changes.dependencies import waits_for
from gateway.registry.changes.effects import Compared, Sight, compared, foreseen, said
from gateway.registry.changes.granting import GRANT, Approved, content_of
from gateway.registry.changes.officers import PASSKEY, PERSONS, officers, persons
from gateway.registry.changes.proposals import Proposal, open_proposal, proposals, signed_by
from gateway.registry.errors import unknown
from gateway.registry.snapshot import Snapshot, all_grants
from gateway.registry.versions import compiled_of
from gateway.registry.workflows import WORKFLOW, holds
from security.grants.approvals import Approval, Officer, counted, key_of
from security.grants.grants import OFFICERS, Grant, digest
from security.grants.passkeys import Passkey
from security.grants.windows import first_day, last_day

_DAYS: Final = {"valid_from": first_day, "valid_until": last_day}
_NOTHING: Final = Compared((), (), (), ())


@dataclass(frozen=True, slots=True)
class Waiting:
    """One proposal. `whom` is the holder of a grant, the agency of a system, the contract of a route or workflow, a
    person's name. `lapsed`: it waited for too long, and cannot be signed.
    """

    path: str
    what: str
    whom: str
    about: str
    signed: tuple[str, ...]
    proposed_by: str | None
    waits_for: tuple[str, ...] = ()
    owner: str | None = None  # of a workflow: the agency that owns the contract
    owned: bool = True  # whether one of its officers signed, where that is needed
    lapsed: bool = False

    @property
    def lacks(self) -> int:
        return max(0 if self.owned else 1, OFFICERS - len(self.signed))


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature that was given for a subject; `holds`: it counts for the content as it stands."""

    officer: str
    given: float
    holds: bool
    passkey: bool


@dataclass(frozen=True, slots=True)
class Told:
    """One way in which fields reach somebody: `+` from now on, `-` no longer, `=` as before."""

    mark: str
    text: Words
    shown: tuple[str, ...]
    hidden: tuple[str, ...]
    new: frozenset[str]  # of the shown ones, those that were not shown before


@dataclass(frozen=True, slots=True)
class Detail:
    """`changes` are name, old and new value of what differs from the content that was in force."""

    waiting: Waiting
    asked: Approved
    told: tuple[Told, ...]
    changes: tuple[tuple[str, Any, Any], ...]
    signatures: tuple[Signature, ...]
    in_force: bool

    @property
    def text(self) -> str:
        return self.asked.content.decode()

    @property
    def content(self) -> Mapping[str, Any]:
        value: Mapping[str, Any] = json.loads(self.asked.content)
        return value

    @property
    def digest(self) -> str:
        return digest(self.asked.content)


def every(connection: Connection, snapshot: Snapshot, scope: str | None, now: float) -> list[Waiting]:
    """All that waits and concerns this agency, or all: grants, content, then officers, people and passkeys."""
    return [each for each in _every(connection, now) if scope is None or _concerns(connection, snapshot, each, scope)]


def _every(connection: Connection, now: float) -> Iterator[Waiting]:
    for grant in all_grants(connection):
        if not (grant.denies or grant.confirmed) and now < grant.valid_until:
            yield _of_grant(grant)
    waiting, force = proposals(connection, "waiting"), in_force(connection)
    for proposal in waiting.values():
        held = tuple(each.path for each in waits_for(proposal.subject, proposal.content, waiting, force))
        yield _of_proposal(connection, proposal, held, now)
    for each in (*officers(connection).values(), *persons(connection).values()):
        if each.state == "proposed":
            yield _of_candidate(connection, each)
    for officer in officers(connection).values():
        for passkey in officer.passkeys:
            if passkey.state == "proposed":
                yield _of_passkey(connection, passkey)


def detail(connection: Connection, snapshot: Snapshot, path: str, scope: str | None, now: float) -> Detail:
    """Raises `registry.unknown`, also for what concerns another agency alone."""
    asked = deciding.asked(connection, path)
    effect, standing = _NOTHING, False
    if (subject := Subject.at(path)) is not None:
        proposal = open_proposal(connection, subject)
        effect = compared(connection, snapshot, proposal, now)
        waiting, force = proposals(connection, "waiting"), in_force(connection)
        standing = proposal.state != "waiting"
        needed = () if standing else waits_for(proposal.subject, proposal.content, waiting, force)
        held = tuple(each.path for each in needed)
        row = _of_proposal(connection, proposal, held, now)
    elif asked.what == GRANT:
        grant = next((each for each in all_grants(connection) if each.id == path), content_of(connection, path))
        effect, standing = foreseen(connection, snapshot, grant, now), grant.confirmed or grant.denies
        row = _of_grant(grant)
    elif asked.what == PASSKEY:
        passkey = passkeys.found(connection, asked.name)
        row, standing = _of_passkey(connection, passkey), passkey.state != "proposed"
    else:
        known = persons(connection) if asked.what == PERSONS.what else officers(connection)
        row = _of_candidate(connection, known[asked.name])
    if scope is not None and not _concerns(connection, snapshot, row, scope):
        raise unknown("proposal", path)
    given = tuple(_signatures(connection, asked, row))
    return Detail(row, asked, tuple(_told(snapshot, effect)), effect.changes, given, standing)


def workflow_of(connection: Connection, found: Detail) -> CompiledContract | None:
    """The contract whose workflow is signed; None for other content."""
    if found.asked.what != WORKFLOW:
        return None
    compiled = compiled_of(connection, found.content["bundle"])
    return compiled if holds(compiled, found.content) else None


def _of_grant(grant: Grant) -> Waiting:
    about = f"{grant.contract} {' '.join(grant.operations)}: {' '.join(grant.fields)}"
    whom = grant.agency or f"role {grant.role}"
    return Waiting(
        grant.id, "receiving" if grant.receives else GRANT, whom, about, grant.approved_by, grant.proposed_by
    )


def _of_proposal(connection: Connection, proposal: Proposal, held: tuple[str, ...], now: float) -> Waiting:
    signed, known = signed_by(connection, proposal), officers(connection)
    owned = proposal.owner is None or any(known[each].agency == proposal.owner for each in signed)
    row = _of_content(proposal.subject, proposal.content, signed, proposal.proposed_by, held)
    return replace(row, owner=proposal.owner, owned=owned, lapsed=proposal.lapsed(now))


def _of_content(
    subject: Subject, content: Mapping[str, Any], signed: tuple[str, ...], by: str | None, held: tuple[str, ...]
) -> Waiting:
    whom, about = subject.id, ""
    if subject.what == "route":
        about = ", ".join(
            sorted({each["system"] for each in content["table"] if "system" in each} | named_agencies(content))
        )
    elif subject.what == "system":
        whom, endpoint = content["agency"], content.get("endpoint", {})
        about = f"{subject.id}: {endpoint.get('url') or endpoint.get('folder') or endpoint.get('callback') or '–'}"
    elif subject.what == WORKFLOW:
        about = f"{content['version']}, {content['bundle'][:19]}"
    else:
        about = ", ".join(content["roles"])
    return Waiting(subject.path, subject.what, whom, about, signed, by, held)


def _of_candidate(connection: Connection, officer: Officer) -> Waiting:
    what = "officer" if officer.role == "officer" else "person"
    signed = _counted(connection, f"{what} {officer.id}", officer.content(), officer.id)
    return Waiting(f"{what}/{officer.id}", what, officer.agency, officer.thumbprint, signed, None)


def _of_passkey(connection: Connection, passkey: Passkey) -> Waiting:
    content = deciding.asked(connection, f"{PASSKEY}/{passkey.thumbprint}").content
    signed = _counted(connection, f"{PASSKEY} {passkey.thumbprint}", content, None)
    return Waiting(f"{PASSKEY}/{passkey.thumbprint}", PASSKEY, passkey.officer, passkey.origin, signed, None)


def _counted(connection: Connection, subject: str, content: bytes, proposer: str | None) -> tuple[str, ...]:
    table = tables.approval.c
    query = select(*table).where(table.subject == subject, table.digest == digest(content), table.voided.is_(None))
    given = [Approval(row.officer, row.signature, row.given) for row in connection.execute(query)]
    return counted(content, proposer, given, officers(connection))


def _signatures(connection: Connection, asked: Approved, row: Waiting) -> Iterator[Signature]:
    table, known = tables.approval.c, officers(connection)
    query = select(*table).where(table.subject == f"{asked.what} {asked.name}").order_by(table.given)
    for each in connection.execute(query):
        same = each.voided is None and each.digest == digest(asked.content)
        officer = known.get(each.officer)
        key = key_of(asked.content, each.signature, officer) if same and officer is not None else None
        yield Signature(each.officer, each.given, same and each.officer in row.signed, isinstance(key, Passkey))


def _concerns(connection: Connection, snapshot: Snapshot, each: Waiting, agency: str) -> bool:
    if each.what == WORKFLOW:
        return each.owner == agency
    if each.what in ("agency", "system", "officer", "person"):
        return each.whom == agency
    if each.what == PASSKEY:
        known = officers(connection).get(each.whom)
        return known is not None and known.agency == agency
    if each.what == "route":
        names = each.about.split(", ")
        named = (snapshot.systems.get(name) for name in names)
        return agency in names or any(system is not None and system.agency == agency for system in named)
    known_agency = snapshot.agencies.get(agency)
    roles = known_agency.roles if known_agency is not None else ()
    return each.whom == agency or each.whom in {f"role {role}" for role in roles}


def _told(snapshot: Snapshot, effect: Compared) -> Iterator[Told]:
    before = {_way(each): frozenset(each.shown) for each in effect.gone}
    after = {_way(each) for each in effect.new}
    for mark, sights in (("+", effect.new), ("-", effect.gone), ("=", effect.kept)):
        for each in sights:
            if mark == "-" and _way(each) in after:
                continue  # it is told with the new one
            was = before.get(_way(each))
            new = frozenset(each.shown) - (was or frozenset()) if mark == "+" else frozenset[str]()
            yield Told(mark, each.say(_agency(snapshot, each)), each.shown, each.hidden, new)


def plain(name: str, value: Any) -> str:
    """A value of a content, for people: days as they were written, lists without brackets."""
    if name in _DAYS and isinstance(value, str):
        return _DAYS[name](datetime.fromisoformat(value).timestamp())
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "–"
    return said(value)


def _way(each: Sight) -> tuple[str, ...]:
    return (each.agency, each.system, each.way, each.contract, each.operation)


def _agency(snapshot: Snapshot, sight: Sight) -> Words:
    known = snapshot.agencies.get(sight.agency)
    name = known.name if known is not None else Words("", "")
    return Words(f"{name.vi} ({sight.agency})", f"{name.en} ({sight.agency})")
