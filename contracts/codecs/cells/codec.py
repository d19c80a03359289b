"""A CSV or XLSX format of a contract: bytes to canonical messages and back, line by line.

A line is a message, or an item of the message's list (`each` in the table). Each line is read separately, so that valid
lines can be accepted. Findings have the line's number and the column's title beside the canonical path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from contracts.base.errors import Finding, Theirs
from contracts.canonical.findings import MAX_FINDINGS, Enough, NotExpressible, Problems
from contracts.canonical.model import RestCall
from contracts.canonical.validate import Validator
from contracts.codecs import jsonread
from contracts.codecs.cells import csvtext, xlsxread, xlsxwrite
from contracts.codecs.cells.hidden import Hidden
from contracts.codecs.codec import Codec, Shared, Value
from contracts.errors import MESSAGE_INVALID, MESSAGE_NOT_EXPRESSIBLE
from contracts.mapping.cells import LINES, CellPlan, normal_title
from contracts.mapping.frames import getter, setter
from contracts.mapping.grid import (
    MAX_BYTES,
    MAX_CELL,
    MAX_LINES,
    Cell,
    Column,
    Layout,
    Row,
    Typed,
    Unreadable,
    kind_in_words,
    text_of,
)
from contracts.mapping.validity import InForce, day_at, explained
from contracts.mapping.value_formats import Bad

_NUMBER: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_SHOWN: Final = re.compile(r"line (\d+)(?:: (.*))?", re.DOTALL)
_NAME: Final = re.compile(rf"(?:{LINES}\[\d*\]\.)?\b(c\d+)\b")
_SHEET: Final = "Sheet1"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file. `value` is its message or item; None if there are `findings` (`here`: the column's title)."""

    number: int
    value: Value | None
    findings: tuple[Finding, ...] = ()


class CellCodec(Codec):
    """Mapped messages are lines of cells; others are exchanged in canonical form."""

    def __init__(
        self,
        name: str,
        shared: Shared,
        calls: Mapping[str, RestCall],
        layout: Layout,
        tables: Mapping[str, CellPlan],
    ) -> None:
        self.layout = layout
        self._tables = {
            message: _Table(each, layout, shared.validators[message], shared.in_force[message])
            for message, each in tables.items()
        }
        super().__init__(name, layout.media, shared, {message: each.plan for message, each in tables.items()}, calls)

    def is_list(self, message: str) -> bool:
        """Whether all lines of a file form one message."""
        return self._tables[message].each is not None

    def read_lines(self, message: str, raw: bytes, at: float | None = None, hidden: Hidden | None = None) -> list[Line]:
        """All lines with their findings. `at` is the time of receipt (Unix time). `hidden` gets what the workbook
        hides, also if it cannot be read.

        MESSAGE_INVALID where the file as a whole cannot be read.
        """
        table = self._table(message)
        try:
            return list(table.lines(raw, None if at is None else day_at(at), Hidden() if hidden is None else hidden))
        except Unreadable as fault:
            here = f"line {fault.line}" if fault.line else ""
            raise self._failure(
                MESSAGE_INVALID, message, [Finding(here, "", fault.got, "file", fault.expected)]
            ) from None
        except _BadHeader as header:
            raise self._failure(MESSAGE_INVALID, message, header.findings) from None

    def joined(self, message: str, items: Sequence[Value]) -> Value:
        """The one message with these items. MESSAGE_INVALID for too few or too many."""
        value, findings = self._tables[message].joined(items)
        if findings:
            raise self._failure(MESSAGE_INVALID, message, findings)
        return value

    def read_cells(self, message: str, raw: bytes, at: float | None = None) -> list[Value]:
        """Every message of a file. MESSAGE_INVALID if any line is invalid."""
        lines = self.read_lines(message, raw, at)
        findings = [shown(line.number, finding) for line in lines for finding in line.findings]
        if findings:
            raise self.invalid(message, findings)
        values = [line.value for line in lines if line.value is not None]
        return [self.joined(message, values)] if self.is_list(message) else values

    def invalid(self, message: str, findings: Sequence[Finding]) -> Theirs:
        """`message.invalid` with as many findings as an answer may have, and the number of all."""
        shown, contract = findings[:MAX_FINDINGS], self._contract.name
        return MESSAGE_INVALID(
            findings=shown, message=message, contract=contract, format=self.name, count=len(findings)
        )

    def here(self, message: str, paths: Sequence[str], root: str | None = None) -> str:
        """The titles of the columns."""
        return self._tables[message].titles(paths) if message in self._tables else super().here(message, paths, root)

    def write_cells(self, message: str, values: Sequence[Value]) -> bytes:
        table = self._table(message)
        try:
            return table.write(values)
        except NotExpressible as error:
            raise self._failure(MESSAGE_NOT_EXPRESSIBLE, message, [table.with_title(error.finding)]) from None

    def write(self, message: str, value: Value, media: str | None = None) -> bytes:
        return (
            self.write_cells(message, [value]) if media in (None, self.media) else super().write(message, value, media)
        )

    def read(self, message: str, raw: bytes, media: str | None = None, at: float | None = None) -> Value:
        """The first message of a file."""
        if media not in (None, self.media):
            return super().read(message, raw, media, at)
        values = self.read_cells(message, raw, at)
        if not values:
            raise self.invalid(message, [Finding("", "", "no line", "required", "at least one line")])
        return values[0]

    def _table(self, message: str) -> _Table:
        table = self._tables.get(message)
        if table is None:
            raise self._wrong_media(self.media.upper(), message)
        return table


