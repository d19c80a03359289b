"""CSV as text: what is written is read again, in every encoding and with every delimiter; nothing that a spreadsheet
would run is written."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codecs.cells import csvtext
from contracts.mapping.grid import DELIMITERS, ENCODINGS, Layout, Unreadable
from contracts.wire.xmltext import ILLEGAL

CELL = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: not ILLEGAL.search(c)), max_size=8
) | st.sampled_from(
    [
        "",
        " ",
        "a;b",
        'q"uo"te',
        "hai\r\ndòng",
        "\r",
        "\n",
        "\ufeff",
        "00123",
        "=1+1",
        "'",
        "'=",
        "+84 206 000 0801",
        "-12,5",
        "@a",
        "\t=1",
    ]
)
VIETNAMESE = "Ữ ữ Ộ ộ ẵ ẳ ắ Đ đ ợ ỹ ỵ ề ễ ỡ ặ — Thục Phán, Trùng Khánh: “Ổ gà”"


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(st.lists(CELL, min_size=2, max_size=4), min_size=1, max_size=5),
    delimiter=st.sampled_from(DELIMITERS),
    encoding=st.sampled_from(ENCODINGS[:4]),
    header_row=st.integers(1, 4),
)
def test_what_is_written_is_read(rows: list[list[str]], delimiter: str, encoding: str, header_row: int) -> None:
    layout = Layout("csv", header_row, delimiter, encoding)
    raw = csvtext.write(rows, layout)
    found = list(csvtext.read(raw, layout))
    assert [list(row.cells) for row in found] == rows
    # The numbers are those of the lines in the file, line breaks inside cells counted.
    text = csvtext.decode(raw, encoding)
    lines = io.StringIO(text, newline="").readlines()
    for row in found:
        again = next(csv.reader(lines[row.number - 1 :], delimiter=delimiter))
        assert again == list(row.cells)


@given(CELL)
def test_no_written_cell_is_a_formula_and_each_is_read_as_it_was(text: str) -> None:
    shown = csvtext.guarded(text)
    assert csvtext.unguarded(shown) == text
    if shown[:1] in ("=", "@", "\t", "\r"):
        raise AssertionError("a spreadsheet would run it")
    if shown[:1] in ("+", "-"):
        assert not set(shown[1:]) - set("0123456789 .,")


def test_windows_1258_writes_tones_apart_and_reads_them_composed() -> None:
    raw = csvtext.encode(VIETNAMESE, "windows-1258")
    assert len(raw) > len(VIETNAMESE) and csvtext.decode(raw, "windows-1258") == VIETNAMESE
    # What a Windows of that code page wrote: letters with their tone marks behind them.
    assert csvtext.decode(b"Th\xf4n B\xe0n Gi\xf4\xcc", "windows-1258") == "Thôn Bàn Giồ"
    with pytest.raises(UnicodeEncodeError):
        csvtext.encode("日", "windows-1258")


@pytest.mark.parametrize(
    ("raw", "encoding", "line"),
    [
        (b"a;b\n1;\xff\n", "utf-8", 2),
        ("a;b\n".encode("utf-16-le"), "utf-16", 0),
        (b'a;b\n1;"x\n2;3\n', "utf-8", 2),
        (b'a;b\n1;"x"y\n', "utf-8", 2),
        (b"a;b\n" + b";".join([b""] * 600), "utf-8", 2),
    ],
    ids=["bytes", "no mark", "open quote", "text after quote", "too wide"],
)
def test_what_is_no_csv_names_its_line(raw: bytes, encoding: str, line: int) -> None:
    with pytest.raises(Unreadable) as fault:
        list(csvtext.read(raw, Layout("csv", 1, ";", encoding)))
    assert fault.value.line == line


def test_a_byte_order_mark_is_no_text() -> None:
    for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
        raw = csvtext.write([["Mã"]], Layout("csv", encoding=encoding))
        assert next(csvtext.read(raw, Layout("csv", encoding=encoding))).cells == ["Mã"]
        other = "utf-16" if encoding != "utf-8" else encoding
        assert next(csvtext.read(raw, Layout("csv", encoding=other))).cells == ["Mã"]
    assert next(csvtext.read("Mã".encode(), Layout("csv"))).cells == ["Mã"]
