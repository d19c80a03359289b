"""`lgsp audit verify` beside a keeper that sequences the very first entry meanwhile."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from gateway.cli.audit.verify import _missing
from gateway.settings import Settings
from tests.audit.conftest import Log, file_log  # noqa: F401  a fixture
from tests.audit.stamping import grow


def test_a_checkpoint_that_comes_with_the_first_entry_is_not_missing(file_log: Log) -> None:  # noqa: F811
    settings, begun = Settings(file_log.folder), list[str]()
    assert not settings.checkpoint_file.exists()

    def meanwhile(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "log_entry" in statement and not begun:
            begun.append(statement)
            grow(file_log)

    event.listen(file_log.engine, "before_cursor_execute", meanwhile)
    with file_log.engine.connect() as connection:
        assert [*_missing(connection, settings)] == []
    assert begun and settings.checkpoint_file.exists()
    settings.checkpoint_file.unlink()
    with file_log.engine.connect() as connection:
        assert "is missing" in next(_missing(connection, settings))
