"""Invitations of a sandbox that somebody with the database plants, raises or brings back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from gateway.audit.verify.findings import Findings
from gateway.audit.verify.rows.invitations import PREFIX, check_invitations
from gateway.journal.database import writing
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.sandbox.vendors import invitations
from tests.sandbox.vendors.conftest import instance_keys as instance_keys
from tests.sandbox.vendors.conftest import office as office
from tests.sandbox.vendors.conftest import post as post
from tests.sandbox.vendors.conftest import quick as quick
from tests.sandbox.vendors.conftest import vendors as vendors
from tests.sandbox.vendors.desks import CALLER, VendorDesk

pytestmark = [
    pytest.mark.attack("a row of the database admits a vendor"),
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
]


def found(vendors: VendorDesk) -> list[str]:
    findings = Findings()
    with vendors.reading() as connection:
        check_invitations(connection, findings)
        invitations.listed(connection)  # whatever the rows say
    return list(findings.wrong)


def keys(vendors: VendorDesk) -> list[str]:
    with vendors.reading() as connection:
        table = tables.instance.c
        return [*connection.scalars(select(table.key).where(table.key.startswith(PREFIX, autoescape=True)))]


async def test_a_raised_invitation_admits_no_more(vendors: VendorDesk) -> None:
    vendors.set(sandbox_join="invited")
    code = vendors.invite()
    (key,) = keys(vendors)
    assert found(vendors) == []
    assert (await vendors.ask({**CALLER, "code": code})).status == 201 and found(vendors) == []
    with vendors.reading() as connection:
        good = json.loads(value_of(connection, key) or "")
    changes: list[dict[str, Any]] = [{"uses": 100}, {"used": 0}, {"until": 9e12}, {"until": good["until"] + 86_400.0},
                                     {"label": "Another"}, {"used": "0"}, {"until": None}, {"more": 1}]  # fmt: skip
    for change in changes:
        with writing(vendors.post.engine) as connection:
            keep(connection, key, json.dumps({**good, **change}))
        vendors.start()  # with counters of its own
        assert (await vendors.ask({**CALLER, "code": code})).status == 403, change
        assert len(found(vendors)) == 1, change
    with writing(vendors.post.engine) as connection:
        keep(connection, key, "no JSON")
    assert len(found(vendors)) == 1


async def test_a_planted_invitation_admits_nobody(vendors: VendorDesk) -> None:
    vendors.set(sandbox_join="invited")
    with writing(vendors.post.engine) as connection:
        code, made = invitations.make(connection, "Công ty Mẫu", 5, vendors.desk.now() + 60)
    assert (await vendors.ask({**CALLER, "code": code})).status == 403
    assert any(made.mark in each for each in found(vendors))


async def test_a_withdrawn_invitation_stays_so(vendors: VendorDesk) -> None:
    vendors.set(sandbox_join="invited")
    code = vendors.invite(uses=2)
    (key,) = keys(vendors)
    with vendors.reading() as connection:
        value = value_of(connection, key) or ""
    with writing(vendors.post.engine) as connection:
        assert invitations.take_back(connection, key.removeprefix(PREFIX), ("test", vendors.desk.now())) is not None
    assert found(vendors) == []
    with writing(vendors.post.engine) as connection:
        keep(connection, key, value)
    assert (await vendors.ask({**CALLER, "code": code})).status == 403 and len(found(vendors)) == 1
