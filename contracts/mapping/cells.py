"""Reads a mapping table for CSV or XLSX into a plan.

Column titles become short names, and each line becomes a flat object of texts. The common table reader then reads all
kinds of row. It also refuses: a repeated title, a column outside the list that lines are items of, an empty text that a
cell cannot express.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from contracts.base.composing import form_c
from contracts.base.errors import Finding
from contracts.canonical.model import Array, CodeTable, Scalar, Struct
from contracts.canonical.places import Place, Places, scalar_at
from contracts.folder.source_locations import Findings, Located, Path
from contracts.mapping.grid import DELIMITERS, ENCODINGS, CellMedia, Column, Layout
from contracts.mapping.plan import Plan
from contracts.mapping.rows.kinds import refused_in_cells
from contracts.mapping.table import TableReader

HEAD_WORDS: Final = {"csv": {"delimiter", "encoding", "header_row"}, "xlsx": {"sheet", "header_row"}}
LINES: Final = "lines"  # the name of the list of lines in the plan of a message with `each`


@dataclass(frozen=True, slots=True)
class CellPlan:
    """The plan of one message in cells. `line` is the type of one line: the message itself, or an item of the list at
    `each`.
    """

    plan: Plan
    line: Struct
    each: str | None
    columns: tuple[Column, ...]
    ignored: frozenset[str]


def layout_of(document: Located, media: CellMedia, findings: Findings) -> Layout:
    """The layout that the head of a table declares. Each invalid word is a finding and is replaced by its default."""
    head: Mapping[str, Any] = document.value

    def bad(word: str, expected: str) -> None:
        findings.add(document.file, document.line((word,)), word, repr(head[word])[:60], "table", expected)

    if not isinstance(row := head.get("header_row", 1), int) or isinstance(row, bool) or not 1 <= row <= 1000:
        bad("header_row", "the number of the line with the titles, from 1")
        row = 1
    if (delimiter := head.get("delimiter", ",")) not in DELIMITERS:
        bad("delimiter", 'one of "," ";" "|" "\\t"')
        delimiter = ","
    if (encoding := head.get("encoding", "utf-8")) not in ENCODINGS:
        bad("encoding", "one of " + ", ".join(ENCODINGS))
        encoding = "utf-8"
    if (sheet := head.get("sheet")) is not None and (not isinstance(sheet, str) or not 1 <= len(sheet) <= 31):
        bad("sheet", "the name of a sheet, up to 31 characters")
        sheet = None
    return Layout(media, row, delimiter, encoding, sheet)


@dataclass(slots=True)
class CellTableReader:
    """Reads one table document. `plan` returns None where it adds findings."""

    document: Located
    layout: Layout
    tables: Mapping[str, CodeTable]
    findings: Findings
    is_valid: Callable[[str, Scalar, str], bool]
    codes_at: str | None = None

    def plan(self, message: str, struct: Struct) -> CellPlan | None:
        at: Path = ("messages", message)
        node = self.document.value["messages"][message]
        if not isinstance(node, dict) or not isinstance(node.get("rows"), list):
            self._bad(at, message, "no rows", "rows: a list")
            return None
        each = node.get("each")
        if each is not None and (
            not isinstance(each, str)
            or not each.endswith("[]")
            or each.count("[]") > 1
            or not _is_objects(struct, each)
        ):
            self._bad(
                (*at, "each"), message, repr(each)[:60], "the message's list that lines are items of, as values[]"
            )
            return None
        ignored = node.get("ignores", [])
        if not isinstance(ignored, list) or not all(isinstance(title, str) for title in ignored):
            self._bad((*at, "ignores"), message, "not a list of titles", "titles of columns that are read over")
            ignored = []
        titles = _Titles(each is not None)
        rows = [self._row(row, titles, each, (*at, "rows", number)) for number, row in enumerate(node["rows"])]
        inner = {key: value for key, value in node.items() if key not in ("each", "ignores")} | {"rows": rows}
        before = len(self.findings.items)
        document = Located(self.document.file, {"messages": {message: inner}}, self.document.lines)
        plan = TableReader(
            document, "cells", {}, self.tables, self.findings, self.is_valid, codes_at=self.codes_at
        ).plan(message, struct)
        self.findings.items[before:] = [titles.with_title(finding) for finding in self.findings.items[before:]]
        if plan is None or len(self.findings.items) > before:
            return None
        self._texts(plan, message, struct, at)
        line = struct if each is None else _item(struct, each)
        constants = {titles.title(leaf.here) for leaf in plan.root.leaves() if leaf.keys is None}
        columns = self._columns(node["rows"], titles, constants, line, each)
        if self.layout.media == "xlsx" and any(column.kind == "number" for column in columns):
            plan.losses.append(
                "a number in a numeric cell is a binary double: read as the shortest decimal that names it"
            )
        if not any(column.required for column in columns):
            self._bad(
                at,
                message,
                "no column that always has a value",
                "a row for a required field: a line without any value is no line",
            )
        return CellPlan(plan, line, each, columns, frozenset(normal_title(title) for title in ignored))

    def _bad(self, path: Path, where: str, got: str, expected: str) -> None:
        self.findings.add(self.document.file, self.document.line(path), where, got, "table", expected)

    def _row(self, row: Any, titles: _Titles, each: str | None, at: Path) -> Any:
        """The row with names in place of titles. Other faults are left to the table reader."""
        if isinstance(row, dict) and (refused := refused_in_cells(row)):
            where, expected = (
                str(row.get("here", row.get("canonical"))),
                "rows of other kinds: a line has columns, not a document",
            )
            self.findings.add(self.document.file, self.document.line(at), where, refused, "unsupported", expected)
            return row
        if not isinstance(row, dict) or "here" not in row:
            return row
        here = row["here"]
        for title in here if isinstance(here, list) else [here]:
            if not isinstance(title, str) or not title.strip() or title[0] in "=+-@" or "[]" in title:
                self._bad(at, str(title), "no title of a column", "the text in the header, not beginning with = + - @")
                return row
        canonical = row.get("canonical")
        if each is not None and canonical is None or each is not None and not _inside(canonical, each):
            self._bad(
                at,
                str(canonical),
                "a column outside the list",
                f"a field of {each}; a constant for what stands beside the list",
            )
            return row
        named = [titles.name(title) for title in here] if isinstance(here, list) else titles.name(here)
        renamed = row | {"here": named}
        return (
            renamed if canonical is not None or "constant" not in row else renamed | {"constant": str(row["constant"])}
        )

    def _texts(self, plan: Plan, message: str, struct: Struct, at: Path) -> None:
        """Turns an empty cell into a missing value, and lists what the encoding changes in a text."""
        filled = {fill.canonical for node in plan.root.nodes() for fill in node.fills}
        composed = self.layout.encoding == "windows-1258"
        known = Places(struct)
        for leaf in plan.root.leaves():
            scalar = leaf.scalar
            if scalar is None or scalar.kind != "string" or leaf.form.write is not None:
                continue
            empty = scalar.format is None and self.is_valid(message, scalar, "")
            if empty and leaf.canonical not in filled:
                if known[leaf.canonical].field.required:
                    self._bad(
                        at,
                        leaf.canonical,
                        "an empty text, which a cell cannot say",
                        'minLength 1 in the schema, or default: "" on the row',
                    )
                plan.losses.append(f"{leaf.canonical}: an empty text becomes missing")
            if composed:
                plan.losses.append(f"{leaf.canonical}: text becomes NFC, in the characters of windows-1258")
            if empty or composed:
                leaf.form = replace(leaf.form, normal=partial(_normal_text, composed=composed))

    def _columns(
        self, rows: list[Any], titles: _Titles, constants: set[str], line: Struct, each: str | None
    ) -> tuple[Column, ...]:
        """The columns in the order of the rows."""
        known, prefix = Places(line), "" if each is None else each + "."
        columns: dict[str, Column] = {}
        for row in rows:
            if not isinstance(row, dict) or "here" not in row:
                continue
            canonical = row.get("canonical")
            paths = [
                str(path).removeprefix(prefix) for path in (canonical if isinstance(canonical, list) else [canonical])
            ]
            for title in row["here"] if isinstance(row["here"], list) else [row["here"]]:
                column = Column(normal_title(title), titles.name(title).rpartition(".")[2])
                scalar = scalar_at(known[paths[0]], paths[0]) if len(paths) == 1 and paths[0] in known else None
                if scalar is not None and not isinstance(row["here"], list):
                    column = _kind(column, scalar, row)
                needed = "when" not in row and "default" not in row and (
                    column.title in constants if canonical is None else all(_always(known.get(path)) for path in paths)
                )  # fmt: skip
                column = replace(column, required=needed)
                before = columns.get(column.title)
                if before is not None and replace(before, required=needed) != column:
                    column = replace(column, kind="text")  # rows with disjoint conditions disagree: text fits both
                columns[column.title] = column
        return tuple(columns.values())


class _Titles:
    """Column titles and the names that replace them in the plan."""

    def __init__(self, inside: bool) -> None:
        self._names: dict[str, str] = {}
        self._prefix = f"{LINES}[]." if inside else ""

    def name(self, title: str) -> str:
        return self._prefix + self._names.setdefault(normal_title(title), f"c{len(self._names)}")

    def title(self, path: str) -> str:
        name = path.removeprefix(self._prefix)
        return next((title for title, each in self._names.items() if each == name), path)

    def with_title(self, finding: Finding) -> Finding:
        return replace(finding, canonical=self.title(finding.canonical))


def _always(place: Place | None) -> bool:
    return place is not None and place.field.required and not place.optional_above


def normal_title(title: str) -> str:
    """The title in NFC for comparison: no spaces around it, and one space for any white space within, as a no-break
    space or a line break.
    """
    return " ".join(form_c(title).split())


def _inside(canonical: Any, each: str) -> bool:
    paths = canonical if isinstance(canonical, list) else [canonical]
    return all(isinstance(path, str) and (path == each or path.startswith(each + ".")) for path in paths)


def _is_objects(struct: Struct, each: str) -> bool:
    place = Places(struct).get(each)
    return place is not None and isinstance(place.field.type, Array) and isinstance(place.field.type.items, Struct)


def _item(struct: Struct, each: str) -> Struct:
    array = Places(struct)[each].field.type
    assert isinstance(array, Array) and isinstance(array.items, Struct)
    return array.items


def _normal_text(text: str, *, composed: bool) -> str | None:
    return (form_c(text) if composed else text) or None


def _kind(column: Column, scalar: Scalar, row: Mapping[str, Any]) -> Column:
    shape = row.get("as")
    if shape in ("point-thousands", "comma-thousands") or scalar.kind == "boolean" and "/" in str(shape):
        return column
    if scalar.kind == "boolean":
        return replace(column, kind="boolean", digits=shape == "boolean-01")
    if shape in ("percent", "percent-comma"):
        return replace(column, kind="percent", comma=shape == "percent-comma")
    if scalar.kind in ("integer", "number") and "codes" not in row or shape == "integer":
        return replace(column, kind="number", comma=shape == "decimal-comma")
    if scalar.format is not None and isinstance(shape, str):
        return replace(column, kind="date", shape=shape)
    if scalar.format == "date" and shape is None:
        return replace(column, kind="date", shape="yyyy-MM-dd")
    return column
