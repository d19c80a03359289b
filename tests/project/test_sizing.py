"""`docs/sizing.md`: its figures are those of the code, its sums add up, its tests exist, and both languages agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.pool import QueuePool

from bench import sizes
from gateway.journal.limits import for_calls
from gateway.journal.postgresql import engine_of
from tests.size import FULL

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/sizing.md").read_text("utf-8")
TWIN = (ROOT / "docs/vi/sizing.md").read_text("utf-8")
SYSTEMS, DAILY = 50, 2_000
SHARES = {"query": 0.6, "submit": 0.25, "dispatch": 0.15}
YEARS = (1, 3, 5)


def _tables(page: str) -> list[list[list[str]]]:
    """The cells of each table, without its head."""
    found = re.findall(r"^\|(?:-+\|)+\n((?:\|.*\n)+)", page, re.MULTILINE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in body.splitlines()] for body in found]


def _dots(page: str) -> str:
    """With decimal points."""
    return re.sub(r"\b(\d{1,2}),(\d)\b", r"\1.\2", page)


def _number(cell: str) -> int:
    return int(cell.split()[0].replace(",", ""))


# Of the log alone: entries of a message, their bytes, and those of their index.
ENTRIES = {row[0]: (int(row[1].partition(":")[0]), *(_number(cell) for cell in row[2:])) for row in _tables(PAGE)[2]}
KINDS = {row[0].split()[0]: [_number(cell) for cell in row[1:]] for row in _tables(PAGE)[1]}


def test_both_languages_have_the_same_figures() -> None:
    def figures(page: str) -> list[list[str]]:
        return [re.findall(r"\d[\d,]*", " ".join(row[1:])) for table in _tables(page)[:3] for row in table]

    assert figures(PAGE) == figures(TWIN) and len(figures(PAGE)) == 15
    years = [re.findall(r"[\d,]+ GB", row) for row in re.findall(r"^\| \d (?:years?|năm) .*$", PAGE, re.MULTILINE)]
    assert years == [re.findall(r"[\d,]+ GB", row) for row in re.findall(r"^\| \d năm .*$", TWIN, re.MULTILINE)]
    assert [len(table) for table in _tables(PAGE)[-3:]] == [len(table) for table in _tables(TWIN)[-3:]] == [10, 6, 12]
    recovery = [[re.findall(r"\d[\d.]*", " ".join(row)) for row in _tables(page)[-1]] for page in (PAGE, _dots(TWIN))]
    assert recovery[0] == recovery[1] and all(recovery[0])
    (slowest,) = re.findall(r"longest refusal took ([\d.]+) s", " ".join(PAGE.split()))
    assert f"lời từ chối lâu nhất mất {slowest} giây" in " ".join(_dots(TWIN).split())


def test_the_example_adds_up() -> None:
    day = {name: SYSTEMS * DAILY * share for name, share in SHARES.items()}
    assert list(KINDS) == list(SHARES)

    def gigabytes(column: int) -> float:
        return sum(day[name] * KINDS[name][column] for name in day) * 365 / 1e9

    kept, bodies, kept_lite, bodies_lite = (gigabytes(column) for column in (3, 4, 1, 2))
    assert f"| kept | {kept * 1000 / 365:.0f} MB | {kept:.0f} GB |" in PAGE
    assert f"| bodies | {bodies * 1000 / 365:.0f} MB | {bodies:.0f} GB |" in PAGE
    assert f"{kept_lite:.0f} GB kept and {bodies_lite:.0f} GB of bodies" in PAGE
    for years in YEARS:
        (row,) = re.findall(rf"^\| {years} years? \|(.*)\|$", PAGE, re.MULTILINE)
        shown = [_number(cell.strip()) for cell in row.split("|")]
        stays, goes = kept * years, bodies * min(years, 2)
        expected = [stays, goes, stays + goes, 1.5 * (stays + goes)]
        assert all(abs(a - b) <= 2 for a, b in zip(shown, expected, strict=True)), (years, shown, expected)


def test_connections_are_those_of_the_pool() -> None:
    url = make_url("postgresql+psycopg://nobody@127.0.0.1:1/none")
    engine = engine_of(url, for_calls(2.0), reading=False)
    assert isinstance(engine.pool, QueuePool)
    size, more = engine.pool.size(), engine.pool._max_overflow
    assert f"{size} connections in its pool and opens {more} more" in " ".join(PAGE.split())
    apart = 2  # one asks whether a silent server answers, one listens
    assert f"**{size + more + apart} × (doors" in PAGE and f"**{size + more + apart} × (số cửa" in TWIN


def test_each_claim_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) >= 12
    for file, test in named:
        assert re.search(rf"^(?:async )?def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), (file, test)


@pytest.mark.full
@pytest.mark.server
def test_a_transfer_takes_what_the_page_says() -> None:
    """Pages of the file are whole: with few calls the figures are coarse."""
    measured = sizes.measure(400 if FULL else 120)
    for name, (rows, kept, bodies, *_) in KINDS.items():
        found = measured[name]
        assert abs(found["rows"] - rows) <= 5, (name, found)  # the index may lag
        assert 0.7 <= found["kept"] / kept <= 1.4 and 0.7 <= found["bodies"] / bodies <= 1.4, (name, found)
        tables = found["tables"]
        entries, length, index = ENTRIES[name]
        indexed = sum(tables[each]["bytes"] for each in ("log_index", "log_party"))
        assert abs(tables["log_entry"]["rows"] - entries) < 0.5, (name, found)
        assert 0.7 <= tables["log_entry"]["bytes"] / length <= 1.4 and 0.4 <= indexed / index <= 2.5, (name, found)
    assert 0 < measured["memory"]["door"] < 150
