"""Seals the registry: the log entry of each change has the digest of the resulting rows, under a key outside the
database.

Theory of operation
1. Every change runs in `changing()`. It first compares the rows with the last seal, so that no outside edit is sealed.
   The changed rows, the digest of all rows and the new revision then go into the entry, in the same transaction.
2. The seal is HMAC-SHA-256 over origin, revision, digest and entry id. Its key is derived from the instance's hash key
   (HKDF, RFC 5869), which is in a file. Access to the database alone does not suffice to make a seal.
3. `instance` has the newest seal with the map of row digests, so a check costs one reading of the registry. The map
   must hash to the sealed digest, and the entry must be in the log.
4. Doors refuse a revision that does not verify. Old rows with their old seal are refused because the mark outside the
   database (`gateway.registry.seals.mark`) is later; `lgsp audit verify` also finds the later entry in the log.
5. Each entry has what changed, old and new; the changed rows go into the history (`gateway.registry.seals.history`).
An instance of an older release has no seal or no history: its first start adopts the rows (`adopt`). That is refused if
an entry has a seal, or the mark exists; for the history, if an entry tells of one.
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
from sqlalchemy import Connection, Engine, select

from contracts.base import jcs
from contracts.base.errors import Ours
from contracts.base.ids import new_id
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.journal.write import LogRow
from gateway.keys.keyring import Keyring
from gateway.registry import contacts
from gateway.registry.errors import REGISTRY_ALTERED
from gateway.registry.seals import history
from gateway.registry.seals.basis import basis
from gateway.registry.seals.mark import Mark, Seen
from gateway.registry.seals.revisions import REVISION, lost, raise_revision, revision, settle
from gateway.registry.seals.rows import Misfit, Rows, changed, contents, digest_of, digests, misfits, rows
from gateway.registry.seals.sealed import KEY, Sealed, revision_of
from gateway.registry.tenants import refuse_policy
from gateway.settings import Settings
from security.transparency import entry as form

MARK: Final = "registry"  # beside the checkpoint
PART: Final = "registry-rows"
ADOPTED: Final = "registry-adopted"
ACCEPTED: Final = "registry-accepted"
RECEIVING_ADOPTED: Final = "receiving-adopted"  # `gateway.registry.changes.adopting`
AT_ONCE: Final = 200  # rows in one entry; more go into separate entries before it
MOST_TEXT: Final = 24_000  # characters of these rows and their changes in one entry, if there is more than one row
HISTORY: Final = "registry_history"
NAMED: Final = 5
_LABEL: Final = b"lgsp registry seal v1"
_Row = tuple[str, str]  # table and key
# Notes that may have a seal; read by `lgsp audit verify`.
PHASES: Final = (
    "registry", "access", "contract", "suspended", "resumed", "certificate-status",
    "restore", "restore-confirmed", "tenant-clock", ADOPTED, ACCEPTED, RECEIVING_ADOPTED,
)  # fmt: skip


def altered(differing: Sequence[Misfit]) -> Ours:
    """The failure that names the rows."""
    more = f", … (+{len(differing) - NAMED})" if len(differing) > NAMED else ""
    return REGISTRY_ALTERED(rows=", ".join(map(str, differing[:NAMED])) + more, count=len(differing))


class Seal:
    """Makes and verifies seals of one instance. It has only the derived key."""

    def __init__(self, secret: bytes, origin: str, mark: Mark, *, production: bool = False) -> None:
        """`production`: a change may take no duty of a contact from a live system (`gateway.registry.contacts`)."""
        self._key: Final = HKDF(SHA256(), 32, None, _LABEL).derive(secret)
        self.origin: Final = origin
        self.mark: Final = mark
        self.production: Final = production

    @classmethod
    def of(cls, settings: Settings) -> Seal:
        """The seal of an instance. Raises OSError or a failure if its hash key is unreadable."""
        mark = Mark(settings.checkpoint_file.with_name(MARK))
        return cls(Keyring(settings).hash_key(), settings.origin, mark, production=settings.kind == "production")

    def tag(self, number: int, digest: str, entry: str) -> str:
        content = jcs.encode([self.origin, number, digest, entry])
        return hmac.digest(self._key, content, hashlib.sha256).hex()

    def proves(self, number: int, digest: str, entry: str, tag: str) -> bool:
        return hmac.compare_digest(self.tag(number, digest, entry), tag)

    def check(self, connection: Connection) -> dict[str, dict[str, str]]:
        """Check the rows, raise the mark to their revision, return their map. `registry.altered`, `registry.policy`."""
        differing, actual = self.look(connection)
        if differing:
            raise altered(differing)
        if self.production:
            refuse_policy(connection)
        if not self.never(connection):  # there is a seal
            self.mark.lift(Seen(self.origin, revision(connection), digest_of(actual)))
        return actual

    def look(self, connection: Connection) -> tuple[list[Misfit], dict[str, dict[str, str]]]:
        """The misfits, and the map of the rows.

        The connection must show one moment: `gateway.journal.database.snapshot`, or a writing transaction.
        """
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
        differing = misfits(sealed.rows, actual)
        if number != sealed.revision:
            differing.append(Misfit("instance", REVISION, "altered"))
        if not stands(connection, sealed):
            differing.append(Misfit("log", f"entry {sealed.entry} of revision {sealed.revision}", "missing"))
        seen = self._seen()
        if seen is not None and number == seen.revision and seen.digest != sealed.digest:
            differing.append(Misfit("instance", KEY, "altered"))
        if seen is not None and number < seen.revision and lost(connection, seen.revision):
            differing.append(Misfit("instance", f"{REVISION} {number} < {seen.revision}", "altered"))
        return differing, actual

    def _seen(self) -> Seen | None:
        seen = self.mark.read()
        return seen if seen is not None and seen.origin == self.origin else None

    def set_back(self, connection: Connection, number: int) -> list[Misfit]:
        """A misfit if a revision later than `number` is sealed or marked: the database's revision was set back."""
        try:
            stored = value_of(connection, KEY)
            sealed = 0 if stored is None else revision_of(stored)
        except ValueError:
            return [Misfit("instance", KEY, "altered")]
        seen = self._seen()
        if seen is not None and seen.revision > number and lost(connection, seen.revision):
            sealed = max(sealed, seen.revision)
        return [Misfit("instance", f"{REVISION} {number} < {sealed}", "altered")] if sealed > number else []

    def never(self, connection: Connection) -> bool:
        """Whether there is no seal in row, mark or log: an instance of an older release, not started since."""
        stands = connection.scalar(select(tables.instance.c.key).where(tables.instance.c.key == KEY))
        return stands is None and self.mark.read() is None and not was_sealed(connection)

    def differing(self, connection: Connection, but: str) -> list[Misfit]:
        """The rows that differ from the newest seal, ignoring the row `but` of `instance`; none without a seal."""
        sealed = _sealed(connection)
        if sealed is None:
            return []
        if digest_of(sealed.rows) != sealed.digest or not self.proves(
            sealed.revision, sealed.digest, sealed.entry, sealed.seal
        ):
            return [Misfit("instance", KEY, "altered")]
        return [each for each in misfits(sealed.rows, rows(connection)) if (each.table, each.key) != ("instance", but)]

    def record(
        self, connection: Connection, before: Rows | None, what: str, facts: Mapping[str, Any], now: float, actor: str
    ) -> Seen:
        """Append the sealed entry of a change, whose revision is raised already.

        With `before` None the entry has all rows, as the first entry of a log.
        """
        assert what in PHASES
        present, number, id = contents(connection), revision(connection), new_id(int(now * 1000))
        known, after = history.begun(connection), digests(present)
        digest = digest_of(after)
        versions = history.write(connection, present, history.Act(number, now, what, actor, id))
        # The first versions are no changes: the registry was so before.
        parts = list(_chunks(changed(before or {}, after), self._told(versions) if known else {}))
        seal = self.tag(number, digest, id)
        for part in parts[:-1]:
            append(connection, [_note(new_id(int(now * 1000)), PART, {"entry": id, **part}, now, actor)])
        own = {
            "revision": number,
            "digest": digest,
            "seal": seal,
            **parts[-1],
            "parts": len(parts) - 1,
            "whole": before is None,
            "basis": basis(connection),
            "history": True,
        }
        append(connection, [_note(id, what, {**facts, "registry": own}, now, actor)])
        keep(
            connection,
            KEY,
            json.dumps({"revision": number, "digest": digest, "entry": id, "seal": seal, "rows": after}),
        )
        return Seen(self.origin, number, digest)

    def _told(self, versions: Mapping[_Row, tuple[str | None, str | None]]) -> dict[_Row, dict[str, list[Any]]]:
        """What changed in each row, for the entry."""
        return {
            (table, key): history.differences(table, old, new, lambda text: form.keyed(self._key, text))
            for (table, key), (old, new) in versions.items()
        }


