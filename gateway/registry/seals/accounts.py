"""Seals the rows by which people sign in: accounts, passkeys, sessions, links and tokens of the console.

Theory of operation
1. `instance` has a map, table -> key -> digest of the row, with a revision that each change raises, and a tag: HMAC of
   SHA-256 over origin, revision and the digest of the map. Its key is derived from the instance's hash key (HKDF, RFC
   5869), which is in a file. Access to the database alone does not suffice to make a tag.
2. A row counts only as the map has it. Any other row is treated as absent, so nobody signs in by a row that was added
   or edited. Without a valid map no row counts.
3. A map of the past with its tag is refused, because the mark outside the database (`gateway.registry.seals.mark`) is
   later. So a disabled account, a revoked token and a used code do not come back with their rows.
4. The log entry of each change has revision, digest and tag. `gateway.audit.verify.accounts` compares them.
An instance of an older release has no map: its first start, or its first change, takes the rows as they are, once. That
is refused if the mark exists, or if an entry has a tag.
Invariant: rows of `TABLES` are written by `gateway.registry.seals.account_rows` alone, but for the columns of
  `_LEFT_OUT`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, Table, select

from contracts.base import jcs
from contracts.base.errors import Failure
from gateway.journal.schema import tables
from gateway.journal.values import keep, value_of
from gateway.keys.keyring import Keyring
from gateway.registry.seals.mark import Mark, Seen
from gateway.registry.seals.rows import Misfit, Rows, canonical, digest_of_text, misfits
from gateway.settings import Settings

KEY: Final = "accounts.seal"  # of `instance`
MARK: Final = "accounts"  # beside the checkpoint
FACT: Final = "accounts"  # of an entry
ADOPTED: Final = "accounts-adopted"
REPAIRED: Final = "accounts-repaired"
# Notes that may have a tag; read by `lgsp audit verify`.
PHASES: Final = (
    "console-account", "console-sign-in", "console-sign-out", "console-token", "restore", ADOPTED, REPAIRED,
)  # fmt: skip
TABLES: Final[tuple[Table, ...]] = (
    tables.console_account,
    tables.console_passkey,
    tables.console_session,
    tables.console_link,
    tables.console_token,
)
# Written without an entry; none of them lets anybody in.
_LEFT_OUT: Final = {"console_account": ("failed", "locked"), "console_session": ("seen",)}
_LABEL: Final = b"lgsp console accounts seal v1"
_MOST_TOLD: Final = 1000
_log: Final = logging.getLogger("lgsp.accounts")


class Head(NamedTuple):
    """The map with its revision and its digest. `rows`: table -> key -> digest."""

    revision: int
    digest: str
    tag: str
    rows: Rows

    @classmethod
    def parse(cls, stored: str) -> Head | None:
        """What the stored text says, None for an invalid one. The tag is not checked."""
        try:
            value = json.loads(stored)
            rows = {str(table): dict(of_table) for table, of_table in value["rows"].items()}
            return cls(int(value["revision"]), digest_of_text(canonical(rows)), str(value["seal"]), rows)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None


class Seal:
    """Makes and verifies the tags of one instance. It has only the derived key."""

    def __init__(self, secret: bytes, origin: str, mark: Mark) -> None:
        self._key: Final = HKDF(SHA256(), 32, None, _LABEL).derive(secret)
        self.origin: Final = origin
        self.mark: Final = mark
        self._newest: tuple[str, Head] | None = None  # which need not be parsed again
        self._told: set[str] = set()

    @classmethod
    def of(cls, settings: Settings) -> Seal:
        """The seal of an instance. Raises OSError or a failure if its hash key is unreadable."""
        return cls(Keyring(settings).hash_key(), settings.origin, Mark(settings.checkpoint_file.with_name(MARK)))

    def tag(self, number: int, digest: str) -> str:
        return hmac.digest(self._key, jcs.encode([self.origin, number, digest]), hashlib.sha256).hex()

    def proves(self, number: int, digest: str, tag: str) -> bool:
        return hmac.compare_digest(self.tag(number, digest).encode(), tag.encode())

    def seen(self) -> Seen | Misfit | None:
        """The mark of this log. A reader takes it before its moment of the database, which is then not older."""
        try:
            seen = self.mark.read()
        except Failure:
            return Misfit("mark", str(self.mark.path), "altered")
        return seen if seen is not None and seen.origin == self.origin else None

    def head(self, connection: Connection, seen: Seen | Misfit | None, *, lift: bool = True) -> Head | Misfit:
        """The map in force, or what is wrong with it."""
        text = stored(connection)
        if text is None:
            return Misfit("instance", KEY, "missing")
        head = self._opened(text)
        if head is None:
            return Misfit("instance", KEY, "altered")
        if isinstance(seen, Misfit):
            return seen
        if seen is not None and head.revision < seen.revision:
            return Misfit("instance", f"{KEY} {head.revision} < {seen.revision}", "altered")
        if seen is not None and head.revision == seen.revision and head.digest != seen.digest:
            return Misfit("instance", KEY, "altered")
        if lift:
            self.mark.lift(Seen(self.origin, head.revision, head.digest))
        return head

    def _opened(self, text: str) -> Head | None:
        newest = self._newest
        if newest is not None and newest[0] == text:
            return newest[1]
        head = Head.parse(text)
        if head is None or not self.proves(head.revision, head.digest, head.tag):
            return None
        self._newest = text, head
        return head

    def look(self, connection: Connection, seen: Seen | Misfit | None) -> list[Misfit]:
        """The rows that differ from the map in force. `seen` was read before the connection's moment."""
        head = self.head(connection, seen)
        if isinstance(head, Misfit):
            return [] if self.never(connection, seen) else [head]
        return misfits(head.rows, stored_rows(connection))

    def never(self, connection: Connection, seen: Seen | Misfit | None) -> bool:
        """Whether there is no map, mark or tag: an instance of an older release, not started since."""
        return stored(connection) is None and seen is None and not any(True for _ in told(connection))

    def tell(self, misfit: Misfit) -> None:
        """On standard error, once for each row."""
        text = str(misfit)
        if text not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(text)
            _log.error("accounts.altered: %s", text)

    def store(self, connection: Connection, number: int, rows: Rows) -> tuple[Seen, dict[str, Any]]:
        """Write the map; returns what the mark and the entry say of it."""
        digest = digest_of_text(canonical(rows))
        tag = self.tag(number, digest)
        keep(connection, KEY, json.dumps({"revision": number, "seal": tag, "rows": rows}))
        return Seen(self.origin, number, digest), {"revision": number, "digest": digest, "seal": tag}


