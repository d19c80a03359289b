"""The registry in a running process: one current snapshot, renewed when the revision in the database moves.

Invariant: a reader takes the snapshot once and works on it to the end of its request; swapping is one assignment. If the database cannot
be read, the snapshot stands for a stated grace and no longer: a revocation must not be missed for ever (fail closed).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, Engine

import gateway.registry.failures  # noqa: F401  (registers the codes)
from contracts.base.errors import Ours
from contracts.compiled import CompiledContract, compile_bundle
from gateway.registry.revisions import revision
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.registry.versions import load

POLL_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 60.0
_log = logging.getLogger("lgsp.registry")


class Registry:
    """`snapshot` is what is in force. `start()` polls in a thread of its own until `stop()`."""

    def __init__(
        self, engine: Engine, *, poll: float = POLL_SECONDS, grace: float = GRACE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._poll = poll
        self._grace = grace
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._reading = threading.Lock()
        self._older: dict[str, CompiledContract] = {}
        self._followers: list[Callable[[Snapshot], None]] = []
        with engine.connect() as connection:
            self._snapshot = load_snapshot(connection)
        self._seen = clock()

    @property
    def snapshot(self) -> Snapshot:
        if self._clock() - self._seen > self._grace:
            raise Ours("registry.stale", seconds=round(self._clock() - self._seen))
        return self._snapshot

    def refresh(self, connection: Connection) -> bool:
        """Load anew if the revision moved; whether it did."""
        with self._reading:
            moved = revision(connection) != self._snapshot.revision
            if moved:
                self._snapshot = load_snapshot(connection, self._snapshot)
                for follower in self._followers:
                    follower(self._snapshot)
            self._seen = self._clock()
            return moved

    def follow(self, follower: Callable[[Snapshot], None]) -> None:
        """Hand it the snapshot now, and each one that takes its place, in the thread that reads."""
        with self._reading:
            self._followers.append(follower)
            follower(self._snapshot)

    def compiled(self, digest: str) -> CompiledContract:
        """A contract by the digest of its bundle, in force or not: a queued message keeps the one it came under."""
        found = self._snapshot.compiled.get(digest) or self._older.get(digest)
        if found is None:
            with self._engine.connect() as connection:
                found = self._older[digest] = compile_bundle(load(connection, digest))
        return found

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._stop.wait(self._poll):
            try:
                with self._engine.connect() as connection:
                    if self.refresh(connection):
                        _log.info("registry at revision %d", self._snapshot.revision)
            except Exception:
                _log.exception("the registry could not be read; the last snapshot stands for %.0f s", self._grace)
