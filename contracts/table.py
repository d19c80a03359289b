"""A mapping table (systems/<format>.yaml) read into the plan of each of its messages.

Refused, with file and line: paths that do not exist, two rows for one place, a required field without a source, an optional field
neither mapped nor dropped by name, a code of the canonical list without a code of theirs, a word for absence that could be a value.
What a table loses is listed, never silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts.forms import Form
from contracts.located import Path
from contracts.model import Many, Scalar, Struct
from contracts.places import Place, places, scalar_at, typed
from contracts.plan import Fill, Leaf, Node, Plan
from contracts.rows.reader import Ground
from contracts.rows.tree import Tree
from contracts.rows.values import Values
from contracts.steps import xml_steps

_ROW_WORDS: Final = {"canonical", "here", "as", "zone", "codes", "default", "constant", "absent"}
_MESSAGE_WORDS: Final = {"root", "rows", "drops", "ignores"}


class TableReader(Ground):
    def plan(self, message: str, struct: Struct) -> Plan | None:
        at: Path = ("messages", message)
        node = self.document.value["messages"][message]
        if not isinstance(node, dict) or not isinstance(node.get("rows"), list):
            self.bad(at, message, "no rows", "table", "rows: a list")
            return None
        for word in node:
            if word not in _MESSAGE_WORDS:
                self.bad((*at, word), message, f"the word {word}", "table", "one of " + ", ".join(sorted(_MESSAGE_WORDS)))
        root = self._root(node, at)
        if root is None:
            return None
        drops = self._names(node, "drops", at)
        builder = _Builder(self, message, struct, Tree(self, struct, root), Values(self, message, []), frozenset(drops))
        for number, row in enumerate(node["rows"]):
            builder.row(row, (*at, "rows", number))
        for number, ignored in enumerate(self._names(node, "ignores", at)):
            builder.tree.ignore(ignored, (*at, "ignores", number))
        return builder.finish((*at, "rows"))

    def _names(self, node: Mapping[str, Any], word: str, at: Path) -> list[str]:
        value = node.get(word, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.bad((*at, word), "", "not a list of paths", "table", "a list of paths")
            return []
        return value

    def _root(self, node: Mapping[str, Any], at: Path) -> Node | None:
        if self.media == "json":
            if "root" in node:
                self.bad((*at, "root"), "", "a root", "table", "no root: JSON has none")
            return Node("", "")
        steps = xml_steps(str(node.get("root", "")), self.namespaces)
        if isinstance(steps, str) or len(steps) != 1 or steps[0].attribute or steps[0].many or steps[0].key_name:
            self.bad((*at, "root"), "", f"root {node.get('root')!r}", "table", "one element, as cap:alert")
            return None
        return Node(steps[0].name, str(node["root"]))


@dataclass(slots=True)
class _Builder:
    reader: Ground
    message: str
    struct: Struct
    tree: Tree
    values: Values
    drops: frozenset[str]
    bound: dict[str, str] = field(default_factory=dict)

    def row(self, row: Any, at: Path) -> None:
        if not isinstance(row, dict) or not set(row) <= _ROW_WORDS or not ({"canonical", "here"} & set(row)):
            self.reader.bad(at, "", "not a row", "table", "canonical, here, and of " + ", ".join(sorted(_ROW_WORDS)))
            return
        canonical = row.get("canonical")
        if canonical is None:
            self._constant_here(row, at)
            return
        known = places(self.struct)
        place = known.get(str(canonical))
        if place is None or (scalar := scalar_at(place, str(canonical))) is None:
            what = "a path that the canonical message does not have" if place is None else "an object or array"
            self.reader.bad(at, str(canonical), what, "table", "the path of one value, arrays with []")
            return
        if canonical in self.bound:
            self.reader.bad(at, canonical, "a second row for the field", "overlap", "one row a field")
            return
        self.bound[canonical] = str(row.get("here", ""))
        keys = canonical.split("[]")[-1].lstrip(".").split(".") if not canonical.endswith("[]") else []
        if "here" not in row:
            self._fill(row, canonical, scalar, tuple(keys), at, constant=True)
            return
        form = self.values.form(row, scalar, at)
        if form is None:
            return
        if form.loss is not None:
            self.values.losses.append(f"{canonical}: {form.loss}")
        leaf = Leaf(tuple(keys), form, canonical, str(row["here"]), scalar)
        if place.field.absentable:
            self.values.tokens(row, place, scalar, leaf, at)
        elif "absent" in row:
            self.reader.bad(at, canonical, "words for absence", "absent", "none: the field is not absentable")
        frame = self.tree.place(str(row["here"]), canonical, leaf, at)
        if frame is not None and "default" in row:
            self._fill(row, canonical, scalar, tuple(keys), at, constant=False)

    # --- the parts of a row -------------------------------------------------------------------------------------------

    def _fill(self, row: Mapping[str, Any], canonical: str, scalar: Scalar, keys: tuple[str, ...], at: Path, *, constant: bool) -> None:
        word = "constant" if constant else "default"
        if word not in row:
            self.reader.bad(at, canonical, "neither here nor constant", "table", "here: a path, or constant: a value")
            return
        value = typed(row[word], scalar)
        if value is None or scalar.kind == "string" and not self.reader.is_valid(self.message, scalar, value):
            self.reader.bad(at, canonical, f"the {word} {row[word]!r}", "table", f"a {scalar.kind} that the contract allows")
            return
        frame = self.tree.frame("".join(part + "[]" for part in canonical.split("[]")[:-1]))
        if frame is None or not keys:
            self.reader.bad(at, canonical, f"a {word} in a list that no row fills", "table", "a row for the list before it")
            return
        frame.fills.append(Fill(keys, value, constant, canonical))
        if not constant:
            self.values.losses.append(f"{canonical}: a missing value becomes {value!r}")

    def _constant_here(self, row: Mapping[str, Any], at: Path) -> None:
        if set(row) != {"here", "constant"}:
            self.reader.bad(at, str(row.get("here")), "a row without canonical", "table", "here and constant, nothing else")
            return
        value = row["constant"]
        if self.reader.media == "xml":
            value = str(value)
        elif isinstance(value, float) or not isinstance(value, (str, int, bool)):
            self.reader.bad(at, str(row["here"]), "a constant of another kind", "table", "a text, a whole number, true or false")
            return
        leaf = Leaf(None, Form("text", None, None), "", str(row["here"]), constant=value)
        self.tree.place(str(row["here"]), "", leaf, at)

    # --- the whole --------------------------------------------------------------------------------------------------------

    def finish(self, at: Path) -> Plan:
        known = places(self.struct)
        for dropped in sorted(self.drops):
            if dropped not in known or any(path == dropped or path.startswith((dropped + ".", dropped + "[]")) for path in self.bound):
                self.reader.bad(at, dropped, "dropped, and mapped or unknown", "overlap", "a canonical path that no row uses")
        for path, place in known.items():
            if scalar_at(place, path) is None:
                self._whole(path, place, at)
                continue
            if path in self.bound:
                continue
            is_dropped = self._dropped(path)
            if place.field.required and not is_dropped:
                self.reader.bad(at, path, "a required field without a source", "required", "a row, or a constant")
            elif place.field.required and path in self.drops:
                self.reader.bad(at, path, "a required field that is dropped", "required", "a row, or a constant")
            elif not is_dropped:
                self.reader.bad(at, path, "an optional field that the table does not name", "table", "a row, or its path under drops")
        for node in self.tree.root.nodes():
            self._always_there(node, known, at)
        self.values.losses.extend(f"{path}: dropped" for path in sorted(self.drops))
        return Plan(
            self.reader.media, self.message, self.struct, self.tree.root, False, self.reader.namespaces, self.drops, self.values.losses
        )

    def _always_there(self, node: Node, known: Mapping[str, Place], at: Path) -> None:
        """The text of an element that stands for more than its text cannot be missing: empty and missing would be one."""
        leaf = node.text
        if leaf is None or leaf.keys is None or leaf.keys == () or node.kind != "many" and not node.attributes:
            return
        if len(leaf.keys) > 1 or not known[leaf.canonical].field.required:
            self.reader.bad(at, leaf.canonical, "an optional field as the text of an element with attributes, or of a list's items", "table",
                            "a required field, or an element or attribute of its own")  # fmt: skip

    def _dropped(self, path: str) -> bool:
        return any(path == each or path.startswith((each + ".", each + "[]")) for each in self.drops)

    def _whole(self, path: str, place: Place, at: Path) -> None:
        """Objects and arrays: absence that the table cannot say, required arrays that may be empty."""
        if path.endswith("[]"):
            return
        if place.field.absentable and not self._dropped(path):
            if place.field.required:
                self.reader.bad(
                    at, path, "a required object whose absence cannot be said", "absent", "a format that can, or an optional field"
                )
            self.values.losses.append(f"{path}: the reason for an absence is lost")
        if isinstance(place.field.type, Many) and place.field.required and place.field.type.least == 0:
            frame = self.tree.frame("".join(part + "[]" for part in path.split("[]")[:-1]))
            if frame is not None:
                frame.empties.append(tuple(path.split("[]")[-1].lstrip(".").split(".")))
