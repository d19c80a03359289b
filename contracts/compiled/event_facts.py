"""Reads from a message what its events in the feed tell of it: how complete it is, how old, until when it holds, and
which administrative units it is about (`event` of contract.yaml).

A message is complete to the degree that its fields have values: those of the message and of the objects in it. A list
is one field, whatever it holds. A field that is absent with a reason has no value.
Invariant: the cost is linear in the message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from contracts.base.times import moment
from contracts.canonical.model import Array, CodeTable, Operation, Struct, Type, group
from contracts.compiled.contract import CompiledContract

UNKNOWN: Final = "unknown"
AREAS: Final = "area"  # the table of administrative units, for a field that names no table
_LATEST: Final = 253_402_300_799.0  # the end of the year 9999
_Tree = tuple[tuple[str, Any], ...]  # name -> the fields of an object, or None


class Counted(NamedTuple):
    """The fields that are counted, and how many they are."""

    tree: _Tree
    size: int

    def of(self, message: Any) -> str:
        """`9/14`: nine of fourteen fields have a value."""
        return f"{_present(self.tree, message)}/{self.size}"


_counted: Final[WeakKeyDictionary[CompiledContract, dict[str, Counted]]] = WeakKeyDictionary()


def counted(contract: CompiledContract, message: str) -> Counted:
    """All fields of a message."""
    known = _counted.setdefault(contract, {})
    if message not in known:
        known[message] = counted_where(contract, message, lambda path: True)
    return known[message]


def counted_where(contract: CompiledContract, message: str, seen: Callable[[str], bool]) -> Counted:
    """The fields of a message that a reader sees. `seen` judges the path of a single value, as `info[].event`."""
    tree = _tree(contract.messages[message], "", seen)
    return Counted(tree, _size(tree))


def _tree(struct: Struct, above: str, seen: Callable[[str], bool]) -> _Tree:
    fields: list[tuple[str, Any]] = []
    for each in struct.fields:
        path = above + each.name
        if isinstance(each.type, Struct):
            inner = _tree(each.type, f"{path}.", seen)
            fields += [(each.name, inner)] if inner else []
        elif any(seen(leaf) for leaf in _leaves(each.type, path)):
            fields.append((each.name, None))
    return tuple(fields)


def _leaves(type_: Type, path: str) -> Iterator[str]:
    """The single values in a field; of a list the single values of its items, which stand for what is below them."""
    path = f"{path}[]" if isinstance(type_, Array) else path
    inner = group(type_)
    if inner is None:
        yield path
        return
    for each in inner.fields:
        if group(each.type) is None:
            yield f"{path}.{each.name}[]" if isinstance(each.type, Array) else f"{path}.{each.name}"


def _size(tree: _Tree) -> int:
    return sum(1 if inner is None else _size(inner) for _, inner in tree)


def _present(tree: _Tree, value: Any) -> int:
    if not isinstance(value, dict):
        return 0
    count = 0
    for name, inner in tree:
        if name not in value:
            continue
        found = value[name]
        if inner is not None:
            count += _present(inner, found)
        elif isinstance(found, dict):
            count += len(found) != 1 or "absent" not in found
        else:
            count += found is not None and found != "" and found != []
    return count


def age(operation: Operation, message: Mapping[str, Any], now: float) -> str:
    """Whole seconds between the time of the content and `now` (Unix seconds); negative for a time to come."""
    made = [moment(each) for each in values_at(message, operation.event.made)] if operation.event.made else []
    return str(int(now - made[0])) if made and made[0] is not None else UNKNOWN


def expires(operation: Operation, message: Mapping[str, Any]) -> float | None:
    """When the content no longer holds, in Unix seconds. None if the message, or an item of its list, does not say."""
    if not (path := operation.event.expires):
        return None
    above = path.rpartition("[]")[0]
    items = sum(1 for _ in values_at(message, f"{above}[]")) if above else 1
    times = [moment(each) for each in values_at(message, path)]
    known = [each for each in times if each is not None and 0 < each < _LATEST]
    return max(known) if known and len(known) == items else None


def areas(operation: Operation, message: Any) -> Iterator[str]:
    """The codes of the administrative units that a message is about."""
    return (each for each in values_at(message, operation.event.area) if isinstance(each, str))


def area_table(contract: CompiledContract, operation: Operation) -> CodeTable | None:
    """The table of those codes."""
    field, at = None, contract.messages[operation.request]
    for step in operation.event.area.split("."):
        field = at.field(step.removesuffix("[]"))
        at = (None if field is None else group(field.type)) or at
    type_ = None if field is None else field.type
    type_ = type_.items if isinstance(type_, Array) else type_
    return contract.tables.get(getattr(type_, "table", None) or AREAS)


def values_at(value: Any, path: str) -> Iterator[Any]:
    """The values at a path, through lists."""
    if not path:
        yield value
        return
    step, _, rest = path.partition(".")
    found = value.get(step.removesuffix("[]")) if isinstance(value, Mapping) else None
    if not step.endswith("[]"):
        if found is not None:
            yield from values_at(found, rest)
        return
    for each in found if isinstance(found, list) else ():
        yield from values_at(each, rest)
