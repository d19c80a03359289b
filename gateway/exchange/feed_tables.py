"""Writes events of a feed as a table, piece by piece: CSV (RFC 4180), XLSX (ECMA-376) and Apache Parquet.

Columns are the attributes of the events, then the single values of the contract's messages by their paths
(`data.area.code`). A list is one cell of JSON, as is an object whose fields differ from event to event. A value that
the reader may not see is the text `(absent: not-permitted)`: with the reason of the event, never an empty cell.
All values are texts, so no digit of a number is lost.
Invariant: a table holds no more in memory than the rows of one call.
Invariant: no spreadsheet runs a cell as a formula (CWE-1236).
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Final, Protocol, cast

from contracts.canonical.model import Field, Scalar, Struct
from contracts.codecs.cells import xlsxwrite
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import text_of
from gateway.audit.search.table import cell

ATTRIBUTES: Final = (
    *("sequence", "id", "type", "source", "time", "sequencedtime", "subject", "lgspagency", "lgspformat"),
    *("lgspcompleteness", "lgspage", "lgspfailedrules", "lgspexpires", "lgspmasked"),
    *("lgspbundle", "lgspreplaces", "lgspprovider", "lgspfailure", "tombstone", "tombstonereason", "tombstonetime"),
)
MEDIA: Final[Mapping[str, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "parquet": "application/vnd.apache.parquet",
}
XLSX_ROWS: Final = 1_048_575  # below the header (ECMA-376, limit of the common programs)
XLSX_CELL: Final = 32_767  # characters
_BOM: Final = b"\xef\xbb\xbf"  # without it spreadsheets misread Vietnamese
_UNPRINTABLE: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\ufffd")  # not in XML
_DEEPEST: Final = 8
Row = Sequence[str | None]


class TableWriter(Protocol):
    """`rows` and `end` give the bytes that are ready."""

    def rows(self, rows: Sequence[Row]) -> bytes: ...
    def end(self) -> bytes: ...


def columns_of(contract: CompiledContract) -> tuple[str, ...]:
    """The columns of a contract's feed, in the order of its messages."""
    paths: dict[str, None] = {}
    for operation in contract.contract.fed:
        messages = operation.fed
        above = [("data",)] if len(messages) == 1 else [("data", "request"), ("data", "answer")]
        for message, start in zip(messages, above, strict=True):
            paths.update(dict.fromkeys(".".join(path) for path in _paths(contract.messages[message].fields, start)))
    return (*ATTRIBUTES, *paths)


def _paths(fields: Sequence[Field], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for each in fields:
        path = (*above, each.name)
        if isinstance(each.type, Struct) and len(path) < _DEEPEST:
            yield from _paths(each.type.fields, path)
        elif not (isinstance(each.type, Scalar) and each.type.binary):  # files are no part of a table
            yield path


def row_of(event: Mapping[str, Any], columns: Sequence[str]) -> Row:
    """The cells of an event."""
    return [_cell(event, column.split(".")) for column in columns]


def _cell(value: Any, path: Sequence[str]) -> str | None:
    for step in path:
        if isinstance(value, Mapping) and "absent" in value and step not in value:
            break
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None:
        return None
    if isinstance(value, Mapping) and isinstance(value.get("absent"), str):
        return f"(absent: {value['absent']})"
    return value if isinstance(value, str) else text_of(value)


class CsvTable:
    def __init__(self, columns: Sequence[str]) -> None:
        self._head = _BOM + self._written([columns])

    def rows(self, rows: Sequence[Row]) -> bytes:
        head, self._head = self._head, b""
        return head + self._written(rows)

    def end(self) -> bytes:
        return self.rows(())

    def _written(self, rows: Sequence[Row]) -> bytes:
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
        return out.getvalue().encode("utf-8", "replace")


class _Drain(io.RawIOBase):
    """A file whose bytes are taken away as they come; it cannot seek."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


class XlsxTable:
    def __init__(self, columns: Sequence[str]) -> None:
        self._drain = _Drain()
        self._book = zipfile.ZipFile(cast(IO[bytes], self._drain), "w", zipfile.ZIP_DEFLATED)
        self._sheet = xlsxwrite.begin(self._book, "events")
        self._number = 1
        self._write([columns])

    def rows(self, rows: Sequence[Row]) -> bytes:
        self._write(rows)
        return self._drain.taken()

    def end(self) -> bytes:
        xlsxwrite.end(self._sheet)
        self._book.close()
        return self._drain.taken()

    def _write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            cells = [(value or "").translate(_UNPRINTABLE)[:XLSX_CELL] for value in row]
            xlsxwrite.put_row(self._sheet, cells, self._number)
            self._number += 1


class ParquetTable:
    """A row group for each call."""

    def __init__(self, columns: Sequence[str]) -> None:
        import pyarrow
        from pyarrow import parquet

        self._arrow, self._drain = pyarrow, _Drain()
        self._schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
        self._writer = parquet.ParquetWriter(
            pyarrow.PythonFile(_Counted(self._drain), mode="w"), self._schema, compression="zstd"
        )

    def rows(self, rows: Sequence[Row]) -> bytes:
        if rows:
            arrays = [self._arrow.array(list(each), self._arrow.string()) for each in zip(*rows, strict=True)]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        return self._drain.taken()

    def end(self) -> bytes:
        self._writer.close()
        return self._drain.taken()


class _Counted:
    """What Parquet needs of a file: it asks where it is."""

    closed = False

    def __init__(self, drain: _Drain) -> None:
        self._drain, self._at = drain, 0

    def write(self, data: Any) -> int:
        self._at += self._drain.write(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def has_parquet() -> bool:
    from importlib.util import find_spec

    return find_spec("pyarrow") is not None


TABLES: Final[Mapping[str, Callable[[Sequence[str]], TableWriter]]] = {
    "csv": CsvTable,
    "xlsx": XlsxTable,
    "parquet": ParquetTable,
}
