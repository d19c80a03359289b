"""Keeps the current snapshot of the registry in a process and reloads it when the revision in the database changes.

Invariant: a reader takes the snapshot once and uses it to the end of its request; replacing it is one assignment.
Invariant: if the database is unreadable or its rows differ from the log, the last good snapshot is used for a stated
    grace only, so that no revocation is missed for long (fail closed).
Invariant: a revision lower than one seen before is refused.
Invariant: transfers are refused while the database's schema is not this program's. It is checked at start, then each
    minute; on SQLite at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, Engine

from contracts.base.errors import Failure, Ours
from contracts.compiled.contract import CompiledContract, compile_bundle
from gateway.journal.database import snapshot as one_moment
from gateway.journal.limits import unavailable
from gateway.journal.schema import comparison
from gateway.registry.errors import REGISTRY_STALE
from gateway.registry.seals.revisions import REVISION, lost, revision
from gateway.registry.seals.rows import Misfit
from gateway.registry.seals.sealing import Seal, altered
from gateway.registry.snapshot import Snapshot, load_snapshot
from gateway.registry.versions import load

POLL_SECONDS: Final = 0.5
GRACE_SECONDS: Final = 60.0
SCHEMA_SECONDS: Final = 60.0
_log = logging.getLogger("lgsp.registry")


class Registry:
    """`snapshot` is the one in force. `start()` polls in a thread of its own until `stop()`."""

    def __init__(
        self,
        engine: Engine,
        seal: Seal | None = None,
        *,
        poll: float = POLL_SECONDS,
        grace: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seal` None: the database belongs to no instance, and its rows are not checked."""
        self._engine = engine
        self._seal = seal
        self._poll = poll
        self._grace = grace
        self._clock = clock
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._reading = threading.Lock()
        self._older: dict[str, CompiledContract] = {}
        self._followers: list[Callable[[Snapshot], None]] = []
        self._refused: Failure | None = None  # why the newest revision is refused
        self._schema_refused: Failure | None = None
        with one_moment(engine) as connection:
            self._schema_at, self._schema_version = clock(), _schema_version(connection)
            comparison.check_on(connection)
            if seal is not None:
                seal.check(connection)
            self._snapshot = load_snapshot(connection)
        self._seen = clock()

    @property
    def snapshot(self) -> Snapshot:
        if self._schema_refused is not None:
            raise _without_names(self._schema_refused)
        if self._clock() - self._seen > self._grace:
            raise (
                _without_names(self._refused)
                if self._refused is not None
                else REGISTRY_STALE(seconds=round(self._clock() - self._seen))
            )
        return self._snapshot

    def refresh(self, connection: Connection) -> bool:
        """Reload if the revision changed; whether it did. The connection must show one moment (`database.snapshot`).

        Raises `registry.altered` if the rows differ from the log; the previous snapshot stays.
        """
        with self._reading:
            number = revision(connection)
            if number < self._snapshot.revision and not lost(connection, self._snapshot.revision):
                return False  # the connection shows an earlier moment
            moved = number != self._snapshot.revision
            if moved:
                try:
                    self._check(connection, number)
                    self._snapshot = load_snapshot(connection, self._snapshot)
                except Failure as failure:
                    self._refused = failure
                    raise
                for follower in self._followers:
                    follower(self._snapshot)
            elif self._seal is not None and (misfits := self._seal.set_back(connection, number)):
                self._refused = altered(misfits)
                raise self._refused
            self._seen, self._refused = self._clock(), None
            return moved

    def _check(self, connection: Connection, number: int) -> None:
        if self._seal is not None:
            if number < self._snapshot.revision:
                raise altered([Misfit("instance", f"{REVISION} {number} < {self._snapshot.revision}", "altered")])
            self._seal.check(connection)

    def look_at_schema(self, connection: Connection) -> None:
        """Check the schema each minute, and on SQLite whenever its change counter moved."""
        version = _schema_version(connection)
        if version == self._schema_version and self._clock() - self._schema_at < SCHEMA_SECONDS:
            return
        self._schema_at, self._schema_version = self._clock(), version
        try:
            comparison.check_on(connection)
            self._schema_refused = None
        except Failure as failure:
            self._schema_refused = failure
            raise

    def follow(self, follower: Callable[[Snapshot], None]) -> None:
        """Call it with the snapshot now, and with each later one in the reading thread."""
        with self._reading:
            self._followers.append(follower)
            follower(self._snapshot)

    def compiled(self, digest: str) -> CompiledContract:
        """A contract by the digest of its bundle, in force or not: a queued message keeps its contract."""
        contract = self._snapshot.compiled.get(digest) or self._older.get(digest)
        if contract is None:
            with self._engine.connect() as connection:
                contract = self._older[digest] = compile_bundle(load(connection, digest))
        return contract

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        reported = ""
        while not self._stop.wait(self._poll):
            try:
                with one_moment(self._engine) as connection:
                    self.look_at_schema(connection)
                    if self.refresh(connection):
                        _log.info("registry at revision %d", self._snapshot.revision)
                reported = ""
            except Failure as failure:
                if failure.what("en") != reported:  # once per fault, not at each poll
                    _log.critical("%s: %s", failure.code, failure.what("en"))
                reported = failure.what("en")
            except Exception as trouble:
                if (kind := type(trouble).__name__) != reported:
                    trace = unavailable(trouble) is None
                    what = "the registry cannot be read (%s); the last snapshot stands for %.0f s"
                    _log.error(what, kind, self._grace, exc_info=trace)
                reported = kind


def _schema_version(connection: Connection) -> int:
    """SQLite's counter of schema changes; PostgreSQL has none."""
    return (
        int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
        if connection.dialect.name == "sqlite"
        else 0
    )


def _without_names(failure: Failure) -> Failure:
    """The failure for callers: the number of altered rows or objects, without their names (see log, doctor, verify)."""
    facts: dict[str, Any] = {name: fact if isinstance(fact, int) else "…" for name, fact in failure.facts.items()}
    return Ours(failure.type, **facts)