def shown(number: int, finding: Finding) -> Finding:
    """A finding of a line as an answer shows it."""
    return replace(finding, here=f"line {number}: {finding.here}" if finding.here else f"line {number}")


def placed(here: str) -> tuple[int, str]:
    """The line (0 for none) and the title of such a finding."""
    match = _SHOWN.fullmatch(here)
    return (int(match[1]), match[2] or "") if match is not None else (0, here)


class _BadHeader(Exception):
    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("header")
        self.findings = findings[:MAX_FINDINGS]


class _Table:
    """One message of the format, compiled."""

    def __init__(self, plan: CellPlan, layout: Layout, whole: Validator, in_force: InForce | None) -> None:
        self.each = plan.each
        self._layout, self._columns, self._ignored, self._whole = layout, plan.columns, plan.ignored, whole
        self._in_force = in_force
        self._line = whole if plan.each is None else Validator(plan.line)
        self._read = jsonread.compile_reader(plan.plan)
        self._write = jsonread.compile_writer(plan.plan)
        self._prefix = "" if plan.each is None else plan.each + "."
        keys = () if plan.each is None else tuple(plan.each.removesuffix("[]").split("."))
        self._items, self._put = getter(keys), setter(keys) if keys else None
        self._names = {column.name: column.title for column in plan.columns}
        leaves = [
            (leaf.canonical.removeprefix(self._prefix), self._title(leaf.here))
            for leaf in plan.plan.root.leaves()
            if leaf.keys is not None
        ]
        self._titles, self._paths = dict(leaves), {title: path for path, title in leaves}

    def titles(self, paths: Sequence[str]) -> str:
        known = (self._titles.get(path.removeprefix(self._prefix)) for path in paths)
        return ", ".join(each for each in known if each)

    def with_title(self, finding: Finding) -> Finding:
        return replace(finding, here=self._title(finding.here))

    def _title(self, here: str) -> str:
        """The path of a place in the plan, with the columns' titles."""
        return _NAME.sub(lambda match: self._names.get(match[1], match[1]), here)

    # --- reading ------------------------------------------------------------------------------------------------------

    def lines(self, raw: bytes, day: str | None, hidden: Hidden) -> Iterator[Line]:
        if len(raw) > MAX_BYTES:
            raise Unreadable(f"{len(raw)} bytes", f"at most {MAX_BYTES} bytes")
        csv = self._layout.media == "csv"
        rows = csvtext.read(raw, self._layout) if csv else xlsxread.read(raw, self._layout, hidden)
        header = next(rows, None)
        if header is None or self._layout.media == "xlsx" and header.number != self._layout.header_row:
            raise Unreadable("no line with the titles", f"the titles in line {self._layout.header_row}")
        hidden.begin(header)
        places = self._header(header)
        count = 0
        for row in rows:
            if all(cell == "" for cell in row.cells):
                continue
            if row.hidden:
                hidden.rows.append(row.number)
            if count == MAX_LINES:
                raise Unreadable(f"more than {MAX_LINES} lines", f"at most {MAX_LINES} lines a file", row.number)
            yield self._line_of(row, places, count, day)
            count += 1

    def _header(self, row: Row) -> list[Column | None]:
        """For each cell of a line its column; None where a value is an error; `_IGNORED` where it is skipped."""
        known = {column.title: column for column in self._columns}
        places: list[Column | None] = []
        findings: list[Finding] = []
        seen: set[str] = set()
        for cell in row.cells:
            title = normal_title(cell) if isinstance(cell, str) else ""
            column = known.get(title)
            if title in seen:
                findings.append(
                    Finding(f"line {row.number}: {title[:60]}", "", "a title twice", "repeated", "each column once")
                )
            elif column is None and title not in self._ignored and (title or not isinstance(cell, str)):
                shown = ", ".join(list(known)[:12])
                findings.append(
                    Finding(
                        f"line {row.number}: {title[:60]}",
                        "",
                        "a column that the format does not have",
                        "unknown",
                        f"one of {shown}",
                    )
                )
            if title:
                seen.add(title)
            places.append(column if column is not None else _IGNORED if title in self._ignored else None)
        if seen.isdisjoint(known):  # a wrong delimiter or header line: one finding, not one for each column
            shown = ", ".join(list(known)[:12])
            if self._layout.media == "csv":
                raise Unreadable(
                    "no title that the table knows",
                    f'the titles, parted by "{self._layout.delimiter}": {shown}',
                    row.number,
                )
            raise Unreadable(
                "no title that the table knows", f"the titles in line {self._layout.header_row}: {shown}", row.number
            )
        findings += [
            Finding(
                f"line {row.number}: {column.title}",
                self._prefix + self._paths.get(column.title, ""),
                "nothing",
                "required",
                "the column",
            )
            for column in self._columns
            if column.required and column.title not in seen
        ]
        if findings:
            raise _BadHeader(findings)
        return places

    def _line_of(self, row: Row, places: list[Column | None], at: int, day: str | None) -> Line:
        problems = Problems(at=day)
        prefix = "" if self.each is None else f"{self.each[:-2]}[{at}]."
        value: Value = {}
        try:
            cells = self._cells_of(row, places, problems)
            self._read(cells if self.each is None else {LINES: [cells]}, value, None, problems)
        except Enough:
            return Line(
                row.number, None, self._limited([self._inside(finding) for finding in problems.findings], prefix)
            )
        message = value
        if self.each is not None:
            value = self._items(value)[0]
        findings = [self._inside(finding) for finding in problems.findings]
        if not findings and self._in_force is not None and self._line.is_valid(value):
            ended = explained(
                self._in_force(message, day), lambda path, _: self._titles.get(path.removeprefix(self._prefix), "")
            )
            findings = [self._inside(finding) for finding in ended]
        elif not problems.full and (findings or not self._line.is_valid(value)):
            known = {finding.canonical for finding in findings}
            findings += self._line.findings(value, lambda path, _: self._titles.get(path, ""), known)
        return Line(row.number, None if findings else value, self._limited(findings, prefix))

    def _limited(self, findings: list[Finding], prefix: str) -> tuple[Finding, ...]:
        return tuple(
            replace(each, canonical=prefix + each.canonical if each.canonical else "")
            for each in findings[:MAX_FINDINGS]
        )

    def _cells_of(self, row: Row, places: list[Column | None], problems: Problems) -> dict[str, str]:
        texts: dict[str, str] = {}
        for number, cell in enumerate(row.cells):
            if cell == "":
                continue
            column = places[number] if number < len(places) else None
            if column is None:
                problems.add(
                    "",
                    "",
                    kind_in_words(cell),
                    "unknown",
                    f"nothing in cell {xlsxwrite.letters(number)}, which has no title",
                )
            elif column is not _IGNORED:
                try:
                    text = text_of(cell, column)
                    texts[column.name] = csvtext.unguarded(text) if self._layout.media == "csv" else text
                except Bad as bad:
                    problems.add(
                        column.title, self._paths.get(column.title, ""), kind_in_words(cell), bad.rule, bad.expected
                    )
        return texts

    def _inside(self, finding: Finding) -> Finding:
        """A finding of the plan's reader as one of the line: its title, and its path inside the item."""
        inner = "" if self.each is None else f"{self.each[:-2]}[0]."
        return replace(finding, here=self._title(finding.here), canonical=finding.canonical.removeprefix(inner))

    def joined(self, items: Sequence[Value]) -> tuple[Value, list[Finding]]:
        assert self._put is not None
        value: Value = {}
        self._read({}, value, None, Problems())
        if items:
            self._put(value, list(items))
        return value, [] if self._whole.is_valid(value) else self._whole.findings(value, lambda path, _: "", set())

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, values: Sequence[Value]) -> bytes:
        lines: list[Mapping[str, str]] = []
        for value in values:
            message = json.loads(self._write(value))
            lines += [message] if self.each is None else message.get(LINES, [])
        head: list[Cell] = [column.title for column in self._columns]
        rows = [head, *([self._cell(line.get(column.name, ""), column) for column in self._columns] for line in lines)]
        if self._layout.media == "xlsx":
            return xlsxwrite.write(rows, self._layout.sheet or _SHEET, self._layout.header_row)
        return csvtext.write([[str(cell) for cell in row] for row in rows], self._layout)

    def _cell(self, text: str, column: Column) -> Cell:
        if len(text) > MAX_CELL - 1:
            raise self._not_here(text, column, "length", f"at most {MAX_CELL - 1} characters in a cell")
        if self._layout.media == "csv":
            try:
                csvtext.encode(text, self._layout.encoding)
            except UnicodeEncodeError:
                raise self._not_here(text, column, "type", f"characters of {self._layout.encoding}") from None
            return csvtext.guarded(text)
        if column.kind == "number":
            digits = text.replace(",", ".") if column.comma else text
            cell = xlsxwrite.number_cell(digits) if _NUMBER.fullmatch(digits) is not None else text
            return cell if isinstance(cell, Typed) else text
        if column.kind == "boolean" and text in ("true", "false", "0", "1"):
            return Typed("boolean", text in ("true", "1"))
        return text

    def _not_here(self, text: str, column: Column, rule: str, expected: str) -> NotExpressible:
        path = self._prefix + self._paths.get(column.title, "")
        return NotExpressible(column.title, path, f"text of {len(text)} characters", rule, expected)


_IGNORED: Final = Column("", "")
