"""Reads strings, numbers and booleans of the JSON Schema profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Protocol

from contracts.canonical.model import CodeTable, Scalar
from contracts.canonical.patterns import matcher, pattern_fault
from contracts.folder.source_locations import Path


class Report(Protocol):
    """Reports a fault at a path of the schema."""

    def __call__(self, path: Path, got: str, expected: str, *, rule: str = ...) -> None: ...


class ScalarReader:
    """Reads schemas of single values; faults go to `bad`."""

    def __init__(self, tables: Mapping[str, CodeTable], bad: Report) -> None:
        self._tables, self._bad = tables, bad

    def count(self, node: Mapping[str, Any], word: str, path: Path) -> int | None:
        """The bound `word`, a whole number of 0 or more; None if absent or invalid."""
        value = node.get(word)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._bad((*path, word), "not a count", "a whole number of 0 or more")
            return None
        return value

    def scalar(self, kind: str, node: Mapping[str, Any], path: Path) -> Scalar | None:
        """The value's type. Invalid keywords are reported and left out."""
        if kind == "boolean":
            return Scalar("boolean")
        if kind in ("integer", "number"):
            return self._numeric(kind, node, path)
        scalar = Scalar(
            "string", min_length=self.count(node, "minLength", path), max_length=self.count(node, "maxLength", path)
        )
        if (form := node.get("format")) is not None:
            if form not in ("date-time", "date"):
                self._bad((*path, "format"), f"format {form!r}", "date-time or date; other formats as a pattern")
            else:
                scalar = replace(scalar, format=form)
        if len({"enum", "const", "codes"} & set(node)) > 1:
            self._bad(path, "two of enum, const and codes", "one of them")
        if (value := node.get("const")) is not None:
            if not isinstance(value, str):
                self._bad((*path, "const"), "not a text", "a text")
            else:
                scalar = replace(scalar, values=(value,))
        if "contentEncoding" in node or "contentMediaType" in node:
            scalar = self._binary(node, path, scalar)
        if (values := node.get("enum")) is not None:
            if (
                not isinstance(values, list)
                or not values
                or not all(isinstance(v, str) for v in values)
                or len(set(values)) < len(values)
            ):
                self._bad((*path, "enum"), "not a list of different texts", "a list of texts")
            else:
                scalar = replace(scalar, values=tuple(values))
        if (table := node.get("codes")) is not None:
            if not isinstance(table, str) or table not in self._tables:
                self._bad((*path, "codes"), f"no table {table!r}", "a file codes/<name>.csv", rule="code")
            else:
                scalar = replace(scalar, values=self._tables[table].codes, table=table)
                if "others" in node:
                    scalar = self._open(node, path, scalar)
        elif "others" in node:
            self._bad((*path, "others"), "others without codes", "only beside codes")
        if (pattern := node.get("pattern")) is not None:
            self._pattern(pattern, (*path, "pattern"))
            scalar = replace(scalar, pattern=pattern)
        return scalar

    def _open(self, node: Mapping[str, Any], path: Path, scalar: Scalar) -> Scalar:
        """An open list: the codes of the table, and texts of the form `others` that are codes of other lists."""
        others = node["others"]
        if not self._pattern(others, (*path, "others")):
            return scalar
        if "pattern" in node:
            self._bad((*path, "pattern"), "a pattern beside others", "others alone, which says the form of all codes")
        fits = matcher(others)
        if unlike := [code for code in scalar.values if not fits(code)]:
            self._bad(
                (*path, "others"), f"the code {unlike[0]} is not of this form", "a form of all codes of the table"
            )
        return replace(scalar, values=(), pattern=others)

    def _binary(self, node: Mapping[str, Any], path: Path, scalar: Scalar) -> Scalar:
        media = node.get("contentMediaType")
        if node.get("contentEncoding") != "base64" or media is not None and not isinstance(media, str):
            self._bad((*path, "contentEncoding"), "another encoding", "base64, and perhaps contentMediaType")
        for word in ("pattern", "format", "enum", "const", "codes"):
            if word in node:
                self._bad((*path, word), f"{word} for bytes", "only minLength and maxLength")
        for word in ("minLength", "maxLength"):
            if isinstance(length := node.get(word), int) and length % 4:
                self._bad(
                    (*path, word), f"{length} characters of base64", "a multiple of 4, so that XSD can count octets"
                )
        return replace(scalar, binary=True, media=media)

    def _numeric(self, kind: str, node: Mapping[str, Any], path: Path) -> Scalar:
        bounds: dict[str, Decimal | None] = {}
        for word, name in (
            ("minimum", "minimum"),
            ("maximum", "maximum"),
            ("exclusiveMinimum", "exclusive_minimum"),
            ("exclusiveMaximum", "exclusive_maximum"),
        ):
            value = node.get(word)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, Decimal))):
                self._bad((*path, word), "not a number", "a number")
                value = None
            bounds[name] = None if value is None else Decimal(value)
        if "minimum" in node and "exclusiveMinimum" in node or "maximum" in node and "exclusiveMaximum" in node:
            self._bad(path, "two bounds on one side", "one of them, as in XSD")
        return Scalar(
            "integer" if kind == "integer" else "number",
            minimum=bounds["minimum"],
            maximum=bounds["maximum"],
            exclusive_minimum=bounds["exclusive_minimum"],
            exclusive_maximum=bounds["exclusive_maximum"],
        )

    def _pattern(self, pattern: Any, path: Path) -> bool:
        why = "a text" if not isinstance(pattern, str) else pattern_fault(pattern)
        if why is not None:
            self._bad(path, "a pattern outside the profile", why, rule="pattern")
        return why is None
