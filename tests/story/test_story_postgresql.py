"""The same story against an instance whose database is a real PostgreSQL server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.demo import demo_settings, running, world_of
from examples.story.evidence import one_byte
from examples.story.run import STEPS
from tests.journal.databases import fresh_url

pytestmark = [pytest.mark.full, pytest.mark.server]


def test_the_story_holds_on_postgresql(place: Path) -> None:
    settings = replace(demo_settings(place), database=fresh_url("postgresql", place))
    with running(settings):
        world = world_of(settings)
        for name, telling in STEPS:
            if telling is not one_byte:  # it changes a byte of an SQLite file
                assert telling(world), name
