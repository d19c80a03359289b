"""A mapping table (systems/<format>.yaml) read into the plan of each of its messages.

Refused, with file and line: paths that do not exist, two rows for one place, a required field without a source, an optional field
neither mapped nor dropped by name, a code of the canonical list without a code of theirs, a word for absence that could be a value.
What a table loses is listed, never silent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts import forms
from contracts.forms import Form, Media
from contracts.located import Findings, Located, Path
from contracts.model import REASONS, CodeTable, Many, Scalar, Struct
from contracts.places import Place, places, scalar_at, typed
from contracts.plan import Fill, Leaf, Node, Plan
from contracts.steps import Step, json_steps, xml_steps

_ROW_WORDS: Final = {"canonical", "here", "as", "zone", "codes", "default", "constant", "absent"}
_MESSAGE_WORDS: Final = {"root", "rows", "drops", "ignores"}
_XSD_TOKEN: Final = re.compile(r"\S(.*\S)?")


@dataclass(slots=True)
class TableReader:
    document: Located
    media: Media
    namespaces: Mapping[str, str]
    tables: Mapping[str, CodeTable]
    findings: Findings
    is_valid: Callable[[str, Scalar, str], bool] = field(default=lambda message, scalar, value: False)

    def bad(self, path: Path, where: str, got: str, rule: str, expected: str) -> None:
        self.findings.add(self.document.file, self.document.line(path), where, got, rule, expected)

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
        builder = _Builder(self, message, struct, root, frozenset(drops))
        for number, row in enumerate(node["rows"]):
            builder.row(row, (*at, "rows", number))
        for number, ignored in enumerate(self._names(node, "ignores", at)):
            builder.ignore(ignored, (*at, "ignores", number))
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
    reader: TableReader
    message: str
    struct: Struct
    root: Node
    drops: frozenset[str]
    losses: list[str] = field(default_factory=list)
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
        form = self._form(row, scalar, at)
        if form is None:
            return
        if form.loss is not None:
            self.losses.append(f"{canonical}: {form.loss}")
        leaf = Leaf(tuple(keys), form, canonical, str(row["here"]), scalar)
        if place.field.absentable:
            self._tokens(row, place, scalar, leaf, at)
        elif "absent" in row:
            self.reader.bad(at, canonical, "words for absence", "absent", "none: the field is not absentable")
        frame = self._place(str(row["here"]), canonical, leaf, at)
        if frame is not None and "default" in row:
            self._fill(row, canonical, scalar, tuple(keys), at, constant=False)

    # --- the parts of a row -------------------------------------------------------------------------------------------

    def _form(self, row: Mapping[str, Any], scalar: Scalar, at: Path) -> Form | None:
        shape, media = row.get("as"), self.reader.media
        if "codes" in row:
            table = self.reader.tables.get(str(row["codes"]))
            if table is None or scalar.kind != "string":
                self.reader.bad(at, str(row["canonical"]), f"the table {row['codes']!r}", "code", "a file codes/<name>.csv, for a text")
                return None
            self._covered(table, scalar, str(row["canonical"]), at)
            if shape == "integer" and any(str(int(code)) != code for code in table.codes if code.isdigit()):
                self.reader.bad(at, table.name, "codes with leading zeros as integers", "code", "codes as text")
            if shape not in (None, "integer") or shape == "integer" and not all(code.isdigit() for code in table.codes):
                self.reader.bad(at, table.name, f"as: {shape}", "table", "as: integer, for a table of numbers, or nothing")
                return None
            return forms.codes_form(table, as_integer=shape == "integer", media=media)
        if "zone" in row and (not isinstance(shape, str) or not forms.is_time_pattern(shape) or not forms.has_clock(shape)):
            self.reader.bad(at, str(row["canonical"]), "a zone", "table", "only with a time, as yyyyMMddHHmmss")
        if shape is None:
            return forms.scalar_form(scalar, media, strict=False)
        if shape == "decimal-comma" and scalar.kind == "number":
            return forms.decimal_comma(media)
        if shape == "text" and scalar.kind in ("integer", "number"):
            return forms.number_as_text(scalar)
        if shape == "boolean-01" and scalar.kind == "boolean":
            return forms.boolean_01(media)
        if isinstance(shape, str) and forms.is_time_pattern(shape):
            if scalar.format == "date" and not forms.has_clock(shape):
                return forms.date_form(shape)
            if scalar.format == "date-time" and forms.has_clock(shape):
                if forms.zone_offset(str(row.get("zone"))) is None:
                    self.reader.bad(at, str(row["canonical"]), "no zone", "table", 'zone: "+07:00", what a time without zone means')
                    return None
                return forms.time_form(shape, str(row["zone"]))
        self.reader.bad(
            at,
            str(row["canonical"]),
            f"as: {shape} for {scalar.format or scalar.kind}",
            "table",
            "decimal-comma (number), text (number), boolean-01 (boolean), a shape such as yyyyMMddHHmmss (date-time, date)",
        )
        return None

    def _covered(self, table: CodeTable, scalar: Scalar, canonical: str, at: Path) -> None:
        means = {row.canonical if row.canonical is not None else row.code for row in table.rows}
        if scalar.values:
            for needed in scalar.values:
                if needed not in means:
                    self.reader.bad(at, canonical, f"{needed} without a code in {table.name}", "code", "a code for every canonical value")
            for row in table.rows:
                value = row.canonical if row.canonical is not None else row.code
                if value not in scalar.values:
                    self.reader.findings.add(
                        f"codes/{table.name}.csv", row.line, row.code, f"the canonical value {value}", "code", f"a value of {canonical}"
                    )
        else:
            self.losses.append(f"{canonical}: only what {table.name} has a code for can be written")

    def _tokens(self, row: Mapping[str, Any], place: Place, scalar: Scalar, leaf: Leaf, at: Path) -> None:
        tokens = row.get("absent", {})
        if not isinstance(tokens, dict) or not set(tokens) <= set(REASONS) or len(set(tokens.values())) < len(tokens):
            self.reader.bad(at, leaf.canonical, "words for absence", "absent", "a different word for each of " + ", ".join(REASONS))
            return
        for reason, token in tokens.items():
            if not isinstance(token, str) or _XSD_TOKEN.fullmatch(token) is None or self._could_be_value(token, scalar, leaf.form):
                self.reader.bad(
                    at, leaf.canonical, f"the word {token!r} for {reason}", "absent", "a text that cannot be a value of the field"
                )
        missing = [reason for reason in REASONS if reason not in tokens]
        if missing and place.field.required:
            self.reader.bad(
                at, leaf.canonical, "a required field whose absence cannot be said", "absent", "absent: a word for " + ", ".join(missing)
            )
        elif missing:
            self.losses.append(f"{leaf.canonical}: the reason for an absence ({', '.join(missing)}) is lost")
        leaf.tokens = {str(reason): str(token) for reason, token in tokens.items()}

    def _could_be_value(self, token: str, scalar: Scalar, form: Form) -> bool:
        value: Any = token
        if form.read is not None:
            try:
                value = form.read(token)
            except forms.Bad:
                return False
        return scalar.kind != "string" or self.reader.is_valid(self.message, scalar, value)

    def _fill(self, row: Mapping[str, Any], canonical: str, scalar: Scalar, keys: tuple[str, ...], at: Path, *, constant: bool) -> None:
        word = "constant" if constant else "default"
        if word not in row:
            self.reader.bad(at, canonical, "neither here nor constant", "table", "here: a path, or constant: a value")
            return
        value = typed(row[word], scalar)
        if value is None or scalar.kind == "string" and not self.reader.is_valid(self.message, scalar, value):
            self.reader.bad(at, canonical, f"the {word} {row[word]!r}", "table", f"a {scalar.kind} that the contract allows")
            return
        frame = self._frame("".join(part + "[]" for part in canonical.split("[]")[:-1]))
        if frame is None or not keys:
            self.reader.bad(at, canonical, f"a {word} in a list that no row fills", "table", "a row for the list before it")
            return
        frame.fills.append(Fill(keys, value, constant, canonical))
        if not constant:
            self.losses.append(f"{canonical}: a missing value becomes {value!r}")

    def _frame(self, canonical: str) -> Node | None:
        if not canonical:
            return self.root
        return next((node for node in self.root.nodes() if node.kind == "many" and node.canonical == canonical), None)

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
        self._place(str(row["here"]), "", leaf, at)

    # --- where it stands ------------------------------------------------------------------------------------------------

    def _steps(self, here: str, at: Path) -> list[Step] | None:
        steps = xml_steps(here, self.reader.namespaces) if self.reader.media == "xml" else json_steps(here)
        if isinstance(steps, str):
            self.reader.bad(at, here, "a path out of form", "table", steps)
            return None
        return steps

    def ignore(self, here: str, at: Path) -> None:
        steps = self._steps(here, at)
        if steps is None:
            return
        node = self.root
        for step in steps:
            node = self._child(node, step)
        if node.kind != "plain" or node.children or node.text is not None:
            self.reader.bad(at, here, "a path that rows use", "overlap", "a path of its own")
        node.kind = "ignore"

    def _child(self, node: Node, step: Step) -> Node:
        found = node.child(step.name, step.key_name, step.key_value)
        if found is None:
            here = f"{node.here}{'/' if self.reader.media == 'xml' else '.'}{step.shown}" if node.here else step.shown
            found = Node(step.name, here, key_name=step.key_name, key_value=step.key_value)
            if step.key_name is not None and not step.key_name.startswith("@"):
                key = Leaf(None, Form("text", None, None), "", here, constant=step.key_value)
                found.children.append(Node(step.key_name, here, text=key))
            node.children.append(found)
        return found

    def _place(self, here: str, canonical: str, leaf: Leaf, at: Path) -> Node | None:
        steps = self._steps(here, at)
        if steps is None:
            return None
        arrays = canonical.split("[]")
        wanted, node, passed = len(arrays) - 1, self.root, 0
        if sum(step.many for step in steps) != (wanted if leaf.keys is not None else 0):
            self.reader.bad(at, canonical or here, "another number of []", "table", "a [] here for each [] of the canonical path")
            return None
        for step in steps:
            if step.attribute or step.text:
                break
            if node.text is not None:
                self.reader.bad(at, here, "an element inside a value", "overlap", "text or elements, not both")
                return None
            node = self._child(node, step)
            if step.many:
                keys = tuple(arrays[passed].lstrip(".").split("."))
                passed += 1
                full = "".join(part + "[]" for part in arrays[:passed])
                if node.kind == "plain" and not node.children and node.text is None and not node.attributes:
                    node.kind, node.keys, node.canonical = "many", keys, full
                    node.skip_empty = self._skips_empty(full)
                elif node.kind != "many" or node.canonical != full:
                    self.reader.bad(at, here, "a list bound to two canonical lists", "overlap", "one")
                    return None
            elif node.kind == "many":
                self.reader.bad(at, here, "a list without []", "table", f"{step.shown}[]")
                return None
        leaf.here = f"{self.root.here}/{here}" if self.reader.media == "xml" else here
        last = steps[-1]
        if last.attribute:
            if last.name in node.attributes or node.key_name == "@" + last.name:
                self.reader.bad(at, here, "an attribute bound twice", "overlap", "one row a place")
            node.attributes[last.name] = leaf
        elif node.text is not None or node.children and not (last.text and node.key_name):
            self.reader.bad(at, here, "a place bound twice", "overlap", "one row a place")
        else:
            node.text = leaf
        return node

    def _skips_empty(self, full: str) -> bool:
        place = places(self.struct).get(full)
        return place is not None and isinstance(place.field.type, Many) and place.field.type.least > 0

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
        for node in self.root.nodes():
            self._always_there(node, known, at)
        self.losses.extend(f"{path}: dropped" for path in sorted(self.drops))
        return Plan(self.reader.media, self.message, self.struct, self.root, False, self.reader.namespaces, self.drops, self.losses)

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
            self.losses.append(f"{path}: the reason for an absence is lost")
        if isinstance(place.field.type, Many) and place.field.required and place.field.type.least == 0:
            frame = self._frame("".join(part + "[]" for part in path.split("[]")[:-1]))
            if frame is not None:
                frame.empties.append(tuple(path.split("[]")[-1].lstrip(".").split(".")))
