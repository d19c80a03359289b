"""Rows, one after the other, into the plan of a message: what kind each is, and what its words mean together.

Invariant: a field has one row, or rows whose conditions exclude each other; a row that is not understood is a finding with its line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from contracts.canonical.model import Array, RecursiveRef, Scalar, Struct
from contracts.canonical.places import Place, frame_of, keys_of, places, scalar_at, typed
from contracts.folder.source_locations import Path
from contracts.mapping import value_formats
from contracts.mapping.plan import CustomBinding, Derived, Fill, Leaf, Plan
from contracts.mapping.rows import expressions
from contracts.mapping.rows.conditions import Condition, fixed
from contracts.mapping.rows.coverage import Coverage
from contracts.mapping.rows.dated import check_list, dated
from contracts.mapping.rows.parts import join, plain, split, split_list
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.rows.tree import Tree
from contracts.mapping.rows.values import Values
from contracts.mapping.value_formats import TEXT

_ROW_WORDS: Final = {
    "canonical", "here", "as", "zone", "unit", "codes", "default", "constant", "absent", "missing", "when", "split", "join", "jsonata", "again",
}  # fmt: skip


@dataclass(slots=True)
class Builder:
    reader: TableContext
    message: str
    struct: Struct
    tree: Tree
    values: Values
    drops: frozenset[str]
    known: Mapping[str, Place] = field(default_factory=dict)
    bound: dict[str, list[Condition | None]] = field(default_factory=dict)
    lines: dict[str, Path] = field(default_factory=dict)
    derived: list[Derived] = field(default_factory=list)
    carried: list[tuple[str, str]] = field(default_factory=list)
    lists: list[tuple[str, Callable[[Any], None]]] = field(default_factory=list)
    led: list[tuple[str, Path]] = field(default_factory=list)
    asked: list[tuple[Condition, Path]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = places(self.struct)

    def row(self, row: Any, at: Path) -> None:
        if not isinstance(row, dict) or not set(row) <= _ROW_WORDS or not ({"canonical", "here"} & set(row)):
            self.bad(at, "", "not a row", "table", "canonical, here, and of " + ", ".join(sorted(_ROW_WORDS)))
            return
        canonical, here = row.get("canonical"), row.get("here")
        first = canonical[0] if isinstance(canonical, list) and canonical else canonical
        condition = None
        if "when" in row:
            condition = self._condition(row["when"], frame_of(str(first or "")), (*at, "when"))
            if condition is None or str(first).endswith("[]"):
                self.bad(
                    (*at, "when"), str(first), "a condition on a list of single values", "when", "a row for one value"
                ) if condition else None
                return
        if "jsonata" in row:
            self._expression(row, at)
        elif set(row) == {"canonical", "here", "absent"} and self._is_group(str(canonical)):
            self._absence(row, str(canonical), at)
        elif "again" in row:
            self._again(row, str(canonical), at)
        elif canonical is None:
            self._constant_here(row, condition, at)
        elif isinstance(canonical, list) or "split" in row:
            self._split(row, canonical if isinstance(canonical, list) else [canonical], condition, at)
        elif isinstance(here, list) or "join" in row:
            self._join(row, str(canonical), here if isinstance(here, list) else [here], condition, at)
        else:
            self._one(row, str(canonical), condition, at)

    def bad(self, path: Path, where: str, got: str, rule: str, expected: str) -> None:
        self.reader.bad(path, where, got, rule, expected)

    # --- kinds of row ---------------------------------------------------------------------------------------------------

    def _one(self, row: Mapping[str, Any], canonical: str, condition: Condition | None, at: Path) -> None:
        found = self._field(canonical, condition, at)
        if found is None:
            return
        place, scalar = found
        if "here" not in row:
            self._fill(row, canonical, scalar, condition, at, constant=True)
            return
        leaf = self._leaf(row, canonical, place, scalar, at)
        if leaf is None:
            return
        special = self._dated(row, leaf)
        if condition is not None:
            special = special or plain(leaf)
        last = str(row["here"]).rpartition("/")[2]
        if None in leaf.words and (
            special is not None and None in leaf.tokens.values() or last.startswith("@") or last == "text()"
        ):
            self.bad(
                at,
                canonical,
                "null for a value that cannot be null there",
                "absent",
                "a word, or an element or member of its own",
            )
        placed = leaf if special is None else _special(special, canonical, str(row["here"]), row, leaf.keys or ())
        frame = self.tree.place(str(row["here"]), canonical, placed, at, condition)
        if frame is not None and "default" in row:
            self._fill(row, canonical, scalar, condition, at, constant=False)

    def _split(self, row: Mapping[str, Any], canonicals: list[Any], condition: Condition | None, at: Path) -> None:
        separator, here = row.get("split"), row.get("here")
        if (
            not isinstance(separator, str)
            or not separator
            or not isinstance(here, str)
            or set(row) - {"canonical", "here", "split", "when"}
        ):
            self.bad(
                at,
                str(here),
                "a split out of form",
                "table",
                'canonical: [a, b], here: one place, split: ", "; nothing beside',
            )
            return
        leaves, optional = [], []
        for canonical in map(str, canonicals):
            found = self._field(canonical, condition, at)
            if found is None:
                return
            place, scalar = found
            if place.field.required and place.field.absentable:
                self.bad(
                    at,
                    canonical,
                    "a part whose absence cannot be said",
                    "absent",
                    "an optional field, or a place of its own",
                )
            elif place.field.absentable:
                self.values.losses.append(f"{canonical}: the reason for an absence is lost")
            leaves.append(
                Leaf(keys_of(canonical), value_formats.scalar_form(scalar, "xml", strict=True), canonical, here, scalar)
            )
            optional.append(not place.field.required)
        of_list = len(leaves) == 1 and leaves[0].canonical.endswith("[]")
        if not of_list and (
            len(leaves) < 2
            or len({frame_of(leaf.canonical) for leaf in leaves}) > 1
            or not all(leaf.keys for leaf in leaves)
        ):
            self.bad(
                at,
                here,
                "parts that do not belong together",
                "table",
                "two or more fields of one group, or one list of single values",
            )
            return
        target = leaves[0].canonical.removesuffix("[]") if of_list else leaves[0].canonical
        special = split_list(leaves[0], keys_of(target), separator) if of_list else split(leaves, optional, separator)
        self.tree.place(here, target, _special(special, leaves[0].canonical, here, row), at, condition)

    def _join(
        self, row: Mapping[str, Any], canonical: str, here: list[Any], condition: Condition | None, at: Path
    ) -> None:
        separator, found = row.get("join"), self._field(canonical, condition, at)
        if found is None:
            return
        place, scalar = found
        if (
            not isinstance(separator, str)
            or not separator
            or len(here) < 2
            or canonical.endswith("[]")
            or "absent" in row
            or "unit" in row
        ):
            self.bad(at, canonical, "a join out of form", "table", 'canonical: one field, here: [a, b], join: " "')
            return
        if place.field.required and place.field.absentable:
            self.bad(
                at,
                canonical,
                "a joined field whose absence cannot be said",
                "absent",
                "an optional field, or a place of its own",
            )
        shape = dict(row) if "as" in row or "codes" in row or scalar.kind == "string" else {**row, "as": "text"}
        leaf = self._leaf({**shape, "here": str(here[0])}, canonical, place, scalar, at)
        if leaf is None:
            return
        if leaf.form.raw != "text":
            self.bad(at, canonical, "a join of what is no text", "table", "as: text, or a text")
            return
        root = f"{self.tree.root.here}/" if self.reader.media == "xml" else ""
        paths = [f"{root}{each}" for each in here]
        whole = self._dated(row, leaf) or plain(leaf)
        for path, special in zip(
            here, join(leaf, whole, paths, separator, int(self.reader.media == "xml")), strict=True
        ):
            self.tree.place(str(path), canonical, _special(special, canonical, str(path), row), at, condition)
        if "default" in row:
            self._fill(row, canonical, scalar, condition, at, constant=False)

    def _expression(self, row: Mapping[str, Any], at: Path) -> None:
        expression = row["jsonata"]
        target = "canonical" if "canonical" in row else "here"
        if (
            set(row) != {target, "jsonata"}
            or not isinstance(expression, str)
            or not isinstance(row[target], str)
            or "[]" in row[target]
        ):
            self.bad(
                at,
                str(row.get(target)),
                "a one-way row out of form",
                "table",
                "canonical or here, outside lists, and jsonata",
            )
            return
        try:
            if target == "here":
                self.tree.place(row["here"], "", expressions.into_place(expression, row["here"], self.reader.media), at)
                self.values.losses.append(f"{row['here']}: one-way: made by an expression when it is written, not read")
                return
            found = self._field(row["canonical"], None, at)
            if found is not None:
                made = expressions.into_field(
                    expression, found[1], row["canonical"], self.reader.media, self.reader.namespaces
                )
                self.derived.append(made)
                self.values.losses.append(
                    f"{row['canonical']}: one-way: made by an expression when it is read, not written"
                )
        except expressions.Wrong as wrong:
            self.bad((*at, "jsonata"), str(row[target]), "an expression that cannot be used", "expression", str(wrong))

    def _again(self, row: Mapping[str, Any], canonical: str, at: Path) -> None:
        """A row for a list that leads back to a type above it."""
        place, target = self.known.get(canonical), self.known.get(str(row["again"]))
        inner, above = (
            None if each is None or not isinstance(each.field.type, Array) else each.field.type.items
            for each in (place, target)
        )
        same = (
            isinstance(inner, RecursiveRef)
            and not isinstance(above, Scalar)
            and above is not None
            and inner.name == above.name
        )
        if (
            set(row) != {"canonical", "here", "again"}
            or not same
            or not canonical.startswith(str(row["again"]))
            or canonical in self.lines
        ):
            self.bad(
                at,
                canonical,
                "a list that does not lead back so",
                "table",
                "canonical, here and again: the list above it of the same type",
            )
            return
        self.lines[canonical] = at
        self.tree.again(str(row["here"]), canonical, str(row["again"]), at)
        self.led.append((str(row["again"]), at))

    def _is_group(self, canonical: str) -> bool:
        place = self.known.get(canonical)
        return place is not None and scalar_at(place, canonical) is None and not canonical.endswith("[]")

    def _absence(self, row: Mapping[str, Any], canonical: str, at: Path) -> None:
        """A row for a whole group: what stands there when it is absent."""
        place = self.known[canonical]
        if not place.field.absentable or canonical in self.lines:
            self.bad(at, canonical, "words for absence", "absent", "one row, for a group that is absentable")
            return
        self.lines[canonical] = at
        leaf = Leaf(keys_of(canonical), TEXT, canonical, str(row["here"]))
        self.values.tokens(row, place, None, leaf, at)
        self.tree.group(str(row["here"]), leaf, at)

    def _constant_here(self, row: Mapping[str, Any], condition: Condition | None, at: Path) -> None:
        if set(row) - {"when"} != {"here", "constant"}:
            self.bad(at, str(row.get("here")), "a row without canonical", "table", "here and constant, nothing else")
            return
        value, here = row["constant"], str(row["here"])
        if self.reader.media == "xml":
            value = str(value)
        elif isinstance(value, float) or not isinstance(value, (str, int, bool)):
            self.bad(at, here, "a constant of another kind", "table", "a text, a whole number, true or false")
            return
        leaf = (
            Leaf(None, TEXT, "", here, constant=value) if condition is None else _special(fixed(value), "", here, row)
        )
        self.tree.place(here, "", leaf, at, condition)

    # --- the parts of a row -------------------------------------------------------------------------------------------

    def _field(self, canonical: str, condition: Condition | None, at: Path) -> tuple[Place, Scalar] | None:
        """The one field that a row is for; that it has a row now is kept."""
        place = self.known.get(canonical)
        scalar = None if place is None else scalar_at(place, canonical)
        if place is None or scalar is None:
            what = "a path that the canonical message does not have" if place is None else "an object or array"
            self.bad(at, canonical, what, "table", "the path of one value, arrays with []")
            return None
        others = self.bound.setdefault(canonical, [])
        if others and (
            condition is None or not all(other is not None and condition.excludes(other) for other in others)
        ):
            self.bad(
                at,
                canonical,
                "a second row for the field",
                "overlap",
                "one row a field, or rows whose conditions exclude each other",
            )
            return None
        others.append(condition)
        self.lines[canonical] = at
        return place, scalar

    def _leaf(self, row: Mapping[str, Any], canonical: str, place: Place, scalar: Scalar, at: Path) -> Leaf | None:
        form = self.values.form(row, scalar, at)
        if form is None:
            return None
        if form.loss is not None:
            self.values.losses.append(f"{canonical}: {form.loss}")
        leaf = Leaf(keys_of(canonical), form, canonical, str(row["here"]), scalar, row=row)
        if place.field.absentable:
            self.values.tokens(row, place, scalar, leaf, at)
        elif "absent" in row:
            self.bad(at, canonical, "words for absence", "absent", "none: the field is not absentable")
        if "missing" in row:
            self.values.missing(row, place, scalar, leaf, at)
        return leaf

    def _dated(self, row: Mapping[str, Any], leaf: Leaf) -> CustomBinding | None:
        table = self.reader.tables.get(str(row.get("codes")))
        if table is None or not table.dated:
            return None
        group = leaf.canonical.removesuffix("[]")
        frame, path = frame_of(group), self.reader.codes_at if self.reader.codes_at in self.known else None
        if path is not None and frame:
            self._carry(path, frame)
        if path is not None and not leaf.keys:
            self.lists.append((frame, check_list(keys_of(group), leaf, table, path, not frame)))
        return dated(leaf, table, path, not frame)

    def _carry(self, source: str, target: str) -> None:
        if (source, target) not in self.carried:
            self.carried.append((source, target))

    def _condition(self, said: Any, frame: str, at: Path) -> Condition | None:
        if (
            not isinstance(said, dict)
            or set(said) != {"canonical", "is"}
            or not isinstance(said["is"], list)
            or not said["is"]
        ):
            self.bad(at, "", "a condition out of form", "when", "when: {canonical: a path, is: [a, b]}")
            return None
        path = str(said["canonical"])
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
        for value in said["is"]:
            right = typed(value, scalar)
            if right is None or scalar.kind == "string" and not self.reader.is_valid(self.message, scalar, right):
                self.bad(at, path, f"the value {value!r}", "when", f"a {scalar.kind} that {path} can be")
                return None
        made = Condition(path, tuple(said["is"]), frame)
        if made.source != frame:
            self._carry(path, frame)
        self.asked.append((made, at))
        return made

    def _fill(
        self,
        row: Mapping[str, Any],
        canonical: str,
        scalar: Scalar,
        condition: Condition | None,
        at: Path,
        *,
        constant: bool,
    ) -> None:
        word = "constant" if constant else "default"
        if word not in row:
            self.bad(at, canonical, "neither here nor constant", "table", "here: a path, or constant: a value")
            return
        value, keys = typed(row[word], scalar), keys_of(canonical)
        if value is None or scalar.kind == "string" and not self.reader.is_valid(self.message, scalar, value):
            self.bad(at, canonical, f"the {word} {row[word]!r}", "table", f"a {scalar.kind} that the contract allows")
            return
        frame = self.tree.frame(frame_of(canonical))
        if frame is None or not keys:
            self.bad(at, canonical, f"a {word} in a list that no row fills", "table", "a row for the list before it")
            return
        met, seen = (None, None) if condition is None else (condition.met(), condition.seen())
        above = [canonical[: -len(keys[-1]) - 1].rsplit(".", number)[0] for number in range(len(keys) - 1)]
        sure = all(self.known[path].field.required and not self.known[path].field.absentable for path in above)
        frame.fills.append(
            Fill(keys, value, constant, canonical, condition is not None or "join" in row, sure, met, seen)
        )
        if not constant:
            self.values.losses.append(f"{canonical}: a missing value becomes {value!r}")

    # --- the whole --------------------------------------------------------------------------------------------------------

    def finish(self, at: Path) -> Plan:
        self.tree.finish()
        waits = any(leaf.special is not None for leaf in self.tree.root.placed())
        for node in self.tree.root.nodes():  # whether an object is there is known when all that waits is read
            node.fills = [replace(fill, late=fill.late or waits and len(fill.keys) > 1) for fill in node.fills]
        for target, line in self.led:
            if any(frame.startswith(target) for _, frame in self.carried):
                self.bad(
                    line,
                    target,
                    "conditions, or codes in time, inside what leads back",
                    "table",
                    "none that ask for a value of another group",
                )
        Coverage(self.reader, self.tree, self.known, self.bound, self.lines, self.drops, self.values.losses).look(
            at, self.asked
        )
        for group, check in self.lists:
            if (frame := self.tree.frame(group)) is not None:
                frame.checks.append(check)
        return Plan(
            self.reader.media, self.message, self.struct, self.tree.root, False, self.reader.namespaces, self.drops, self.values.losses,
            self.carried, self.derived, {path: f"{self.reader.document.file}:{self.reader.document.line(at)}" for path, at in self.lines.items()},
        )  # fmt: skip


def _special(
    special: CustomBinding, canonical: str, here: str, row: Mapping[str, Any], keys: tuple[str, ...] = ("\0",)
) -> Leaf:
    return Leaf(keys, TEXT, canonical, here, special=special, row=row)
