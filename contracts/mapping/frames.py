"""Functions on frames, shared by the readers and writers of plans.

A frame is the canonical object, or the list item, that leaves write into.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from contracts.canonical.findings import Index, NotExpressible, Problems, kind_of
from contracts.mapping.plan import Fill, Keys, Leaf, Listing, Node, Plan
from contracts.mapping.value_formats import Bad
from contracts.wire.xmltext import NCNAME

_P = TypeVar("_P", bound=Problems)


def list_at(keys: Keys) -> Callable[[Any], Any]:
    """A function that returns the list at `keys` of a frame and creates it where it is missing."""
    if len(keys) == 1:
        key = keys[0]

        def direct(into: Any) -> Any:
            items = into.get(key)
            if items is None:
                items = into[key] = []
            return items

        return direct
    parents, last = keys[:-1], keys[-1]

    def nested(into: Any) -> Any:
        for each in parents:
            into = into.setdefault(each, {})
        return into.setdefault(last, [])

    return nested


def setter(keys: Keys) -> Callable[[Any, Any], None]:
    parents, last = keys[:-1], keys[-1]

    def put(into: Any, value: Any) -> None:
        for each in parents:
            into = into.setdefault(each, {})
        into[last] = value

    return put


def finisher(node: Node) -> Callable[[Any, Index, Problems], None] | None:
    """Adds constants, defaults, and required lists and objects that may be empty. None where the frame needs none."""
    if not node.fills and not node.empties and not node.objects:
        return None
    now = [(fill, setter(fill.keys)) for fill in node.fills if not fill.late]
    late = [(fill, setter(fill.keys)) for fill in node.fills if fill.late]
    objects, lists = list(node.objects), list(node.empties)
    # A deferred value may bring the object that holds a list, so such lists are added again at the end.
    deferred = bool(lists) and any(leaf.special is not None for leaf in node.placed())

    def finish(into: Any, index: Index, problems: Problems) -> None:
        if late:
            problems.defer_last(lambda root: fill_late(root, into, index))
        if deferred:
            problems.defer_last(lambda root: add_lists(into))
        for keys in objects:
            empty(into, keys, dict)
        for fill, put in now:
            if (fill.constant or missing(into, fill.keys)) and has_room(into, fill):
                put(into, fill.value)
        add_lists(into)

    def add_lists(into: Any) -> None:
        for keys in lists:
            empty(into, keys, list)

    def fill_late(root: Any, into: Any, index: Index) -> None:
        for fill, put in late:
            if (
                (fill.met is None or fill.met(root, into, index))
                and (fill.constant or missing(into, fill.keys))
                and has_room(into, fill)
            ):
                put(into, fill.value)

    return finish


def empty(into: Any, keys: Keys, kind: type) -> None:
    """Adds an empty value of `kind` at `keys`, if the object that holds it exists."""
    for each in keys[:-1]:
        into = into.get(each) if isinstance(into, dict) else None
    if isinstance(into, dict) and "absent" not in into:
        into.setdefault(keys[-1], kind())


def has_room(into: Any, fill: Fill) -> bool:
    """Whether the object that holds the field exists, or is required.

    An object with a reason for absence has no fields.
    """
    for each in fill.keys[:-1]:
        into = into.get(each)
        if not isinstance(into, dict):
            return fill.sure
        if "absent" in into:
            return False
    return True


def missing(into: Any, keys: Keys) -> bool:
    for each in keys:
        if not isinstance(into, dict) or each not in into:
            return True
        into = into[each]
    return False


def getter(keys: Keys) -> Callable[[Any], Any]:
    """A function that returns the value at `keys`, or None. With () it returns its argument."""
    if not keys:
        return lambda value: value
    if len(keys) == 1:
        key = keys[0]
        return lambda value: value.get(key)
    parents, last = keys[:-1], keys[-1]

    def get(value: Any) -> Any:
        for each in parents:
            value = value.get(each)
            if value is None:
                return None
        return value.get(last)

    return get


def raw_writer(leaf: Leaf) -> Callable[[Any], Any] | None:
    """Converts a canonical value or reason for absence to the raw value; None where no conversion is needed."""
    write, tokens = leaf.form.write, leaf.tokens
    if write is None and not tokens:
        return None

    def convert(value: Any) -> Any:
        if tokens and isinstance(value, dict):
            return tokens[value["absent"]]
        if write is None:
            return value
        try:
            return write(value)
        except Bad as bad:
            raise NotExpressible(leaf.here, leaf.canonical, kind_of(value), bad.rule, bad.expected) from None

    return convert


NAME: Final = re.compile(NCNAME)


def key_writer(name: Leaf, taken: set[str], shape: re.Pattern[str] | None) -> Callable[[Any], str]:
    """Returns the member name of an item of a keyed list.

    Raises NotExpressible if the name is taken or does not match `shape`.
    """
    get, raw = raw_getter(name), None if name.special is not None else raw_writer(name)

    def key(item: Any) -> str:
        value = get(item)
        text = str(value if raw is None else raw(value))
        if text in taken or shape is not None and shape.fullmatch(text) is None:
            raise NotExpressible(
                name.here, name.canonical, kind_of(value), "unknown", "a text that can be the name of a member"
            )
        return text

    return key


def raw_getter(leaf: Leaf) -> Callable[[Any], Any]:
    """Returns the raw value to write for the leaf, or None."""
    return getter(leaf.keys or ()) if leaf.special is None else leaf.special.write


def shown(leaf: Leaf) -> Callable[[Any], Any]:
    """Returns the canonical value to write for the leaf, or None. A reason for absence without a token is None."""
    get, tokens = getter(leaf.keys or ()), leaf.tokens

    def find(value: Any) -> Any:
        value_at = get(value)
        if isinstance(value_at, dict) and value_at["absent"] not in tokens:
            return None
        return value_at

    return find


def constant_checks(node: Node) -> list[Callable[[Any], str]]:
    """Checks that a field with a constant has that value, and the other checks of the node. Raises NotExpressible."""

    def check(fill: Fill) -> Callable[[Any], None]:
        get, seen = getter(fill.keys), fill.seen

        def must_be(value: Any) -> None:
            current = get(value)
            if current is not None and current != fill.value and (seen is None or seen(value)):
                raise NotExpressible(
                    "", fill.canonical, kind_of(current), "constant", f"{fill.value!r}: the format says nothing else"
                )

        return must_be

    def silent(work: Callable[[Any], None]) -> Callable[[Any], str]:
        def write(value: Any) -> str:
            work(value)
            return ""

        return write

    return [silent(each) for each in (*(check(fill) for fill in node.fills if fill.constant), *node.checks)]


def settled(read: Callable[[Any, Any, Index, _P], None], plan: Plan) -> Callable[[Any, Any, Index, _P], None]:
    """A reader that also runs what needs the whole message: deferred values and derived fields."""
    waits = any(leaf.special is not None for leaf in plan.root.placed()) or any(
        f.late for node in plan.root.nodes() for f in node.fills
    )
    if not waits and not plan.derived:
        return read
    derived, hidden = [each.make for each in plan.derived], [each.hidden for each in plan.listings]

    def run(raw: Any, into: Any, index: Index, problems: _P) -> None:
        read(raw, into, index, problems)
        problems.settle(into)
        for name in hidden:
            into.pop(name, None)
        for make in derived:
            make(raw, into, problems)

    return run


def carrying(write: Callable[..., str], plan: Plan) -> Callable[..., str]:
    """A writer that first adds to the frames what others than their own values say.

    These are the outer values that conditions ask for, and the lists that have each value of a field once.
    """
    for source, target in plan.carried:
        write = _carried(write, source, target)
    for listing in plan.listings:
        write = _listing(write, listing)
    return write


def carried_name(source: str) -> str:
    """The member that holds a carried value. Neither XML nor JSON names contain NUL, so it collides with no field."""
    return "\0" + source


def _carried(write: Callable[..., str], source: str, target: str) -> Callable[..., str]:
    outer, inner = source.split("[]"), target.split("[]")
    get, name = getter(tuple(outer[-1].lstrip(".").split("."))), carried_name(source)
    to_source, to_target = _lists(outer[:-1]), _lists(inner[len(outer) - 1 : -1])

    def spread(frame: Any) -> Any:
        value = get(frame)
        return _along(frame, to_target, lambda each: {**each, name: value})

    return lambda value, *more: write(_along(value, to_source, spread), *more)


def _listing(write: Callable[..., str], listing: Listing) -> Callable[..., str]:
    """A writer that first collects the values of a field, each once, and gives each group the position of its value."""
    parts = listing.canonical.split("[]")
    get, lists = getter(tuple(parts[-1].lstrip(".").split("."))), _lists(parts[:-1])
    hidden, position, single = listing.hidden, listing.position, listing.leaf.keys == ()

    def collected(message: Any) -> Any:
        seen: dict[Any, int] = {}

        def placed(frame: Any) -> Any:
            value = get(frame)
            return frame if value is None else {**frame, position: seen.setdefault(value, len(seen))}

        message = _along(message, lists, placed)
        return {**message, hidden: [value if single else {listing.member: value} for value in seen]}

    return lambda value, *more: write(collected(value), *more)


def _lists(paths: list[str]) -> list[Keys]:
    return [tuple(path.lstrip(".").split(".")) for path in paths]


def _along(frame: Any, lists: list[Keys], work: Callable[[Any], Any]) -> Any:
    """A copy of the frame in which each item at the end of the lists is what `work` makes of it."""
    return work(frame) if not lists else _down(frame, lists[0], lists[1:], work)


def _down(frame: Any, keys: Keys, lists: list[Keys], work: Callable[[Any], Any]) -> Any:
    child = frame.get(keys[0]) if isinstance(frame, dict) else None
    if child is None:
        return frame
    if len(keys) > 1:
        return {**frame, keys[0]: _down(child, keys[1:], lists, work)}
    return {**frame, keys[0]: [_along(each, lists, work) for each in child]} if isinstance(child, list) else frame
