"""An insider who has the database makes somebody receive: the doors refuse the rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from contracts.base.errors import Failure
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.changes.granting import ADOPTED
from gateway.registry.registry import Registry
from gateway.registry.seals.rows import TABLES
from gateway.registry.seals.sealing import changing
from security.grants.grants import Grant
from tests.attacks.audit.instances import Instance
from tests.registry.making import NOW

GRANT = "G-0012"


def raised(inside: Connection) -> None:
    store.raise_revision(inside)


def borrowed(inside: Connection) -> None:
    """A grant to receive for the ward, which nobody signed, as if it had been adopted from a route."""
    row = granting.content_of(inside, GRANT).content() | {"id": "adopted-1", "agency": "H14.21"}
    body = Grant.from_json(row).canonical().decode()
    inside.execute(insert(tables.access_grant).values(id="adopted-1", body=body, state="active", source=ADOPTED))


def another_holder(inside: Connection) -> None:
    inside.execute(update(tables.system).where(tables.system.c.id == "thuc-phan").values(agency="H14.3"))


def another_route(inside: Connection) -> None:
    inside.execute(update(tables.route).where(tables.route.c.system == "truong-ha").values(system="thuc-phan"))


def another_role(inside: Connection) -> None:
    inside.execute(update(tables.agency).where(tables.agency.c.code == "H14.21").values(roles='["department"]'))


@pytest.mark.attack("receiving without a grant")
@pytest.mark.parametrize(
    "edit", [borrowed, another_holder, another_route, another_role], ids=lambda edit: str(edit.__name__)
)
def test_edited_rows_let_nobody_receive(instance: Instance, edit: Callable[[Connection], None]) -> None:
    with writing(instance.engine) as inside:
        edit(inside)
        raised(inside)
    with pytest.raises(Failure, match=r"registry\.altered"):
        Registry(instance.engine, instance.seal)


@pytest.mark.attack("receiving without a grant")
def test_an_old_registry_is_not_restored(instance: Instance) -> None:
    """All rows of the registry from before a grant was revoked, with their own seal, in place of the present ones."""
    tables_of_registry = (*TABLES, tables.instance)
    with instance.engine.connect() as connection:
        before = {
            table: [dict(row) for row in connection.execute(select(table)).mappings()] for table in tables_of_registry
        }
    with changing(instance.engine, instance.seal) as act:
        changes = granting.revoke(act.connection, GRANT, NOW)
        act.note("access", {"changes": len(changes)}, NOW)
    assert not _allowed(instance)
    with writing(instance.engine) as inside:
        for table, rows in before.items():
            inside.execute(delete(table))
            if rows:
                inside.execute(insert(table), rows)
    with pytest.raises(Failure, match=r"registry\.altered"):
        Registry(instance.engine, instance.seal)


def _allowed(instance: Instance) -> bool:
    snapshot = Registry(instance.engine, instance.seal).snapshot
    return snapshot.decide_receiving("H14.3", "field-report/v1", "createRequest", NOW).allowed
