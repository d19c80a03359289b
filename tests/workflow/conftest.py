from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.journal.database import lock_of, writing
from gateway.transfer import lease as leases
from tests.exchange.house import house
from tests.registry.making import NOW
from tests.workflow.desks import Town


@pytest.fixture
def town(database: Engine, tmp_path: Path) -> Iterator[Town]:
    with house(database, tmp_path) as gateway:
        with writing(database) as connection:
            lease = leases.take(connection, "keeper-1", NOW, seconds=600)
        assert lease is not None
        key, checkpoint = LogKey.open(tmp_path / "log.key", "localhost/lgsp-test"), CheckpointFile(tmp_path / "point")
        sequencer = Sequencer(database, lock_of(database), key, checkpoint, clock=lambda: gateway.now + 1)
        yield Town(gateway, sequencer, lease)
