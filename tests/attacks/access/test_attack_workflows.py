"""Somebody who wants a workflow to be live without the two officers that it needs (article 13.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, update

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import proposals
from gateway.registry.changes.publish import Accepted, roll_back
from gateway.registry.changes.unapproved import unapproved
from gateway.registry.snapshot import load_snapshot
from tests.registry.making import NOW
from tests.registry.workflows import (
    ALERTS,
    OTHER,
    OWNER,
    SUBJECT,
    THIRD,
    code,
    document,
    founded,
    live,
    put,
    sign,
    version,
    waiting,
)

DAY = 86_400.0


@pytest.mark.attack("access")
def test_officers_of_other_agencies_do_not_suffice(database: Engine) -> None:
    """Two, or the same one twice: one of the owner has to be among them."""
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        for officer in (OTHER, OTHER, THIRD, THIRD):
            assert sign(connection, officer) == []
        assert len(proposals.signed_by(connection, proposals.open_proposal(connection, SUBJECT))) == 2
    assert live(database) == 15
    with writing(database) as connection:
        assert len(sign(connection, OWNER)) == 1
    assert live(database) == 20


@pytest.mark.attack("access")
def test_the_owner_alone_does_not_suffice(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        assert sign(connection, OWNER) == [] and sign(connection, OWNER) == []
    assert live(database) == 15


@pytest.mark.attack("access")
def test_who_publishes_as_an_officer_does_not_sign(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20), by=OWNER)
    with writing(database) as connection, pytest.raises(Failure) as error:
        sign(connection, OWNER)
    assert code(error) == "approval.own-proposal"
    put(database, version("1.4.0", 30), by="nguoi-van-hanh")  # who is no officer
    with writing(database) as connection:
        held = waiting(connection)
        assert held is not None and held.proposed_by is None


@pytest.mark.attack("access")
def test_another_workflow_needs_signatures_of_its_own(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        first = proposals.open_proposal(connection, SUBJECT).body.encode()
        sign(connection, OWNER)
    assert put(database, version("1.4.0", 30)).workflow.facts()["workflow"]["how"] == ["withdrawn", "proposed"]
    with writing(database) as connection:
        assert sign(connection, OTHER) == []
        with pytest.raises(Failure) as error:
            sign(connection, OWNER, content=first)
        assert code(error) == "approval.invalid"
        assert len(sign(connection, OWNER)) == 1
    assert live(database) == 30


@pytest.mark.attack("access")
def test_the_same_workflow_again_needs_signatures_again(database: Engine) -> None:
    """Signatures of then are not used for the return of a workflow that was replaced."""
    founded(database)
    for number, minutes in (("1.3.0", 20), ("1.4.0", 30)):
        put(database, version(number, minutes))
        with writing(database) as connection:
            sign(connection, OWNER)
            sign(connection, OTHER)
    with writing(database) as connection:
        done = roll_back(connection, ALERTS, Accepted((), NOW))
        assert done.now.version == "1.3.0" and done.workflow.proposal is not None
        assert proposals.signed_by(connection, done.workflow.proposal) == ()
    assert live(database) == 30


@pytest.mark.attack("access")
def test_an_officer_does_not_move_to_the_owner_by_a_document(database: Engine) -> None:
    founded(database)
    wanted = document()
    assert wanted.officers is not None
    moved = tuple(each if each.id != OTHER else replace(each, agency="H14.0") for each in wanted.officers)
    with writing(database) as connection, pytest.raises(Failure) as error:
        store.apply(replace(wanted, officers=moved), connection, NOW)
    assert code(error) == "officer.other-key"


@pytest.mark.attack("access")
@pytest.mark.parametrize("agency", ["H14.0", "H14.6"])
def test_rows_without_the_owner_count_as_not_approved(database: Engine, agency: str) -> None:
    """Somebody with the keys of the instance puts a proposal in force that only others signed."""
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        sign(connection, OTHER)
        sign(connection, THIRD)
        table = tables.registry_proposal
        this = table.c.subject == str(SUBJECT)
        connection.execute(update(table).where(this & (table.c.state == "in-force")).values(state="replaced"))
        held = proposals.open_proposal(connection, SUBJECT)
        body = held.body.replace('"owner":"H14.0"', f'"owner":"{agency}"')
        connection.execute(update(table).where(this & (table.c.state == "waiting")).values(state="in-force", body=body))
        assert unapproved(connection) == [SUBJECT.path]


@pytest.mark.attack("access")
def test_a_bundle_with_another_workflow_than_was_signed_is_not_loaded(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20))
    other = compile_bundle(version("1.3.0", 20)).digest
    with writing(database) as connection:
        table = tables.registry_proposal
        held = proposals.proposals(connection, "in-force")[SUBJECT]
        body = held.body.replace(held.content["bundle"], other)
        here = (table.c.subject == str(SUBJECT)) & (table.c.state == "in-force")
        connection.execute(update(table).where(here).values(body=body))
    with database.connect() as connection, pytest.raises(Failure) as error:
        load_snapshot(connection)
    assert code(error) == "registry.altered"
