"""Tracks how much of the log witnesses or time-stamps cover, since when they do not, and whether that was logged.

Covered is what this keeper had cosigned or stamped itself, or what the stored notes and answers prove. The table's row
is for people to read; it is corrected where it claims more.
Invariants:
- Doors are opened by memory and proof, never by that row.
- `behind` is never later than when the first uncovered entry could be known.
- Each time of trouble is noted in the log once when it has lasted too long, and once when it ends.
- The deadline for doors is written from the same numbers.
- Every transaction checks the keeper's lease.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from contracts.base.times import rfc3339
from contracts.base.words import Words
from gateway.audit.log import proofs
from gateway.audit.log.checkpoints import CheckpointFile, size_of
from gateway.audit.witnessing import sharing
from gateway.audit.witnessing.admission import AdmissionDeadline, patience
from gateway.audit.witnessing.config import WitnessStatus, standing
from gateway.journal.append import append
from gateway.journal.database import insert, writing
from gateway.journal.filelock import FileLock
from gateway.journal.logged import entry_of
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keeper.periodic import KeeperServices
from gateway.keys.keyring import Keyring
from gateway.settings import BadSetting, Settings
from gateway.transfer import entries
from gateway.transfer import lease as leases
from gateway.transfer.lease import Lease
from security.transparency.checkpoint import NoteKey
from security.transparency.entry import Json

# Up to which size of the log, and when, what is kept proves; of a log of this size, at this time.
Prove = Callable[[Connection, int, float], tuple[int, float]]

_logger: Final = logging.getLogger("lgsp.witnessing")


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
    """Of one kind, witnesses or stamps, in the leading keeper."""

    kind: str
    patience: float
    engine: Engine
    lock: FileLock | None
    admission: AdmissionDeadline
    clock: Callable[[], float]
    prove: Prove
    file: CheckpointFile  # outside the database: the log's size, whatever the database says
    seal: sharing.Seal | None = None  # for the deadline that other machines read; None: there are none
    now: WitnessStatus = field(default_factory=WitnessStatus)
    _kept: WitnessStatus = field(default_factory=WitnessStatus)
    _epoch: int | None = None
    _logged: dict[str, str] = field(default_factory=dict)
    _since: float | None = None  # as `behind`, by what this keeper saw or what is proved; it decides for the doors
    _false_at: float = -math.inf
    _false_size: int | None = None
    owed: list[LogRow] = field(default_factory=list)  # notes that are in no committed transaction yet

    def look(self, lease: Lease) -> LogSnapshot:
        """Reads the log's state and updates the coverage. Runs in a thread."""
        outside = self.file.read()  # before the database, which is never older
        with self.engine.connect() as connection:
            at = self.clock()
            newest = proofs.newest(connection) or (0, "")
            waiting = connection.execute(select(tables.log_pending.c.id).limit(1)).first() is not None
            # Entries whose checkpoint was removed are uncovered too.
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
        log = LogSnapshot(at, *newest, waiting)
        if began:  # only what is proved is known: later entries may be as old as the proof
            behind = min(kept.behind, at) if kept.behind is not None else None
            self._epoch, self.now, self._since = lease.epoch, replace(kept, size=0, at=0.0, behind=behind), 0.0
        if proved is not None and proved[0] > self.now.size:
            self.now = replace(self.now, size=proved[0], at=min(proved[1], at))
            if began:
                self._since = self.now.at
        self._kept = kept
        # If the clock was set back, times in the future become now: else doors stayed open until then, without a stamp.
        self.now = replace(self.now, at=min(self.now.at, at), behind=_by(self.now.behind, at))
        self._since = _by(self._since, at)
        size = self.now.size if self.now.size <= log.size else 0  # a log of a new origin begins again
        behind = None
        if log.size > size or waiting:
            behind = self.now.behind if self.now.behind is not None else at
            self._since = self._since if self._since is not None else at
        else:
            self._since = None
        self.now = replace(self.now, size=size, behind=behind, trouble=self.now.trouble or {})
        self._false_size = kept.size if kept.size > size else None
        return log

    def reached(self, log: LogSnapshot) -> None:
        """All of this snapshot is covered; newer entries came after it."""
        self.now = replace(self.now, size=log.size, at=self.clock(), behind=log.at)
        self._since = log.at

    def keep_reached(self, connection: Connection) -> None:
        """In the transaction that stores the proof. `behind` is stored only when it lasts."""
        self._kept = replace(self.now, behind=None)
        keep(connection, self.kind, self._kept)

    def troubled(self, trouble: Mapping[str, str]) -> None:
        """What is wrong with whom, now; logged by the process when it is new, and when it is over."""
        for name, words in trouble.items():
            if self._logged.get(name) != words:
                _logger.warning("%s: %s: %s", self.kind, name, words)
        for name in self._logged.keys() - trouble.keys():
            _logger.info("%s: %s is in order again", self.kind, name)
        self._logged = dict(trouble)
        self.now = replace(self.now, trouble=dict(trouble))

    def end_of_look(self, lease: Lease) -> None:
        """Notes what is due in the log, stores what changed, and extends the deadline for doors. Runs in a thread."""
        moment = self.clock()
        self.owed += self._false_claim(moment)
        late = self.now.late(moment, self.patience) is not None
        if late and self.now.told is None:
            self.owed.append(self._note("unwitnessed", moment))
            self.now = replace(self.now, told=moment)
            _logger.error(
                "%s: %d entries and no more are confirmed from outside, for more than %g s",
                self.kind,
                self.now.size,
                self.patience,
            )
        elif not late and self.now.told is not None:
            self.owed.append(self._note("witnessed", moment))
            self.now = replace(self.now, told=None)
        if self.owed or self._changed(moment):
            with writing(self.engine, self.lock) as connection:
                leases.check(connection, lease)
                append(connection, [row for row in self.owed if entry_of(connection, row.transfer, row.phase) is None])
                keep(connection, self.kind, self.now)
            self.owed.clear()
        until = self.admission.extend(self.kind, (moment if self._since is None else self._since) + self.patience)
        if until is not None and self.seal is not None:
            with writing(self.engine, self.lock) as connection:
                leases.check(connection, lease)
                sharing.share(connection, until, self.seal)

    def _false_claim(self, moment: float) -> list[LogRow]:
        """For a table that claims more than is proved; noted again only after `patience` without that."""
        claimed, self._false_size = self._false_size, None
        if claimed is None:
            return []
        again, self._false_at = moment - self._false_at <= self.patience, moment
        if again:
            return []
        _logger.critical(
            "%s: the database claims %d entries, and %d are proved: "
            "somebody wrote there, or the settings or the log changed",
            self.kind,
            claimed,
            self.now.size,
        )
        return [
            entries.note("vouching-unproved", {"what": self.kind, "claimed": claimed, "size": self.now.size}, moment)
        ]

    def _changed(self, moment: float) -> bool:
        """`behind` changes with every entry: it is stored only when it lasts."""
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
    table = tables.witness_status
    values: dict[str, object] = {"size": now.size, "at": now.at, "behind": now.behind, "told": now.told}
    values["trouble"] = json.dumps(dict(now.trouble or {}), ensure_ascii=False)
    connection.execute(
        insert(connection, table)
        .values(kind=kind, **values)
        .on_conflict_do_update(index_elements=[table.c.kind], set_=values)
    )


def tracker_of(services: KeeperServices, kind: str, prove: Prove) -> CoverageTracker:
    settings = services.settings
    return CoverageTracker(
        kind=kind,
        patience=patience(settings, kind),
        engine=services.engine,
        lock=services.lock,
        admission=services.admission,
        clock=services.clock,
        prove=prove,
        file=CheckpointFile(settings.checkpoint_file),
        seal=services.hash_id if services.engine.dialect.name == "postgresql" else None,
    )


def log_key(settings: Settings) -> NoteKey:
    """The log's public key; `BadSetting` where its file cannot be used."""
    shown = Keyring(settings).log_vkey
    try:
        return NoteKey.from_text(shown.read_text("ascii").strip())
    except (OSError, ValueError) as trouble:
        raise BadSetting(
            Words(
                f"{shown}, khóa công khai của nhật ký, không dùng được: {trouble}",
                f"{shown}, the log's public key, cannot be used: {trouble}",
            )
        ) from None
