"""Which tests belong to which lane. `./lgsp test` runs the default lane, which judges a change; `./lgsp test --full`
runs all.

Of the full lane alone is a test
- with the marker `full`,
- that is a case of a walk with the marker `sampled`, and none of its sample,
- that is on PostgreSQL what another is on SQLite, in a package that has no SQL of its own.

A test of the default lane that takes more than `LONG` seconds stands in `tests/project/kept.tsv`, with the
promise that it alone proves.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
MEASURES: Final = "tests/project/test_bench.py"  # alone on the machine, or what they measure is something else
LONG: Final = 3.0  # seconds of the wall clock
_MARKER: Final = "pytest.mark." + "server"
_KIND: Final = re.compile(r"\bpostgresql\b")

# What has SQL of its own is tried on both databases in the default lane.
POSTGRESQL: Final = ("audit", "backup", "delivery", "feeds", "journal", "registry", "transfer", "vault")

_KEPT: Final = ROOT / "tests" / "project" / "kept.tsv"


@cache
def kept() -> Mapping[str, str]:
    """What stays in the default lane in spite of its length, at most forty: the beginning of a test's name, and the
    promise that it alone proves."""
    rows = (line.split("\t") for line in _KEPT.read_text("utf-8").splitlines()[1:])
    return {row[0]: row[1] for row in rows}


def mark(items: Iterable[pytest.Item]) -> None:
    """Gives the marker `full` to all that is of the full lane alone. A case that is asked for by its name alone is no
    second database, and no further case of a walk."""
    items = list(items)
    ids = {item.nodeid for item in items}
    walks: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled"):
            walks[item.nodeid.partition("[")[0]].append(item)
        if _is_second_database(item.nodeid, ids):
            item.add_marker("full")
    for walk in walks.values():
        if len(walk) > 1:
            for item in walk:
                if not _in_sample(item, walk):
                    item.add_marker("full")


def _is_second_database(nodeid: str, ids: set[str]) -> bool:
    name, bracket, case = nodeid.partition("[")
    folder = name.removeprefix("tests/").partition("/")[0]
    return folder not in POSTGRESQL and bool(_KIND.search(case)) and name + bracket + _KIND.sub("sqlite", case) in ids


def _in_sample(item: pytest.Item, walk: list[pytest.Item]) -> bool:
    """`sampled(every=4)`: each fourth case. `sampled("*-rest", but=("late-*",))`: by patterns of the case's id."""
    marker = item.get_closest_marker("sampled")
    assert marker is not None
    if "every" in marker.kwargs:
        return walk.index(item) % int(marker.kwargs["every"]) == 0
    case = item.nodeid.partition("[")[2].removesuffix("]")
    return any(fnmatchcase(case, each) for each in marker.args) and not any(
        fnmatchcase(case, each) for each in marker.kwargs.get("but", ())
    )


@cache
def server_files() -> list[str]:
    """The files whose tests may start real servers, relative to the project: those that name the marker, or have a
    `conftest.py` beside them that does. The run of these tests collects no other file."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if (path.name == "conftest.py" or path.name.startswith("test_")) and _MARKER in path.read_text("utf-8"):
            found |= set(path.parent.glob("test_*.py") if path.name == "conftest.py" else [path])
    return sorted(str(path.relative_to(ROOT)) for path in found)


@cache
def test_files() -> list[str]:
    """All files of tests, relative to the project."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py"))
