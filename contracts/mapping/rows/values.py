"""Reads the value words of a row: `as`, `zone`, `unit`, `codes`, `absent` and `missing`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from contracts.canonical.model import REASONS, Array, CodeTable, Scalar
from contracts.canonical.places import Place
from contracts.folder.source_locations import Path
from contracts.mapping import times, value_formats
from contracts.mapping.plan import Leaf
from contracts.mapping.rows.shapes import SHAPES, named_shape
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.value_formats import Form

_NUMBER: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_XSD_TOKEN: Final = re.compile(r"(\S(.*\S)?)?")


@dataclass(slots=True)
class Values:
    reader: TableContext
    message: str
    losses: list[str]

    def form(self, row: Mapping[str, Any], scalar: Scalar, at: Path) -> Form | None:
        """The form of a scalar by the words of its row. None with a finding on a fault."""
        shape, media = row.get("as"), self.reader.media
        if "unit" in row:
            return self._unit(row, scalar, at)
        if "codes" in row:
            table = self.reader.tables.get(str(row["codes"]))
            if table is None or scalar.kind != "string":
                self.reader.bad(
                    at,
                    str(row["canonical"]),
                    f"the table {row['codes']!r}",
                    "code",
                    "a file codes/<name>.csv, for a text",
                )
                return None
            if not row.get("others"):
                self._covered(table, scalar, str(row["canonical"]), at)
            if shape == "integer" and any(str(int(code)) != code for code in table.codes if _is_number(code)):
                self.reader.bad(at, table.name, "codes with leading zeros as integers", "code", "codes as text")
            if (
                shape not in (None, "integer")
                or shape == "integer"
                and not all(_is_number(code) for code in table.codes)
            ):
                self.reader.bad(
                    at, table.name, f"as: {shape}", "table", "as: integer, for a table of numbers, or nothing"
                )
                return None
            others = row.get("others", False)
            if not isinstance(others, bool) or others and scalar.values:
                self.reader.bad(
                    (*at, "others"),
                    str(row["canonical"]),
                    f"others: {others}",
                    "code",
                    "true, for a field of any codes",
                )
                return None
            return value_formats.codes_form(table, as_integer=shape == "integer", media=media, others=others)
        if "others" in row:
            self.reader.bad((*at, "others"), str(row["canonical"]), "others without codes", "code", "only beside codes")
        timed = (
            shape == "datetime" or isinstance(shape, str) and times.is_time_pattern(shape) and times.has_clock(shape)
        )
        if "zone" in row and not timed:
            self.reader.bad(
                at, str(row["canonical"]), "a zone", "table", "only with a time, as datetime or yyyyMMddHHmmss"
            )
        if shape is None:
            return value_formats.scalar_form(scalar, media, strict=False)
        named = named_shape(str(shape), scalar)
        if named is not None:
            return named.form(scalar, media)
        if shape == "date" and scalar.format == "date":
            return times.xs_date_form()
        if shape == "datetime" and scalar.format == "date-time":
            if "zone" in row and times.zone_offset(str(row["zone"])) is None:
                self.reader.bad(at, str(row["canonical"]), f"the zone {row['zone']!r}", "table", 'zone: "+07:00"')
                return None
            return times.datetime_form(str(row["zone"]) if "zone" in row else None)
        if isinstance(shape, str) and times.is_time_pattern(shape):
            if scalar.format == "date" and not times.has_clock(shape):
                return times.date_form(shape)
            if scalar.format == "date-time" and times.has_clock(shape):
                if times.zone_offset(str(row.get("zone"))) is None:
                    self.reader.bad(
                        at, str(row["canonical"]), "no zone", "table", 'zone: "+07:00", what a time without zone means'
                    )
                    return None
                return times.time_form(shape, str(row["zone"]))
        self.reader.bad(
            at,
            str(row["canonical"]),
            f"as: {shape} for {scalar.format or scalar.kind}",
            "table",
            ", ".join(f"{name} ({each.kinds[0]})" for name, each in SHAPES.items())
            + ", two words such as Y/N (boolean), datetime, date, or a shape such as yyyyMMddHHmmss (date-time, date)",
        )
        return None

    def _unit(self, row: Mapping[str, Any], scalar: Scalar, at: Path) -> Form | None:
        unit, canonical = row["unit"], str(row["canonical"])
        numbers = {word: _decimal(text) for word, text in unit.items()} if isinstance(unit, dict) else {}
        factor, offset = numbers.get("factor", Decimal(1)), numbers.get("offset", Decimal(0))
        if not numbers or not set(numbers) <= {"factor", "offset"} or factor is None or offset is None:
            self.reader.bad(
                (*at, "unit"),
                canonical,
                f"unit: {unit}",
                "unit",
                'factor: "0.01", offset: "0", decimal numbers between quotes',
            )
            return None
        if value_formats.inverse(factor) is None:
            self.reader.bad(
                (*at, "unit"),
                canonical,
                f"the factor {factor}",
                "unsupported",
                "a factor whose way back is exact: 1 / factor ends",
            )
            return None
        if scalar.kind not in ("integer", "number") or "codes" in row:
            self.reader.bad((*at, "unit"), canonical, "a unit for another value", "unit", "a number")
            return None
        base = self.form({word: value for word, value in row.items() if word != "unit"}, Scalar("number"), at)
        return None if base is None else value_formats.unit_form(base, factor, offset, whole=scalar.kind == "integer")

    def _covered(self, table: CodeTable, scalar: Scalar, canonical: str, at: Path) -> None:
        means = {row.canonical if row.canonical is not None else row.code for row in table.rows}
        if scalar.values:
            for needed in scalar.values:
                if needed not in means:
                    self.reader.bad(
                        at,
                        canonical,
                        f"{needed} without a code in {table.name}",
                        "code",
                        "a code for every canonical value",
                    )
            for row in table.rows:
                value = row.canonical if row.canonical is not None else row.code
                if value not in scalar.values:
                    self.reader.findings.add(
                        f"codes/{table.name}.csv",
                        row.line,
                        row.code,
                        f"the canonical value {value}",
                        "code",
                        f"a value of {canonical}",
                    )
        else:
            self.losses.append(f"{canonical}: only what {table.name} has a code for can be written")

    def tokens(self, row: Mapping[str, Any], place: Place, scalar: Scalar | None, leaf: Leaf, at: Path) -> None:
        tokens = row.get("absent", {})
        if not isinstance(tokens, dict) or not set(tokens) <= set(REASONS) or not _words(tokens.values()):
            self.reader.bad(
                at, leaf.canonical, "words for absence", "absent", "a different word for each of " + ", ".join(REASONS)
            )
            return
        for reason, token in tokens.items():
            if not (
                self._is_word(token, scalar, leaf.form) if scalar is not None else self._stands_for_group(token, place)
            ):
                self.reader.bad(
                    at,
                    leaf.canonical,
                    f"the word {token!r} for {reason}",
                    "absent",
                    "a text that cannot be a value of the field, or null",
                )
        missing = [reason for reason in REASONS if reason not in tokens]
        if missing and place.field.required:
            self.reader.bad(
                at,
                leaf.canonical,
                "a required field whose absence cannot be said",
                "absent",
                "absent: a word for " + ", ".join(missing),
            )
        elif missing:
            self.losses.append(f"{leaf.canonical}: the reason for an absence ({', '.join(missing)}) is lost")
        leaf.tokens = {str(reason): token for reason, token in tokens.items()}

    def missing(self, row: Mapping[str, Any], place: Place, scalar: Scalar | None, leaf: Leaf, at: Path) -> None:
        """Reads the words of the format for a missing value, for a missing group, or for items that are read over."""
        words = row["missing"]
        if (
            not isinstance(words, list)
            or not words
            or not _words([*words, *leaf.tokens.values()])
            or place.field.required
            and leaf.keys
        ):
            self.reader.bad(
                (*at, "missing"),
                leaf.canonical,
                "words for nothing",
                "missing",
                'missing: [null, ""], of an optional field',
            )
            return
        for word in words:
            if not (
                self._is_word(word, scalar, leaf.form) if scalar is not None else self._stands_for_group(word, place)
            ):
                self.reader.bad(
                    (*at, "missing"),
                    leaf.canonical,
                    f"the word {word!r}",
                    "missing",
                    "a text that cannot be a value of the field, or null",
                )
        leaf.missing = tuple(words)
        if not leaf.keys:
            self.losses.append(f"{leaf.canonical}: an item that is {' or '.join(map(_said, words))} is read over")

    def _stands_for_group(self, word: Any, place: Place) -> bool:
        """In XML an empty element may be an empty group, and a text an item of a list of texts."""
        texts = isinstance(place.field.type, Array) and isinstance(place.field.type.items, Scalar)
        if self.reader.media == "xml" and (word == "" or texts and word is not None):
            return False
        return word is None or isinstance(word, str) and _XSD_TOKEN.fullmatch(word) is not None

    def _is_word(self, word: Any, scalar: Scalar, form: Form) -> bool:
        if word is None:
            return True
        return (
            isinstance(word, str)
            and _XSD_TOKEN.fullmatch(word) is not None
            and not self._could_be_value(word, scalar, form)
        )

    def _could_be_value(self, token: str, scalar: Scalar, form: Form) -> bool:
        value: Any = token
        if form.read is not None:
            try:
                value = form.read(token)
            except value_formats.Bad:
                return False
        return scalar.kind != "string" or self.reader.is_valid(self.message, scalar, value)


def _words(words: Collection[Any]) -> bool:
    """Whether the words differ from each other."""
    return len({repr(word) for word in words}) == len(words)


def _said(word: str | None) -> str:
    return "null" if word is None else f"{word!r}"


def _decimal(text: Any) -> Decimal | None:
    """An exact number of a table: a whole number, or a decimal between quotes."""
    if isinstance(text, bool) or not isinstance(text, (int, str)) or _NUMBER.fullmatch(str(text)) is None:
        return None
    return Decimal(text)


def _is_number(code: str) -> bool:
    """Whether `int` reads the code; `str.isdigit` alone also accepts non-ASCII digits."""
    return len(code) <= 1_000 and code.isascii() and code.isdigit()
