"""The registry held against the log: each change bears an entry with the digest of the rows that it makes, sealed with a key outside the database.

Theory of operation
1. Whoever changes the registry does it in `changing()`: the rows are compared with the last seal first, so that nobody's edit is blessed along the way;
   afterwards the rows that changed, the digest of all rows and the new revision go into the entry of the change, in the same transaction.
2. The seal is HMAC-SHA-256 over origin, revision, digest and the entry's id. Its key is derived from the instance's hash key (HKDF, RFC 5869), which lies in a
   file. Whoever has the database alone can make rows, a revision and an entry, and no seal.
3. `instance` keeps the newest seal with the map of the rows' digests, so that a check costs one reading of the registry. That row need not be believed:
   its map hashes to the sealed digest, and its entry must stand in the log.
4. Doors refuse a revision that does not fit. Rows of the past with their own seal are refused since a later revision is marked outside the database
   (`gateway.registry.seals.mark`), and `lgsp audit verify` finds the later entry in the log.
An instance from before this has no seal: its first start adopts the rows, once (`adopt`). Where any entry bears a seal, or the mark exists, never again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, Engine, select, text

from contracts.base import jcs
from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.write import LogRow
from gateway.keys.keyring import Keyring
from gateway.registry.errors import REGISTRY_ALTERED
from gateway.registry.seals.mark import Mark, Seen
from gateway.registry.seals.revisions import REVISION, alone, raise_revision, remember, revision
from gateway.registry.seals.rows import TABLES, Misfit, Rows, changed, digest_of, misfits, rows
from gateway.settings import Settings
from security.transparency import entry as form

KEY: Final = "registry.seal"  # of `instance`
MARK: Final = "registry"  # beside the checkpoint
PART: Final = "registry-rows"
ADOPTED: Final = "registry-adopted"
ACCEPTED: Final = "registry-accepted"
AT_ONCE: Final = 200  # rows that one entry names; more go into entries of their own before it
TOLD: Final = 5
_LABEL: Final = b"lgsp registry seal v1"
# Notes that may bear a seal; `lgsp audit verify` looks at these.
PHASES: Final = (
    "registry", "access", "contract", "suspended", "resumed", "certificate-status", "restore", "restore-confirmed", ADOPTED, ACCEPTED,
)  # fmt: skip


def altered(found: Sequence[Misfit]) -> Ours:
    """The failure that names rows."""
    more = f", … (+{len(found) - TOLD})" if len(found) > TOLD else ""
    return REGISTRY_ALTERED(rows=", ".join(map(str, found[:TOLD])) + more, count=len(found))


@dataclass(frozen=True, slots=True)
class Sealed:
    """The newest seal as `instance` keeps it."""

    revision: int
    digest: str
    entry: str
    seal: str
    rows: Rows

    @classmethod
    def read(cls, connection: Connection) -> Sealed | None:
        """None where there is none, ValueError for what is none."""
        found = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == KEY))
        if found is None:
            return None
        try:
            value = json.loads(found)
            return cls(
                int(value["revision"]),
                str(value["digest"]),
                str(value["entry"]),
                str(value["seal"]),
                dict(value["rows"]),
            )
        except (AttributeError, KeyError, TypeError) as trouble:
            raise ValueError(str(trouble)) from None


class Seal:
    """Makes and proves seals of one instance. It holds the derived key alone."""

    def __init__(self, secret: bytes, origin: str, mark: Mark) -> None:
        self._key: Final = HKDF(SHA256(), 32, None, _LABEL).derive(secret)
        self.origin: Final = origin
        self.mark: Final = mark

    @classmethod
    def of(cls, settings: Settings) -> Seal:
        """Of the instance that these settings are of; OSError or a failure where its hash key cannot be read."""
        return cls(Keyring(settings).hash_key(), settings.origin, Mark(settings.checkpoint_file.with_name(MARK)))

    def tag(self, number: int, digest: str, entry: str) -> str:
        told = jcs.encode([self.origin, number, digest, entry])
        return hmac.digest(self._key, told, hashlib.sha256).hex()

    def proves(self, number: int, digest: str, entry: str, tag: str) -> bool:
        return hmac.compare_digest(self.tag(number, digest, entry), tag)

    # --- checking -----------------------------------------------------------------------------------------------------

    def check(self, connection: Connection) -> dict[str, dict[str, str]]:
        """The map of the rows as they stand, and the mark raised to their revision; `registry.altered` if they are not what the log has."""
        found, actual = self.look(connection)
        if found:
            raise altered(found)
        if not self.never(connection):  # the file says that there is a seal
            self.mark.lift(Seen(self.origin, revision(connection), digest_of(actual)))
        return actual

    def look(self, connection: Connection) -> tuple[list[Misfit], dict[str, dict[str, str]]]:
        """What does not fit, and the map of the rows. The connection shows one moment (`gateway.journal.database.snapshot`, or a writer's own)."""
        actual, number = rows(connection), revision(connection)
        try:
            sealed = Sealed.read(connection)
        except ValueError:
            return [Misfit("instance", KEY, "altered")], actual
        if sealed is None:
            return [] if self.never(connection) else [Misfit("instance", KEY, "missing")], actual
        if digest_of(sealed.rows) != sealed.digest or not self.proves(
            sealed.revision, sealed.digest, sealed.entry, sealed.seal
        ):
            return [Misfit("instance", KEY, "altered")], actual
        found = misfits(sealed.rows, actual)
        if number != sealed.revision:
            found.append(Misfit("instance", REVISION, "altered"))
        if not _stands(connection, sealed):
            found.append(Misfit("log", f"entry {sealed.entry} of revision {sealed.revision}", "missing"))
        seen = self.mark.read()
        if seen is not None and seen.origin == self.origin:
            if number < seen.revision:
                found.append(Misfit("instance", f"{REVISION} {number} < {seen.revision}", "altered"))
            elif number == seen.revision and seen.digest != sealed.digest:
                found.append(Misfit("instance", KEY, "altered"))
        return found, actual

    def set_back(self, connection: Connection, number: int) -> list[Misfit]:
        """Whether a later revision than `number` is sealed, or was seen on this machine: then that of the database was set back."""
        try:
            sealed = Sealed.read(connection)
        except ValueError:
            return [Misfit("instance", KEY, "altered")]
        seen = self.mark.read()
        later = [
            each
            for each in (sealed.revision if sealed else 0, seen.revision if seen and seen.origin == self.origin else 0)
            if each > number
        ]
        return [Misfit("instance", f"{REVISION} {number} < {max(later)}", "altered")] if later else []

    def never(self, connection: Connection) -> bool:
        """Whether this instance was never sealed: it is of an older release, and was not started since. Neither a row, nor the file, nor the log knows of a seal."""
        stands = connection.scalar(select(tables.instance.c.key).where(tables.instance.c.key == KEY))
        return stands is None and self.mark.read() is None and not was_sealed(connection)

    def differing(self, connection: Connection, but: str) -> list[Misfit]:
        """The rows that are not as the newest seal has them, whatever the revision, without the row `but` of `instance`; none without a seal."""
        sealed = _sealed(connection)
        if sealed is None:
            return []
        if digest_of(sealed.rows) != sealed.digest or not self.proves(
            sealed.revision, sealed.digest, sealed.entry, sealed.seal
        ):
            return [Misfit("instance", KEY, "altered")]
        return [each for each in misfits(sealed.rows, rows(connection)) if (each.table, each.key) != ("instance", but)]

    # --- recording ----------------------------------------------------------------------------------------------------

    def record(
        self, connection: Connection, before: Rows | None, what: str, facts: Mapping[str, Any], now: float, actor: str
    ) -> Seen:
        """Append the entry of a change, with its seal; the revision was raised. `before` None tells all rows, as the first entry of a log does."""
        assert what in PHASES
        after, number, id = rows(connection), revision(connection), new_id(int(now * 1000))
        digest = digest_of(after)
        told = list(_chunks(changed(before or {}, after)))
        seal = self.tag(number, digest, id)
        for part in told[:-1]:
            append(connection, [_note(new_id(int(now * 1000)), PART, {"entry": id, "rows": part}, now, actor)])
        own = {
            "revision": number,
            "digest": digest,
            "seal": seal,
            "rows": told[-1],
            "parts": len(told) - 1,
            "whole": before is None,
        }
        append(connection, [_note(id, what, {**facts, "registry": own}, now, actor)])
        remember(
            connection,
            KEY,
            json.dumps({"revision": number, "digest": digest, "entry": id, "seal": seal, "rows": after}),
        )
        return Seen(self.origin, number, digest)


def _chunks(told: Mapping[str, Mapping[str, str | None]]) -> Iterator[dict[str, dict[str, str | None]]]:
    """At least one, each of at most AT_ONCE rows."""
    flat = [(table, key, digest) for table, of_table in told.items() for key, digest in of_table.items()]
    for start in range(0, max(len(flat), 1), AT_ONCE):
        part: dict[str, dict[str, str | None]] = {}
        for table, key, digest in flat[start : start + AT_ONCE]:
            part.setdefault(table, {})[key] = digest
        yield part


def _note(id: str, what: str, facts: Mapping[str, Any], now: float, actor: str) -> LogRow:
    return LogRow(*form.freeze(form.Note(id, now, what, actor, facts)))


def _stands(connection: Connection, sealed: Sealed) -> bool:
    """Whether an entry of the log bears that seal."""
    for table in tables.LOGS:
        for entry in connection.execute(select(table.c.entry).where(table.c.transfer == sealed.entry)).scalars():
            told = borne(bytes(entry))
            if told is not None and (told.get("revision"), told.get("digest"), told.get("seal")) == (
                sealed.revision,
                sealed.digest,
                sealed.seal,
            ):
                return True
    return False


def borne(entry: bytes) -> Mapping[str, Any] | None:
    """What an entry says of the registry; None for one that says nothing."""
    try:
        told = json.loads(entry)["facts"]["registry"]
    except (KeyError, TypeError, ValueError):
        return None
    return told if isinstance(told, dict) else None


# --- one way to change the registry -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Act:
    """One change under way. `note` says what the log is told of it; without a change of rows that is a plain entry."""

    connection: Connection
    _told: list[tuple[str, Mapping[str, Any], float, str]] = field(default_factory=list)

    def note(self, what: str, facts: Mapping[str, Any], now: float, *, actor: str = "command line") -> None:
        assert not self._told, "one change, one entry"
        self._told.append((what, facts, now, actor))


@contextmanager
def changing(engine: Engine, seal: Seal | None, lock: FileLock | None = None) -> Iterator[Act]:
    """A transaction that may change the registry. `registry.altered`, before anything is done, where the rows are not what the log has.

    Whoever changes rows calls `note`. Without a seal (a database that no instance is made of) nothing is compared and entries bear none.
    """
    seen: Seen | None = None
    with writing(engine, lock) as connection:
        settle(connection)
        first = seal is not None and seal.never(connection)  # of an older release: this change seals all rows
        before = seal.check(connection) if seal is not None else rows(connection)
        number = revision(connection)
        act = Act(connection)
        yield act
        moved = revision(connection) != number
        if not moved and changed(before, rows(connection)):
            raise_revision(connection)
            moved = True
        if moved and not act._told:
            raise RuntimeError("the registry was changed and the log not told")
        if moved and seal is not None:
            seen = seal.record(connection, None if first else before, *act._told[0])
        else:
            append(
                connection,
                [_note(new_id(int(now * 1000)), what, facts, now, actor) for what, facts, now, actor in act._told],
            )
    if seal is not None and seen is not None:
        seal.mark.lift(seen)


def settle(connection: Connection) -> None:
    """From here on nobody else writes a row of the registry until this transaction ends: what is compared is what is sealed."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {', '.join(table.name for table in TABLES)} IN SHARE ROW EXCLUSIVE MODE"))
    alone(connection)


def adopt(engine: Engine, seal: Seal, now: float) -> bool:
    """Seal the rows of an instance that never had a seal; whether that was so. `registry.altered` where there was one and it is gone."""
    with writing(engine) as connection:
        settle(connection)
        if connection.scalar(select(tables.instance.c.key).where(tables.instance.c.key == KEY)) is not None:
            return False
        if seal.mark.read() is not None or was_sealed(connection):
            raise altered([Misfit("instance", KEY, "missing")])
        count = sum(map(len, rows(connection).values()))
        raise_revision(connection)
        seen = seal.record(connection, None, ADOPTED, {"count": count}, now, "gateway")
    seal.mark.lift(seen)
    return True


def was_sealed(connection: Connection) -> bool:
    """Whether any entry bears a seal. Reads all entries of these kinds: for the one start at which there is none in `instance`."""
    return any(
        borne(bytes(entry)) is not None
        for table in tables.LOGS
        for entry in connection.execute(select(table.c.entry).where(table.c.phase.in_(PHASES))).scalars()
    )


def accept(engine: Engine, seal: Seal, reason: str, actor: str, now: float) -> list[Misfit]:
    """Take the rows as they stand, although the log has others: somebody looked at each and says why. What differed is told in the entry."""
    with writing(engine) as connection:
        settle(connection)
        found, _actual = seal.look(connection)
        if not found:
            return []
        seen = seal.mark.read()
        sealed = _sealed(connection)
        highest = max(
            revision(connection),
            sealed.revision if sealed is not None else 0,
            seen.revision if seen is not None and seen.origin == seal.origin else 0,
        )
        remember(connection, REVISION, str(highest + 1))
        facts = {"reason": reason, "count": len(found), "differed": [str(each) for each in found[:AT_ONCE]]}
        made = seal.record(connection, None, ACCEPTED, facts, now, actor)
    seal.mark.lift(made)
    return found


def _sealed(connection: Connection) -> Sealed | None:
    try:
        return Sealed.read(connection)
    except ValueError:
        return None
