"""Shapes of a foreign format, derived from the plan of its mapping table.

A `Shape` describes an element or member: how often it occurs, its text and its children. The XSD and the OpenAPI of a
format are made from shapes. The text of a row becomes a `Scalar` in the terms of the format, such as its codes or its
time shape.
Invariant: what the codec writes is valid by the shapes; what the shapes leave open, the gateway enforces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import reduce
from typing import Any

from contracts.canonical.model import Array, CodeTable, Scalar
from contracts.canonical.patterns import DATE_TIME_PATTERN
from contracts.canonical.places import Places
from contracts.compiled.contract import CompiledContract
from contracts.mapping.plan import Holds, Leaf, Node, Plan
from contracts.mapping.rows.kinds import is_part, may_be_empty
from contracts.mapping.rows.shapes import named_shape
from contracts.mapping.steps import ANY
from contracts.mapping.times import pattern_of


@dataclass(frozen=True, slots=True)
class Text:
    """A value as the format writes it.

    `words` stand for absence or a missing value; `nil`: null does too. `free`: the allowed values depend on more than
    the place, so that only the gateway checks them.
    """

    scalar: Scalar
    words: tuple[str, ...] = ()
    nil: bool = False
    free: bool = False

    def either(self, other: Text) -> Text:
        """The union of two texts: exact for lists of codes, else any text."""
        scalar = Scalar("string")
        if self.scalar == other.scalar:
            scalar = self.scalar
        elif self.scalar.values and other.scalar.values:
            scalar = Scalar("string", values=tuple(dict.fromkeys(self.scalar.values + other.scalar.values)))
        words = tuple(dict.fromkeys(self.words + other.words))
        return Text(scalar, words, self.nil or other.nil, self.free or other.free)


@dataclass(frozen=True, slots=True)
class Shape:
    """An XML element or a JSON member.

    `free`: ignored, with any content. `ordered`: children come in this order. `named`: one for each item of a list, and
    its name is a value of the item.
    """

    name: str
    least: int
    most: int | None
    many: bool = False
    attributes: Mapping[str, tuple[Text, bool]] = field(default_factory=dict)
    text: Text | None = None
    children: tuple[Shape, ...] = ()
    ordered: bool = True
    free: bool = False
    title: str = ""
    absent: Text | None = None  # the words for the absence of the whole group
    nil_items: bool = False  # of a list: an item may be null, or nil
    led_to: str = ""  # its canonical path, where the `again` of a shape below refers to it
    again: str = ""  # the canonical path of a shape above with the same content (recursion)
    holds: Holds = "members"

    @property
    def named(self) -> bool:
        return self.name.rpartition("}")[2] == ANY


def shape_of(compiled: CompiledContract, format_name: str, message: str) -> Shape:
    """The shape of the root of a mapped message."""
    plan = compiled.codec(format_name).plans[message]
    return _Reader(plan, Places(plan.struct), compiled.tables).shape(plan.root, 1, 1)


@dataclass(frozen=True, slots=True)
class _Reader:
    plan: Plan
    places: Places
    tables: Mapping[str, CodeTable]

    def shape(self, node: Node, least: int, most: int | None, base: str = "") -> Shape:
        """`base` is the canonical object that exists whenever the node exists."""
        shapes = [self.child(child, base) for child in node.children]
        children, ordered = _grouped(shapes) if self.plan.media == "xml" else (tuple(shapes), True)
        attributes = {name: (self.text(leaf), self.needed(leaf, base)) for name, leaf in node.attributes.items()}
        if node.key_name is not None and node.key_name.startswith("@"):
            attributes[node.key_name[1:]] = (_fixed(node.key_value or ""), True)
        return Shape(
            name=node.name,
            least=least,
            most=most,
            many=node.kind == "many",
            attributes=attributes,
            text=None if node.text is None else self.text(node.text),
            children=children,
            ordered=ordered,
            free=node.kind == "ignore",
            title=self.title(node.text.canonical if node.text is not None else node.canonical),
            absent=None if node.absent is None else _words(node.absent),
            nil_items=None in node.skips,
            led_to=node.canonical if node.led_to else "",
            again="" if node.again is None else node.again.canonical,
            holds=node.holds,
        )

    def child(self, node: Node, base: str) -> Shape:
        if node.kind == "ignore":
            return Shape(node.name, least=0, most=None, free=True)
        if node.kind != "many":
            return self.shape(node, int(self.always(node, base)), 1, self._object(node, base))
        listed = self._list(node)
        return self.shape(node, self._least(node, base), None if listed is None else listed.most, node.canonical)

    def _list(self, node: Node) -> Array | None:
        place = self.places.get(node.canonical)
        return place.field.type if place is not None and isinstance(place.field.type, Array) else None

    def _least(self, node: Node, base: str) -> int:
        listed = self._list(node)
        return listed.least if listed is not None and self._required(node.canonical.removesuffix("[]"), base) else 0

    def _object(self, node: Node, base: str) -> str:
        """The innermost object that holds all values of a wrapping node.

        The object exists wherever the wrapping node does.
        """
        paths = [each.canonical for each in node.leaves() if each.keys is not None]
        steps = [path.removeprefix(base).lstrip(".").split("[]")[0].split(".")[:-1] for path in paths]
        shared = []
        for step in zip(*steps, strict=False):
            if len(set(step)) > 1:
                break
            shared.append(step[0])
        return ".".join([*([base] if base else []), *shared])

    def always(self, node: Node, base: str) -> bool:
        """Whether a node exists whenever the object `base` does."""
        if node.kind == "many":
            return self._least(node, base) > 0
        if not node.carries:
            return node.kind != "ignore"  # constants are always written
        own = [*node.attributes.values(), *(each for each in (node.text, node.absent) if each is not None)]
        bound = any(leaf.keys is not None and self.needed(leaf, base) for leaf in own)
        return bound or any(self.always(child, base) for child in node.children if child.carries)

    def needed(self, leaf: Leaf, base: str) -> bool:
        if leaf.keys is None:
            return True
        return bool(leaf.row) and not may_be_empty(leaf.row) and self._required(leaf.canonical, base)

    def _required(self, canonical: str, base: str) -> bool:
        """Whether the field and every object between it and `base` are required and not absentable groups."""
        at = base
        for name in canonical.removesuffix("[]").removeprefix(base).lstrip(".").split("."):
            at = f"{at}.{name}" if at else name
            place = self.places.get(at)
            if (
                place is None
                or not place.field.required
                or place.field.absentable
                and not isinstance(place.field.type, Scalar)
            ):
                return False
        return True

    def title(self, canonical: str) -> str:
        place = self.places.get(canonical)
        return (
            ""
            if place is None
            else ". ".join(each.rstrip(".") for each in (place.field.title, place.field.description) if each)
        )

    def text(self, leaf: Leaf) -> Text:
        if leaf.keys is None:
            return _fixed(leaf.constant)
        if leaf.special is None:
            scalar = self._lexical(leaf.row, leaf.scalar)
            return replace(_words(leaf), scalar=scalar or Scalar("string"), free=scalar is None)
        if "presence" in leaf.row:
            return Text(Scalar("string", max_length=0))
        if "index" in leaf.row:
            return Text(_positions(leaf.row["index"], len(leaf.special.leaves)))
        if is_part(leaf.row):
            return Text(Scalar("string"))
        if "when" in leaf.row or not leaf.special.leaves:
            return Text(Scalar("string"), free=True)
        return self.text(leaf.special.leaves[0])

    def _lexical(self, row: Mapping[str, Any], scalar: Scalar | None) -> Scalar | None:
        """The text of a row, by its words `as`, `codes` and `unit`."""
        shape, table = row.get("as"), self.tables.get(str(row.get("codes")))
        as_json = self.plan.media == "json"
        if table is not None:
            values = () if row.get("others") else table.codes
            return Scalar("integer" if shape == "integer" and as_json else "string", values=values)
        if scalar is None:
            return None
        if "unit" in row:
            return self._lexical({word: value for word, value in row.items() if word != "unit"}, Scalar("number"))
        if shape is None or shape == "date" or shape == "datetime" and "zone" not in row:
            return scalar
        if shape == "datetime":
            return Scalar("string", pattern=f"{DATE_TIME_PATTERN[:-1]}?$")
        named = named_shape(str(shape), scalar)
        return Scalar("string", pattern=_time_pattern(str(shape))) if named is None else named.lexical(scalar, as_json)


def _positions(between: Any, count: int) -> Scalar:
    """One position is a number; several are a text with `between` between them."""
    if between is True:
        return Scalar("integer", minimum=Decimal(0))
    one = "(0|[1-9][0-9]*)"
    return Scalar("string", pattern=f"^{one}({''.join(map(_literally, between))}{one}){{{count - 1}}}$")


def _time_pattern(shape: str) -> str:
    """`yyyy/MM/dd` as a pattern with the same meaning in XSD and ECMA 262. The gateway checks the calendar."""
    return f"^{pattern_of(shape, lambda text: ''.join(map(_literally, text)))}$"


def _literally(sign: str) -> str:
    return f"[{sign}]" if sign in ".*+?{}()|" else f"\\{sign}" if sign in "^[]\\-" else sign


def _words(leaf: Leaf) -> Text:
    return Text(Scalar("string"), tuple(word for word in leaf.words if word is not None), None in leaf.words)


def _fixed(value: Any) -> Text:
    if isinstance(value, bool):
        return Text(Scalar("boolean", values=("true" if value else "false",)))
    return Text(Scalar("integer" if isinstance(value, int) else "string", values=(str(value),)))


def _grouped(children: Sequence[Shape]) -> tuple[tuple[Shape, ...], bool]:
    """Siblings of one name (distinguished by a key) as one element, since XSD 1.0 has no keys.

    The second value is False where other elements stand between them.
    """
    groups: dict[str, list[Shape]] = {}
    ordered, last = True, ""
    for child in children:
        ordered = ordered and (child.name not in groups or last == child.name)
        groups.setdefault(child.name, []).append(child)
        last = child.name
    elements = []
    for group in groups.values():
        one = alternatives(group)
        most = None if any(each.most is None for each in group) else sum(each.most or 0 for each in group)
        elements.append(replace(one, least=sum(each.least for each in group), most=most))
    return tuple(elements), ordered


def alternatives(shapes: Sequence[Shape]) -> Shape:
    """The shape that accepts everything that one of the shapes accepts."""
    first = shapes[0]
    if len(shapes) == 1:
        return first
    names = dict.fromkeys(name for each in shapes for name in each.attributes)
    texts = [each.text for each in shapes if each.text is not None]
    kinds = {tuple(child.name for child in each.children) for each in shapes}
    children = {name: [c for each in shapes for c in each.children if c.name == name] for name in _names(shapes)}
    return Shape(
        name=first.name,
        least=min(each.least for each in shapes),
        most=None if any(each.most is None for each in shapes) else max(each.most or 0 for each in shapes),
        many=any(each.many for each in shapes),
        attributes={name: _attribute([each.attributes.get(name) for each in shapes]) for name in names},
        text=reduce(Text.either, texts) if texts else None,
        children=tuple(
            replace(alternatives(same), least=min(each.least for each in same)) for same in children.values()
        ),
        ordered=len(kinds) == 1 and all(each.ordered for each in shapes),
        free=any(each.free for each in shapes),
        title=first.title if len({each.title for each in shapes}) == 1 else "",
        absent=next((each.absent for each in shapes if each.absent is not None), None),
        led_to=first.led_to,
        again=first.again,
        nil_items=any(each.nil_items for each in shapes),
    )


def _names(shapes: Sequence[Shape]) -> list[str]:
    return list(dict.fromkeys(child.name for each in shapes for child in each.children))


def _attribute(candidates: Sequence[tuple[Text, bool] | None]) -> tuple[Text, bool]:
    there = [each for each in candidates if each is not None]
    return reduce(Text.either, (text for text, _ in there)), len(there) == len(candidates) and all(
        required for _, required in there
    )
