"""Tiles of a signed tree, returned only when proved (C2SP tlog-tiles, RFC 6962 §2.1).

Partial tiles form the tree's right edge; the edges of all levels give the root. The root of a full tile is a hash in
the tile above it, which is proved in the same way.
Invariant: `tile` returns only hashes that lead to the given root, whoever stores the tiles.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from security.transparency.merkle import HASH, ProofError, root_of
from security.transparency.tiles import WIDTH, Builder, ReadTile, root_of_edge, split_hashes, tile_path

_CACHED: Final = 64  # proved tiles in memory; a parent stays while its 256 children are read


class ProvedTiles:
    """Tiles of the tree of `size` leaves under `root`. ProofError names a tile that `read` returns short or wrong."""

    def __init__(self, size: int, root: bytes, read: ReadTile) -> None:
        self.size: Final = size
        self.read_tiles = 0  # distinct tiles proved
        self._read: Final = read
        self._edge: Final = Builder.load(size, self._whole)
        self._cache: Final[OrderedDict[tuple[int, int], bytes]] = OrderedDict()
        if root_of_edge(self._edge) != root:
            raise ProofError(f"the last tiles of the {size} entries do not give the root that was signed")
        self.read_tiles += sum(1 for hashes in self._edge.edge if hashes)

    def tile(self, level: int, number: int, width: int = WIDTH) -> bytes:
        """The first `width` hashes of the tile, or as many as the tree has."""
        full, part = divmod(self.size >> 8 * level, WIDTH)
        if number == full and part:
            return b"".join(self._edge.edge[level][:width])
        if not 0 <= number < full:
            raise ProofError(f"{tile_path(level, max(number, 0))}: a tree of {self.size} has no such tile")
        return self._full(level, number)[: width * HASH]

    def _full(self, level: int, number: int) -> bytes:
        cached = self._cache.get((level, number))
        if cached is not None:
            self._cache.move_to_end((level, number))
            return cached
        above, place = divmod(number, WIDTH)
        expected = self.tile(level + 1, above)[place * HASH : (place + 1) * HASH]
        hashes = self._whole(level, number, WIDTH)
        if root_of(split_hashes(hashes)) != expected:
            first = number * WIDTH ** (level + 1)
            raise ProofError(
                f"{tile_path(level, number)} (entries {first} to {first + WIDTH ** (level + 1) - 1}): "
                "does not lead to the root that was signed"
            )
        self.read_tiles += 1
        self._cache[level, number] = hashes
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return hashes

    def _whole(self, level: int, number: int, width: int) -> bytes:
        hashes = self._read(level, number, width)
        if len(hashes) < width * HASH:
            raise ProofError(
                f"{tile_path(level, number, width)}: missing, or it holds {len(hashes) // HASH} hashes of {width}"
            )
        return hashes[: width * HASH]
