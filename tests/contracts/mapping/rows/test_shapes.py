"""The shapes of `as` by hand: what each reads, writes and refuses. The laws: `test_generated_tables.py`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from contracts.compiled.contract import CompiledContract
from tests.contracts.rowsmaking import contract, found, read, refused_table, schema, write
from tests.cost import seconds

TEXT: dict[str, Any] = {"type": "string"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
DATE: dict[str, Any] = {"type": "string", "format": "date"}


def of(type_: dict[str, Any], words: str, media: str = "json") -> CompiledContract:
    here = "d:A" if media == "xml" else "a"
    return contract(schema({"a": type_}, "a"), {media: f"- {{canonical: a, here: {here}, {words}}}"})


@pytest.mark.parametrize(
    ("type_", "words", "theirs", "ours"),
    [
        (DATE, "as: d/M/yyyy", "7/3/2026", "2026-03-07"),
        (DATE, "as: dd-MM-yy", "07-03-26", "2026-03-07"),
        (TIME, 'as: "HH:mm dd/MM/yyyy", zone: "+07:00"', "08:05 07/03/2026", "2026-03-07T08:05:00+07:00"),
        (TIME, 'as: "H:mm d/M/yy", zone: "+07:00"', "8:05 7/3/26", "2026-03-07T08:05:00+07:00"),
        ({"type": "number"}, "as: point-thousands", "-1.234.567,50", Decimal("-1234567.50")),
        ({"type": "number"}, "as: comma-thousands", "1,234,567.5", Decimal("1234567.5")),
        ({"type": "number"}, "as: percent", "-41.07%", Decimal("-41.07")),
        ({"type": "number"}, "as: percent-comma", "41,07%", Decimal("41.07")),
        ({"type": "integer"}, "as: point-thousands", "12.345", 12345),
        ({"type": "boolean"}, "as: Y/N", "N", False),
        ({"type": "boolean"}, "as: Có/Không", "Có", True),
        (TEXT, "as: integer", 1273, "1273"),
    ],
)
def test_a_shape_reads_and_writes(type_: dict[str, Any], words: str, theirs: object, ours: object) -> None:
    compiled, raw = of(type_, words), json.dumps({"a": theirs}, ensure_ascii=False, separators=(",", ":")).encode()
    assert read(compiled, "json", raw) == {"a": ours}
    assert write(compiled, "json", {"a": ours}) == raw


@pytest.mark.parametrize(
    ("type_", "words", "theirs", "ours"),
    [
        (DATE, "as: d/M/yyyy", "07/03/2026", "2026-03-07"),
        ({"type": "number"}, "as: point-thousands", "1234,5", Decimal("1234.5")),
        ({"type": "number"}, "as: percent", "12 %", Decimal("12")),
    ],
)
def test_what_a_shape_also_reads(type_: dict[str, Any], words: str, theirs: object, ours: object) -> None:
    assert read(of(type_, words), "json", json.dumps({"a": theirs}).encode()) == {"a": ours}


@pytest.mark.parametrize(
    ("type_", "words", "theirs", "rule"),
    [
        (DATE, "as: d/M/yyyy", "31/2/2026", "format"),
        (DATE, "as: d/M/yyyy", "007/3/2026", "format"),
        (DATE, "as: dd-MM-yy", "7-3-26", "format"),
        ({"type": "number"}, "as: point-thousands", "1.23.456", "type"),
        ({"type": "number"}, "as: point-thousands", "1.234.56", "type"),
        ({"type": "number"}, "as: point-thousands", "1234.567", "type"),
        ({"type": "integer"}, "as: comma-thousands", "1,234.5", "type"),
        ({"type": "number"}, "as: percent", "41.07", "type"),
        ({"type": "number"}, "as: percent-comma", "41.07%", "type"),
        ({"type": "boolean"}, "as: Y/N", "y", "type"),
        ({"type": "boolean"}, "as: Y/N", True, "type"),
        (TEXT, "as: integer", "1273", "type"),
        (TEXT, "as: integer", 12.5, "type"),
    ],
)
def test_what_a_shape_refuses(type_: dict[str, Any], words: str, theirs: object, rule: str) -> None:
    compiled = of(type_, words)
    assert found(lambda: read(compiled, "json", json.dumps({"a": theirs}).encode())) == [("a", "a", rule)]


@pytest.mark.parametrize(
    ("type_", "words", "ours", "rule"),
    [
        (DATE, "as: dd-MM-yy", "1999-12-31", "range"),
        (TIME, 'as: "dd/MM/yy HH:mm", zone: "+07:00"', "2100-01-01T00:00:00+07:00", "range"),
        (TEXT, "as: integer", "01273", "type"),
        (TEXT, "as: integer", "-0", "type"),
    ],
)
def test_what_a_shape_cannot_write(type_: dict[str, Any], words: str, ours: object, rule: str) -> None:
    compiled = of(type_, words)
    wrong = found(lambda: write(compiled, "json", {"a": ours}), "message.not-expressible")
    assert [each[2] for each in wrong] == [rule]


@pytest.mark.parametrize(
    ("text", "value"), [("1.25E1", "12.5"), ("-3e-2", "-0.03"), (" 7. ", "7"), ("+.5", "0.5"), ("1E3", "1000")]
)
def test_numbers_with_an_exponent(text: str, value: str) -> None:
    compiled = of({"type": "number"}, "as: double", "xml")
    number = read(compiled, "xml", f'<d:T xmlns:d="urn:d"><d:A>{text}</d:A></d:T>'.encode())
    assert number == {"a": Decimal(value)}
    assert f"<d:A>{value}</d:A>" in write(compiled, "xml", number).decode()


@pytest.mark.parametrize("text", ["1E999999999", "NaN", "INF", "1E", "0x10", "1,5"])
def test_what_is_no_such_number(text: str) -> None:
    compiled = of({"type": "number"}, "as: double", "xml")
    assert found(lambda: read(compiled, "xml", f'<d:T xmlns:d="urn:d"><d:A>{text}</d:A></d:T>'.encode()))


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (DATE, "as: dMyyyy"),
        (DATE, "as: dd/MM/yyyy yy"),
        (DATE, "as: d1M/yyyy"),
        (DATE, "as: integer"),
        ({"type": "boolean"}, "as: Y/Y"),
        ({"type": "boolean"}, "as: Y/"),
        (TEXT, "as: Y/N"),
        (TEXT, "as: point-thousands"),
        (TEXT, "as: percent"),
    ],
)
def test_what_is_no_shape(type_: dict[str, Any], words: str) -> None:
    (finding,) = refused_table(schema({"a": type_}, "a"), {"json": f"- {{canonical: a, here: a, {words}}}"})
    assert finding.rule == "table" and "point-thousands" in finding.expected


@pytest.mark.parametrize("words", ["as: point-thousands", "as: comma-thousands", "as: double"])
def test_a_long_number_costs_linear_time(words: str) -> None:
    compiled = of({"type": "number"}, words, "xml")
    form = compiled.codec("xml").plans["Thing"].root.children[0].text.form.read  # type: ignore[union-attr]

    def cost(size: int) -> float:
        texts = ["1" * size, "1.234" * size, "1" + ",234" * size, "1" + ".234" * size + "x"]

        def work() -> None:
            for text in texts:
                try:
                    form(text)  # type: ignore[misc]
                except Exception as error:
                    assert type(error).__name__ == "Bad"

        return seconds(work)

    assert cost(40_000) < 8 * cost(10_000)
