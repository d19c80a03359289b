"""`when`: a row that holds only where another value of the message, in the same or an outer group, is one of some.

A reader decides once the whole message is read, since what it depends on may stand below; a writer asks the frame, into which the
values of outer groups are carried. Invariant: the conditions of one place, and of one field, exclude each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.canonical.findings import Index, NotExpressible, Problems, kind_of
from contracts.canonical.places import frame_of, keys_of
from contracts.mapping.frames import carried_name, getter
from contracts.mapping.plan import CustomBinding


@dataclass(frozen=True, slots=True)
class Condition:
    """`canonical` is one of `values`; `frame` is the group of the row that asks."""

    canonical: str
    values: tuple[Any, ...]
    frame: str

    @property
    def source(self) -> str:
        """The group of the value that is asked for."""
        return frame_of(self.canonical)

    @property
    def words(self) -> str:
        return f"{self.canonical} is {' or '.join(map(str, self.values))}"

    def excludes(self, other: Condition) -> bool:
        return self.canonical == other.canonical and not set(self.values) & set(other.values)

    def seen(self) -> Callable[[Any], bool]:
        """Whether it holds, asked of a frame that is written."""
        get = getter(keys_of(self.canonical) if self.source == self.frame else (carried_name(self.canonical),))
        values = self.values
        return lambda frame: get(frame) in values

    def met(self) -> Callable[[Any, Any, Index], bool]:
        """Whether it holds, asked of a message that is read."""
        lists = [tuple(part.lstrip(".").split(".")) for part in self.canonical.split("[]")]
        get, values = getter(lists[-1]), self.values
        if self.source == self.frame:
            return lambda root, into, index: get(into) in values

        def met(root: Any, into: Any, index: Index) -> bool:
            numbers = []
            while index is not None:
                numbers.append(index[1])
                index = index[0]
            for keys in lists[:-1]:
                for key in keys:
                    root = root[key]
                root = root[numbers.pop()]
            return get(root) in values

        return met


def conditional(cases: Sequence[tuple[Condition, CustomBinding]]) -> CustomBinding:
    """What stands in one place, each where its condition holds."""
    readers = [(condition.met(), special.read) for condition, special in cases]
    writers = [(condition.seen(), special.write) for condition, special in cases]
    expected = "nothing, or " + "; or ".join(condition.words for condition, _ in cases)

    def take(found: Any, into: Any, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        def settle(root: Any) -> None:
            for met, read in readers:
                if met(root, into, index):
                    read(found, into, index, problems, where)
                    return
            problems.add(where(), "", kind_of(found), "condition", expected)

        problems.defer(settle)

    def give(frame: Any) -> Any:
        for seen, write in writers:
            if seen(frame):
                return write(frame)
        return None

    return CustomBinding(take, give, tuple(leaf for _, special in cases for leaf in special.leaves))


def only_where(
    canonical: str, keys: tuple[str, ...], conditions: Sequence[Condition], words: set[str]
) -> Callable[[Any], None]:
    """A check on what is written: a field whose rows all have conditions is there only where one of them holds."""
    get, tests = getter(keys), [condition.seen() for condition in conditions]
    expected = "; or ".join(condition.words for condition in conditions)

    def check(frame: Any) -> None:
        found = get(frame)
        if (
            found is not None
            and not (isinstance(found, dict) and found["absent"] not in words)
            and not any(seen(frame) for seen in tests)
        ):
            raise NotExpressible("", canonical, kind_of(found), "condition", f"nothing, or {expected}")

    return check


def fixed(value: Any) -> CustomBinding:
    """What stands in a place where a condition holds, and means nothing of its own."""

    def take(found: Any, into: Any, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        if found != value or type(found) is not type(value):
            problems.add(where(), "", "another value", "constant", f"{value!r}")

    return CustomBinding(take, lambda frame: value)
