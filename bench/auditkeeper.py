"""The keeper for the measure of the log: the real one, over a folder of the measure, until told to stop.

Invariant: it sequences and signs exactly as an instance's keeper does. There is no queue to deliver.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.journal import processes
from gateway.journal.database import lock_of, open_engine
from gateway.keeper.leader import Keeper

ORIGIN: Final = "bench.example/log"
NAME: Final = "keeper-bench"


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'lgsp.db'}"


def checkpoint_file(folder: Path) -> Path:
    return folder / "log" / "checkpoint"


def log_key(folder: Path) -> LogKey:
    return LogKey.open(folder / "log.key", ORIGIN)


async def keep(folder: Path) -> None:
    engine = open_engine(database_url(folder))
    processes.register(engine, NAME, "keeper")
    lock = lock_of(engine)
    keeper = Keeper(engine, NAME, Sequencer(engine, lock, log_key(folder), CheckpointFile(checkpoint_file(folder))))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, keeper.stop)
    await keeper.run()


if __name__ == "__main__":
    asyncio.run(keep(Path(sys.argv[1])))
