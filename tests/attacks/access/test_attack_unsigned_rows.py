"""An insider who edits rows of approved content. With the database alone he is refused as for every row of the registry
(`tests/attacks/audit/test_attack_registry.py`). With the keys of the instance his seal is genuine; then the missing
signatures tell."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from gateway.audit.verify.registered import check_registered
from gateway.doctor import examine
from gateway.journal.database import snapshot
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes.officers import set_officer
from gateway.registry.changes.proposals import proposals
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import changing
from security.grants import approvals
from security.grants.grants import digest
from security.pki.authority import private_pem
from tests import commandline
from tests.attacks.access.test_attack_documents_disclose import ROUTE, edited, moved
from tests.attacks.audit.instances import Instance
from tests.journal import databases
from tests.registry.making import NOW, OFFICERS, sign_proposals

FIRST, SECOND = OFFICERS
DESK, REPORTS = "system/do-thi", "route/field-report/v1/createRequest"
_table = tables.registry_proposal


def route_moved(inside: Connection) -> None:
    inside.execute(
        update(tables.route)
        .where(tables.route.c.operation == "createRequest", tables.route.c.when == "{}")
        .values(system="truong-ha")
    )


def route_and_record(inside: Connection) -> None:
    """The record of what was founded says what he wrote."""
    route_moved(inside)
    body = _body(inside).replace('"system":"do-thi"', '"system":"truong-ha"')
    inside.execute(update(_table).where(_table.c.subject == str(ROUTE)).values(body=body))


def another_founding(inside: Connection) -> None:
    """A second record, of a founding that never was, replaces the first."""
    route_moved(inside)
    body = _body(inside).replace('"system":"do-thi"', '"system":"truong-ha"').replace('"edition":1', '"edition":2')
    inside.execute(update(_table).where(_table.c.subject == str(ROUTE)).values(state="replaced"))
    row = {"subject": str(ROUTE), "edition": 2, "body": body, "state": "in-force", "basis": "founding"}
    inside.execute(insert(_table).values(**row, standing="active", proposed=NOW))


def forged_signatures(inside: Connection) -> None:
    """By keys of his own in the officers' names."""
    another_founding(inside)
    inside.execute(update(_table).where(_table.c.edition == 2).values(basis="officers"))
    body = inside.scalars(select(_table.c.body).where(_table.c.subject == str(ROUTE), _table.c.edition == 2)).one()
    for name, other in ((FIRST, SECOND), (SECOND, FIRST)):
        mark = approvals.approve(body.encode(), name, private_pem(OFFICERS[other]))
        row = {"subject": str(ROUTE), "digest": digest(body.encode()), "officer": name, "signature": mark}
        inside.execute(insert(tables.approval).values(**row, given=NOW))


def all_records_gone(inside: Connection) -> None:
    """So that the next start adopts what he wrote."""
    route_moved(inside)
    inside.execute(delete(_table))


def agency_taken(inside: Connection) -> None:
    inside.execute(update(tables.system).where(tables.system.c.id == "do-thi").values(agency="H14.21"))


def address_taken(inside: Connection) -> None:
    place = '{"kind":"soap","url":"https://kho.invalid/"}'
    inside.execute(update(tables.system).where(tables.system.c.id == "do-thi").values(endpoint=place))


def format_taken(inside: Connection) -> None:
    inside.execute(update(tables.system).where(tables.system.c.id == "do-thi").values(formats="{}"))


def role_taken(inside: Connection) -> None:
    inside.execute(update(tables.agency).where(tables.agency.c.code == "H14.21").values(roles='["centre"]'))


def system_added(inside: Connection) -> None:
    row = dict(inside.execute(select(tables.system).where(tables.system.c.id == "do-thi")).mappings().one())
    inside.execute(insert(tables.system).values({**row, "id": "do-thi-2"}))


