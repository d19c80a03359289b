"""What tests cost, by file: `tests/durations.tsv` has what the last `./lgsp test --full --record` measured.

It orders files (the dearest first) and makes shards of equal length. A run says how many of its tests are in no file of
the table; from one in twenty on it asks for `--record`.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.counters import PROPERTY
from tests.lanes import LONG, kept, server_files

TABLE: Final = Path(__file__).with_name("durations.tsv")
COLUMNS: Final = ("tests", "seconds", "processor", "instances", "databases", "browsers", "openssl", "node")
NOT_REACHED: Final = "not reached: the time was up"  # the beginning of a skip's reason
_SHOWN: Final = 30
_UNKNOWN: Final = 20.0  # seconds that a file is taken for that the table does not know
_STALE: Final = 0.05  # of the tests


@dataclass(frozen=True, slots=True)
class Taken:
    """One test of a run. `cost`: what `tests/counters.py` counted, and `processor` in seconds."""

    file: str
    name: str  # file and test, as pytest names them
    seconds: float
    cost: Mapping[str, float]
    failed: bool
    skipped: str  # the reason, or nothing

    @property
    def reached(self) -> bool:
        return not self.skipped.startswith(NOT_REACHED)


def read(report: Path) -> list[Taken]:
    """The tests of pytest's JUnit file, in its order."""
    return [_taken(case) for case in ElementTree.parse(report).getroot().iter("testcase")]


def _taken(case: ElementTree.Element) -> Taken:
    parts = case.get("classname", "").split(".")
    file = next((number for number, part in enumerate(parts) if part.startswith("test_")), len(parts) - 1)
    path = "/".join(parts[: file + 1]) + ".py"
    tags = {part.tag: part for part in case}
    properties = {each.get("name"): each.get("value", "") for each in case.iter("property")}
    return Taken(
        path,
        "::".join([path, *parts[file + 1 :], case.get("name", "")]),
        float(case.get("time", "0")),
        json.loads(properties.get(PROPERTY) or "{}"),
        bool({"failure", "error"} & tags.keys()),
        tags["skipped"].get("message", "skipped") if "skipped" in tags else "",
    )


def folder_of(file: str) -> str:
    return Path(file).parts[1] if len(Path(file).parts) > 2 else "."


def sums(tests: Iterable[Taken]) -> dict[str, Counter[str]]:
    """Of each file: its tests, seconds, and what was counted."""
    found: dict[str, Counter[str]] = {}
    for each in tests:
        row = found.setdefault(each.file, Counter())
        row.update(each.cost)
        row.update({"tests": 1, "seconds": each.seconds})
    return found


def dearest(tests: Sequence[Taken]) -> list[str]:
    """The thirty tests that took longest, then each folder's sum, a line each."""
    ordered = sorted(tests, key=lambda each: -each.seconds)[:_SHOWN]
    lines = [f"{each.seconds:7.1f} s  {each.name}{_remark(each)}" for each in ordered]
    folders: dict[str, Counter[str]] = {}
    for file, row in sums(tests).items():
        folders.setdefault(folder_of(file), Counter()).update(row)
    lines.append("\n--- each folder: seconds, of them of the processor, tests")
    for folder, row in sorted(folders.items(), key=lambda each: -each[1]["seconds"]):
        lines.append(f"{row['seconds']:7.1f} s  {row['processor']:7.1f} s  {row['tests']:6}  {folder}")
    return lines


def _remark(test: Taken) -> str:
    return "" if test.seconds <= LONG or any(test.name.startswith(name) for name in kept()) else "  (above 3 s)"


def dearest_files(tests: Iterable[Taken], number: int = 5) -> list[str]:
    ordered = sorted(sums(tests).items(), key=lambda each: -each[1]["seconds"])
    return [f"{file} {row['seconds']:.0f} s" for file, row in ordered[:number]]


# --- the table --------------------------------------------------------------------------------------------------------


@cache
def recorded() -> Mapping[str, Mapping[str, float]]:
    lines = TABLE.read_text("utf-8").splitlines() if TABLE.exists() else []
    rows = (line.split("\t") for line in lines[1:])
    return {file: dict(zip(COLUMNS, map(float, values), strict=True)) for file, *values in rows}


def seconds_of(file: str) -> float:
    return recorded().get(file, {}).get("seconds", _UNKNOWN)


def record(tests: Iterable[Taken]) -> None:
    """Writes the table anew."""
    lines = ["\t".join(("file", *COLUMNS))]
    for file, row in sorted(sums(tests).items()):
        lines.append("\t".join([file, *(f"{row[name]:.1f}".removesuffix(".0") for name in COLUMNS)]))
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")
    recorded.cache_clear()


def unknown(tests: Sequence[Taken]) -> str:
    """How many tests are in no file of the table; nothing where it knows all."""
    number = sum(each.file not in recorded() for each in tests)
    if not number:
        return ""
    ask = ": ./lgsp test --full --record makes it anew" if number > _STALE * len(tests) else ""
    return f"{number} of {len(tests)} tests are in no file of tests/durations.tsv{ask}"


def shard(files: Iterable[str], number: int, of: int) -> list[str]:
    """The part `number` (from 1) of so many: each file is in one of them, with all its tests, since they share what
    they start. Both rows of a run are divided, by what the table says: each file goes where there is least so far."""
    servers = set(server_files())
    parts: list[list[str]] = [[] for _ in range(of)]
    for row in (True, False):
        sizes = [0.0] * of
        for file in sorted(
            (each for each in files if (each in servers) == row), key=lambda each: (-seconds_of(each), each)
        ):
            least = sizes.index(min(sizes))
            parts[least].append(file)
            sizes[least] += seconds_of(file)
    return sorted(parts[number - 1])
