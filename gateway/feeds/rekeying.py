"""Takes up events into the table of business keys that were accepted without them, page by page in the feed's order.

An event whose own contract declared the same keys was taken up when it was accepted; it is passed over without opening
its body. The others are settled as the door would have settled them. What the door would have refused counts as
handed in: it is in the feed. Events without a body are passed over.
Invariant: a key that a later event changed stays as that event left it.
Invariant: one transaction writes the rows of a page, how many are new, and how far it got. A door that changes a key
  meanwhile wins; the page is done again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, cast

from sqlalchemy import Connection, Engine, Row, delete, insert, select

from contracts.base.errors import Failure, Theirs
from contracts.canonical.model import Operation
from contracts.compiled.contract import CompiledContract
from contracts.faces.identities import declared
from contracts.wire.jsontext import read_json
from gateway.feeds import history, keys
from gateway.feeds.keys import Claim, Party
from gateway.journal.append import append
from gateway.journal.database import writing
from gateway.journal.filelock import FileLock
from gateway.journal.schema import tables
from gateway.journal.statements import Cursor, Statements
from gateway.journal.write import KeyRow
from gateway.transfer import entries
from gateway.transfer.key_seals import TAKEN_UP, HashId, sealed
from gateway.vault.vault import Opened, Vault
from security.transparency.entry import Json

PAGE: Final = 200
_Taken = tuple[int, str, Claim]  # offset, transfer, what it claims


class _Overtaken(Exception):
    """A door changed a key while the page was worked on."""


@dataclass(slots=True)
class Rekeying:
    engine: Engine
    lock: FileLock | None
    vault: Vault
    hash_id: HashId
    clock: Callable[[], float] = time.time

    def step(
        self,
        contracts: Iterable[CompiledContract],
        compiled: Callable[[str], CompiledContract],
        check: Callable[[Connection], None],
    ) -> int:
        """Takes up a page of each contract; returns how many events were looked at. `compiled` finds a contract by its
        digest, `check` refuses the transaction of a keeper that was overtaken.
        """
        looked = 0
        for contract in contracts:
            rules = _rules(contract)
            if rules is not None:
                looked += self._page(contract, rules, compiled, check)
        return looked

    def _page(
        self,
        contract: CompiledContract,
        rules: str,
        compiled: Callable[[str], CompiledContract],
        check: Callable[[Connection], None],
    ) -> int:
        name, table = contract.contract.name, tables.feed_keyed
        event, transfer = tables.feed_event.c, tables.transfer.c
        columns = (event.offset, event.transfer, event.event, transfer.operation)
        with self.engine.connect() as connection:
            state = connection.execute(select(table.c.upto, table.c.rules).where(table.c.contract == name)).first()
            upto = state.upto if state is not None and state.rules == rules else 0
            rows = connection.execute(
                select(*columns, transfer.caller_agency, transfer.caller_system)
                .join(tables.transfer, transfer.id == event.transfer)
                .where(event.contract == name, event.offset > upto)
                .order_by(event.offset)
                .limit(PAGE)
            ).all()
            if not rows:
                return 0
            taken = self._claims(connection, contract, compiled, rows)
        try:
            with writing(self.engine, self.lock) as connection:
                check(connection)
                new = self._write(connection, taken)
                if taken:
                    history.begin(connection, name, self.clock())
                if new:
                    facts: dict[str, Json] = {"contract": name, "upto": rows[-1].offset, "keys": new}
                    append(connection, [entries.note(TAKEN_UP, facts, self.clock())])
                connection.execute(delete(table).where(table.c.contract == name))
                connection.execute(insert(table).values(contract=name, upto=rows[-1].offset, rules=rules))
        except _Overtaken:
            return 0
        return len(rows)

    def _claims(
        self,
        connection: Connection,
        contract: CompiledContract,
        compiled: Callable[[str], CompiledContract],
        rows: Sequence[Any],
    ) -> list[_Taken]:
        operations = contract.contract.operations
        wanted = []
        for row in rows:
            operation = operations.get(row.operation)
            if operation is None or operation.identity is None:
                continue
            if not _same(_first(compiled, row), operation):
                wanted.append((row, operation))
        bodies = self.vault.open_many(connection, [f"{row.transfer}/canonical" for row, _ in wanted])
        taken: list[_Taken] = []
        for row, operation in wanted:
            body, party = bodies.get(f"{row.transfer}/canonical"), Party(row.caller_agency, row.caller_system)
            if not isinstance(body, Opened):
                continue
            try:
                claim = keys.claim(contract.contract, operation, read_json(body.plain), party, self.hash_id)
            except Theirs:  # two items under one key
                continue
            if claim is not None:
                taken.append((row.offset, row.transfer, claim))
        return taken

    def _write(self, connection: Connection, taken: Sequence[_Taken]) -> int:
        """Returns how many keys nothing stood under before."""
        stored = keys.read_rows(connection, sorted({key for _, _, claim in taken for key in claim.keys}))
        known, places = dict(stored), _places(connection, stored)
        for offset, transfer, claim in taken:
            for row in _settled(claim, known, transfer):
                before = known.get(row.key)
                # An event without a place is not sequenced yet, so it is later.
                if before is None or (place := places.get(before.changed)) is not None and place < offset:
                    known[row.key] = row
            places[transfer] = offset
        rows = []
        for key, row in known.items():
            if row is not (before := stored.get(key)):
                step = row._replace(previous=None if before is None else before.changed)
                rows.append(sealed(step, self.hash_id))
        if rows:
            cursor = cast(Cursor, connection.connection.cursor())
            written = Statements(connection.dialect.name).put_keys(cursor, KeyRow._fields, sorted(rows))
            if len(written) < len(rows):
                raise _Overtaken
        return sum(row.previous is None for row in rows)


def _settled(claim: Claim, known: Mapping[str, KeyRow], transfer: str) -> Sequence[KeyRow]:
    try:
        return keys.settle(claim, known, transfer).rows
    except Theirs:
        return keys.as_handed_in(claim, known, transfer)


def _places(connection: Connection, rows: Mapping[str, KeyRow]) -> dict[str, int]:
    """The offsets of the events that changed the rows last."""
    event, changed = tables.feed_event.c, sorted({row.changed for row in rows.values()})
    places: dict[str, int] = {}
    for start in range(0, len(changed), PAGE):
        found = select(event.transfer, event.offset).where(event.transfer.in_(changed[start : start + PAGE]))
        places.update((row.transfer, row.offset) for row in connection.execute(found))
    return places


def _first(compiled: Callable[[str], CompiledContract], row: Row[Any]) -> Operation | None:
    """The operation as the contract declared it then; None if that contract is not known."""
    try:
        bundle = json.loads(row.event)["lgspbundle"]
        return compiled(bundle).contract.operations.get(row.operation)
    except (Failure, LookupError):
        return None


def _same(one: Operation | None, other: Operation) -> bool:
    return one is not None and declared(one).get("x-lgsp-identity") == declared(other).get("x-lgsp-identity")


def _rules(contract: CompiledContract) -> str | None:
    """The digest of what the contract declares of its keys; None if it declares none."""
    each = {name: declared(op) for name, op in contract.contract.operations.items() if op.identity is not None}
    return sha256(json.dumps(each, sort_keys=True).encode()).hexdigest() if each else None
