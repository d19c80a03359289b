"""Takes the signatures of officers for whatever they sign, for command line, pages and API alike.

A path names it: the id of a grant, `officer/ID`, `person/ID`, `passkey/THUMBPRINT`, or a subject of the registry's
content (`route/CONTRACT/OPERATION`, `system/ID`, `agency/CODE`).
Invariant: whoever asks, only an officer's signature over the very content counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from contracts.base.errors import Finding
from gateway.registry.changes import content, granting, officers, passkeys, proposals
from gateway.registry.changes.content import Subject
from gateway.registry.changes.dependencies import waits_for
from gateway.registry.changes.granting import GRANT, Approved
from gateway.registry.errors import GRANT_MASK_UNSHOWN, unknown
from gateway.registry.parts.grants import unshown, unshown_requests
from gateway.registry.records import Change
from gateway.registry.seals.revisions import raise_revision
from gateway.registry.seals.sealing import Act
from gateway.registry.snapshot import Snapshot, load_snapshot
from security.grants.grants import Grant, digest

ACCESS: Final = "access"  # the note of an act
_CANDIDATE: Final = re.compile(r"(officer|passkey|person)/(.+)")


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was taken, and what came into force by it."""

    path: str
    asked: Approved
    officer: str
    signature: str
    changes: list[Change]
    effects: list[proposals.Effect]

    def facts(self) -> dict[str, Any]:
        """For the log."""
        subject = Subject.at(self.path)
        approval = {
            "subject": self.path if subject is None else str(subject),
            "officer": self.officer,
            "digest": digest(self.asked.content),
            "signature": self.signature,
        }
        return {"approval": approval, **({"in_force": in_force_rows(self.effects)} if subject is not None else {})}


def asked(connection: Connection, path: str) -> Approved:
    """What an officer signs there, in the bytes that he signs. Raises `registry.unknown`."""
    if (subject := Subject.at(path)) is not None:
        proposal = proposals.open_proposal(connection, subject)
        return Approved(subject.what, subject.id, proposal.body.encode(), proposal.proposed_by)
    if (named := _CANDIDATE.fullmatch(path)) is None:
        grant = granting.content_of(connection, path)
        return Approved(GRANT, path, grant.canonical(), grant.proposed_by)
    if named[1] == officers.PASSKEY:
        return passkeys.approved(connection, named[2])
    roll = officers.PERSONS if named[1] == officers.PERSONS.what else officers.OFFICERS
    candidate = officers.listed(connection, roll).get(named[2])
    if candidate is None or candidate.state != "proposed":
        raise unknown(f"proposed {roll.what}", named[2])
    return Approved(roll.what, named[2], candidate.content(), named[2])


def sign(connection: Connection, path: str, officer: str, signature: str, now: float) -> Signed:
    """Take a signature. One that is there already changes nothing."""
    wanted = asked(connection, path)
    effects: list[proposals.Effect] = []
    if (subject := Subject.at(path)) is not None:
        changes, effects = proposals.approve(connection, subject, officer, signature, now)
    elif wanted.what == GRANT:
        check_shown(load_snapshot(connection), granting.content_of(connection, path))
        changes = granting.approve_grant(connection, path, officer, signature, now)
    elif wanted.what == officers.PASSKEY:
        changes = passkeys.approve(connection, wanted.name, officer, signature, now)
    else:
        roll = officers.PERSONS if wanted.what == officers.PERSONS.what else officers.OFFICERS
        changes = granting.approve_officer(connection, wanted.name, officer, signature, now, roll=roll)
    return Signed(path, wanted, officer, signature, changes, effects)


def refuse(act: Act, path: str, reason: str, now: float, actor: str) -> Change:
    """Take a workflow back that waits, with its signatures, and log why. Raises `registry.unknown`."""
    subject = Subject.at(path)
    if subject is None:
        raise unknown("proposal", path)
    proposal, change = proposals.refuse(act.connection, subject, now)
    record(act, [change], now, actor, refused=proposal.facts(), reason=reason)
    return change


def record(act: Act, changes: Iterable[Change], now: float, actor: str, **facts: Any) -> None:
    """The entry of changes of access; none if nothing changed."""
    if changes := list(changes):
        raise_revision(act.connection)
        act.note(ACCESS, {"changes": listed(changes), **facts}, now, actor=actor)


def listed(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Changes as the log and programs get them."""
    return [{"what": each.what, "id": each.id, "how": each.how, "fields": list(each.fields)} for each in changes]


def in_force_rows(effects: Iterable[proposals.Effect]) -> list[dict[str, Any]]:
    return [{**each.facts(), "subject": each.proposal.subject.path} for each in effects]


def waiting_rows(connection: Connection, now: float) -> list[dict[str, Any]]:
    """What waits: its edition and digest, who proposed and signed it, what else has to come into force before; of a
    workflow also the agency whose officer has to sign, and whether it waited for too long.
    """
    waiting, force = proposals.proposals(connection, "waiting"), content.in_force(connection)
    return [
        {
            **proposal.facts(),
            "subject": subject.path,
            "signed_by": list(proposals.signed_by(connection, proposal)),
            "waits_for": [each.path for each in waits_for(proposal.subject, proposal.content, waiting, force)],
            **({} if proposal.owner is None else {"owner": proposal.owner, "lapsed": proposal.lapsed(now)}),
        }
        for subject, proposal in waiting.items()
    ]


def check_shown(snapshot: Snapshot, grant: Grant) -> None:
    """What was checked when it was proposed may have changed since: formats, versions, systems."""
    compiled = snapshot.contracts.get(grant.contract)
    if compiled is None:
        raise unknown("contract", grant.contract)
    holders = {
        each.code for each in snapshot.agencies.values() if grant.agency == each.code or grant.role in each.roles
    }
    readers = [system for system in snapshot.systems.values() if system.agency in holders]
    shows = unshown_requests if grant.receives else unshown
    findings = [
        Finding(here, path, form, "mask", "a word for `not-permitted`")
        for form, here, path in shows(compiled, grant.operations, grant.fields, readers)
    ]
    if findings:
        raise GRANT_MASK_UNSHOWN(findings=findings, grant=grant.id, count=len(findings))
