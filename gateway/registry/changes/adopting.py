"""Gives an instance of an older release, whose routes needed no grants to receive, those grants.

The first start adopts one for each agency and contract that a route leads to, with all fields of the request. It allows
without signatures. Two officers have 30 days to confirm it (`security.grants.grants.judge`): then one that shows
personal data counts as suspended, and each use of another is marked in the log.
Migration 0009 marks the database of an older release. Invariant: an instance adopts once. It does not if it has a
grant to receive, or if its log has the entry of an adoption, whatever the mark says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, Engine, delete, insert, select

from contracts.base.times import rfc3339
from contracts.compiled.contract import catalogue, compile_bundle
from gateway.journal.schema import tables
from gateway.registry.changes.granting import ADOPTED, ADOPTED_PERSONAL
from gateway.registry.changes.proposals import adopt, adoptable
from gateway.registry.parts.grants import requests
from gateway.registry.records import ACTIVE
from gateway.registry.seals.sealing import RECEIVING_ADOPTED, Seal, changing
from gateway.registry.versions import in_force, load
from security.grants.grants import TO_CONFIRM, Grant

KEY: Final = "receiving.adopt"  # of `instance`
PURPOSE: Final = "Nhận theo tuyến có từ trước khi cần quyền nhận; chờ hai cán bộ xác nhận trong 30 ngày"
BASIS: Final = "Tuyến đã khai báo trong sổ đăng ký trước khi nâng cấp"
GRANTED: Final = "granted"  # the fact of the first entry of an instance whose routes always needed grants
VALID: Final = 5 * 365 * 86400.0  # seconds


def adopt_receiving(engine: Engine, seal: Seal, now: float) -> list[str]:
    """Adopt the routes of an older release. Returns the ids of the new grants."""
    with engine.connect() as connection:
        if not _due(connection):
            return []
        personal = _personal(connection)
    with changing(engine, seal) as act:
        connection = act.connection
        connection.execute(delete(tables.instance).where(tables.instance.c.key == KEY))
        if _granted(connection) or _adopted(connection):
            return []
        adopted = list(_grants(connection, now))
        for grant in adopted:
            source = ADOPTED_PERSONAL if personal(grant) else ADOPTED
            row = {"id": grant.id, "body": grant.canonical().decode(), "state": ACTIVE, "source": source}
            connection.execute(insert(tables.access_grant).values(row))
        names = [grant.id for grant in adopted]
        facts = {"grants": names, "confirm_until": rfc3339(now + TO_CONFIRM)}
        act.note(RECEIVING_ADOPTED, facts, now, actor="gateway")
    return names


def adopt_content(engine: Engine, seal: Seal, now: float) -> int:
    """Adopt roles, systems and routes in force since before they needed approval; how many. Once recorded, none."""
    with engine.connect() as connection:
        if not adoptable(connection):
            return 0
    with changing(engine, seal) as act:
        count = adopt(act.connection, now)
        if count:
            act.note("registry", {"adopted": count}, now, actor="gateway")
    return count


def _due(connection: Connection) -> bool:
    key = tables.instance.c.key
    return connection.scalar(select(key).where(key == KEY)) is not None


def _granted(connection: Connection) -> bool:
    """Whether there is a grant to receive, in whatever state."""
    return any("receives" in json.loads(body) for body in connection.scalars(select(tables.access_grant.c.body)))


def _adopted(connection: Connection) -> bool:
    """Whether the log has the entry of an adoption, or of a creation by a release that needs no adoption."""
    for table in tables.LOGS:
        phases = table.c.phase.in_((RECEIVING_ADOPTED, "registry"))
        for phase, entry in connection.execute(select(table.c.phase, table.c.entry).where(tables.NOTES, phases)):
            if phase == RECEIVING_ADOPTED or json.loads(bytes(entry))["facts"].get("receiving") == GRANTED:
                return True
    return False


def _grants(connection: Connection, now: float) -> Iterator[Grant]:
    route, system = tables.route.c, tables.system.c
    joined = tables.route.join(tables.system, system.id == route.system)
    served: dict[tuple[str, str], set[str]] = {}
    for agency, contract, operation in connection.execute(
        select(system.agency, route.contract, route.operation).select_from(joined)
    ):
        served.setdefault((agency, contract), set()).add(operation)
    taken = set(connection.scalars(select(tables.access_grant.c.id)))
    number = 0
    for (agency, contract), operations in sorted(served.items()):
        while (name := f"adopted-{(number := number + 1)}") in taken:
            pass
        yield Grant(
            id=name,
            agency=agency,
            role=None,
            contract=contract,
            operations=tuple(sorted(operations)),
            fields=("*",),
            purpose=PURPOSE,
            legal_basis=BASIS,
            valid_from=float(int(now)),
            valid_until=float(int(now + VALID)),
            receives=True,
        )


def _personal(connection: Connection) -> Callable[[Grant], bool]:
    """Whether a grant shows personal fields, by the marks of the contract in force and of this release's catalogue.

    A contract of an older release has no marks. One that is not of the catalogue counts as personal until it has.
    """
    shipped = {each.contract.name: each for each in catalogue()}
    used = set(connection.scalars(select(tables.route.c.contract)))
    compiled = {
        name: compile_bundle(load(connection, stored.digest))
        for name, stored in in_force(connection).items()
        if name in used
    }

    def personal(grant: Grant) -> bool:
        own = compiled.get(grant.contract)
        if own is None:
            return True
        known = shipped.get(grant.contract, own)
        if not any(each.personal(message) for each in (own, known) for message in each.exchanged):
            return grant.contract not in shipped
        return any(
            each.personal(message)
            for each in (own, known)
            for message in requests(each, grant.operations)
            if message in each.exchanged
        )

    return personal
