"""Epochs of the feeds: a database that was restored gives offsets of a new epoch, so that no offset is ever given to two different events.

Readers may have read further than the restored feed goes. Its next event bears the first offset of the next epoch, far above any that was given before; so a
cursor of the lost part points at an offset that no event has, and is told apart from every cursor that still holds. An instance that was never restored is
in epoch 0, whose offsets begin at 1.
Invariant: an epoch is begun in the transaction that restores, before anything can be sequenced.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, insert, select, update

from gateway.journal.schema import tables

KEY: Final = "feed.epoch"
OFFSETS: Final = (
    10**12
)  # of one epoch: at ten thousand events a second they last three years and more; and a number of JSON holds 9,000 epochs


def epoch(connection: Connection) -> int:
    value = connection.scalar(select(tables.instance.c.value).where(tables.instance.c.key == KEY))
    return 0 if value is None else int(value)


def base(connection: Connection) -> int:
    """The offset before the first one of the present epoch."""
    return epoch(connection) * OFFSETS


def begin(connection: Connection) -> int:
    """Begin the next epoch; its number."""
    number = epoch(connection) + 1
    if not connection.execute(
        update(tables.instance).where(tables.instance.c.key == KEY).values(value=str(number))
    ).rowcount:
        connection.execute(insert(tables.instance).values(key=KEY, value=str(number)))
    return number
