"""The bookkeeping that witnesses and stamps share: what is vouched for, since when it is not, and whether that was told.

What was reached is what this keeper reached itself, or what the kept notes and answers prove: the table's row is for people to read, and is corrected where it claims
more. Invariants: what opens the doors is memory and proof, never that row; `behind` is never later than the first entry that nobody vouches for could be known; each spell of trouble is noted in the log once when it has lasted
too long, and once when it ends; what closes the doors is written from the same numbers. Whatever is written checks the keeper's lease.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from contracts.base.times import rfc3339
from gateway.audit.log import lease as leases
from gateway.audit.log import proofs
from gateway.audit.log.checkpoints import CheckpointFile, size_of
from gateway.audit.log.lease import Lease
from gateway.audit.witnessing.admission import AdmissionDeadline
from gateway.audit.witnessing.config import WitnessStatus, standing
from gateway.exchange import entries
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from security.transparency.entry import Json

_logger: Final = logging.getLogger("lgsp.vouching")


@dataclass(frozen=True, slots=True)
class LogSnapshot:
    """The log at one moment. `waiting`: whether there are entries that this checkpoint does not sign."""

    at: float
    size: int
    note: str
    waiting: bool

    @property
    def origin(self) -> str:
        return self.note.partition("\n")[0]


@dataclass(slots=True)
class CoverageTracker:
    """Of one kind of voucher, in the leading keeper."""

    kind: str
    patience: float
    engine: Engine
    lock: FileLock | None
    licence: AdmissionDeadline
    clock: Callable[[], float]
    prove: Callable[
        [Connection, int, float], tuple[int, float]
    ]  # up to which size of the log, and when: verified, from what is kept
    file: CheckpointFile  # outside the database: how long the log was, whatever the database says
    now: WitnessStatus = field(default_factory=WitnessStatus)
    _kept: WitnessStatus = field(default_factory=WitnessStatus)
    _epoch: int | None = None
    _told: dict[str, str] = field(default_factory=dict)
    _since: float | None = None  # as `behind`, by what this keeper saw or what is proved: the doors go by it
    _false_at: float = -math.inf
    _false_size: int | None = None

    def look(self, lease: Lease) -> LogSnapshot:
        """How the log stands, and how the voucher does. In a thread."""
        outside = self.file.read()  # before the database, which is never behind it
        with self.engine.connect() as connection:
            at = self.clock()
            newest = proofs.newest(connection) or (0, "")
            waiting = connection.execute(select(tables.log_pending.c.id).limit(1)).first() is not None
            # Entries whose checkpoint somebody took away are no less unvouched for.
            top = connection.execute(select(func.max(tables.log_entry.c.idx))).scalar()
            beyond = (
                outside is not None
                and outside.partition("\n")[0] == newest[1].partition("\n")[0]
                and size_of(outside) > newest[0]
            )
            waiting = waiting or beyond or (top is not None and top >= newest[0])
            kept = standing(connection, self.kind)
            began = self._epoch != lease.epoch
            proved = self.prove(connection, newest[0], at) if began or kept.size > self.now.size else None
        found = LogSnapshot(at, *newest, waiting)
        if began:  # nothing is known but what is proved: what came after that is as old as the proof may be
            behind = min(kept.behind, at) if kept.behind is not None else None
            self._epoch, self.now, self._since = lease.epoch, replace(kept, size=0, at=0.0, behind=behind), 0.0
        if proved is not None and proved[0] > self.now.size:
            self.now = replace(self.now, size=proved[0], at=min(proved[1], at))
            if began:
                self._since = self.now.at
        self._kept = kept
        # A clock that was set back: what was at a time to come was now at the latest, else the doors stayed open until then, and no stamp was asked for.
        self.now = replace(self.now, at=min(self.now.at, at), behind=_by(self.now.behind, at))
        self._since = _by(self._since, at)
        size = (
            self.now.size if self.now.size <= found.size else 0
        )  # a log of a new origin begins below what the older one had
        behind = None
        if found.size > size or waiting:
            behind = self.now.behind if self.now.behind is not None else at
            self._since = self._since if self._since is not None else at
        else:
            self._since = None
        self.now = replace(self.now, size=size, behind=behind, trouble=self.now.trouble or {})
        self._false_size = kept.size if kept.size > size else None
        return found

    def reached(self, asked: LogSnapshot) -> None:
        """Everything of that moment is vouched for: what came since is as old as that at most."""
        self.now = replace(self.now, size=asked.size, at=self.clock(), behind=asked.at)
        self._since = asked.at

    def keep_reached(self, connection: Connection) -> None:
        """In the transaction that keeps what vouches. What came since is kept only when it lasts, like all that is behind."""
        self._kept = replace(self.now, behind=None)
        keep(connection, self.kind, self._kept)

    def troubled(self, trouble: Mapping[str, str]) -> None:
        """What is wrong with whom, now; said in the process's log when it is new, or over."""
        for name, words in trouble.items():
            if self._told.get(name) != words:
                _logger.warning("%s: %s: %s", self.kind, name, words)
        for name in self._told.keys() - trouble.keys():
            _logger.info("%s: %s is in order again", self.kind, name)
        self._told = dict(trouble)
        self.now = replace(self.now, trouble=dict(trouble))

    def end_of_look(self, lease: Lease, notes: list[LogRow]) -> None:
        """Tell what must be told, keep what changed, and write until when transfers may be taken. In a thread."""
        moment = self.clock()
        notes = [*notes, *self._false_claim(moment)]
        late = self.now.late(moment, self.patience) is not None
        if late and self.now.told is None:
            notes = [*notes, self._note("unwitnessed", moment)]
            self.now = replace(self.now, told=moment)
            _logger.error(
                "%s: %d entries and no more are vouched for, for more than %g s",
                self.kind,
                self.now.size,
                self.patience,
            )
        elif not late and self.now.told is not None:
            notes = [*notes, self._note("witnessed", moment)]
            self.now = replace(self.now, told=None)
        if notes or self._changed(moment):
            with writing(self.engine, self.lock) as connection:
                leases.check(connection, lease)
                if notes:
                    append(connection, notes)
                keep(connection, self.kind, self.now)
        self.licence.extend(self.kind, (moment if self._since is None else self._since) + self.patience)

    def _false_claim(self, moment: float) -> list[LogRow]:
        """The table claimed more than is proved: told anew only when that had been over for as long as the patience."""
        claimed, self._false_size = self._false_size, None
        if claimed is None:
            return []
        again, self._false_at = moment - self._false_at <= self.patience, moment
        if again:
            return []
        _logger.critical("%s: the database claims %d entries, and %d are proved: somebody wrote there, or the settings or the log changed",
                         self.kind, claimed, self.now.size)  # fmt: skip
        return [
            entries.note("vouching-unproved", {"what": self.kind, "claimed": claimed, "size": self.now.size}, moment)
        ]

    def _changed(self, moment: float) -> bool:
        """`behind` comes and goes with every entry: it is kept only when it lasts, for others to read."""
        now, kept = self.now, self._kept
        if (now.size, now.told, now.trouble) != (kept.size, kept.told, kept.trouble):
            return True
        if now.behind is None:
            return kept.behind is not None
        return kept.behind != now.behind and moment - now.behind >= self.patience / 4

    def _note(self, what: str, moment: float) -> LogRow:
        facts: dict[str, Json] = {"what": self.kind, "size": self.now.size}
        if self.now.behind is not None:
            facts["since"] = rfc3339(self.now.behind)
        if self.now.trouble:
            facts["trouble"] = dict(self.now.trouble)
        return entries.note(what, facts, moment)


def _by(since: float | None, now: float) -> float | None:
    return None if since is None else min(since, now)


def keep(connection: Connection, kind: str, now: WitnessStatus) -> None:
    table = tables.vouching
    values: dict[str, object] = {"size": now.size, "at": now.at, "behind": now.behind, "told": now.told}
    values["trouble"] = json.dumps(dict(now.trouble or {}), ensure_ascii=False)
    insert = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgresql
    connection.execute(
        insert(table).values(kind=kind, **values).on_conflict_do_update(index_elements=[table.c.kind], set_=values)
    )