def stored(connection: Connection) -> str | None:
    text: str | None = value_of(connection, KEY)
    return text


def stored_rows(connection: Connection) -> dict[str, dict[str, str]]:
    """Table -> key -> digest of the present rows, without empty tables."""
    found = {
        table.name: {key_of(table, row): digest_of(table, row) for row in connection.execute(select(table)).mappings()}
        for table in TABLES
    }
    return {name: of_table for name, of_table in found.items() if of_table}


def key_of(table: Table, row: Mapping[Any, Any]) -> str:
    """The id of an account; for another row that of its account, a blank, and its own key."""
    (column,) = table.primary_key.columns
    return str(row["id"]) if table is tables.console_account else f"{row['account']} {row[column.name]}"


def digest_of(table: Table, row: Mapping[Any, Any]) -> str:
    """SHA-256 of the row's canonical form, in hex; of one that has none, an empty text."""
    names = [column.name for column in table.columns if column.name not in _LEFT_OUT.get(table.name, ())]
    values = {name: row.get(name) for name in names}
    try:
        return digest_of_text(
            canonical({name: each.hex() if isinstance(each, bytes) else each for name, each in values.items()})
        )
    except (TypeError, ValueError):  # what no program of ours writes, such as an infinite time
        return ""


def told(connection: Connection) -> Iterator[Mapping[str, Any]]:
    """What the entries say of maps, in no order. Reads all entries of PHASES."""
    for table in tables.LOGS:
        for entry in connection.execute(select(table.c.entry).where(table.c.phase.in_(PHASES))).scalars():
            facts = borne(bytes(entry))
            if facts is not None:
                yield facts


def borne(entry: bytes) -> Mapping[str, Any] | None:
    """What an entry says of the map; None if it says nothing."""
    try:
        facts = json.loads(entry)["facts"][FACT]
    except (KeyError, TypeError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def proved(seal: Seal, facts: Mapping[str, Any]) -> bool:
    """Whether what an entry says of a map has this instance's tag."""
    return well_made(facts) and seal.proves(facts["revision"], facts["digest"], facts["seal"])


def well_made(facts: Mapping[str, Any]) -> bool:
    kinds = {"revision": int, "digest": str, "seal": str}
    return all(isinstance(facts.get(name), kind) for name, kind in kinds.items())