EDITS: dict[str, tuple[Callable[[Connection], None], str]] = {
    "a route": (route_moved, REPORTS),
    "a route and its record": (route_and_record, REPORTS),
    "a route and a record of another founding": (another_founding, REPORTS),
    "a route and signatures by other keys": (forged_signatures, REPORTS),
    "a route, and every record deleted": (all_records_gone, REPORTS),
    "a system's agency": (agency_taken, DESK),
    "an endpoint": (address_taken, DESK),
    "a format": (format_taken, DESK),
    "a role": (role_taken, "agency/H14.21"),
    "a new system": (system_added, "system/do-thi-2"),
}


def _body(inside: Connection) -> str:
    return str(inside.scalars(select(_table.c.body).where(_table.c.subject == str(ROUTE))).one())


def sealed(instance: Instance, edit: Callable[[Connection], object]) -> None:
    with changing(instance.engine, instance.seal) as act:
        edit(act.connection)
        act.note("registry", {"changes": []}, NOW)


def named(instance: Instance) -> tuple[list[str], str]:
    """What `verify` and the doctor say of content that nobody approved."""
    with snapshot(instance.engine) as connection:
        wrong = check_registered(connection, instance.seal).wrong
    found = {each.kind.code: each.facts for each in examine(instance.settings, time.time)}
    return list(wrong), str(found.get("content.unapproved", {}).get("content", ""))


@pytest.mark.attack("access: rows of approved content edited with a genuine seal")
@pytest.mark.parametrize("what", EDITS)
def test_rows_with_a_genuine_seal_and_no_signatures_are_named(instance: Instance, what: str) -> None:
    edit, path = EDITS[what]
    assert named(instance) == ([], "")
    sealed(instance, edit)
    assert Registry(instance.engine, instance.seal).snapshot.systems, "the seal is genuine: doors take it"
    wrong, doctors = named(instance)
    assert f"{path}: in force, and neither two officers signed it nor was it founded" in wrong, wrong
    assert path in doctors or "record" in what, doctors  # of many it names five


@pytest.mark.attack("access: rows of approved content edited with a genuine seal")
def test_the_commands_tell(instance: Instance) -> None:
    sealed(instance, route_moved)
    place = ("--data", str(instance.settings.data), "--json")
    verified, examined = commandline.lgsp("audit", "verify", *place), commandline.lgsp("doctor", *place)
    assert verified.code == 1 and REPORTS in verified.out
    assert examined.code == 1 and "content.unapproved" in examined.out and REPORTS in examined.out


@pytest.mark.attack("access: rows of approved content edited with a genuine seal")
@pytest.mark.parametrize("instance", databases.KINDS, indirect=True)
def test_a_founding_that_was_taken_back_stays_in_the_log(instance: Instance) -> None:
    """He founds, lets the data flow, and puts everything back."""
    sealed(instance, another_founding)

    def back(inside: Connection) -> None:
        inside.execute(delete(_table).where(_table.c.edition == 2))
        inside.execute(update(_table).values(state="in-force"))
        last = (tables.route.c.operation == "createRequest") & (tables.route.c.when == "{}")
        inside.execute(update(tables.route).where(last).values(system="do-thi"))

    sealed(instance, back)
    wrong, _ = named(instance)
    assert any("founds content of the registry that was founded otherwise" in each for each in wrong), wrong
    assert not [each for each in wrong if "in force, and neither" in each]


@pytest.mark.attack("access: signatures given for something else")
def test_content_that_a_revoked_officer_signed_is_named(instance: Instance) -> None:
    """Until another officer signs what is in force."""
    with changing(instance.engine, instance.seal) as act:
        store.apply(edited(moved), act.connection, NOW)
        sign_proposals(act.connection)
        act.note("registry", {}, NOW)
    assert named(instance) == ([], "")
    sealed(instance, lambda inside: set_officer(inside, FIRST, "revoked", NOW + 1))
    wrong, doctors = named(instance)
    assert doctors == REPORTS and len(wrong) == 1
    with snapshot(instance.engine) as connection:
        assert proposals(connection, "in-force")[ROUTE].edition == 2
