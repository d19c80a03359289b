"""A keeper in a process of its own, with the real loops, for tests that pause, double and kill it.

Its own time runs faster than the world's, so that a test need not wait five seconds for a lease to be seen abandoned.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path

from gateway.audit.log.checkpoints import CheckpointFile
from gateway.audit.log.logkey import LogKey
from gateway.audit.log.sequencer import Sequencer
from gateway.journal import processes
from gateway.journal.database import lock_of, open_engine
from gateway.keeper import leader as keepers
from gateway.transfer import lease as leases

FASTER = 5


def main(url: str, folder: Path, origin: str, name: str) -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    keepers.LEAD_SECONDS = 1.0 / FASTER  # type: ignore[misc]
    keepers.TROUBLE_SECONDS = 2.0 / FASTER  # type: ignore[misc]
    leases.SLEEP_SECONDS = 0.5  # type: ignore[misc]
    engine = open_engine(url)
    lock = lock_of(engine)
    processes.register(engine, name, "keeper")
    sequencer = Sequencer(
        engine, lock, LogKey.open(folder / "keys" / "log.key", origin), CheckpointFile(folder / "log" / "checkpoint")
    )
    keeper = keepers.Keeper(engine, name, sequencer, clocks=keepers.Clocks(monotonic=lambda: FASTER * time.monotonic()))
    signal.signal(signal.SIGTERM, lambda *_: keeper.stop())
    print("up", flush=True)
    asyncio.run(keeper.run())
    processes.end(engine, name)
    print(f"ended{' fenced' if keeper.fenced else ''}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
