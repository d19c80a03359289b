"""`when`: a row that applies only where another value of the message is in a list of values.

The other value is in the same or an outer group. A reader decides after the whole message is read, because the value
may stand below. A writer asks the frame, into which the values of outer groups are copied.
Invariant: the conditions of one place, and of one field, exclude each other.
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
    """`canonical` is one of `values`; `frame` is the group of the row."""

    canonical: str
    values: tuple[Any, ...]
    frame: str

    @property
    def source(self) -> str:
        """The group of the tested value."""
        return frame_of(self.canonical)

    @property
    def words(self) -> str:
        return f"{self.canonical} is {' or '.join(map(str, self.values))}"

    def excludes(self, other: Condition) -> bool:
        return self.canonical == other.canonical and not set(self.values) & set(other.values)

    def seen(self) -> Callable[[Any], bool]:
        """A test on a frame that is written."""
        get = getter(keys_of(self.canonical) if self.source == self.frame else (carried_name(self.canonical),))
        values = self.values
        return lambda frame: get(frame) in values

    def met(self) -> Callable[[Any, Any, Index], bool]:
        """A test on a message that is read."""
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
    """Several bindings in one place, each under its condition."""
    readers = [(condition.met(), special.read) for condition, special in cases]
    writers = [(condition.seen(), special.write) for condition, special in cases]
    expected = "nothing, or " + "; or ".join(condition.words for condition, _ in cases)

    def read_value(raw: Any, into: Any, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        def settle(root: Any) -> None:
            for met, read in readers:
                if met(root, into, index):
                    read(raw, into, index, problems, where)
                    return
            problems.add(where(), "", kind_of(raw), "condition", expected)

        problems.defer(settle)

    def write_value(frame: Any) -> Any:
        for seen, write in writers:
            if seen(frame):
                return write(frame)
        return None

    return CustomBinding(read_value, write_value, tuple(leaf for _, special in cases for leaf in special.leaves))


def only_where(
    canonical: str, keys: tuple[str, ...], conditions: Sequence[Condition], words: set[str]
) -> Callable[[Any], None]:
    """A check on writing: a field whose rows all have conditions is present only where one of them holds."""
    get, tests = getter(keys), [condition.seen() for condition in conditions]
    expected = "; or ".join(condition.words for condition in conditions)

    def check(frame: Any) -> None:
        value = get(frame)
        if (
            value is not None
            and not (isinstance(value, dict) and value["absent"] not in words)
            and not any(seen(frame) for seen in tests)
        ):
            raise NotExpressible("", canonical, kind_of(value), "condition", f"nothing, or {expected}")

    return check


def fixed(value: Any) -> CustomBinding:
    """A fixed value in a place, written and required under a condition."""

    def read_value(raw: Any, into: Any, index: Index, problems: Problems, where: Callable[[], str]) -> None:
        if raw != value or type(raw) is not type(value):
            problems.add(where(), "", "another value", "constant", f"{value!r}")

    return CustomBinding(read_value, lambda frame: value)
