"""Lets the stand-in officers of a sandbox sign: their private keys are in its folder `identities/`.

Invariant: in a production instance nobody signs here, whatever the folder holds.
"""

from __future__ import annotations

from sqlalchemy import Connection

from gateway.registry.changes.content import Subject
from gateway.registry.changes.officers import officers
from gateway.registry.changes.proposals import Effect, approve, proposals, signed_by
from gateway.sandbox.instance import OFFICERS
from gateway.settings import Settings
from security.grants import approvals


def sign_waiting(connection: Connection, settings: Settings, now: float, only: Subject | None = None) -> list[Effect]:
    """Sign every proposal that waits, or only one, as each stand-in officer in office. Returns what came into force."""
    if settings.kind != "sandbox":
        return []
    known, effects = officers(connection), list[Effect]()
    for name in OFFICERS:
        file = settings.identities / name / "officer.key"
        officer = known.get(name)
        if officer is None or officer.state != "active" or not file.is_file():
            continue
        secret = file.read_bytes()
        for subject, proposal in proposals(connection, "waiting").items():
            if only not in (None, subject):
                continue
            content = proposal.body.encode()
            signature = approvals.approve(content, name, secret)
            if proposal.proposed_by == name or not approvals.holds(content, signature, officer):
                continue
            if name not in signed_by(connection, proposal):
                effects += approve(connection, subject, name, signature, now)[1]
    return effects
