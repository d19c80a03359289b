"""The keeper process, put together: sequencer, recovery, and the delivery of what is queued."""

from __future__ import annotations

import asyncio
import time

import uvloop

from adapters.http import ConnectionProbe, client_context, open_session
from contracts.base.ids import new_id
from gateway import hardening
from gateway.audit.log.alterations import Alterations
from gateway.audit.log.changes import note_changes
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.search.index import Indexer, Indexing
from gateway.delivery.forwarder import forwarder_over
from gateway.delivery.recovery_probe import RecoveryProbe
from gateway.delivery.worker import Deliverer
from gateway.doors.http.anchors import Anchors
from gateway.journal import processes
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.taken_up import FOLDER, Register
from gateway.journal.writer import Journal
from gateway.keeper.leader import Chore, Keeper
from gateway.keeper.retention.chore import Retention
from gateway.keeper.revocation import fetch
from gateway.keeper.revocation.outside import OutsideAuthorities
from gateway.keeper.revocation.own import OwnLists
from gateway.keeper.witnessing.chores import vouching_chores
from gateway.keys.authority import EmbeddedAuthority
from gateway.keys.keyring import Keyring
from gateway.processes import child
from gateway.registry.registry import Registry
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from gateway.vault.vault import Vault


def run_keeper(settings: Settings, lifeline: int | None, ready: int | None) -> None:
    """Keep until told to stop."""
    hardening.leave_no_cores()
    child.set_up_logging()
    with hardening.private_files(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_keep(settings, lifeline, ready))


async def _keep(settings: Settings, lifeline: int | None, ready: int | None) -> None:
    clock = time.time
    process_id = f"keeper-{new_id()}"
    register = Register(settings.run / FOLDER, process_id, "keeper")
    keyring = Keyring(settings)
    engine = open_engine(settings.database_url)
    lock = lock_of(engine)
    with writing(engine, lock) as connection:
        note_changes(connection, settings, clock())
    seal = Seal.of(settings)
    registry = Registry(engine, seal)
    registry.start()
    processes.register(engine, process_id, "keeper")
    journal = Journal(engine, lock, process_id)
    journal.start()
    signing = keyring.signing_key()
    outgoing = client_context(
        keyring.trust_anchors, keyring.client_certificate, keyring.client_key, keyring.at_rest.password
    )
    registry.follow(Anchors(outgoing, keyring.trust_anchors).take)
    session = open_session(outgoing)
    forwarder = forwarder_over(session, signing, keyring.decrypt_keys(), clock)
    sequencer = Sequencer(
        engine,
        lock,
        LogKey.open(keyring.log_key, settings.origin, keyring.at_rest),
        CheckpointFile(settings.checkpoint_file),
    )
    vault = Vault(settings.vault_keys, at_rest=keyring.at_rest, copies=settings.vault_copies)
    deliverer = Deliverer(engine, lock, journal, vault, registry, forwarder, process_id, clock)
    retention = Retention(
        engine, lock, vault, clock, seconds=settings.retention_seconds, copy_days=settings.vault_backup_days
    )
    fetching = fetch.open_session()
    chores: tuple[tuple[str, Chore], ...] = (
        (
            "systems that were away are not looked for",
            RecoveryProbe(engine, lock, registry, forwarder, ConnectionProbe(outgoing), clock),
        ),
        ("revocation lists are not made", OwnLists(engine, lock, EmbeddedAuthority(settings))),
        ("the vault's retention is not kept", retention),
        ("schema and registry are not looked at", Alterations(engine, lock, seal)),
        (
            "outside authorities are not asked",
            OutsideAuthorities(engine, lock, fetching, settings.status_seconds, seal),
        ),
        ("the log is not indexed for searching", Indexing(Indexer(engine, lock))),
        *vouching_chores(settings, engine, lock, fetching),
    )
    keeper = Keeper(engine, lock, process_id, sequencer, deliverer, chores=chores, taken_up=settings.run / FOLDER)
    child.stop_when_told(keeper.stop, lifeline)
    child.say_ready(ready)
    silence = asyncio.create_task(child.watch_loop(settings.silent_seconds, register.trace))
    try:
        await keeper.run()
    finally:
        await deliverer.finish()
        await session.close()
        await fetching.close()
        await asyncio.to_thread(journal.stop)
        registry.stop()
        await asyncio.to_thread(processes.end, engine, process_id)
        engine.dispose()
        await child.end_watch(silence)
        register.close()
