from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from gateway.journal.database import lock_of
from gateway.journal.writer import Journal


@pytest.fixture
def journal(database: Engine) -> Iterator[Journal]:
    journal = Journal(database, lock_of(database), "door-1")
    journal.start()
    yield journal
    journal.stop()
