"""Builds the plan of a message from its rows; the kinds of row (`rows/kinds/`) call it.

Invariant: a field has one row, or rows whose conditions exclude each other.
Invariant: a row that is not understood is a finding with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contracts.canonical.model import Scalar, Struct
from contracts.canonical.places import Place, Places, frame_of, keys_of, scalar_at, typed
from contracts.folder.source_locations import Path
from contracts.mapping.plan import CustomBinding, Derived, Fill, Leaf, Listing, Plan
from contracts.mapping.rows import dated as dates
from contracts.mapping.rows.conditions import Condition
from contracts.mapping.rows.coverage import Coverage
from contracts.mapping.rows.row import Row
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.rows.tree import Tree
from contracts.mapping.rows.values import Values
from contracts.mapping.value_formats import TEXT


@dataclass(slots=True)
class Builder:
    reader: TableContext
    message: str
    struct: Struct
    tree: Tree
    values: Values
    drops: frozenset[str]
    bound: dict[str, list[Condition | None]] = field(default_factory=dict)
    lines: dict[str, Path] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list)
    carried: list[tuple[str, str]] = field(default_factory=list)
    lists: list[tuple[str, Callable[[Any], None]]] = field(default_factory=list)
    recursions: list[tuple[str, Path]] = field(default_factory=list)
    conditions: list[tuple[Condition, Path]] = field(default_factory=list)
    listings: dict[str, Listing] = field(default_factory=dict)  # by the field whose values they have

    @property
    def known(self) -> Places:
        return self.tree.known

    def bad(self, path: Path, where: str, got: str, rule: str, expected: str) -> None:
        self.reader.bad(path, where, got, rule, expected)

    def bind(self, canonical: str, row: Row) -> tuple[Place, Scalar] | None:
        """The place and scalar of the row's field, which is recorded as bound. None with a finding on a fault."""
        place = self.known.get(canonical)
        scalar = None if place is None else scalar_at(place, canonical)
        if place is None or scalar is None:
            what = "a path that the canonical message does not have" if place is None else "an object or array"
            self.bad(row.at, canonical, what, "table", "the path of one value, arrays with []")
            return None
        others = self.bound.setdefault(canonical, [])
        if others and (
            row.condition is None or not all(other is not None and row.condition.excludes(other) for other in others)
        ):
            self.bad(
                row.at,
                canonical,
                "a second row for the field",
                "overlap",
                "one row a field, or rows whose conditions exclude each other",
            )
            return None
        others.append(row.condition)
        self.lines[canonical] = row.at
        return place, scalar

    def leaf(self, row: Row, canonical: str, place: Place, scalar: Scalar) -> Leaf | None:
        """The leaf of a field with its form and its words for absence. None with a finding on a fault."""
        form = self.values.form(row.words, scalar, row.at)
        if form is None:
            return None
        if form.loss is not None:
            self.values.losses.append(f"{canonical}: {form.loss}")
        leaf = Leaf(keys_of(canonical), form, canonical, str(row.here), scalar, row=row.words)
        if place.field.absentable:
            self.values.tokens(row.words, place, scalar, leaf, row.at)
        elif "absent" in row.words:
            self.bad(row.at, canonical, "words for absence", "absent", "none: the field is not absentable")
        if "missing" in row.words:
            self.values.missing(row.words, place, scalar, leaf, row.at)
        return leaf

    def dated(self, row: Row, leaf: Leaf) -> CustomBinding | None:
        """The binding of a code whose table has dates; None for other fields."""
        table = self.reader.tables.get(str(row.words.get("codes")))
        if table is None or not table.dated:
            return None
        group = leaf.canonical.removesuffix("[]")
        frame, path = frame_of(group), self.reader.codes_at if self.reader.codes_at in self.known else None
        if path is not None and frame:
            self._carry(path, frame)
        if path is not None and not leaf.keys:
            self.lists.append((frame, dates.check_list(keys_of(group), leaf, table, path, not frame)))
        return dates.dated(leaf, table, path, not frame)

    def _carry(self, source: str, target: str) -> None:
        if (source, target) not in self.carried:
            self.carried.append((source, target))

    def condition(self, when: Any, frame: str, at: Path) -> Condition | None:
        if (
            not isinstance(when, dict)
            or set(when) != {"canonical", "is"}
            or not isinstance(when["is"], list)
            or not when["is"]
        ):
            self.bad(at, "", "a condition out of form", "when", "when: {canonical: a path, is: [a, b]}")
            return None
        path = str(when["canonical"])
        place = self.known.get(path)
        scalar = None if place is None else scalar_at(place, path)
        if scalar is None or scalar.kind == "number" or path.endswith("[]") or not frame.startswith(frame_of(path)):
            self.bad(
                at,
                path,
                "a condition on what the row cannot see",
                "when",
                "one text, whole number or yes/no of the same or an outer group",
            )
            return None
        for value in when["is"]:
            right = typed(value, scalar)
            if right is None or scalar.kind == "string" and not self.reader.is_valid(self.message, scalar, right):
                self.bad(at, path, f"the value {value!r}", "when", f"a {scalar.kind} that {path} can be")
                return None
        condition = Condition(path, tuple(when["is"]), frame)
        if condition.source != frame:
            self._carry(path, frame)
        self.conditions.append((condition, at))
        return condition

    def fill(self, row: Row, canonical: str, scalar: Scalar, *, constant: bool, late: bool = False) -> None:
        """Adds a constant or default for a field that the format does not carry. `late`: its place is read later."""
        word = "constant" if constant else "default"
        if word not in row.words:
            self.bad(row.at, canonical, "neither here nor constant", "table", "here: a path, or constant: a value")
            return
        value, keys = typed(row.words[word], scalar), keys_of(canonical)
        if value is None or scalar.kind == "string" and not self.reader.is_valid(self.message, scalar, value):
            self.bad(
                row.at,
                canonical,
                f"the {word} {row.words[word]!r}",
                "table",
                f"a {scalar.kind} that the contract allows",
            )
            return
        frame = self.tree.frame(frame_of(canonical))
        if frame is None or not keys:
            self.bad(
                row.at, canonical, f"a {word} in a list that no row fills", "table", "a row for the list before it"
            )
            return
        met, seen = (None, None) if row.condition is None else (row.condition.met(), row.condition.seen())
        above = [canonical[: -len(keys[-1]) - 1].rsplit(".", number)[0] for number in range(len(keys) - 1)]
        sure = all(self.known[path].field.required and not self.known[path].field.absentable for path in above)
        late = late or row.condition is not None
        frame.fills.append(Fill(keys, value, constant, canonical, late=late, sure=sure, met=met, seen=seen))
        if not constant:
            self.values.losses.append(f"{canonical}: a missing value becomes {value!r}")

    def finish(self, at: Path) -> Plan:
        self.tree.finish(at)
        waits = any(leaf.special is not None for leaf in self.tree.root.placed())
        for node in self.tree.root.nodes():  # deferred values decide whether an object exists
            node.fills = [replace(fill, late=fill.late or waits and len(fill.keys) > 1) for fill in node.fills]
        for target, line in self.recursions:
            if any(frame.startswith(target) for _, frame in self.carried):
                self.bad(
                    line,
                    target,
                    "conditions, or codes in time, inside what leads back",
                    "unsupported",
                    "none that ask for a value of another group",
                )
        self._check_listings()
        Coverage(
            reader=self.reader,
            tree=self.tree,
            known=self.known,
            bound=self.bound,
            lines=self.lines,
            drops=self.drops,
            losses=self.values.losses,
        ).check(at, self.conditions)
        for group, check in self.lists:
            if (frame := self.tree.frame(group)) is not None:
                frame.checks.append(check)
        document = self.reader.document
        return Plan(
            media=self.reader.media,
            message=self.message,
            struct=self.struct,
            root=self.tree.root,
            strict=False,
            namespaces=self.reader.namespaces,
            drops=self.drops,
            losses=self.values.losses,
            carried=self.carried,
            derived=self.derived,
            listings=list(self.listings.values()),
            lines={path: f"{document.file}:{document.line(line)}" for path, line in self.lines.items()},
        )

    def _check_listings(self) -> None:
        for canonical, listing in self.listings.items():
            if not listing.indexed:
                expected = "a row with `index` for the field"
                self.bad(self.lines[canonical], canonical, "a list of values without positions", "table", expected)
            for condition, line in self.conditions:
                if condition.canonical == canonical:
                    self.bad(line, canonical, "a condition on a position", "unsupported", "another field")
            for target, line in self.recursions:
                if canonical.startswith(target):
                    expected = "another list, or the canonical form"
                    self.bad(line, target, "positions inside what leads back", "unsupported", expected)


def custom_leaf(
    special: CustomBinding, canonical: str, here: str, row: Mapping[str, Any], keys: tuple[str, ...] = ("\0",)
) -> Leaf:
    return Leaf(keys, TEXT, canonical, here, special=special, row=row)
