"""Passkeys of one's own account; an officer's may become a key that approves."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.console.accounts import passkeys, sessions, store
from gateway.console.errors import PASSKEY_UNKNOWN, PASSKEY_UNUSABLE
from gateway.console.roles import May
from gateway.console.site.page import N_, Ask, Moved, Page, Shown
from gateway.console.work import approving
from gateway.registry.changes.officers import officers
from security.grants.approvals import thumbprint

_HERE: Final = "/console/account/passkeys"
_DEVICE: Final = "a passkey belongs to the address of the page and to the device beside it"
_PERSON: Final = "a token takes no factor or key away from its person"


def mine(ask: Ask) -> Shown:
    account, site = ask.viewer.account, ask.desk.passkeys(ask.origin)
    with ask.desk.accounts() as sealed:
        rows = passkeys.listed(sealed, account.id)
        options = passkeys.creation(sealed, site, account.id, account.name, ask.now)
        officer = officers(sealed.connection).get(account.id)
    approving_ones = {each.credential: each for each in officer.passkeys} if officer is not None else {}
    keys: dict[str, Any] = {row.id: passkeys.approving_key(row.public_key) for row in rows}
    values = {
        "rows": rows,
        "options": json.dumps(options),
        "unable": site.unable,
        "officer": officer,
        "approving": approving_ones,
        "marks": {id: thumbprint(key) for id, key in keys.items() if key is not None},
        "others": [each for each in approving_ones.values() if each.credential not in keys],
    }
    return Shown("passkeys.html", values)


def add(ask: Ask) -> Moved:
    given = (ask.field("credential", passkeys.MOST_BYTES), ask.field("label", 60))
    with ask.desk.changing(ask.viewer) as change:
        sessions.check_fresh(change, ask.viewer, ask.now)
        passkeys.register(change, ask.desk.passkeys(ask.origin), ask.viewer.account.id, given)
        store.end_sessions(change, ask.viewer.account.id, but=ask.viewer.mark)
    return Moved(_HERE, "passkey-added")


def remove(ask: Ask) -> Moved:
    with ask.desk.changing(ask.viewer) as change:
        sessions.check_fresh(change, ask.viewer, ask.now)
        passkeys.remove(change, ask.viewer.account.id, ask.path["id"])
        store.end_sessions(change, ask.viewer.account.id, but=ask.viewer.mark)
    return Moved(_HERE, "passkey-removed")


def approve_with(ask: Ask) -> Moved:
    """Proposes it as a further key of the officer."""
    account = ask.viewer.account.id
    with ask.desk.accounts() as rows:
        sessions.check_fresh(rows, ask.viewer, ask.now)
        row = next((each for each in passkeys.listed(rows, account) if each.id == ask.path["id"]), None)
    if row is None:
        raise PASSKEY_UNKNOWN()
    public = passkeys.approving_key(row.public_key)
    if public is None:
        raise PASSKEY_UNUSABLE(why="ES256 / P-256")
    approving.propose_passkey(ask.desk, ask.viewer, row.id, ask.origin, public)
    return Moved(_HERE, "passkey-proposed")


def end(ask: Ask) -> Moved:
    revoked = ask.form.get("how") == "revoked"
    approving.end_passkey(ask.desk, ask.viewer, ask.field("passkey", 60), revoked=revoked, reason=ask.reason())
    return Moved(_HERE, "passkey-revoked" if revoked else "passkey-retired")


PAGES = (
    Page("/account/passkeys", mine, May.ENTER, N_("Passkeys")),
    Page("/account/passkeys", add, May.ENTER, method="POST", page_only=_DEVICE),
    Page("/account/passkeys/end", end, May.ENTER, method="POST", page_only=_PERSON),
    Page("/account/passkeys/{id}/remove", remove, May.ENTER, method="POST", page_only=_PERSON),
    Page("/account/passkeys/{id}/approve", approve_with, May.PROPOSE, method="POST", page_only=_DEVICE),
)
