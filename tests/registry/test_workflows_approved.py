"""A workflow is live once two officers have signed it, one of them of the contract's owner (article 13.3)."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, delete, update

from contracts.base.errors import Failure
from contracts.compiled.contract import compile_bundle
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import proposals, workflows
from gateway.registry.changes.publish import Accepted, roll_back
from gateway.registry.changes.unapproved import unapproved
from gateway.registry.records import Change
from gateway.registry.snapshot import load_snapshot
from gateway.registry.workflows import WORKFLOW
from tests.registry.editions import edition, unplaced
from tests.registry.making import NOW
from tests.registry.workflows import (
    ALERTS,
    OTHER,
    OWNER,
    SUBJECT,
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


def test_the_former_workflow_is_live_until_two_officers_have_signed(database: Engine) -> None:
    founded(database)
    assert live(database) == 15
    done = put(database, version("1.3.0", 20))
    assert done.workflow.proposal is not None and done.workflow.facts()["workflow"]["how"] == ["proposed"]
    with database.connect() as connection:
        snapshot = load_snapshot(connection)
        assert snapshot.contracts[ALERTS].contract.version == "1.3.0", "the version does not wait"
        assert snapshot.handled[ALERTS].contract.version == "1.2.1"
    with writing(database) as connection:
        assert sign(connection, OTHER) == []
    assert live(database) == 15
    with writing(database) as connection:
        (effect,) = sign(connection, OWNER)
        assert effect.signed_by == (OWNER, OTHER) and effect.before != effect.proposal.digest
        assert unapproved(connection) == []
    assert live(database) == 20


def test_a_version_with_the_same_workflow_proposes_nothing(database: Engine) -> None:
    founded(database)
    other = edition("1.3.0", unplaced("Alert", "extra"), contract="incident-alert")
    assert put(database, other).workflow.changes == ()
    with database.connect() as connection:
        assert waiting(connection) is None
        assert load_snapshot(connection).handled[ALERTS].contract.version == "1.2.1"
    assert live(database) == 15


def test_signatures_stay_with_a_later_version_that_has_the_proposed_workflow(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        sign(connection, OTHER)
    assert put(database, version("1.3.1", 20)).workflow.changes == ()
    with writing(database) as connection:
        assert len(sign(connection, OWNER)) == 1
    assert live(database) == 20


def test_going_back_to_the_live_workflow_withdraws_the_proposal(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        done = roll_back(connection, ALERTS, Accepted((), NOW))
        assert [each.how for each in done.workflow.changes] == ["withdrawn"]
        assert waiting(connection) is None and live(database) == 15


def test_a_refused_workflow_is_proposed_again_by_publishing_again(database: Engine) -> None:
    founded(database)
    bundle = version("1.3.0", 20)
    put(database, bundle)
    with writing(database) as connection:
        sign(connection, OWNER)
        proposal, change = proposals.refuse(connection, SUBJECT, NOW)
        assert change == Change(WORKFLOW, ALERTS, "withdrawn")
        with pytest.raises(Failure) as error:
            proposals.refuse(connection, SUBJECT, NOW)
        assert code(error) == "registry.unknown"
        assert store.apply(document(), connection, NOW) == [], "a document does not propose it again"
    again = put(database, bundle)
    assert not again.moved and again.workflow.proposal is not None
    assert again.workflow.proposal.edition == proposal.edition + 1
    with writing(database) as connection:
        assert sign(connection, OTHER) == [], "the owner's signature was for the refused one"
    assert live(database) == 15


def test_what_waits_for_a_month_lapses(database: Engine) -> None:
    founded(database)
    bundle = version("1.3.0", 20)
    put(database, bundle)
    late = NOW + 30 * DAY
    with writing(database) as connection:
        sign(connection, OWNER, late - 1)
        with pytest.raises(Failure) as error:
            sign(connection, OTHER, late)
        assert code(error) == "proposal.outdated"
        assert proposals.settle(connection, late) == []
        compiled = compile_bundle(bundle)
        assert [workflows.proposes(connection, compiled, at) for at in (late - 1, late)] == [False, True]
    assert put(database, bundle, late).workflow.facts()["workflow"]["how"] == ["withdrawn", "proposed"]
    with writing(database) as connection:
        assert sign(connection, OTHER, late) == []
        assert len(sign(connection, OWNER, late)) == 1
        assert not workflows.proposes(connection, compiled, late), "it is live"
    assert live(database) == 20


def test_a_document_again_changes_nothing(database: Engine) -> None:
    founded(database)
    put(database, version("1.3.0", 20))
    with writing(database) as connection:
        sign(connection, OTHER)
        assert store.apply(document(), connection, NOW + 1) == []
        assert len(sign(connection, OWNER)) == 1
        assert store.apply(document(), connection, NOW + 2) == []


def test_a_new_contract_is_handled_by_nothing_until_it_is_signed(database: Engine) -> None:
    """As of its first version: what was sent meanwhile is handled later."""
    founded(database)
    with writing(database) as connection:  # as if it had never been there
        connection.execute(delete(tables.registry_proposal).where(tables.registry_proposal.c.subject == str(SUBJECT)))
        connection.execute(delete(tables.contract_in_force).where(tables.contract_in_force.c.contract == ALERTS))
    put(database, version("1.3.0", 20))
    assert live(database) is None
    with database.connect() as connection:
        assert load_snapshot(connection).competence(ALERTS, "submitAlert") is None
    with writing(database) as connection:
        sign(connection, OWNER)
        sign(connection, OTHER)
    assert live(database) == 20


def test_what_an_older_release_left_stays_live_and_is_named_until_officers_sign_it(database: Engine) -> None:
    founded(database)
    with writing(database) as connection:
        table = tables.registry_proposal
        connection.execute(delete(table).where(table.c.subject == str(SUBJECT)))
        connection.execute(update(table).where(table.c.subject == "workflow field-report/v1").values(basis="officers"))
    assert live(database) == 15
    put(database, version("1.3.0", 20))
    assert live(database) == 15
    with writing(database) as connection:
        assert SUBJECT.path in unapproved(connection)
        sign(connection, OWNER)
        sign(connection, OTHER)
        assert SUBJECT.path not in unapproved(connection)
    assert live(database) == 20