def _chunks(
    difference: Mapping[str, Mapping[str, str | None]], told: Mapping[_Row, Mapping[str, list[Any]]]
) -> Iterator[dict[str, Any]]:
    """At least one part with `rows` and `changed`, each of at most AT_ONCE rows."""
    digest_of_row = {(table, key): digest for table, of_table in difference.items() for key, digest in of_table.items()}
    part: dict[str, dict[str, dict[str, Any]]] = {"rows": {}, "changed": {}}
    count = length = 0
    for row in dict.fromkeys((*digest_of_row, *told)):
        table, key = row
        named = len(table) + len(json.dumps(key)) + 6  # it stands under `rows` and under `changed`
        size = named + 64 + (named + len(json.dumps(told[row])) if row in told else 0)
        if count and (count >= AT_ONCE or length + size > MOST_TEXT):
            yield part
            part, count, length = {"rows": {}, "changed": {}}, 0, 0
        if row in digest_of_row:
            part["rows"].setdefault(table, {})[key] = digest_of_row[row]
        if row in told:
            part["changed"].setdefault(table, {})[key] = told[row]
        count, length = count + 1, length + size
    yield part


def _note(id: str, what: str, facts: Mapping[str, Any], now: float, actor: str) -> LogRow:
    return LogRow(*form.freeze(form.Note(id, now, what, actor, facts)))


