"""The plan of one message in one format: a tree that maps places of the format to canonical fields.

The codecs are compiled from it. A node is an XML element or a JSON field. `plain` nodes only wrap others and share the
frame of their parent. `one` nodes stand for a canonical object, `many` nodes for each item of a canonical array. A
frame is the canonical object or item that leaves write into.
Invariant: a path of the format, and a canonical path, is bound once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

from contracts.canonical.findings import Index, Problems
from contracts.canonical.model import Array, Choice, RecursiveRef, Scalar, Struct, Type
from contracts.mapping.steps import above
from contracts.mapping.value_formats import Form, Media, scalar_form

Keys = tuple[str, ...]
Holds = Literal["members", "items", "places"]
_SHARES: Final = 2_000  # nodes of a plan after which a type that has been written is not written again


@dataclass(slots=True)
class Leaf:
    """One value of the format.

    `keys` is its canonical path inside the frame: () for an item of an array, None for a constant of the format. `row`
    holds the words of its table row.
    """

    keys: Keys | None
    form: Form
    canonical: str
    here: str
    scalar: Scalar | None = None
    # reason -> word of the format; None is null, or xsi:nil
    tokens: Mapping[str, str | None] = field(default_factory=dict)
    missing: tuple[str | None, ...] = ()  # words of the format for a missing value
    nil: bool = False
    constant: Any = None
    special: CustomBinding | None = None
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> dict[str | None, str | None]:
        """Each word that is not a value -> the reason for absence that it means, or None for a missing value."""
        return {**dict.fromkeys(self.missing), **{word: reason for reason, word in self.tokens.items()}}

    def fields(self) -> tuple[Leaf, ...]:
        """The canonical fields in this place."""
        return (self,) if self.special is None else self.special.leaves


@dataclass(frozen=True, slots=True)
class CustomBinding:
    """A place that is not exactly one field.

    `read` takes the raw value, the frame, its index, the problems and a function that returns the place. `write`
    returns the raw value for a frame, or None where nothing is written.
    """

    read: Callable[[Any, Any, Index, Problems, Callable[[], str]], None]
    write: Callable[[Any], Any]
    leaves: tuple[Leaf, ...] = ()


@dataclass(slots=True)
class Listing:
    """A list of the format that has each value of a canonical field once; elsewhere the format has their positions.

    A reader keeps the list in the message under the name `hidden` until its values are in their places. A writer puts
    it there, and into the group of each value its `position`. Names of fields do not have NUL.
    """

    canonical: str
    leaf: Leaf
    here: str = ""
    indexed: bool = False
    member: str = "value"

    @property
    def hidden(self) -> str:
        return "\0" + self.canonical.replace("[]", "").replace(".", "/")

    @property
    def position(self) -> str:
        return self.hidden + "#"


@dataclass(slots=True)
class Node:
    name: str
    here: str
    kind: Literal["plain", "one", "many", "ignore"] = "plain"
    keys: Keys = ()
    canonical: str = ""
    key_name: str | None = None
    key_value: str | None = None
    # JSON: what its value has. `items`: it is a list, whose items its one child stands for. `places`: a list of a fixed
    # length, with a child for each place.
    holds: Holds = "members"
    repeats: bool = False  # of an ignored element: it may come more than once
    attributes: dict[str, Leaf] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)  # attributes that are read over
    text: Leaf | None = None
    children: list[Node] = field(default_factory=list)
    nil: bool = False
    fills: list[Fill] = field(default_factory=list)
    empties: list[Keys] = field(default_factory=list)  # required lists that may be empty
    objects: list[Keys] = field(default_factory=list)  # required objects that may be empty
    checks: list[Callable[[Any], None]] = field(default_factory=list)
    skip_empty: bool = False
    entry: Leaf | None = None  # of a keyed list: the field that holds the name of the member
    absent: Leaf | None = None  # the words for the absence of the whole group
    skips: tuple[str | None, ...] = ()  # of a list: the words of items that are read over; None is null, or xsi:nil
    # the discriminator, and a node for each branch
    choice: tuple[str, list[tuple[tuple[str, ...], Node]]] | None = None
    again: Node | None = None  # a node above with the same content (recursion)
    led_to: bool = False  # whether the `again` of a node below is this node
    cell: list[Any] = field(default_factory=list)  # the compiled reader, for recursive nodes

    def leaves(self) -> Iterator[Leaf]:
        for leaf in (*self.attributes.values(), *([] if self.text is None else [self.text])):
            yield from leaf.fields()
        for each in (self.entry, self.absent):
            yield from () if each is None else each.fields()
        for child in self.below():
            yield from child.leaves()

    def below(self) -> Iterator[Node]:
        yield from self.children
        if self.choice is not None:
            yield from (branch for _, branch in self.choice[1])

    def placed(self) -> Iterator[Leaf]:
        """The leaf of each place; one leaf may carry several fields."""
        for node in self.nodes():
            yield from node.attributes.values()
            yield from (each for each in (node.text, node.entry, node.absent) if each is not None)

    @property
    def carries(self) -> bool:
        """Whether a place inside holds a canonical field, or a list that is as one above it; else all is constant."""
        return any(
            each.again is not None
            or any(
                leaf.keys is not None
                for leaf in (*each.attributes.values(), each.text, each.absent)
                if leaf is not None
            )
            for each in self.nodes()
        )

    def nodes(self) -> Iterator[Node]:
        yield self
        for child in self.below():
            yield from child.nodes()


@dataclass(frozen=True, slots=True)
class Fill:
    """A canonical value that the format does not carry: a constant (always), or a default (where the value is missing).

    `late` fills are decided after the whole message is read. `met` and `seen` test the condition, for a reader and for
    a writer.
    """

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
    """A canonical field computed from the foreign message, one way. `make` takes that message and the canonical one."""

    canonical: str
    keys: Keys
    make: Callable[[Any, Any, Problems], None]


class Chosen(Protocol):
    """What tells a message from another one with the same root."""

    @property
    def words(self) -> str: ...
    def matches(self, element: Any, /) -> bool: ...
    def excludes(self, other: Any, /) -> bool: ...


class OtherName(Protocol):
    """Another name by which an element of a message may come."""

    def read(self, root: Any, /) -> Any: ...


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
    listings: list[Listing] = field(default_factory=list)
    lines: Mapping[str, str] = field(default_factory=dict)  # canonical path: file and line of its row
    content: Chosen | None = None  # the `when` of the message
    also: tuple[OtherName, ...] = ()
    form: bool = False  # its bytes are a form (application/x-www-form-urlencoded) in place of JSON

    def here_of(self) -> dict[str, str]:
        """Canonical path -> path in the format, for leaves and for the objects and arrays above them."""
        paths: dict[str, str] = {}
        for node in self.root.nodes():
            if node.kind in ("one", "many") and node.canonical:
                paths[node.canonical] = node.here
        for leaf in self.root.leaves():
            if leaf.keys is not None:
                paths[leaf.canonical] = leaf.here
        for canonical, here in list(paths.items()):
            parent, below = canonical.rpartition(".")[0], here
            while parent and parent not in paths:
                below = above(below, self.media == "xml")
                paths.setdefault(parent, below)
                parent = parent.rpartition(".")[0]
        for canonical, here in list(paths.items()):
            if canonical.endswith("[]"):  # findings on a whole list (missing, too long) use its path without []
                paths.setdefault(canonical[:-2], here.removesuffix("[]"))
        return paths


def canonical_plan(struct: Struct, media: Media, message: str, namespace: str) -> Plan:
    """The plan of the canonical form, where each field keeps its own name.

    Types that refer to each other are written once, when the plan is large: their orders are too many.
    """

    def tag(name: str) -> str:
        return f"{{{namespace}}}{name}" if media == "xml" else name

    def step(here: str, name: str) -> str:
        return (f"{here}/{name}" if media == "xml" else f"{here}.{name}") if here else name

    def leaf(scalar: Scalar, keys: Keys, canonical: str, here: str, nil: bool) -> Leaf:
        return Leaf(keys, scalar_form(scalar, media, strict=True), canonical, here, scalar, nil=nil)

    above: dict[str, Node] = {}
    written: dict[int, Node] = {}  # by the type, also what is not above
    nodes = 0

    def node(name: str, type_: Type, canonical: str, here: str, absentable: bool) -> Node:
        nonlocal nodes
        nodes += 1
        at, there = f"{canonical}.{name}" if canonical else name, step(here, name)
        if isinstance(type_, Array):
            result = Node(tag(name), there + "[]", "many", (name,), at + "[]", nil=absentable)
            if isinstance(type_.items, Scalar):
                result.text = leaf(type_.items, (), at + "[]", there + "[]", False)
            else:
                content(result, type_.items, at + "[]", there + "[]")
            return result
        if isinstance(type_, Scalar):
            return Node(tag(name), there, text=leaf(type_, (name,), at, there, absentable))
        result = Node(tag(name), there, "one", (name,), at, nil=absentable)
        content(result, type_, at, there)
        return result

    def content(into: Node, type_: Struct | Choice | RecursiveRef, canonical: str, here: str) -> None:
        if type_.name in above:
            into.again = above[type_.name]
            into.again.led_to = True
            return
        if isinstance(type_, RecursiveRef):
            type_ = type_.target
        if nodes > _SHARES and id(type_) in written:
            into.again = written[id(type_)]
            into.again.led_to = True
            return
        above[type_.name] = written[id(type_)] = into
        if isinstance(type_, Choice):
            shared = Counter(each.name for branch in type_.branches for each in branch.struct.fields)
            branches = []
            for branch in type_.branches:
                name = branch.type.name
                child = Node(tag(name), step(here, name), canonical=canonical)
                content(child, branch.type, canonical, step(here, name))
                for child_node in child.children:
                    # A field of several branches is in one of them; which one is not known here.
                    if (
                        shared[child_node.keys[-1] if child_node.keys else child_node.name.rpartition("}")[2]] > 1
                        and child_node.text is not None
                    ):
                        child_node.text.here = step(step(here, "*"), child_node.name.rpartition("}")[2])
                branches.append((branch.values, child))
            into.choice = (type_.discriminator, branches)
        else:
            fill(into, type_, canonical, here)
        del above[type_.name]

    def fill(into: Node, struct_: Struct, canonical: str, here: str) -> None:
        for each in struct_.fields:
            into.children.append(node(each.name, each.type, canonical, here, each.absentable))
            if isinstance(each.type, Array) and each.required and each.type.least == 0:
                into.empties.append((each.name,))

    root = Node(tag(message), "")
    content(root, struct, "", "")
    return Plan(media, message, struct, root, strict=True, namespaces={"": namespace})
