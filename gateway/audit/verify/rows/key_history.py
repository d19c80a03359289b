"""Checks what stood under business keys before: each row is as it was written, and the rows of a key form one chain.

A row names the transfer that changed it (`changed`), the one before (`previous`), and a past row the one after
(`replaced`). The first and the last row of a pair name one another.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, and_, exists, or_, select, union_all

from gateway.audit.verify.findings import MOST, Findings
from gateway.journal.schema import tables
from gateway.journal.write import KeyRow
from gateway.transfer.key_seals import HISTORY, is_sound

_key, _past = tables.feed_key, tables.feed_key_past


def check_key_history(connection: Connection, wrong: Findings, hash_id: Callable[[str], str] | None) -> None:
    """`hash_id` gives the keyed hash; without it the seals are not checked."""
    query = select(*(_past.c[name] for name in KeyRow._fields))
    for values in connection.execute(query.execution_options(yield_per=1000)):
        row = KeyRow(*values)
        wrong.count("past rows of business keys")
        if hash_id is not None and not is_sound(row, hash_id):
            wrong.add(f"a past row of a business key (transfer {row.transfer}): it is not as it was written")
    later = _past.alias()
    followed = or_(
        exists().where(
            _key.c.key == _past.c.key, _key.c.changed == _past.c.replaced, _key.c.previous == _past.c.changed
        ),
        exists().where(
            later.c.key == _past.c.key, later.c.changed == _past.c.replaced, later.c.previous == _past.c.changed
        ),
    )
    for (transfer,) in connection.execute(select(_past.c.transfer).where(~followed).limit(MOST)):
        wrong.add(f"a past row of a business key (transfer {transfer}): nothing followed it as it says")
    _missing(connection, wrong)


def _missing(connection: Connection, wrong: Findings) -> None:
    """A row that changed another one, which is not there. Changes before there was a history have none."""
    instance, transfer = tables.instance.c, tables.transfer.c
    since: dict[str, float] = {}
    for key, value in connection.execute(select(instance.key, instance.value).where(instance.key.like(f"{HISTORY}%"))):
        since[key.removeprefix(HISTORY).strip()] = float(value)
    rows = union_all(
        *(select(each.c.key, each.c.contract, each.c.changed, each.c.previous) for each in (_key, _past))
    ).subquery()
    query = (
        select(rows.c.contract, rows.c.changed, transfer.committed)
        .join(transfer.id.table, transfer.id == rows.c.changed)
        .outerjoin(_past, and_(_past.c.key == rows.c.key, _past.c.changed == rows.c.previous))
        .where(rows.c.previous.is_not(None), _past.c.key.is_(None))
    )
    for contract, changed, committed in connection.execute(query):
        if committed > max(since.get("", 0.0), since.get(contract, 0.0)):
            wrong.add(f"the business keys of {contract}: what transfer {changed} changed is missing")
