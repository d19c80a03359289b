"""Checks the business keys of feeds: each row is as it was written, and its transfers were accepted.

A row that was deleted is not found here: then its key can be used again, and the feed shows both messages.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, select

from gateway.audit.verify.findings import Findings
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import is_sound


def check_keys(connection: Connection, wrong: Findings, hash_id: Callable[[str], str] | None) -> None:
    """`hash_id` gives the keyed hash; without it only the transfers are looked up."""
    table, transfer = tables.feed_key, tables.transfer
    columns = [table.c[name] for name in KeyRow._fields]
    rows = select(*columns, transfer.c.state.label("transfer_state")).select_from(
        table.outerjoin(transfer, transfer.c.id == table.c.transfer)
    )
    for *values, state in connection.execute(rows.execution_options(yield_per=1000)):
        row = KeyRow(*values)
        wrong.count("business keys")
        if state != "accepted":
            wrong.add(f"the business key of transfer {row.transfer}: no such transfer was accepted")
        elif hash_id is not None and not is_sound(row, hash_id):
            wrong.add(f"the business key of transfer {row.transfer}: its row is not as it was written")
