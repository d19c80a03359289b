"""Who receives without a grant to receive: nothing leaves, and the log names who was to get it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.attacks.access.receiving import COMMUNE_SYSTEM, Place, place
from tests.registry.making import House


@pytest.fixture
def at(tmp_path: Path, keys: House, sqlite: Engine) -> Iterator[Place]:
    with place(sqlite, tmp_path, keys) as made:
        yield made


@pytest.mark.attack("receiving without a grant")
def test_a_route_alone_makes_nobody_receive(at: Place) -> None:
    """`registry apply` moves the route of field reports to a ward: the citizen's name and number stay here."""
    at.route(COMMUNE_SYSTEM)
    at.apply()
    entry = at.refused("route.not-granted")
    assert entry["provider"] == COMMUNE_SYSTEM and "nearest" not in entry
