"""A second machine, live: invited, joined into an empty folder, called, given later keys, drained, removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running
from gateway.cli.run import ensure_instance
from gateway.keys.keyring import Keyring
from gateway.settings import Settings
from tests.journal.databases import fresh_url
from tests.machines.joining import joined

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    place = tmp_path_factory.mktemp("machines")
    settings = replace(demo_settings(place / "first"), database=fresh_url("postgresql", place), doors=1, machine="one")
    ensure_instance(settings, say_progress=False)
    with running(settings) as up:
        yield up


def test_a_second_machine(first: Settings, tmp_path: Path) -> None:
    other = joined(first, tmp_path, "two")
    assert Keyring(other).current("sign").pem() == Keyring(first).current("sign").pem()
    with running(other):
        pass
