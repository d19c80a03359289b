"""Reads YAML 1.1 as plain data, without objects.

Uses libyaml's parser where PyYAML has it: it is ten times as fast, and it bounds the depth of nesting.
Invariant: a mapping with a duplicate key is rejected, since the second value would silently win.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Final

import yaml

_SAFE: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class UniqueKeys(_SAFE):  # type: ignore[misc]
    """Rejects duplicate keys. Reports the line of a value that looks like a date or a number and is none."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:  # 2026-02-30
            raise _fault(f"{str(node.value)[:40]!r} is no such value: {error}", node) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise _fault("a key is a text", key_node)
            if key in seen:
                raise _fault(f"the key {str(key)[:60]!r} stands twice", key_node)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


LOADER: Final = UniqueKeys


def load(text: str | bytes) -> Any:
    """The value of one document; None for an empty one.

    yaml.YAMLError says what is wrong and where; RecursionError for nesting that is too deep.
    """
    return yaml.load(text, LOADER)  # noqa: S506 (a safe loader)


def why(error: Exception) -> str:
    """What is wrong with a document that `load` refused, and where: its line and column, from 1."""
    if isinstance(error, yaml.reader.ReaderError):
        return f"{error.reason} (position {error.position + 1})"
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())[:200] or type(error).__name__
    return f"{str(problem)[:200]} (line {mark.line + 1}, column {mark.column + 1})"


def lines(text: str | bytes, *below: str) -> dict[str, int]:
    """The line of each key of the document's mapping, counted from 1; with `below` of the mapping under these keys.

    Empty where there is no such mapping. Raises as `load`.
    """
    node = yaml.compose(text, LOADER)
    for name in below:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for key, value in pairs if key.value == name), None)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {str(key.value): key.start_mark.line + 1 for key, _ in pairs}


def _fault(what: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)
