"""The contracts of an instance as its registry has them now: one that was published a moment ago is there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Engine

from contracts.compiled.contract import CompiledContract, alive, compile_bundle
from gateway.journal.database import snapshot
from gateway.registry import versions

Contracts = Mapping[str, CompiledContract]  # by name, as field-report/v1
_EVERY: Final = 1.0  # seconds between looks at the registry


class Published:
    """What is in force, read again at most once a second. Threads may share it."""

    def __init__(self, engine: Engine, every: float = _EVERY, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._every, self._clock = engine, every, clock
        self._read = float("-inf")
        self._known: dict[str, CompiledContract] = {}
        self._lock = threading.Lock()

    def __call__(self) -> Contracts:
        with self._lock:
            now = self._clock()
            if now - self._read >= self._every:
                self._known, self._read = self._now(), now
            return self._known

    def _now(self) -> dict[str, CompiledContract]:
        found: dict[str, CompiledContract] = {}
        with snapshot(self._engine) as connection:
            for name, stored in versions.in_force(connection).items():
                known = self._known.get(name) or alive(stored.digest)
                if known is None or known.digest != stored.digest:
                    known = compile_bundle(versions.load(connection, stored.digest))
                found[name] = known
        return found
