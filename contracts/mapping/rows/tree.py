"""Grows the tree of a plan row by row, and refuses two rows for one place."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.canonical.model import Array
from contracts.canonical.places import Places
from contracts.folder.source_locations import Path
from contracts.mapping.plan import CustomBinding, Holds, Leaf, Listing, Node
from contracts.mapping.rows.conditions import Condition, conditional
from contracts.mapping.rows.table_context import TableContext
from contracts.mapping.steps import Step, json_steps, xml_steps
from contracts.mapping.value_formats import TEXT


@dataclass(slots=True)
class Tree:
    reader: TableContext
    known: Places
    root: Node
    cases: dict[int, list[tuple[Condition, CustomBinding]]] = field(default_factory=dict)
    conditional: list[Leaf] = field(default_factory=list)
    _lists: dict[str, Node] = field(default_factory=dict)  # by their canonical paths
    _children: dict[tuple[int, str, str | None, str | None], Node] = field(default_factory=dict)

    def frame(self, canonical: str) -> Node | None:
        """The node of a list by its canonical path, the root for the empty path; None where no row fills the list."""
        return self._lists.get(canonical) if canonical else self.root

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
            if step.attribute:
                if step.name in node.attributes or node.kind == "ignore":
                    self.reader.bad(at, here, "a path that rows use", "overlap", "a path of its own")
                elif not (node.children or node.attributes or node.text or node.choice):
                    self.reader.bad(
                        at, here, "an attribute of an element that no row uses", "path", "the element itself"
                    )
                node.unread.add(step.name)
                return
            child = self._child(node, step, here, at)
            if child is None:
                return
            node = child
        if node.kind != "plain" or node.children or node.text is not None:
            self.reader.bad(at, here, "a path that rows use", "overlap", "a path of its own")
        node.kind, node.repeats = "ignore", steps[-1].many

    def _child(self, node: Node, step: Step, at_here: str, at: Path) -> Node | None:
        identity = (id(node), step.name, step.key_name, step.key_value)
        child = self._children.get(identity)
        if child is None:
            holds: Holds = "members" if not step.in_list else "items" if step.many else "places"
            if node.children and node.holds != holds:
                self.reader.bad(at, at_here, "a list and something else in one place", "overlap", "one of them")
                return None
            node.holds = holds
            between = "/" if self.reader.media == "xml" else "" if step.in_list else "."
            here = f"{node.here}{between}{step.shown}" if node.here else step.shown
            here += "[]" if step.entry else ""
            child = Node(step.name, here, key_name=step.key_name, key_value=step.key_value)
            if step.key_name is not None and not step.key_name.startswith("@"):
                key = Leaf(None, TEXT, "", here, constant=step.key_value)
                child.children.append(Node(step.key_name, here, text=key))
                self._children[id(child), step.key_name, None, None] = child.children[-1]
            node.children.append(child)
            self._children[identity] = child
        return child

    def place(self, here: str, canonical: str, leaf: Leaf, at: Path, condition: Condition | None = None) -> Node | None:
        """Puts a leaf at `here`. Returns its group, or None with a finding on a fault."""
        steps = self._steps(here, at)
        if steps is None:
            return None
        arrays = canonical.split("[]")
        wanted = len(arrays) - 1
        if leaf.keys is not None and sum(step.many for step in steps) != wanted:
            self.reader.bad(
                at, canonical or here, "another number of []", "table", "a [] here for each [] of the canonical path"
            )
            return None
        walked = self._walk(steps, arrays, here, at)
        if walked is None:
            return None
        node = walked
        shown = here.replace("{}", "{}[]")
        leaf.here = f"{self.root.here}/{shown}" if self.reader.media == "xml" else shown
        for each in leaf.fields():
            each.here = leaf.here
        last = steps[-1]
        stands = node.attributes.get(last.name) if last.attribute else node.text
        if condition is not None and leaf.special is not None:
            if stands is not None and all(
                condition.excludes(other) for other, _ in self.cases.get(id(stands), ((condition, None),))
            ):
                self.cases[id(stands)].append((condition, leaf.special))
                return node
            self.cases[id(leaf)] = [(condition, leaf.special)]
            self.conditional.append(leaf)
        if last.attribute:
            if stands is not None or node.key_name == "@" + last.name:
                self.reader.bad(
                    at,
                    here,
                    "an attribute bound twice",
                    "overlap",
                    "one row a place, or rows whose conditions exclude each other",
                )
            node.attributes[last.name] = leaf
        elif last.entry and node.entry is None and node.text is None:
            node.entry = leaf
        elif node.text is not None or node.children and not (last.text and node.key_name):
            self.reader.bad(
                at,
                here,
                "a place bound twice",
                "overlap",
                "one row a place, or rows whose conditions exclude each other",
            )
        else:
            node.text = leaf
            if node.kind == "many" and leaf.keys == ():
                node.skips = leaf.missing
        return node

    def _walk(self, steps: list[Step], arrays: list[str], here: str, at: Path) -> Node | None:
        """The node at the end of the steps. Lists on the way are bound to those of the canonical path."""
        node, passed = self.root, 0
        for step in steps:
            if step.attribute or step.text:
                break
            if node.text is not None:
                self.reader.bad(at, here, "an element inside a value", "overlap", "text or elements, not both")
                return None
            child = self._child(node, step, here, at)
            if child is None:
                return None
            node = child
            if node.again is not None:
                self.reader.bad(
                    at,
                    here,
                    f"a row inside what is as {node.again.canonical}",
                    "overlap",
                    "rows for the list above it only",
                )
                return None
            if step.many and passed == len(arrays) - 1:  # of a constant, which fills no list
                if node.kind != "many":
                    self.reader.bad(
                        at, here, "a constant in a list that no row fills", "table", "a row for the list before it"
                    )
                    return None
            elif step.many:
                keys = tuple(arrays[passed].lstrip(".").split("."))
                passed += 1
                full = "".join(part + "[]" for part in arrays[:passed])
                if node.kind == "plain" and not node.children and node.text is None and not node.attributes:
                    node.kind, node.keys, node.canonical = "many", keys, full
                    self._lists.setdefault(full, node)
                    node.skip_empty = self._skips_empty(full)
                elif node.kind != "many" or node.canonical != full:
                    self.reader.bad(at, here, "a list bound to two canonical lists", "overlap", "one")
                    return None
            elif node.kind == "many":
                self.reader.bad(at, here, "a list without []", "table", f"{step.shown}[]")
                return None
        return node

    def listed(self, here: str, listing: Listing, at: Path) -> bool:
        """Puts the values of a list of its own at `here`; False, with a finding, on a fault."""
        node = self.place(here, f"{listing.hidden}[].{listing.member}", listing.leaf, at)
        found = None if node is None else self._lists.pop(f"{listing.hidden}[]", None)
        if node is None or found is None:
            return False
        # The list is no list of the canonical message, so findings name its place only.
        found.canonical, found.skip_empty, listing.here = "", True, found.here
        return True

    def again(self, here: str, canonical: str, target: str, at: Path) -> None:
        """Adds a list whose items have the same content as those of the list `target` above it."""
        steps, above = self._steps(here, at), self.frame(target)
        if steps is None:
            return
        arrays = canonical.split("[]")
        if (
            above is None
            or above.again is not None
            or above.entry is not None
            or sum(step.many for step in steps) != len(arrays) - 1
        ):
            self.reader.bad(
                at,
                here,
                f"nothing to be as {target}",
                "table",
                "the rows of that list before it, and a [] here for each [] of the path",
            )
            return
        node = self._walk(steps, arrays, here, at)
        if node is not None and (
            node.kind != "many" or node.children or node.text or node.attributes or node.again or not steps[-1].many
        ):
            self.reader.bad(at, here, "a place bound twice", "overlap", "a list of its own")
        elif node is not None:
            node.again, node.attributes, above.led_to = above, above.attributes, True

    def group(self, here: str, leaf: Leaf, at: Path) -> None:
        """Puts the words for the absence of a group at the place of the group."""
        steps = self._steps(here, at)
        if steps is None:
            return
        last = steps[-1]
        if last.attribute or last.text or last.many or last.key_name:
            self.reader.bad(at, here, "no place for a group", "absent", "an element or a member, without [] at its end")
            return
        arrays = leaf.canonical.split("[]")
        if sum(step.many for step in steps) != len(arrays) - 1:
            self.reader.bad(at, here, "another number of []", "absent", "a [] here for each [] of the canonical path")
            return
        node = self._walk(steps[:-1], arrays, here, at)
        if node is None:
            return
        node = self._child(node, last, here, at)
        if node is None:
            return
        if node.absent is not None:
            self.reader.bad(at, here, "words for two groups in one place", "absent", "one group")
        leaf.here = f"{self.root.here}/{here}" if self.reader.media == "xml" else here
        node.absent = leaf

    def found(self, here: str, at: Path) -> Node | None:
        """The node that rows have made at a path; None where there is none."""
        node: Node | None = self.root
        for step in self._steps(here, at) or ():
            node = None if node is None else self._children.get((id(node), step.name, step.key_name, step.key_value))
        return node

    def finish(self, at: Path) -> None:
        """Merges the conditional bindings of each place into one, and checks the places of lists of a fixed length."""
        for node in self.root.nodes():
            if node.holds == "places":
                self._places(node, at)
        for leaf in self.conditional:
            leaf.special = conditional(self.cases[id(leaf)])

    def _places(self, node: Node, at: Path) -> None:
        """Every place has a row, in order; what is ignored comes after what is mapped."""
        node.children.sort(key=lambda child: int(child.name))
        ignored = [child.kind == "ignore" for child in node.children]
        if [child.name for child in node.children] != [str(number) for number in range(len(ignored))]:
            self.reader.bad(at, node.here, "places that no row names", "table", "a row for each place, from [0] on")
        elif ignored != sorted(ignored) or ignored[0]:
            self.reader.bad(at, node.here, "an ignored place before a mapped one", "table", "ignored places at the end")

    def _skips_empty(self, full: str) -> bool:
        place = self.known.get(full)
        return place is not None and isinstance(place.field.type, Array) and place.field.type.least > 0
