"""Checks that the rows of a message cover all its fields.

Invariant: every field has a source or is dropped by name, in every case, and losses are listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.canonical.model import Array, RecursiveRef, Struct
from contracts.canonical.places import Place, frame_of, keys_of, scalar_at
from contracts.folder.source_locations import Path
from contracts.mapping.plan import Node
from contracts.mapping.rows.conditions import Condition, only_where
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.rows.tree import Tree
from contracts.mapping.steps import ANY


@dataclass(slots=True)
class Coverage:
    reader: TableContext
    tree: Tree
    known: Mapping[str, Place]
    bound: Mapping[str, Sequence[Condition | None]]
    lines: Mapping[str, Path]
    drops: frozenset[str]
    losses: list[str]

    def check(self, at: Path, conditions: Sequence[tuple[Condition, Path]]) -> None:
        """Adds the findings and losses. `conditions` holds the conditions with their lines."""
        known = self.known
        for dropped in sorted(self.drops):
            if dropped not in known or any(
                path == dropped or path.startswith((dropped + ".", dropped + "[]")) for path in self.bound
            ):
                self.reader.bad(
                    at, dropped, "dropped, and mapped or unknown", "overlap", "a canonical path that no row uses"
                )
        again = tuple(f"{node.canonical}." for node in self.tree.root.nodes() if node.again is not None)
        for path, place in known.items():
            if path.startswith(again):
                continue  # covered by the list above it
            if scalar_at(place, path) is None:
                self._whole(path, place, at)
                continue
            if path in self.bound:
                self._conditions(path, place)
                continue
            is_dropped = self._dropped(path)
            if place.field.required and not is_dropped:
                self.reader.bad(at, path, "a required field without a source", "required", "a row, or a constant")
            elif (place.field.required or place.needed) and path in self.drops:
                self.reader.bad(at, path, "a required field that is dropped", "required", "a row, or a constant")
            elif not is_dropped:
                self.reader.bad(
                    at,
                    path,
                    "an optional field that the table does not name",
                    "table",
                    "a row, or its path under drops",
                )
        for node in self.tree.root.nodes():
            self._always_there(node, known, at)
        self.losses.extend(f"{path}: dropped" for path in sorted(self.drops))
        for condition, line in conditions:
            if None not in self.bound.get(condition.canonical, []):
                self.reader.bad(
                    line,
                    condition.canonical,
                    "a condition on a field without a row",
                    "when",
                    "a row without a condition for it",
                )

    def _conditions(self, path: str, place: Place) -> None:
        """Checks a field whose rows all have conditions.

        A required field needs a row in every case. Another field is refused on writing where no row applies.
        """
        conditions = [each for each in self.bound[path] if each is not None]
        if len(conditions) < len(self.bound[path]) or not conditions:
            return
        tested = self.known[conditions[0].canonical]
        scalar = scalar_at(tested, conditions[0].canonical)
        cases: tuple[Any, ...] = () if scalar is None else (True, False) if scalar.kind == "boolean" else scalar.values
        left = [str(case) for case in cases if not any(case in each.values for each in conditions)]
        sure = (
            tested.field.required
            and not tested.field.absentable
            and (not tested.optional_above or path.startswith(_parent(tested.path)))
        )
        if place.field.required and (left or not cases or not sure):
            missing = ", ".join(left) or f"no {tested.path}"
            self.reader.bad(
                self.lines[path],
                path,
                f"a required field without a source for {missing}",
                "required",
                "a row for every case",
            )
        frame = self.tree.frame(frame_of(path))
        if frame is not None:
            words = {reason for leaf in self.tree.root.leaves() if leaf.canonical == path for reason in leaf.tokens}
            frame.checks.append(only_where(path, keys_of(path), conditions, words))

    def _always_there(self, node: Node, known: Mapping[str, Place], at: Path) -> None:
        """Refuses an optional field as the text of an element that has attributes or is a list item.

        An empty text and a missing one could not be told apart. The text may not be missing where it is required in the
        canonical object that all attributes of the element belong to.
        """
        leaf = node.text
        if node.name == ANY:
            self._entry(node, at)
        if leaf is None or leaf.keys is None or leaf.keys == ():
            return
        if node.kind != "many" and not node.attributes and node is not self.tree.root:
            return
        alone = leaf.special is None or len(leaf.special.leaves) == 1 and id(leaf) not in self.tree.cases
        apart = any(
            each.keys is None or each.keys[: len(leaf.keys) - 1] != leaf.keys[:-1] for each in node.attributes.values()
        )
        nested = len(leaf.keys) > 1 and (apart or node.kind == "many")
        if not alone or nested or not known[leaf.canonical].field.required:
            self.reader.bad(
                at,
                leaf.canonical,
                "an optional field as the text of an element with attributes, or of a list's items",
                "table",
                "a required field, or an element or attribute of its own",
            )

    def _dropped(self, path: str) -> bool:
        return any(path == each or path.startswith((each + ".", each + "[]")) for each in self.drops)

    def _whole(self, path: str, place: Place, at: Path) -> None:
        """Checks objects and arrays: absence that the table cannot express, and required arrays that may be empty."""
        if path.endswith("[]"):
            return
        inner = place.field.type.items if isinstance(place.field.type, Array) else place.field.type
        if isinstance(inner, RecursiveRef) and inner.name in place.led and f"{path}[]" not in self.lines:
            if not self._dropped(path):
                self.reader.bad(
                    at,
                    path,
                    f"{inner.name} inside {inner.name}",
                    "table",
                    "a row with `again` for a list, or its path under drops",
                )
            elif place.field.required or place.needed:
                self.reader.bad(
                    at, path, "a required field that is dropped", "required", "the canonical form for such messages"
                )
        if place.field.absentable and not self._dropped(path) and path not in self.lines:
            if place.field.required:
                self.reader.bad(
                    at,
                    path,
                    "a required object whose absence cannot be said",
                    "absent",
                    "a format that can, or an optional field",
                )
            self.losses.append(f"{path}: the reason for an absence is lost")
        frame, keys = self.tree.frame(frame_of(path)), keys_of(path)
        if (
            isinstance(place.field.type, Array)
            and place.field.required
            and place.field.type.least == 0
            and frame is not None
        ):
            frame.empties.append(keys)
        if isinstance(inner, Struct) and inner is place.field.type and self._silent(path, inner):
            if place.field.required and frame is not None:
                frame.objects.append(keys)
            elif not self._dropped(path):
                self.losses.append(f"{path}: an empty object becomes a missing one")

    def _silent(self, path: str, struct: Struct) -> bool:
        """Whether an object may exist although nothing of it is written."""
        constants = {fill.canonical for node in self.tree.root.nodes() for fill in node.fills if fill.constant}
        return all(
            f"{path}.{each.name}" in constants
            or isinstance(each.type, Array)
            and not each.type.least
            or isinstance(each.type, Struct)
            and self._silent(f"{path}.{each.name}", each.type)
            for each in struct.fields
            if each.required
        )

    def _entry(self, node: Node, at: Path) -> None:
        """Checks a keyed list: a row for the member name, which is a required text, and one for its value."""
        name = node.entry
        field = None if name is None else self.known[name.canonical].field
        if (
            name is None
            or field is None
            or name.special is not None
            or len(name.keys or ()) != 1
            or name.form.raw != "text"
            or name.tokens
        ):
            self.reader.bad(
                at,
                node.canonical,
                "members without a name",
                "table",
                "a first row that ends in {}: the text that names the member",
            )
        elif not field.required or field.absentable:
            self.reader.bad(
                self.lines[name.canonical], name.canonical, "a name that can be missing", "required", "a required text"
            )
        elif node.text is None and not node.children:
            self.reader.bad(
                self.lines[name.canonical],
                name.canonical,
                "names without values",
                "table",
                "a second row that ends in {}",
            )


def _parent(path: str) -> str:
    return path.rpartition(".")[0] + "."
