"""Readers of contract folders, their expressions and workbooks, with inputs that grow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import partial
from typing import Any

from contracts.canonical import code_tables
from contracts.codecs.cells import csvtext, xlsxread
from contracts.compiled.contract import CompiledContract
from contracts.folder import source_locations
from contracts.folder.bundle import Bundle
from contracts.mapping import also
from contracts.mapping.grid import Layout
from contracts.mapping.rows import expressions
from contracts.wire.soap import parse_xml
from tests.attacks.readers_wire import JSON, again, contracts_by_name, numbered
from tests.attacks.reading import Try, reader


@reader(
    "contracts.codecs.cells.csvtext:read",
    "contracts.codecs.cells.csvtext:decode",
    "contracts.codecs.cells.codec:CellCodec.read",
    "contracts.codecs.cells.codec:CellCodec.read_lines",
    "contracts.codecs.cells.codec:CellCodec.read_cells",
)
def cells() -> Iterable[Try]:
    texts = {
        "cells": again(b"a,"),
        "lines": again(b"a,b\r\n"),
        "empty lines": again(b"\n"),
        "quotes": again(b'"'),
        "a quote that is not closed": again(b"a\n", b'"'),
        "doubled quotes": again(b'""', b'"', b'"'),
        "apostrophes": again(b"'"),
        "bytes that are no UTF-8": again(b"a\n", b"", b"\xff"),
        "zeros": again(b"\x00"),
        "tone marks": again(b"\xec\xf2", b"a"),
    }
    for encoding in ("utf-8", "windows-1258", "utf-16"):
        layout = Layout("csv", encoding=encoding)
        for name, make in texts.items():
            yield Try(f"{encoding}: {name}", partial(lambda layout, raw: list(csvtext.read(raw, layout)), layout), make)
    contract = contracts_by_name()["indicator/v1"]
    codec = contract.codec("chi-tieu-csv")
    message = next(iter(codec._tables))  # type: ignore[attr-defined]
    titles = codec.write(message, _first(contract, message), "csv").split(b"\r\n")
    for name, make in texts.items():
        yield Try(
            f"of a format: {name}",
            lambda raw: codec.read(message, raw, "csv"),
            partial(lambda make, n: titles[0] + b"\r\n" + make(n), make),
        )
    yield Try(
        "good lines",
        lambda raw: codec.read(message, raw, "csv"),
        lambda n: titles[0] + b"\r\n" + (titles[1] + b"\r\n") * n,
    )
    yield Try(
        "titles",
        lambda raw: codec.read(message, raw, "csv"),
        lambda n: b",".join(b"a%d" % at for at in range(n)) + b"\r\n",
    )


def _first(contract: CompiledContract, message: str) -> Any:
    sample = next(each for each in contract.samples if each.message == message)
    return contract.codec("canonical").read_json(message, sample.canonical)


def book(rows: int) -> bytes:
    """A workbook of so many rows."""
    from openpyxl import Workbook

    made, out = Workbook(write_only=True), io.BytesIO()
    sheet = made.create_sheet("a")
    for at in range(rows):
        sheet.append([f"text {at}", at])
    made.save(out)
    return out.getvalue()


@reader("contracts.codecs.cells.xlsxread:read")
def workbooks() -> Iterable[Try]:
    yield Try("lines", lambda raw: list(xlsxread.read(raw, Layout("xlsx"))), book, 4_000)
    yield Try("no workbook", lambda raw: list(xlsxread.read(raw, Layout("xlsx"))), again(b"PK\x05\x06"))


@reader(
    "contracts.folder.source_locations:read_yaml",
    "contracts.folder.source_locations:read_json",
    "contracts.canonical.code_tables:read_codes",
    "contracts.folder.bundle:Bundle.from_bytes",
)
def contract_files() -> Iterable[Try]:
    for name, unit in {
        "items": b"- a\n",
        "names": b"aN: 1\n",
        "deep": b"- ",
        "flow": b"[",
        "braces": b"{",
        "anchors": b"- &aN b\n",
    }.items():
        yield Try(
            f"YAML: {name}",
            lambda raw: source_locations.read_yaml("a", raw, source_locations.Findings()),
            numbered(unit),
            100_000,
        )
    for name, make in list(JSON.items())[::3]:
        yield Try(
            f"JSON: {name}", lambda raw: source_locations.read_json("a", raw, source_locations.Findings()), make, 60_000
        )
    head = b"code,vi,en,valid_from,valid_until,replaced_by\n"
    yield Try(
        "codes",
        lambda raw: code_tables.read_codes("a.csv", raw, source_locations.Findings()),
        numbered(b"cN,a,b,,,\n", head),
        50_000,
    )
    yield Try(
        "one code",
        lambda raw: code_tables.read_codes("a.csv", raw, source_locations.Findings()),
        again(b"c,a,b,,,\n", head),
        50_000,
    )
    yield Try(
        "replaced",
        lambda raw: code_tables.read_codes("a.csv", raw, source_locations.Findings()),
        numbered(b"cN,a,b,,,c0\n", head),
        50_000,
    )
    yield Try("no bundle", Bundle.from_bytes, again(b"PK\x05\x06"), 100_000)


@reader("contracts.mapping.also:OtherName.read")
def other_names() -> Iterable[Try]:
    """Of a message that was read: one search along a path of the table, and at most one copy."""
    name = also.OtherName((), "b", "c")
    yield Try("one by the other name", name.read, lambda n: parse_xml(b"<r>" + b"<a/>" * n + b"<b/></r>"), 100_000)
    yield Try("none", name.read, lambda n: parse_xml(b"<r>" + b"<a/>" * n + b"</r>"), 100_000)


@reader("contracts.mapping.rows.expressions:compiled")
def expressed() -> Iterable[Try]:
    """Expressions by JSONata over a sender's text and lists: each step that it has."""
    steps = {
        "join": "$join(l, ',')",
        "distinct": "$distinct(l)",
        "split": "$split(t, 'a')",
        "replace": "$replace(t, 'a', 'b')",
        "sort": "$sort(l)",
        "reverse": "$reverse(l)",
        "count": "$count(l[$ != 'b'])",
        "contains": "$contains(t, 'aab')",
        "trim": "$trim(t)",
        "number": "$number(t)",
        "substring": "$substringBefore(t, 'b')",
        "upper": "$uppercase(t)",
        "append": "$append(l, l)",
        "string": "$string(l)",
        "map": "$map(l, function($v) {$v & 'a'})",
        "reduce": "$reduce(l, function($a, $b) {$a & $b})",
        "filter": "l[$ = 'a1']",
        "group": "l{$: 1}",
        "keys": "$keys(o)",
        "spread": "$spread(o)",
        "lookup": "$lookup(o, 'a1')",
        "merge": "$merge(l.{$: 1})",
        "zip": "$zip(l, l)",
        "shuffled order": "l^($)",
        "base64": "$base64decode(t)",
        "date": "$toMillis(t)",
        "length": "$length(t)",
    }
    for name, text in steps.items():
        run = expressions.compiled(text)
        yield Try(
            name,
            run,
            lambda n: {"t": "a" * n, "l": [f"a{at}" for at in range(n)], "o": {f"a{at}": 1 for at in range(n)}},
            20_000,
        )