def stands(connection: Connection, sealed: Sealed) -> bool:
    """Whether the log has the entry with that seal."""
    for table in tables.LOGS:
        for entry in connection.execute(select(table.c.entry).where(table.c.transfer == sealed.entry)).scalars():
            facts = borne(bytes(entry))
            if facts is not None and (facts.get("revision"), facts.get("digest"), facts.get("seal")) == (
                sealed.revision,
                sealed.digest,
                sealed.seal,
            ):
                return True
    return False


def borne(entry: bytes) -> Mapping[str, Any] | None:
    """The registry facts of an entry; None if it has none."""
    try:
        facts = json.loads(entry)["facts"]["registry"]
    except (KeyError, TypeError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


@dataclass(slots=True)
class Act:
    """A change in progress. `note` gives its log entry; without changed rows that is an entry without a seal."""

    connection: Connection
    _notes: list[tuple[str, Mapping[str, Any], float, str]] = field(default_factory=list)

    def note(self, what: str, facts: Mapping[str, Any], now: float, *, actor: str = "command line") -> None:
        assert not self._notes, "one change, one entry"
        self._notes.append((what, facts, now, actor))


@contextmanager
def changing(engine: Engine, seal: Seal | None, lock: FileLock | None = None) -> Iterator[Act]:
    """A transaction that may change the registry. Raises `registry.altered` first if the rows differ from the log.

    A block that changes rows must call `note`. Without a seal (a database of no instance) nothing is compared or
    sealed.
    """
    seen: Seen | None = None
    with writing(engine, lock) as connection:
        settle(connection)
        # An older release: this change seals all rows, and begins their history.
        first = seal is not None and (seal.never(connection) or not history.begun(connection))
        before = seal.check(connection) if seal is not None else rows(connection)
        number = revision(connection)
        live = contacts.live(connection) if seal is not None and seal.production else {}
        act = Act(connection)
        yield act
        moved = revision(connection) != number
        if not moved and changed(before, rows(connection)):
            raise_revision(connection)
            moved = True
        if moved and not act._notes:
            raise RuntimeError("the registry was changed and the log not told")
        if moved and seal is not None and seal.production:
            contacts.check(live, contacts.live(connection), act._notes[0][2])
        if moved and seal is not None:
            seen = seal.record(connection, None if first else before, *act._notes[0])
        else:
            append(
                connection,
                [_note(new_id(int(now * 1000)), what, facts, now, actor) for what, facts, now, actor in act._notes],
            )
    if seal is not None and seen is not None:
        seal.mark.lift(seen)


def adopt(engine: Engine, seal: Seal, now: float) -> bool:
    """Seal an instance that never had a seal or no history; whether it did.

    Raises `registry.altered` if its seal or its history is missing.
    """
    with writing(engine) as connection:
        settle(connection)
        if connection.scalar(select(tables.instance.c.key).where(tables.instance.c.key == KEY)) is not None:
            if history.begun(connection):
                return False
            seal.check(connection)  # a history begins with what the log has
            if _has(connection, "history"):
                raise altered([Misfit(HISTORY, "", "missing")])
        elif seal.mark.read() is not None or was_sealed(connection):
            raise altered([Misfit("instance", KEY, "missing")])
        count = sum(map(len, rows(connection).values()))
        raise_revision(connection)
        seen = seal.record(connection, None, ADOPTED, {"count": count}, now, "gateway")
    seal.mark.lift(seen)
    return True


def was_sealed(connection: Connection) -> bool:
    """Whether any entry has a seal. Reads all entries of PHASES: only needed if `instance` has no seal."""
    return _has(connection, "seal")


def _has(connection: Connection, fact: str) -> bool:
    return any(
        fact in (borne(bytes(entry)) or ())
        for table in tables.LOGS
        for entry in connection.execute(select(table.c.entry).where(tables.NOTES, table.c.phase.in_(PHASES))).scalars()
    )


def accept(engine: Engine, seal: Seal, reason: str, actor: str, now: float) -> list[Misfit]:
    """Accept rows that differ from the log, for a stated reason. The entry names the differences."""
    with writing(engine) as connection:
        settle(connection)
        differing, _actual = seal.look(connection)
        if not differing:
            return []
        seen, sealed = seal._seen(), _sealed(connection)
        highest = max(
            revision(connection),
            sealed.revision if sealed is not None else 0,
            seen.revision if seen is not None else 0,
        )
        keep(connection, REVISION, str(highest + 1))
        facts = {"reason": reason, "count": len(differing), "differed": [str(each) for each in differing[:AT_ONCE]]}
        accepted = seal.record(connection, None, ACCEPTED, facts, now, actor)
    seal.mark.lift(accepted)
    return differing


def _sealed(connection: Connection) -> Sealed | None:
    try:
        return Sealed.read(connection)
    except ValueError:
        return None
