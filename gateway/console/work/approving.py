"""Acts on access: proposals, officers' signatures, revocations, suspensions, passkeys that approve.

The same functions of the registry that the command line uses, in the same transaction as their entry in the log.
Invariant: a session proposes and restricts; it never approves. A signature is an officer's, whoever hands it in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.console.accounts import passkeys as responses
from gateway.console.accounts.records import Viewer
from gateway.console.errors import CONSOLE_FORBIDDEN
from gateway.console.site.desk import Desk
from gateway.registry.changes import deciding, granting, notices, passkeys, suspending
from gateway.registry.changes.document import parse_grants
from gateway.registry.errors import GRANT_STANDS
from gateway.registry.seals.sealing import Act, Seal, changing
from gateway.registry.snapshot import load_snapshot
from security.grants.grants import Grant
from security.grants.passkeys import signature_text


@contextmanager
def _changing(desk: Desk) -> Iterator[Act]:
    services = desk.services
    with changing(services.engine, Seal.of(services.settings)) as act:
        yield act
    desk.follow()


def sign(desk: Desk, path: str, officer: str, signature: str, actor: str) -> deciding.Signed:
    """Take an officer's signature, made where his key is. Raises an error of `approval.`."""
    now = desk.now()
    with _changing(desk) as act:
        signed = deciding.sign(act.connection, path, officer, signature.strip(), now)
        deciding.record(act, signed.changes, now, actor, **signed.facts())
    return signed


def sign_by_passkey(desk: Desk, viewer: Viewer, path: str, response: str) -> deciding.Signed:
    """The assertion is the signature: it is kept as it is. Raises `passkey.failed`, or an error of `approval.`."""
    return sign(desk, path, viewer.account.id, signature_text(*responses.assertion(response)), viewer.actor)


def propose(desk: Desk, viewer: Viewer, raw: Mapping[str, Any], replaces: str = "") -> Grant:
    """Propose a grant. An officer who proposes it is named in it, and cannot sign it.

    `replaces` is the id of the grant whose content may end by it. Raises `registry.invalid`, `grant.stands`.
    """
    now = desk.now()
    with _changing(desk) as act:
        connection = act.connection
        snapshot = load_snapshot(connection)
        text = yaml.safe_dump({"grants": [dict(raw)]}, allow_unicode=True)
        stated = parse_grants(text, snapshot.contracts, snapshot.agencies, snapshot.systems)
        (proposal,) = granting.proposed_by(connection, stated, viewer.account.id)
        _check_scope(viewer, proposal.grant)
        before = granting.stored(connection, proposal.grant.id)
        if before is not None:
            _check_lifted(viewer, before[0])
        if replaces != proposal.grant.id and granting.ends(connection, proposal.grant):
            raise GRANT_STANDS(grant=proposal.grant.id)
        changes = granting.propose(connection, proposal, now)
        deciding.record(act, changes, now, viewer.actor)
    return proposal.grant


def revoke(desk: Desk, viewer: Viewer, name: str, reason: str) -> None:
    now = desk.now()
    with _changing(desk) as act:
        _check_lifted(viewer, granting.content_of(act.connection, name))
        changes = granting.revoke(act.connection, name, now)
        deciding.record(act, changes, now, viewer.actor, reason=reason)


def refuse(desk: Desk, viewer: Viewer, path: str, reason: str) -> None:
    """Take a workflow back that waits for officers. Raises `registry.unknown`."""
    now = desk.now()
    with _changing(desk) as act:
        deciding.refuse(act, path, reason, now, viewer.actor)


def suspend(desk: Desk, viewer: Viewer, name: str, notice: notices.Notice) -> None:
    with _changing(desk) as act:
        _check_scope(viewer, granting.content_of(act.connection, name))
        suspending.suspend(act, ("grant", name), notice, viewer.actor)


def resume(desk: Desk, viewer: Viewer, name: str, reason: str) -> None:
    now = desk.now()
    with _changing(desk) as act:
        _check_lifted(viewer, granting.content_of(act.connection, name), suspended=True)
        suspending.resume(act, ("grant", name), (viewer.actor, reason), now)


def propose_passkey(
    desk: Desk, viewer: Viewer, credential: str, origin: str, public: ec.EllipticCurvePublicKey
) -> None:
    """Propose a passkey of one's own, as the officer that one is."""
    now = desk.now()
    with _changing(desk) as act:
        changes = passkeys.propose(act.connection, viewer.account.id, credential, origin, public, now)
        deciding.record(act, changes, now, viewer.actor)


def end_passkey(desk: Desk, viewer: Viewer, mark: str, *, revoked: bool, reason: str) -> None:
    """Only of the officer that one is."""
    now = desk.now()
    with _changing(desk) as act:
        if passkeys.found(act.connection, mark).officer != viewer.account.id:
            raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may="officer")
        changes = passkeys.end(act.connection, mark, revoked=revoked, now=now)
        deciding.record(act, changes, now, viewer.actor, reason=reason)


def revoke_passkey(desk: Desk, viewer: Viewer, mark: str, reason: str) -> None:
    """Of any officer, since somebody else may have it: nothing that it approved counts. Raises `registry.unknown`."""
    now = desk.now()
    with _changing(desk) as act:
        changes = passkeys.end(act.connection, mark, revoked=True, now=now)
        deciding.record(act, changes, now, viewer.actor, reason=reason)


def _check_scope(viewer: Viewer, grant: Grant) -> None:
    """Somebody who sees his own agency only proposes and restricts its own grants."""
    scope = viewer.account.scope
    if scope is not None and grant.agency != scope:
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=f"grant of {scope}")


def _check_lifted(viewer: Viewer, grant: Grant, *, suspended: bool = False) -> None:
    """As `_check_scope`. Nor does an agency lift what restricts itself: a denial, or a suspension."""
    _check_scope(viewer, grant)
    if viewer.account.scope is not None and (grant.denies or suspended):
        raise CONSOLE_FORBIDDEN(roles=", ".join(viewer.account.roles), may=f"lift what restricts {grant.agency}")
