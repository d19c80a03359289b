"""CSV (RFC 4180) with the delimiter and encoding of the table.

A text that a spreadsheet would run as a formula is written with an apostrophe before it, which reading removes.
Windows-1258 writes Vietnamese tone marks as separate characters; text is NFC on both sides.
Invariant: read(write(rows)) = rows, including line breaks, quotes and delimiters inside cells.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from contracts.base.composing import form_c
from contracts.mapping.grid import DELIMITERS, MAX_COLUMNS, MAX_ROWS, Layout, Row, Rows, Unreadable

MAX_LINE: Final = 1_000_000  # characters
_BOMS: Final = {"utf-8": b"\xef\xbb\xbf", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}
_RUNS: Final = re.compile("'*[=+\\-@\t\r]")
_SEP: Final = re.compile("sep=([^\r\n])(?:[\r\n]|\\Z)", re.I)
_TAKEN: Final = re.compile("sep=|\ufeff", re.I)  # read as something else at the very beginning
_HARMLESS: Final = re.compile(r"[+-][0-9 .,]*")  # a telephone number or a negative number: not a formula


def decode(raw: bytes, encoding: str) -> str:
    """The text without its byte order marks. `Unreadable` for bytes outside the encoding."""
    if encoding == "utf-16":
        encoding = next((name for name in ("utf-16-le", "utf-16-be") if raw.startswith(_BOMS[name])), "")
        if not encoding:
            raise Unreadable(
                "UTF-16 without a byte order mark", "a byte order mark, or encoding: utf-16-le or utf-16-be"
            )
    bom = _BOMS.get(encoding, b"")
    raw = raw.removeprefix(bom).removeprefix(bom)  # some programs put a second mark before a text that has one
    try:
        text = raw.decode("cp1258" if encoding == "windows-1258" else encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Unreadable(f"bytes that are not {encoding}", f"text in {encoding}", line) from None
    return form_c(text) if encoding == "windows-1258" else text


def encode(text: str, encoding: str) -> bytes:
    """The bytes. UnicodeEncodeError where the encoding lacks a character."""
    if encoding == "windows-1258":
        return "".join(_toned(each) for each in form_c(text)).encode("cp1258")
    return text.encode(encoding)


def _toned(character: str) -> str:
    """A character in windows-1258: itself, or the letter followed by its tone mark."""
    try:
        character.encode("cp1258")
        return character
    except UnicodeEncodeError:
        marks = unicodedata.normalize("NFD", character)
        tone = next((mark for mark in marks if mark in "\u0300\u0301\u0303\u0309\u0323"), "")
        return unicodedata.normalize("NFC", marks.replace(tone, "", 1)) + tone if tone else character


def read(raw: bytes, layout: Layout) -> Rows:
    """The records from the header on. `Unreadable` for invalid CSV.

    A first line `sep=;` states the delimiter, as Excel reads it. It is not counted for the header.
    """
    text = decode(raw, layout.encoding)
    lines, delimiter, before = _lines(text), stated_delimiter(text), 0
    if delimiter is not None:
        next(lines)
        before = 1
    records = csv.reader(lines, delimiter=delimiter or layout.delimiter, strict=True)
    line, count = 1 + before, 0
    try:
        for record in records:
            count += 1
            if count > MAX_ROWS:
                raise Unreadable("too many rows", f"at most {MAX_ROWS} rows, the empty ones too", line)
            if len(record) > MAX_COLUMNS:
                raise Unreadable(f"{len(record)} cells", f"at most {MAX_COLUMNS} cells a line", line)
            if count >= layout.header_row:
                yield Row(line, record)
            line = records.line_num + 1 + before
    except csv.Error as error:
        raise Unreadable(f"no CSV: {error}", "quotes that are closed, and doubled inside a cell", line) from None


def stated_delimiter(text: str) -> str | None:
    """The delimiter that a first line `sep=;` states. `Unreadable` for one that no table has."""
    stated = _SEP.match(text)
    if stated is None:
        return None
    if stated[1] not in DELIMITERS:
        raise Unreadable("a line sep= with another sign", "one of , ; | or a tab", 1)
    return stated[1]


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends. `Unreadable` for one over the limit, since the reader keeps all its cells."""
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if len(line) > MAX_LINE:
            raise Unreadable("a line that is too long", f"at most {MAX_LINE} characters a line", number)
        yield line


def write(rows: Iterable[Sequence[str]], layout: Layout) -> bytes:
    """Lines end with CR LF. UTF-8 and UTF-16 begin with a byte order mark, which Excel needs to detect UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=layout.delimiter, lineterminator="\r\n")
    whole = csv.writer(out, delimiter=layout.delimiter, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    for _ in range(layout.header_row - 1):
        out.write("\r\n")
    for number, row in enumerate(rows):
        first = number == 0 and layout.header_row == 1
        (whole if first and _TAKEN.match("".join(row[:1])) is not None else writer).writerow(row)
    encoding = "utf-16-le" if layout.encoding == "utf-16" else layout.encoding
    return _BOMS.get(encoding, b"") + encode(out.getvalue(), encoding)


def guarded(text: str) -> str:
    """The text as a cell that no spreadsheet runs (CWE-1236)."""
    return "'" + text if _RUNS.match(text) is not None and _HARMLESS.fullmatch(text) is None else text


def unguarded(text: str) -> str:
    """The inverse of `guarded`."""
    return text[1:] if text.startswith("'") and guarded(text[1:]) == text else text
