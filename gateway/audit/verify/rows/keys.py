"""Checks the business keys of feeds: each row is as it was written, its transfers were accepted, and none is missing.

Outcomes, and notes of older events that were taken up, say how many keys were new. Rows are never deleted. So a key
whose row was deleted, which could then be used again, shows in the count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.logged import parse
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import TAKEN_UP, is_sound


def check_keys(
    connection: Connection, wrong: Findings, hash_id: Callable[[str], str] | None, taken: Mapping[str, int]
) -> None:
    """`hash_id` gives the keyed hash; without it only the transfers are looked up. `taken` are the new keys by outcomes
    in the log, by contract.
    """
    table, transfer = tables.feed_key, tables.transfer
    columns = [table.c[name] for name in KeyRow._fields]
    rows = select(*columns, transfer.c.state.label("transfer_state")).select_from(
        table.outerjoin(transfer, transfer.c.id == table.c.transfer)
    )
    rows_of: Counter[str] = Counter()
    for *values, state in connection.execute(rows.execution_options(yield_per=1000)):
        row = KeyRow(*values)
        wrong.count("business keys")
        rows_of[row.contract] += 1
        if state != "accepted":
            wrong.add(f"the business key of transfer {row.transfer}: no such transfer was accepted")
        elif hash_id is not None and not is_sound(row, hash_id):
            wrong.add(f"the business key of transfer {row.transfer}: its row is not as it was written")
    logged = Counter(taken) + _taken_up(connection)
    for contract in sorted({*logged, *rows_of}):
        if logged[contract] != rows_of[contract]:
            wrong.add(
                f"the business keys of {contract}: by the log there are {logged[contract]}, in the database"
                f" {rows_of[contract]}"
            )


def _taken_up(connection: Connection) -> Counter[str]:
    """The new keys of older events, by contract."""
    keys: Counter[str] = Counter()
    for table in tables.LOGS:
        for entry in connection.scalars(select(table.c.entry).where(table.c.phase == TAKEN_UP)):
            facts = parse(bytes(entry)).get("facts")
            if isinstance(facts, dict) and isinstance(facts.get("keys"), int):
                keys[str(facts.get("contract"))] += facts["keys"]
    return keys
