"""Tiles are handed out only where they lead to the root: for trees of every shape, and for none that was touched."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.transparency.merkle import HASH, ProofError, root_of
from security.transparency.proved_tiles import ProvedTiles
from security.transparency.tiles import WIDTH, Builder, tiles_of

# Sizes about the edges of tiles, and one with a third level.
SIZES = st.one_of(st.integers(1, 700), st.sampled_from([255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000]))
LEAVES = [hashlib.sha256(str(number).encode()).digest() for number in range(66_000)]
_BUILT: dict[int, tuple[bytes, dict[tuple[int, int], bytes]]] = {}


def built(size: int) -> tuple[bytes, dict[tuple[int, int], bytes]]:
    if size not in _BUILT:
        builder = Builder()
        for leaf in LEAVES[:size]:
            builder.append(leaf)
        _BUILT[size] = root_of(LEAVES[:size]), {(tile.level, tile.number): tile.hashes for tile in builder.take()}
    return _BUILT[size]


@settings(max_examples=25, deadline=None)
@given(SIZES, st.data())
def test_every_tile_of_a_tree_is_given_and_none_that_was_touched(size: int, data: st.DataObject) -> None:
    root, tiles = built(size)
    proved = ProvedTiles(size, root, lambda level, number, width: tiles[level, number])
    wanted = list(tiles_of(size))
    for level, number, width in wanted[:4] + wanted[-4:]:
        assert proved.tile(level, number, width) == tiles[level, number]
    level, number, width = data.draw(st.sampled_from(wanted))
    at = data.draw(st.integers(0, width * HASH - 1))
    touched = bytearray(tiles[level, number])
    touched[at] ^= data.draw(st.integers(1, 255))
    changed = tiles | {(level, number): bytes(touched)}
    with pytest.raises(ProofError):
        ProvedTiles(size, root, lambda level, number, width: changed[level, number]).tile(level, number, width)


def test_a_tile_that_is_missing_too_short_or_not_of_this_tree() -> None:
    root, tiles = built(700)
    short = tiles | {(0, 1): tiles[0, 1][:-32]}
    proved = ProvedTiles(700, root, lambda level, number, width: short[level, number])
    with pytest.raises(ProofError, match=r"tile/0/001: missing, or it holds 255 hashes of 256"):
        proved.tile(0, 1)
    with pytest.raises(ProofError, match=r"tile/0/003: a tree of 700 has no such tile"):
        proved.tile(0, 3)
    with pytest.raises(ProofError, match="do not give the root"):
        ProvedTiles(700, built(699)[0], lambda level, number, width: tiles[level, number])
    assert proved.tile(0, 0, 3) == b"".join(LEAVES[:3]) and WIDTH == 256
