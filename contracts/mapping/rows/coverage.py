"""Checks that the rows of a message cover all its fields.

Invariant: every field has a source or is dropped by name, in every case, and losses are listed.
Invariant: after `MANY` findings a recursive type is walked only where rows name something inside it, so that the cost
grows with types and rows only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.canonical.model import Array, Struct
from contracts.canonical.places import Place, Places, frame_of, keys_of, scalar_at
from contracts.folder.source_locations import Path
from contracts.mapping.plan import Leaf, Node
from contracts.mapping.rows.conditions import Condition, only_where
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.rows.tree import Tree
from contracts.mapping.steps import ANY

MANY: Final = 200


@dataclass(slots=True)
class Coverage:
    reader: TableContext
    tree: Tree
    known: Places
    bound: Mapping[str, Sequence[Condition | None]]
    lines: Mapping[str, Path]
    drops: frozenset[str]
    losses: list[str]
    _named: frozenset[str] = frozenset()  # what rows name, and the groups around it
    _again: frozenset[str] = frozenset()  # lists that are as a list above them
    _constants: frozenset[str] = frozenset()
    _reasons: Mapping[str, set[str]] = field(default_factory=dict)  # the reasons that the leaves of a field can tell
    _silence: dict[str, bool] = field(default_factory=dict)

    def check(self, at: Path, conditions: Sequence[tuple[Condition, Path]]) -> None:
        """Adds the findings and losses. `conditions` holds the conditions with their lines."""
        nodes = list(self.tree.root.nodes())
        self._named = _with_groups((*self.bound, *self.lines))
        self._again = frozenset(node.canonical for node in nodes if node.again is not None)
        self._constants = frozenset(fill.canonical for node in nodes for fill in node.fills if fill.constant)
        self._reasons = _reasons(self.tree.root)
        bound = _with_groups(self.bound)
        for dropped in sorted(self.drops):
            if dropped not in self.known or dropped in bound:
                self.reader.bad(
                    at, dropped, "dropped, and mapped or unknown", "overlap", "a canonical path that no row uses"
                )
            elif self._dropped(dropped, inside=True):
                self._field(dropped, self.known[dropped], at)  # the walk ends at the group that is dropped around it
        for path, place in self.known.walk(self._enters):
            self._field(path, place, at)
        for node in nodes:
            self._always_there(node, at)
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

    def _enters(self, path: str, place: Place) -> bool:
        """Whether the fields of a group need rows of their own."""
        return path not in self._again and not self._dropped(path) and not self._left_out(path, place)

    def _left_out(self, path: str, place: Place) -> bool:
        """Whether it refers to a recursive type of which no row names anything, after many findings."""
        unnamed = bool(place.refers) and place.refers not in place.led and path not in self._named
        return unnamed and len(self.reader.findings.items) >= MANY

    def _field(self, path: str, place: Place, at: Path) -> None:
        """Checks one place of the message."""
        if scalar_at(place, path) is None:
            self._whole(path, place, at)
            return
        if path in self.bound:
            self._conditions(path, place)
            return
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
            frame.checks.append(only_where(path, keys_of(path), conditions, self._reasons.get(path, set())))

    def _always_there(self, node: Node, at: Path) -> None:
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
        if alone and not nested and _null_says_missing(node, leaf):
            return
        if not alone or nested or not self.known[leaf.canonical].field.required:
            self.reader.bad(
                at,
                leaf.canonical,
                "an optional field as the text of an element with attributes, or of a list's items",
                "unsupported",
                "a required field, an element or attribute of its own, or for an item's only value missing: [null]",
            )

    def _dropped(self, path: str, *, inside: bool = False) -> bool:
        """Whether a path is dropped, by itself or by a group around it; `inside`: by a group."""
        return any(each in self.drops for each in _groups(path)) or not inside and path in self.drops

    def _whole(self, path: str, place: Place, at: Path) -> None:
        """Checks objects and arrays: absence that the table cannot express, and required arrays that may be empty."""
        if path.endswith("[]"):
            return
        listed = path + "[]" if isinstance(place.field.type, Array) else path
        if self._left_out(listed, place) and not self._dropped(path):
            self.reader.bad(
                at,
                path,
                "a group that the table does not name",
                "table",
                "rows for its fields, or its path under drops",
            )
            return
        if place.refers in place.led and f"{path}[]" not in self.lines:
            if not self._dropped(path):
                self.reader.bad(
                    at,
                    path,
                    f"{place.refers} inside {place.refers}",
                    "table" if isinstance(place.field.type, Array) else "unsupported",
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
        inner = place.field.type
        if isinstance(inner, Struct) and self._silent(path, inner):
            if place.field.required and frame is not None:
                frame.objects.append(keys)
            elif not self._dropped(path):
                self.losses.append(f"{path}: an empty object becomes a missing one")

    def _silent(self, path: str, struct: Struct) -> bool:
        """Whether an object may exist although nothing of it is written."""
        if path not in self._silence:
            self._silence[path] = all(
                f"{path}.{each.name}" in self._constants
                or isinstance(each.type, Array)
                and not each.type.least
                or isinstance(each.type, Struct)
                and self._silent(f"{path}.{each.name}", each.type)
                for each in struct.fields
                if each.required
            )
        return self._silence[path]

    def _entry(self, node: Node, at: Path) -> None:
        """Checks a keyed list: a row for the member name, which is a required text, and one for its value."""
        name = node.entry
        field = None if name is None else self.known[name.canonical].field
        if name is None or field is None or not _names(name):
            self.reader.bad(
                at,
                node.canonical,
                "members without a name",
                "table",
                "a first row that ends in {}: the text that names the member",
            )
        elif any(not self.known[each.canonical].field.required for each in name.fields()) or field.absentable:
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


def _null_says_missing(node: Node, leaf: Leaf) -> bool:
    """Whether the only value of an item has null, or xsi:nil, for a missing value; then the item stands without it."""
    whole = node.kind == "many" and not node.attributes and not node.children and node.entry is None
    return whole and leaf.special is None and None in leaf.missing


def _names(leaf: Leaf) -> bool:
    """Whether a member can have its name from the leaf: one text, or the parts or positions that make one."""
    if leaf.special is not None:
        return bool({"split", "index"} & set(leaf.row)) and "when" not in leaf.row
    return len(leaf.keys or ()) == 1 and leaf.form.raw == "text" and not leaf.tokens


def _parent(path: str) -> str:
    return path.rpartition(".")[0] + "."


def _groups(path: str) -> Iterable[str]:
    """The groups and lists around a path: `a`, `a[]` for `a[].b`."""
    return (path[:at] for at, sign in enumerate(path) if sign == "." or sign == "[")


def _with_groups(paths: Iterable[str]) -> frozenset[str]:
    return frozenset(each for path in paths for each in (path, *_groups(path)))


def _reasons(root: Node) -> Mapping[str, set[str]]:
    reasons: dict[str, set[str]] = {}
    for leaf in root.leaves():
        reasons.setdefault(leaf.canonical, set()).update(leaf.tokens)
    return reasons
