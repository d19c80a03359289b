"""Names that mislead whoever approves or reads: in the registry document and of accounts. Those of vendors are in
`test_attack_vendors.py`."""

from __future__ import annotations

import pytest

from contracts.base.errors import Failure
from gateway.console.accounts import store
from gateway.console.accounts.records import Account
from gateway.console.roles import Role
from gateway.registry.values import Values
from tests.console.conftest import instance_keys as instance_keys
from tests.console.conftest import quick as quick
from tests.console.people import Desk
from tests.console.test_queue import office as office
from tests.contracts.base.test_naming import ODD
from tests.delivery.posting import post as post

pytestmark = pytest.mark.attack("a name that passes for another's")


@pytest.mark.parametrize("case", ODD, ids=list(ODD))
def test_names_of_a_registry_document(case: str) -> None:
    """Of agencies, systems and officers."""
    values = Values()
    values._words("agencies[0].name", {"vi": ODD[case], "en": "Health"})
    assert [each.rule for each in values.findings] == ["characters"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_names_of_accounts(office: Desk) -> None:
    for case, name in ODD.items():
        with office.changing() as change, pytest.raises(Failure) as refused:
            store.add(change, Account("gia", "H14.0", name, (Role.OPERATOR,), True))
        assert refused.value.code == "console.form", case
