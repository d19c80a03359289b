"""Operations on what waits for officers. A signature is handed in here; it is made where the officer's key is."""

from __future__ import annotations

from typing import Any, Final

from contracts.base.times import rfc3339
from gateway.console.site.operation import Asked, both
from gateway.console.work import approving, drafting, previewing, waiting
from gateway.console.work.waiting import Waiting
from gateway.registry.changes import passkeys
from gateway.registry.changes.officers import acting
from security.grants.grants import OFFICERS

_CHANGE: Final = ("what", "agency", "operation", "fields", "count", "transfer", "at")


def list_proposals(asked: Asked) -> Any:
    snapshot = asked.desk.services.registry.snapshot
    with asked.desk.reading() as connection:
        rows = waiting.every(connection, snapshot, asked.viewer.account.scope, asked.now)
    return {"needed": OFFICERS, "proposals": [_row(each) for each in rows]}


def read_proposal(asked: Asked) -> Any:
    """`content` is the exact text that officers sign."""
    found = _detail(asked, asked.params["subject"])
    return {
        "proposal": _row(found.waiting),
        "in_force": found.in_force,
        "content": found.text,
        "digest": found.digest,
        "changes": [{"name": name, "old": old, "new": new} for name, old, new in found.changes],
        "effects": [
            {"mark": each.mark, "text": both(each.text), "shown": list(each.shown), "hidden": list(each.hidden)}
            for each in found.told
        ],
        "signatures": [
            {"officer": each.officer, "given": rfc3339(each.given), "holds": each.holds, "passkey": each.passkey}
            for each in found.signatures
        ],
    }


def preview_grant(asked: Asked) -> Any:
    it = previewing.preview(asked.desk, asked.params["grant"], asked.viewer.account.scope, asked.params["cursor"])
    changes = [{name: getattr(each, name) for name in _CHANGE} for each in it.rows]
    return {"grant": it.grant, "looked": it.looked, "changes": changes, "next": it.next}


def propose(asked: Asked) -> Any:
    given = dict(asked.body)
    replaces = given.pop("replaces", "")
    grant = approving.propose(asked.desk, asked.viewer, drafting.of_json(given), replaces)
    return {"subject": grant.id}


def sign(asked: Asked) -> None:
    body = asked.body
    _detail(asked, body["subject"])  # what concerns another agency alone is unknown
    approving.sign(asked.desk, body["subject"], body["officer"], body["signature"], asked.viewer.actor)


def refuse(asked: Asked) -> None:
    _detail(asked, asked.body["subject"])
    approving.refuse(asked.desk, asked.viewer, asked.body["subject"], asked.reason())


def _detail(asked: Asked, subject: str) -> waiting.Detail:
    snapshot = asked.desk.services.registry.snapshot
    with asked.desk.reading() as connection:
        return waiting.detail(connection, snapshot, subject, asked.viewer.account.scope, asked.now)


def _row(each: Waiting) -> dict[str, Any]:
    return {
        "subject": each.path,
        "what": each.what,
        "whom": each.whom,
        "about": each.about,
        "proposed_by": each.proposed_by,
        "signed": list(each.signed),
        "lacks": each.lacks,
        "waits_for": list(each.waits_for),
        "owner": each.owner,
        "lapsed": each.lapsed,
    }


def officers(asked: Asked) -> Any:
    with asked.desk.reading() as connection:
        known = acting(connection)
    return {
        "officers": [
            {
                "id": each.id,
                "role": each.role,
                "agency": each.agency,
                "name": both(each.name),
                "state": each.state,
                "since": rfc3339(each.since),
                "key": each.thumbprint,
                "passkeys": [passkeys.described(key, each) for key in each.passkeys],
            }
            for each in known.values()
        ]
    }


def revoke_passkey(asked: Asked) -> None:
    approving.revoke_passkey(asked.desk, asked.viewer, asked.params["passkey"], asked.reason())


OPERATIONS = {
    "listOfficers": officers,
    "revokePasskey": revoke_passkey,
    "listProposals": list_proposals,
    "readProposal": read_proposal,
    "previewGrant": preview_grant,
    "proposeGrant": propose,
    "signProposal": sign,
    "refuseProposal": refuse,
}
