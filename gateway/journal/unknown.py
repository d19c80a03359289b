"""What the journal keeps of a transaction whose COMMIT has no answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.journal.errors import JOURNAL_UNAVAILABLE
from gateway.journal.limits import Server
from gateway.journal.readback import Witness
from gateway.journal.write import Write, Written


class Unknown(NamedTuple):
    """A transaction whose COMMIT has no answer: its number on its server, a row that it wrote, and the transfers that
    it `left` open: their callers, who would go on with them, were told that it failed.
    """

    xact: str
    server: Server | None
    witness: Witness
    left: tuple[str, ...]


def left_open(units: Sequence[Write]) -> tuple[str, ...]:
    """The transfers that units leave to this process to go on with."""
    rows = [row for unit in units for row in (unit.transfer, unit.change) if row is not None]
    return tuple(row.id for row in rows if row.state == "forwarding")


class StillOpen(Exception):
    """A transaction of this process is still under way on the server."""

    failure: Final = JOURNAL_UNAVAILABLE


class Unsure(Exception):
    """COMMIT was sent and its answer is missing; `results` are right if it was committed. `left`: seconds."""

    def __init__(
        self, results: Sequence[Written | Exception], unknown: Unknown, until: float, cause: Exception
    ) -> None:
        super().__init__(str(cause) or "the connection was lost during COMMIT")
        self.results: Final = results
        self.unknown: Final = unknown
        silent = bool(getattr(cause, "silent", False))  # asking again would only cost time
        self.left: Final = 0.0 if silent else until - time.monotonic()
        self.silent: Final = silent
