"""The head in the second database: a main database that was turned back is found on a machine with a new folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from contracts.base.errors import Failure, Ours
from gateway.audit.log.checkpoints import CheckpointFile, size_of
from gateway.audit.log.head import LogHead
from gateway.audit.log.sequencer import Sequencer
from gateway.journal.schema import tables
from gateway.vault.second import Second, sealer_of
from tests.journal.databases import frozen
from tests.vault.stores import HASH_KEY, Machines, second  # noqa: F401  a fixture

ORIGIN = "localhost/lgsp-test"


def head_of(machines: Machines, seconds: float = 5.0) -> LogHead:
    return LogHead(Second(machines.url, sealer_of(HASH_KEY), seconds), ORIGIN)


def sequenced(log: Any, sequencer: Sequencer, *names: str) -> int:
    log.pend(*names)
    return sum(sequencer.run_once(log.lease).entries for _ in range(3))


def machine(log: Any, machines: Machines, file: Path) -> Sequencer:
    """A keeper that starts now, on a machine with that checkpoint file."""
    log.file = CheckpointFile(file)
    return log.sequencer(head=head_of(machines))  # type: ignore[no-any-return]


def test_a_database_that_was_turned_back_is_found_on_a_new_machine(
    sqlite_log: Any,
    second: Machines,  # noqa: F811
    tmp_path: Path,
) -> None:
    log = sqlite_log
    old = log.file.path
    assert sequenced(log, log.sequencer(head=head_of(second)), "a", "b", "c") == 3
    note = head_of(second).read()
    assert note is not None and size_of(note) == 3 and note == log.file.read()
    joined = machine(log, second, tmp_path / "new" / "checkpoint")
    assert sequenced(log, joined, "d") == 1, "a machine without a file goes on from the head"
    assert size_of(str(log.file.read())) == size_of(str(head_of(second).read())) == 4
    with log.engine.begin() as connection:  # the whole database as it was before the last two entries
        for table in (tables.log_entry, tables.log_tile, tables.checkpoint):
            connection.execute(table.delete())
    log.file = CheckpointFile(tmp_path / "other" / "checkpoint")
    bare = log.sequencer()
    assert sequenced(log, bare, "x", "y") == 2, "without the head, a new folder sees nothing"
    with pytest.raises(Ours) as caught:
        machine(log, second, tmp_path / "third" / "checkpoint").run_once(log.lease)
    assert caught.value.code == "audit.inconsistent" and old.exists()


def test_it_only_goes_forward(second: Machines, sqlite_log: Any) -> None:  # noqa: F811
    first = sqlite_log.key.sign(0, bytes(32))
    later = sqlite_log.key.sign(7, bytes(32))
    head = head_of(second)
    for note in (first, later, first):
        head.advance(note)
        head.again()
    until = time.monotonic() + 30
    while head.read() != later and time.monotonic() < until:
        time.sleep(0.05)
    assert head.read() == later
    assert LogHead(Second(second.url, sealer_of(HASH_KEY), 5.0), "another.example/log").read() is None


def test_a_frozen_second_database_does_not_stop_a_keeper_that_leads(sqlite_log: Any, second: Machines) -> None:  # noqa: F811
    log = sqlite_log
    sequencer = log.sequencer(head=head_of(second, 1.0))
    assert sequenced(log, sequencer, "a") == 1
    with frozen():
        began = time.monotonic()
        assert sequenced(log, sequencer, "b", "c") == 2
        assert time.monotonic() - began < 30
        with pytest.raises(Failure) as caught:  # one that begins to lead cannot know that it continues
            log.sequencer(head=head_of(second, 1.0)).run_once(log.lease)
        assert caught.value.code == "vault.unavailable"
    until = time.monotonic() + 60
    while size_of(str(head_of(second).read())) < 3 and time.monotonic() < until:
        sequencer.run_once(log.lease)
        time.sleep(0.2)
    assert size_of(str(head_of(second).read())) == 3
