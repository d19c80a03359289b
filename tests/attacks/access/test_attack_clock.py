"""Whoever sets the clock back lets grants hold again that have ended, or that nobody confirmed in time."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import insert

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.doctor import examine
from gateway.journal.database import lock_of, writing
from gateway.journal.schema import tables
from gateway.keeper.retention.clock import DAY, newest
from gateway.keys.keyring import Keyring
from gateway.registry import store
from gateway.registry.changes import granting
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import changing
from gateway.transfer import lease as leases
from security.grants.grants import Reason
from tests.attacks.audit.instances import Instance


def sequenced(instance: Instance) -> float:
    """When the newest entry was put into the log, by the clock of then."""
    settings, lock = instance.settings, lock_of(instance.engine)
    with writing(instance.engine) as connection:
        lease = leases.take(connection, "keeper-1", time.time(), seconds=600)
    assert lease is not None
    key = LogKey.open(Keyring(settings).log_key, settings.origin)
    sequencer = Sequencer(instance.engine, lock, key, CheckpointFile(settings.checkpoint_file))
    for _ in range(3):  # the first run of a new log only signs the empty tree
        sequencer.run_once(lease)
    with instance.engine.connect() as connection:
        now = newest(connection)
    assert now is not None
    return now


@pytest.mark.attack("access: by a clock that is set back")
def test_a_clock_behind_the_log_is_named(instance: Instance) -> None:
    now = sequenced(instance)
    with changing(instance.engine, instance.seal) as act:  # adopted by an update 40 days ago
        held = granting.content_of(act.connection, "G-0012")
        adopted = replace(held, id="adopted-1", agency="H14.21", valid_from=float(int(now - 40 * DAY)))
        row = {"id": adopted.id, "body": adopted.canonical().decode(), "state": "active"}
        act.connection.execute(insert(tables.access_grant).values(source=granting.ADOPTED_PERSONAL, **row))
        store.raise_revision(act.connection)
        act.note("access", {}, now)
    for at, reason in ((now, Reason.NOT_CONFIRMED), (now - 31 * DAY, Reason.GRANTED)):
        snapshot = Registry(instance.engine, instance.seal).snapshot
        decision = snapshot.decide_receiving("H14.21", "field-report/v1", "createRequest", at)
        assert decision.reason is reason
        named = {each.kind.code: each for each in examine(instance.settings, lambda: at)}  # noqa: B023
        assert ("clock.behind" in named) is decision.allowed
    assert named["clock.behind"].kind.grave
