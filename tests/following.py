"""Waits until every process of an instance works with the newest revision of the registry, by what each says when it
takes one up."""

from __future__ import annotations

from typing import Final

from gateway.journal.database import open_engine
from gateway.registry.seals.revisions import revision
from gateway.settings import Settings
from tests.faults.load import until

_BESIDE_DOORS: Final = 3  # the keeper, the desk, the worker of the drop folders


def everywhere(settings: Settings) -> None:
    """For an instance of `bench.demo.running`, after a change that came while it ran."""
    engine = open_engine(settings.database_url)
    with engine.connect() as connection:
        line = f"registry at revision {revision(connection)}\n"
    engine.dispose()
    log = settings.data / "demo.log"
    until(line, lambda: log.read_text("utf-8", "replace").count(line) == settings.door_count + _BESIDE_DOORS)
