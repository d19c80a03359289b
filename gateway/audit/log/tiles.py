"""The log's tiles in the database, and the resources of C2SP tlog-tiles by path.

Invariant: what is served for a path lies within the newest checkpoint, and never changes afterwards.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from gateway.audit.errors import AUDIT_NO_TILE
from gateway.journal.schema import tables
from security.transparency import tiles as form
from security.transparency.merkle import HASH
from security.transparency.tiles import WIDTH, Builder, ReadTile, root_of_edge

__all__ = ["BrokenTile", "read_path", "root_at", "root_of_edge", "size_of_log", "tile_reader"]


class BrokenTile(ValueError):
    """A required tile is missing or too short."""


def tile_reader(connection: Connection) -> ReadTile:
    """Reads the first `width` hashes of a tile."""
    table = tables.log_tile.c
    wanted: Final = select(table.hashes)

    def read(level: int, number: int, width: int) -> bytes:
        hashes = bytes(connection.execute(wanted.where(table.level == level, table.number == number)).scalar() or b"")
        if len(hashes) < width * HASH:
            raise BrokenTile(
                f"tile {form.tile_path(level, number, width)} holds {len(hashes) // HASH} hashes of {width}"
            )
        return hashes[: width * HASH]

    return read


def root_at(connection: Connection, size: int) -> bytes:
    """The root of the first `size` leaves, from the tiles."""
    return root_of_edge(Builder.load(size, tile_reader(connection)))


def size_of_log(connection: Connection) -> int:
    """Entries under the newest checkpoint."""
    return int(connection.execute(select(func.max(tables.checkpoint.c.size))).scalar() or 0)


def read_path(connection: Connection, path: str) -> bytes:
    """A tile or a bundle of entries by its C2SP path (`tile/0/x001/234`, `tile/entries/000.p/12`)."""
    try:
        level, number, width = form.parse_path(path)
    except ValueError as error:
        raise AUDIT_NO_TILE(path=path[:80]) from error
    size = size_of_log(connection)
    if number * WIDTH + width > size >> 8 * (level or 0):
        raise AUDIT_NO_TILE(path=path)
    if level is not None:
        return tile_reader(connection)(level, number, width)
    table = tables.log_entry.c
    start = number * WIDTH
    rows = connection.execute(
        select(table.entry).where(table.idx >= start, table.idx < start + width).order_by(table.idx)
    )
    return form.entry_bundle(bytes(row[0]) for row in rows)
