"""Reads a mapping table (systems/<format>.yaml) into the plan of each of its messages.

Refused, with file and line: paths that do not exist, two rows for one place, a required field without a source, an
optional field neither mapped nor dropped, a canonical code without a foreign code, a word for absence that could be a
value.
Invariant: everything that a table loses is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.canonical.model import Struct
from contracts.canonical.places import Places
from contracts.folder.source_locations import Path
from contracts.mapping.also import read_other_names
from contracts.mapping.content import read_content
from contracts.mapping.forms import unfit
from contracts.mapping.plan import Node, Plan
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds import add_row
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.rows.tree import Tree
from contracts.mapping.rows.values import Values
from contracts.mapping.steps import xml_steps

_MESSAGE_WORDS: Final = {"root", "when", "also", "body", "rows", "drops", "ignores"}


class TableReader(TableContext):
    def plan(self, message: str, struct: Struct) -> Plan | None:
        at: Path = ("messages", message)
        node = self.document.value["messages"][message]
        if not isinstance(node, dict) or not isinstance(node.get("rows"), list):
            self.bad(at, message, "no rows", "table", "rows: a list")
            return None
        for word in node:
            if word not in _MESSAGE_WORDS:
                self.bad(
                    (*at, word), message, f"the word {word}", "table", "one of " + ", ".join(sorted(_MESSAGE_WORDS))
                )
        root = self._root(node, at)
        if root is None:
            return None
        drops = self._names(node, "drops", at)
        tree = Tree(self, Places(struct), root)
        builder = Builder(self, message, struct, tree, Values(self, message, []), frozenset(drops))
        for number, row in enumerate(node["rows"]):
            add_row(builder, row, (*at, "rows", number))
        for number, ignored in enumerate(self._names(node, "ignores", at)):
            builder.tree.ignore(ignored, (*at, "ignores", number))
        plan = builder.finish((*at, "rows"))
        if "body" in node:
            plan.form = self.media == "json" and node["body"] == "form"
            if not plan.form:
                self.bad((*at, "body"), message, "another body", "table", "body: form, in a JSON format")
            for place in unfit(plan) if plan.form else ():
                expected = "values, lists of values, and members within members"
                self.bad((*at, "body"), place, "what a form does not have", "unsupported", expected)
        if "also" in node:
            plan.also = read_other_names(self, node["also"], (*at, "also"))
        if "when" in node:
            plan.content = read_content(self, node["when"], message, (*at, "when"))
            return plan if plan.content is not None else None
        return plan

    def _names(self, node: Mapping[str, Any], word: str, at: Path) -> list[str]:
        value = node.get(word, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            self.bad((*at, word), "", "not a list of paths", "table", "a list of paths")
            return []
        return value

    def _root(self, node: Mapping[str, Any], at: Path) -> Node | None:
        if self.media != "xml":
            if "root" in node:
                self.bad((*at, "root"), "", "a root", "table", "no root: JSON has none")
            return Node("", "")
        steps = xml_steps(str(node.get("root", "")), self.namespaces)
        if isinstance(steps, str) or len(steps) != 1 or steps[0].attribute or steps[0].many or steps[0].key_name:
            self.bad((*at, "root"), "", f"root {node.get('root')!r}", "table", "one element, as cap:alert")
            return None
        return Node(steps[0].name, str(node["root"]))
