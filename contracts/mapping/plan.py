"""The plan of one message in one format: a tree of what is found where, from which the codecs are compiled.

A node is an element of XML or a field of JSON. `plain` nodes are wrapping only and share the frame of their parent; `one` nodes
stand for a canonical object, `many` nodes for each item of a canonical array. A frame is the canonical object (or item) that
leaves write into. Invariant: a path of the format, and a canonical path, is bound once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from contracts.canonical.findings import Index, Problems
from contracts.canonical.model import Array, Choice, RecursiveRef, Scalar, Struct, Type
from contracts.mapping.steps import above
from contracts.mapping.value_formats import Form, Media, scalar_form

Keys = tuple[str, ...]


@dataclass(slots=True)
class Leaf:
    """One value. `keys` is its canonical path inside the frame, () for the item of an array, None for a constant of the format; `row` is
    the row of the table, as it was written."""

    keys: Keys | None
    form: Form
    canonical: str
    here: str
    scalar: Scalar | None = None
    tokens: Mapping[str, str | None] = field(
        default_factory=dict
    )  # reason: their word for it; None is null, or xsi:nil
    missing: tuple[str | None, ...] = ()  # their words for nothing at all
    nil: bool = False
    constant: Any = None
    special: CustomBinding | None = None
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> dict[str | None, str | None]:
        """Each word that is no value, with the reason for absence that it means; None where it means nothing at all."""
        return {**dict.fromkeys(self.missing), **{word: reason for reason, word in self.tokens.items()}}

    def fields(self) -> tuple[Leaf, ...]:
        """The canonical fields that stand in this place."""
        return (self,) if self.special is None else self.special.leaves


@dataclass(frozen=True, slots=True)
class CustomBinding:
    """A place that is not simply one field: `read` does what is to be done with the raw value that stands there (the last argument
    tells where that is), `write` makes the raw value to be put there out of a frame, None where nothing is put."""

    read: Callable[[Any, Any, Index, Problems, Callable[[], str]], None]
    write: Callable[[Any], Any]
    leaves: tuple[Leaf, ...] = ()


@dataclass(slots=True)
class Node:
    name: str
    here: str
    kind: Literal["plain", "one", "many", "ignore"] = "plain"
    keys: Keys = ()
    canonical: str = ""
    key_name: str | None = None
    key_value: str | None = None
    attributes: dict[str, Leaf] = field(default_factory=dict)
    text: Leaf | None = None
    children: list[Node] = field(default_factory=list)
    nil: bool = False
    fills: list[Fill] = field(default_factory=list)
    empties: list[Keys] = field(default_factory=list)  # required lists that may be empty
    objects: list[Keys] = field(default_factory=list)  # required objects that may be empty
    checks: list[Callable[[Any], None]] = field(default_factory=list)
    skip_empty: bool = False
    entry: Leaf | None = None  # of a keyed list: the field that is the name of the member
    absent: Leaf | None = None  # the words that stand here when the whole group is not there
    choice: tuple[str, list[tuple[tuple[str, ...], Node]]] | None = (
        None  # the discriminator, and a node for each branch
    )
    again: Node | None = None  # what stands here is as in that node, which is above it
    led_to: bool = False  # some node below is as this one
    cell: list[Any] = field(default_factory=list)  # its compiled reader, for those that lead back to it

    def child(self, name: str, key_name: str | None, key_value: str | None) -> Node | None:
        return next(
            (n for n in self.children if (n.name, n.key_name, n.key_value) == (name, key_name, key_value)), None
        )

    def leaves(self) -> Iterator[Leaf]:
        for leaf in (*self.attributes.values(), *([] if self.text is None else [self.text])):
            yield from leaf.fields()
        yield from (each for each in (self.entry, self.absent) if each is not None)
        for child in self.below():
            yield from child.leaves()

    def below(self) -> Iterator[Node]:
        yield from self.children
        if self.choice is not None:
            yield from (branch for _, branch in self.choice[1])

    def placed(self) -> Iterator[Leaf]:
        """What stands in each place, be it one field or more."""
        for node in self.nodes():
            yield from node.attributes.values()
            yield from (each for each in (node.text, node.absent) if each is not None)

    def nodes(self) -> Iterator[Node]:
        yield self
        for child in self.below():
            yield from child.nodes()


@dataclass(frozen=True, slots=True)
class Fill:
    """A canonical value that the format does not carry: a constant (always), or a default (where missing). `late`: decided once
    the whole message is read; `met` and `seen`: whether a condition holds, for a reader and for a writer."""

    keys: Keys
    value: Any
    constant: bool
    canonical: str
    late: bool = False
    sure: bool = True  # the objects that hold the field are required
    met: Callable[[Any, Any, Index], bool] | None = None
    seen: Callable[[Any], bool] | None = None


@dataclass(frozen=True, slots=True)
class Derived:
    """A canonical field that is made of the foreign message, one way. `make` gets that message, and the canonical one to put it in."""

    canonical: str
    keys: Keys
    make: Callable[[Any, Any, Problems], None]


@dataclass(slots=True)
class Plan:
    media: Media
    message: str
    struct: Struct
    root: Node
    strict: bool
    namespaces: Mapping[str, str] = field(default_factory=dict)
    drops: frozenset[str] = frozenset()
    losses: list[str] = field(default_factory=list)
    carried: list[tuple[str, str]] = field(default_factory=list)
    derived: list[Derived] = field(default_factory=list)
    lines: Mapping[str, str] = field(default_factory=dict)  # canonical path: file and line of its row

    def here_of(self) -> dict[str, str]:
        """Canonical path -> path in the format, for leaves and for the objects and arrays above them."""
        found: dict[str, str] = {}
        for node in self.root.nodes():
            if node.kind in ("one", "many") and node.canonical:
                found[node.canonical] = node.here
        for leaf in self.root.leaves():
            if leaf.keys is not None:
                found[leaf.canonical] = leaf.here
        for canonical, here in list(found.items()):
            parent, below = canonical.rpartition(".")[0], here
            while parent and parent not in found:
                below = above(below, self.media == "xml")
                found.setdefault(parent, below)
                parent = parent.rpartition(".")[0]
        for canonical, here in list(found.items()):
            if canonical.endswith("[]"):  # a list as a whole, of which it is said that it is missing, or too long
                found.setdefault(canonical[:-2], here.removesuffix("[]"))
        return found


def canonical_plan(struct: Struct, media: Media, message: str, namespace: str) -> Plan:
    """The plan that says of each field: it is called as it is called."""

    def tag(name: str) -> str:
        return f"{{{namespace}}}{name}" if media == "xml" else name

    def step(here: str, name: str) -> str:
        return (f"{here}/{name}" if media == "xml" else f"{here}.{name}") if here else name

    def leaf(scalar: Scalar, keys: Keys, canonical: str, here: str, nil: bool) -> Leaf:
        return Leaf(keys, scalar_form(scalar, media, strict=True), canonical, here, scalar, nil=nil)

    above: dict[str, Node] = {}

    def node(name: str, made: Type, canonical: str, here: str, absentable: bool) -> Node:
        at, there = f"{canonical}.{name}" if canonical else name, step(here, name)
        if isinstance(made, Array):
            grown = Node(tag(name), there + "[]", "many", (name,), at + "[]", nil=absentable)
            if isinstance(made.items, Scalar):
                grown.text = leaf(made.items, (), at + "[]", there + "[]", False)
            else:
                content(grown, made.items, at + "[]", there + "[]")
            return grown
        if isinstance(made, Scalar):
            return Node(tag(name), there, text=leaf(made, (name,), at, there, absentable))
        grown = Node(tag(name), there, "one", (name,), at, nil=absentable)
        content(grown, made, at, there)
        return grown

    def content(into: Node, made: Struct | Choice | RecursiveRef, canonical: str, here: str) -> None:
        if made.name in above:
            into.again = above[made.name]
            into.again.led_to = True
            return
        if isinstance(made, RecursiveRef):
            made = made.target
        above[made.name] = into
        if isinstance(made, Choice):
            shared = Counter(each.name for branch in made.branches for each in branch.struct.fields)
            branches = []
            for branch in made.branches:
                name = branch.type.name
                child = Node(tag(name), step(here, name), canonical=canonical)
                content(child, branch.type, canonical, step(here, name))
                for (
                    grown
                ) in child.children:  # a field of several branches is in one of them, but which is not known here
                    if (
                        shared[grown.keys[-1] if grown.keys else grown.name.rpartition("}")[2]] > 1
                        and grown.text is not None
                    ):
                        grown.text.here = step(step(here, "*"), grown.name.rpartition("}")[2])
                branches.append((branch.values, child))
            into.choice = (made.discriminator, branches)
        else:
            fill(into, made, canonical, here)
        del above[made.name]

    def fill(into: Node, made: Struct, canonical: str, here: str) -> None:
        for each in made.fields:
            into.children.append(node(each.name, each.type, canonical, here, each.absentable))
            if isinstance(each.type, Array) and each.required and each.type.least == 0:
                into.empties.append((each.name,))

    root = Node(tag(message), "")
    content(root, struct, "", "")
    return Plan(media, message, struct, root, strict=True, namespaces={"": namespace})
