"""A registry document that sends data to somebody whom no two officers let have them."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from gateway.journal.database import writing
from gateway.registry import store
from gateway.registry.snapshot import load_snapshot
from tests.registry.making import NOW, PROVINCE, filled, province


@pytest.mark.attack("access: a document moves what two officers approved")
def test_a_route(database: Engine) -> None:
    filled(database, province(), [])
    moved = PROVINCE.replace(
        "    operation: createRequest\n    system: do-thi", "    operation: createRequest\n    system: truong-ha"
    )
    with writing(database) as connection:
        store.apply(province(moved), connection, NOW + 1)
        assert load_snapshot(connection).route("field-report/v1", "createRequest", {}) == "do-thi"
