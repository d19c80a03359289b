"""Tiles: paths, bundles, growing and reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from security.transparency.merkle import Tree, consistency_proof, inclusion_proof, leaf_hash, root_at, root_of
from security.transparency.tiles import (
    Builder,
    entries_path,
    entry_bundle,
    hashes_at,
    number_path,
    parse_bundle,
    parse_path,
    split_hashes,
    tile_path,
    tiles_of,
)


@pytest.mark.parametrize(
    ("number", "path"),
    [(0, "000"), (7, "007"), (999, "999"), (1000, "x001/000"), (1067, "x001/067"), (1234067, "x001/x234/067")],
)
def test_numbers(number: int, path: str) -> None:
    assert number_path(number) == path
    assert parse_path(f"tile/0/{path}") == (0, number, 256)


def test_paths() -> None:
    assert tile_path(0, 1067) == "tile/0/x001/067"
    assert tile_path(2, 5, 17) == "tile/2/005.p/17"
    assert entries_path(1067, 255) == "tile/entries/x001/067.p/255"
    assert parse_path("tile/entries/x001/067.p/255") == (None, 1067, 255)
    for wrong in (
        "tile/0/1",
        "tile/0/0001",
        "tile/00/001",
        "tile/0/x000/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/x1/001",
        "tile/x/001",
        "/tile/0/001",
        "tile/0/001/",
        "tile/64/001",
        "tile/-1/001",
    ):
        with pytest.raises(ValueError):
            parse_path(wrong)
    calls: list[Callable[[], str]] = [
        lambda: number_path(-1),
        lambda: tile_path(64, 0),
        lambda: tile_path(0, 0, 0),
        lambda: tile_path(0, 0, 257),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()


@given(st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_paths_read_back(level: int, number: int, width: int) -> None:
    assert parse_path(tile_path(level, number, width)) == (level, number, width)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_read_back(entries: list[bytes]) -> None:
    assert parse_bundle(entry_bundle(entries)) == entries


def test_broken_bundles() -> None:
    with pytest.raises(ValueError):
        entry_bundle([bytes(65536)])
    for raw in (b"\x00", b"\x00\x02a", b"\x00\x01ab"):
        with pytest.raises(ValueError):
            parse_bundle(raw)
    with pytest.raises(ValueError):
        split_hashes(bytes(33))


def test_which_tiles_a_tree_has() -> None:
    assert list(tiles_of(0)) == []
    assert list(tiles_of(256)) == [(0, 0, 256), (1, 0, 1)]
    assert list(tiles_of(70000))[-4:] == [(0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]


@pytest.fixture(scope="module")
def grown() -> Any:
    """70,000 leaves in three steps, kept in a dictionary by (level, number, width)."""
    leaves = [leaf_hash(n.to_bytes(4, "big")) for n in range(70_000)]
    stored: dict[tuple[int, int, int], bytes] = {}
    builder, done = Builder(), 0
    for size in (300, 65_536, 70_000):
        for leaf in leaves[done:size]:
            builder.append(leaf)
        for tile in builder.take():
            stored[tile.level, tile.number, tile.width] = tile.hashes
        done = size
        # another process goes on from what is stored
        builder = Builder.load(size, lambda level, number, width: stored[level, number, width])
    return leaves, stored


def test_tiles_hold_the_tree(grown: Any) -> None:
    leaves, stored = grown
    for size in (300, 65_536, 70_000):
        assert set(tiles_of(size)) <= set(stored)
        at = hashes_at(size, lambda level, number, width: stored[level, number, width])
        assert root_at(size, at) == root_of(leaves[:size])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_proofs_from_tiles_are_those_from_memory(grown: Any, data: st.DataObject) -> None:
    leaves, stored = grown
    at = hashes_at(70_000, lambda level, number, width: stored[level, number, width])
    index = data.draw(st.integers(0, 69_999))
    tree = _tree(leaves)
    assert inclusion_proof(index, 70_000, at) == inclusion_proof(index, 70_000, tree.at)
    assert consistency_proof(index + 1, 70_000, at) == consistency_proof(index + 1, 70_000, tree.at)


_kept: list[Tree] = []


def _tree(leaves: Sequence[bytes]) -> Any:
    if not _kept:
        _kept.append(Tree(leaves))
    return _kept[0]


def test_narrow_tiles_are_noticed(grown: Any) -> None:
    _, stored = grown
    with pytest.raises(ValueError):
        root_at(300, hashes_at(300, lambda level, number, width: stored[level, number, width][:-32]))
    with pytest.raises(ValueError):
        Builder(300, [[bytes(32)]])
