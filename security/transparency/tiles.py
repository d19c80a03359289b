"""The log as tiles (C2SP tlog-tiles): paths, entry bundles, growing and reading tiles, as pure functions.

A tile holds up to 256 hashes of tree level 8·L; a full one never changes. Level and number are those of C2SP paths.
Invariant: `Builder` returns each grown tile in full width, in the order of growth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from security.transparency.merkle import EMPTY_ROOT, HASH, At, node_hash, root_of

WIDTH: Final = 256
_PATH: Final = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")

ReadTile = Callable[[int, int, int], bytes]


@dataclass(frozen=True, slots=True)
class Tile:
    """`hashes` are `width` hashes of 32 bytes."""

    level: int
    number: int
    hashes: bytes

    @property
    def width(self) -> int:
        return len(self.hashes) // HASH

    @property
    def path(self) -> str:
        return tile_path(self.level, self.number, self.width)


def number_path(number: int) -> str:
    """1234067 as `x001/x234/067`."""
    if number < 0:
        raise ValueError("a tile's number is not negative")
    text = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        text = f"x{number % 1000:03d}/{text}"
    return text


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    if not 0 <= level < 64:
        raise ValueError("a tile's level lies between 0 and 63")
    return f"tile/{level}/{number_path(number)}{_partial(width)}"


def entries_path(number: int, width: int = WIDTH) -> str:
    return f"tile/entries/{number_path(number)}{_partial(width)}"


def _partial(width: int) -> str:
    if not 1 <= width <= WIDTH:
        raise ValueError(f"a tile's width lies between 1 and {WIDTH}")
    return "" if width == WIDTH else f".p/{width}"


def parse_path(path: str) -> tuple[int | None, int, int]:
    """(level, number, width); level None for an entry bundle. ValueError for any other path."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(f"not the path of a tile: {path!r}")
    kind, thousands, last, width = match.groups()
    level = None if kind == "entries" else int(kind)
    number = int(thousands.replace("x", "").replace("/", "") + last)
    count = int(width) if width else WIDTH
    written = entries_path(number, count) if level is None else tile_path(level, number, count)
    if written != path:
        raise ValueError(f"not the path of a tile: {path!r}")
    return level, number, count


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every tile of a tree of `size` leaves."""
    level = 0
    while size:
        full, part = divmod(size, WIDTH)
        for number in range(full):
            yield level, number, WIDTH
        if part:
            yield level, full, part
        size = full
        level += 1


def entry_bundle(entries: Iterable[bytes]) -> bytes:
    """Concatenated entries, each after its length in two bytes."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > 0xFFFF:
            raise ValueError("an entry of the log has at most 65,535 bytes")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_bundle(bundle: bytes) -> list[bytes]:
    """The entries of a bundle. ValueError if it ends within one."""
    entries = []
    at = 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        at += 2 + length
        if at > len(bundle):
            raise ValueError("a bundle of entries ends within an entry")
        entries.append(bundle[at - length : at])
    return entries


class Builder:
    """Grows tiles. `edge` has, for each level, the hashes of its last tile if that is partial."""

    __slots__ = ("_changed", "edge", "size")

    def __init__(self, size: int = 0, edge: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self.edge: list[list[bytes]] = [list(hashes) for hashes in edge]
        self._changed: dict[tuple[int, int], list[bytes]] = {}
        widths, left = [], size
        while left:
            widths.append(left % WIDTH)
            left //= WIDTH
        if [len(hashes) for hashes in self.edge] != widths:
            raise ValueError(f"the edge of a log of {size} has the widths {widths}")

    @classmethod
    def load(cls, size: int, read: ReadTile) -> Builder:
        """Continues a stored tree; `read` returns the hashes of (level, number, width)."""
        edge, left, level = [], size, 0
        while left:
            number, width = divmod(left, WIDTH)
            edge.append(split_hashes(read(level, number, width))[:width] if width else [])
            left, level = number, level + 1
        return cls(size, edge)

    def append(self, leaf: bytes) -> None:
        self.size += 1
        level, number, value = 0, (self.size - 1) // WIDTH, leaf
        while True:
            if level == len(self.edge):
                self.edge.append([])
            hashes = self.edge[level]
            hashes.append(value)
            self._changed[level, number] = hashes
            if len(hashes) < WIDTH:
                return
            self.edge[level] = []
            value = root_of(hashes)
            level, number = level + 1, number // WIDTH

    def take(self) -> list[Tile]:
        """The tiles that grew since the last call."""
        grown = [Tile(level, number, b"".join(hashes)) for (level, number), hashes in self._changed.items()]
        self._changed = {}
        return grown


def root_of_edge(builder: Builder) -> bytes:
    """The root, from the last tile of each level: the subtree below is the last node of each."""
    below: list[bytes] = []
    for hashes in builder.edge:
        nodes = [*hashes, *below]
        below = [root_of(nodes)] if nodes else []
    return below[0] if below else EMPTY_ROOT


def split_hashes(raw: bytes) -> list[bytes]:
    """The hashes of a tile. ValueError for a partial hash."""
    if len(raw) % HASH:
        raise ValueError("a tile is made of hashes of 32 bytes")
    return [raw[i : i + HASH] for i in range(0, len(raw), HASH)]


def hashes_at(size: int, read: ReadTile) -> At:
    """The `At` of a tree of `size` leaves stored in tiles; each tile is read once."""
    cache: dict[tuple[int, int], list[bytes]] = {}

    def at(level: int, index: int) -> bytes:
        tile_level, within = divmod(level, 8)
        first = index << within
        number, start = divmod(first, WIDTH)
        hashes = cache.get((tile_level, number))
        if hashes is None:
            width = min(WIDTH, (size >> 8 * tile_level) - number * WIDTH)
            hashes = cache[tile_level, number] = split_hashes(read(tile_level, number, width))
        nodes = hashes[start : start + (1 << within)]
        if len(nodes) != 1 << within:
            raise ValueError(f"tile {tile_path(tile_level, number)} is narrower than a log of {size} needs")
        return nodes[0] if within == 0 else node_hash(*nodes) if within == 1 else root_of(nodes)

    return at
