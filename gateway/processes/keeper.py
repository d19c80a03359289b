"""The main function of the keeper process: opens its services, then runs the leader loop with its periodic tasks."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack
from functools import partial
from signal import SIGHUP, SIGTERM
from typing import Final

import uvloop

from contracts.base.ids import new_id
from gateway import hardening
from gateway.audit.log.changes import note_changes
from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.head import LogHead
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.audit.witnessing import admission
from gateway.audit.witnessing.admission import AdmissionDeadline
from gateway.audit.witnessing.sharing import Follower
from gateway.journal.database import lock_of, open_engine, writing
from gateway.journal.limits import for_work
from gateway.journal.taken_up import FOLDER, Register
from gateway.keeper import revocation_fetch
from gateway.keeper.leader import Keeper, MachineTask
from gateway.keeper.periodic import KeeperServices, declared_tasks, schedule
from gateway.keeper.retention.elsewhere import Elsewhere
from gateway.keeper.tasks.findings import look_seconds
from gateway.machines.keeping import MachineKeeper, Rounds
from gateway.machines.records import name_of
from gateway.processes import child
from gateway.processes.examining import Examining
from gateway.processes.runtime import Runtime
from gateway.processes.table import Inherited
from gateway.registry.seals.sealing import Seal
from gateway.settings import Settings
from gateway.signals import lines, meters, spans
from gateway.vault.stores import open_vault, opened, shared
from security.transparency.entry import keyed

_log: Final = logging.getLogger(__name__)
_TASKS: Final = declared_tasks()
FOLLOWER: Final = "follower"  # the kind, in the table of processes, of a keeper that never leads


def run_keeper(settings: Settings, inherited: Inherited) -> None:
    """Runs until it is told to stop."""
    hardening.leave_no_cores()
    lines.set_up(inherited.name or "keeper", settings.log_format)
    with hardening.private_files(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_keep(settings, inherited))


async def _keep(settings: Settings, inherited: Inherited) -> None:
    clock = time.time
    process_id = f"keeper-{new_id()}"
    register = Register(settings.run / FOLDER, process_id, "keeper")
    meters.keep_in(settings.run, "keeper")
    spans.send_to(settings.otlp_url, "keeper", name_of(settings), settings.origin)
    engine = open_engine(settings.database_url, for_work(settings.database_seconds))
    lock = lock_of(engine)
    with writing(engine, lock) as connection:
        note_changes(connection, settings, clock())
    leads = settings.has("keeper")
    runtime = await Runtime.start(settings, engine, process_id, "keeper" if leads else FOLLOWER)
    keyring = runtime.keyring
    log_key = LogKey.open(keyring.log_key, settings.origin, keyring.at_rest)
    head = LogHead(opened(settings, engine).second, settings.origin) if shared(settings) else None
    sequencer = Sequencer(engine, lock, log_key, CheckpointFile(settings.checkpoint_file), head=head)
    vault = open_vault(settings, engine, keyring.at_rest)
    elsewhere = Elsewhere(engine, vault, settings.vault_backup_days)
    web = revocation_fetch.open_session()
    closing = AsyncExitStack()
    closing.push_async_callback(web.close)
    examining = Examining(settings, engine, clock)
    services = KeeperServices(
        settings=settings,
        process_id=process_id,
        engine=engine,
        lock=lock,
        journal=runtime.journal,
        vault=vault,
        registry=runtime.registry,
        seal=Seal.of(settings),
        forwarder=runtime.forwarder,
        admission=AdmissionDeadline(settings.deadline_file, admission.closing(settings)),
        peers=runtime.peers,
        web=web,
        clock=clock,
        hash_id=partial(keyed, keyring.hash_key()),
        examine=examining.instance,
        closing=closing,
    )
    machines = MachineKeeper(
        engine,
        settings,
        clock,
        reload=partial(child.tell_supervisor, settings, SIGHUP),
        end=partial(child.tell_supervisor, settings, SIGTERM),
    )
    follower = Follower(engine, settings, log_key, services.hash_id)

    def follow() -> None:
        follower.catch_up()
        elsewhere.look()

    keeper = Keeper(
        engine,
        process_id,
        sequencer,
        schedule(_TASKS, services) if leads else (),
        in_hand=settings.run / FOLDER,
        look=MachineTask(examining.machine, look_seconds(settings)),
        follow=follow if engine.dialect.name == "postgresql" else None,
        leads=lambda: leads and machines.works and runtime.machine.works,
    )
    child.stop_when_told(keeper.stop, inherited.lifeline)
    child.say_ready(inherited.ready)
    silence = asyncio.create_task(child.watch_loop(settings.silent_seconds, register.trace))
    rounds = Rounds(machines)
    rounds.start()
    try:
        await keeper.run()
    finally:
        await asyncio.to_thread(rounds.stop)
        await closing.aclose()
        await runtime.close()
        await asyncio.to_thread(spans.end)
        await child.end_watch(silence)
        register.close()
