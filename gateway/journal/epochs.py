"""Epochs of the feeds: a restored database continues with offsets of a new epoch.

A reader may have read further than the restored feed goes. The next event gets the first offset of the next epoch, far
above any earlier offset. So no offset ever names two events, and a cursor of the lost part is told apart from a valid
one. An instance that was never restored is in epoch 0, whose offsets begin at 1.

Invariant: an epoch begins in the transaction that restores, before anything can be sequenced.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from gateway.journal.values import keep, value_of

KEY: Final = "feed.epoch"
# Offsets per epoch: enough for three years at 10,000 events a second. A JSON number holds 9,000 epochs.
OFFSETS: Final = 10**12


def epoch(connection: Connection) -> int:
    value = value_of(connection, KEY)
    return 0 if value is None else int(value)


def base(connection: Connection) -> int:
    """The offset before the first one of the present epoch."""
    return epoch(connection) * OFFSETS


def begin(connection: Connection) -> int:
    """Begins the next epoch; returns its number."""
    number = epoch(connection) + 1
    keep(connection, KEY, str(number))
    return number
