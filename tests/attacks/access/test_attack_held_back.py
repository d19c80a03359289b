"""Signatures of officers for a grant that was given up before they were handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from contracts.base.errors import Failure
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.granting import Proposal
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import changing
from security.grants import approvals
from security.grants.grants import Grant
from security.pki.authority import private_pem
from tests.attacks.audit.instances import Instance
from tests.registry.making import NOW, OFFICERS, approve_all

GRANT, ATTACK = "G-0006", pytest.mark.attack("access: signatures given for something else")


def change(instance: Instance, what: Callable[[Connection], object]) -> None:
    with changing(instance.engine, instance.seal) as act:
        what(act.connection)
        store.raise_revision(act.connection)
        act.note("access", {}, NOW)


def signatures(grant: Grant) -> tuple[tuple[str, str], ...]:
    content = grant.canonical()
    return tuple((name, approvals.approve(content, name, private_pem(key))) for name, key in OFFICERS.items())


@ATTACK
@pytest.mark.parametrize("given_up", ["changed", "revoked"])
def test_signatures_that_were_held_back_do_not_make_an_old_proposal_hold(instance: Instance, given_up: str) -> None:
    """Both officers signed that the health department sees everything. The operator kept their signatures, and the
    officers decided otherwise."""
    snapshot = Registry(instance.engine, instance.seal).snapshot
    held = next(each for each in snapshot.grants("H14.7") if each.id == GRANT)
    wide = replace(held, fields=("*",), edition=2, approved_by=())
    kept = signatures(wide)

    change(instance, lambda connection: granting.propose(connection, Proposal(wide), NOW))
    if given_up == "changed":
        narrow = replace(held, edition=3, approved_by=())
        change(instance, lambda connection: granting.propose(connection, Proposal(narrow), NOW))
        change(instance, lambda connection: approve_all(connection, NOW))
    else:
        change(instance, lambda connection: granting.revoke(connection, GRANT, NOW))
    with pytest.raises(Failure, match=r"approval\.given-up"):
        change(instance, lambda connection: granting.propose(connection, Proposal(wide, kept), NOW, "document"))
    with pytest.raises(Failure, match=r"approval\.given-up"):  # nobody could sign it
        change(instance, lambda connection: granting.propose(connection, Proposal(wide), NOW))
    change(instance, lambda connection: granting.propose(connection, Proposal(wide), NOW, "document"))
    for officer, mark in kept:
        with pytest.raises(Failure, match=r"approval\.given-up"):
            change(instance, lambda at: granting.approve_grant(at, GRANT, officer, mark, NOW))  # noqa: B023
    decision = Registry(instance.engine, instance.seal).snapshot.decide("H14.7", "indicator/v1", "getValue", NOW)
    assert not decision.allowed
    anew = replace(wide, edition=4)
    change(instance, lambda connection: granting.propose(connection, Proposal(anew, signatures(anew)), NOW))
    after = Registry(instance.engine, instance.seal).snapshot.decide("H14.7", "indicator/v1", "getValue", NOW)
    assert after.allowed and after.views == (("*",),)
