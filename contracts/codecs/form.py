"""Bodies of `application/x-www-form-urlencoded` (WHATWG URL, section 5), as the value that the table's JSON would have.

`a=1` is a member, `a[b]=1` a member within it, `a[]=1&a[]=2` a list. All are texts; the plan says which become numbers
and truth values. Invariant: what is written reads as the same value, or it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote_plus

from contracts.canonical.findings import NotExpressible, kind_of
from contracts.codecs.query import pairs, query_text, typed
from contracts.errors import MESSAGE_NOT_QUERY
from contracts.mapping.plan import Leaf, Node, Plan
from contracts.mapping.rows.kinds import is_part
from contracts.wire.jsontext import read_json

MEDIA: Final = "application/x-www-form-urlencoded"
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]+\]){0,8})(\[\])?")


def read_form(raw: bytes, plan: Plan) -> dict[str, Any]:
    """The members of a body, which may end with a line break, as files do. Raises MESSAGE_NOT_QUERY with the reason."""
    try:
        text = raw.removesuffix(b"\n").removesuffix(b"\r").decode("ascii")
    except UnicodeDecodeError:
        raise MESSAGE_NOT_QUERY(why="bytes that are not percent-encoded") from None
    members: dict[str, Any] = {}
    for name, value in pairs(text):
        match = _NAME.fullmatch(name)
        if match is None:
            raise MESSAGE_NOT_QUERY(why="a name out of form: a, a[b] or a[]")
        steps = [match[1], *(match[2][1:-1].split("][") if match[2] else ())]
        into, node, last = members, _node(plan.root, match[1]), steps[-1]
        for step, below in pairwise(steps):
            into, node = into.setdefault(step, {}), _node(node, below)
            if not isinstance(into, dict):
                raise _twice(name)
        said = value if node is None or node.text is None else typed(value, _kind(node.text))
        if match[3]:
            listed = into.setdefault(last, [])
            if not isinstance(listed, list):
                raise _twice(name)
            listed.append(said)
        elif last in into:
            raise _twice(name)
        else:
            into[last] = said
    return members


def _twice(name: str) -> Exception:
    return MESSAGE_NOT_QUERY(why=f"the parameter {name[:60]!r} stands twice")


def _node(node: Node | None, name: str) -> Node | None:
    """The node of a member; a member of any name is that of a keyed list."""
    if node is None:
        return None
    found = next((each for each in node.children if each.name == name), None)
    return found or next((each for each in node.children if each.entry is not None), None)


def _kind(leaf: Leaf) -> str:
    """The kind of the raw value of JSON: text, number or boolean."""
    if leaf.keys is None:
        return "boolean" if isinstance(leaf.constant, bool) else "number" if isinstance(leaf.constant, int) else "text"
    if leaf.special is None:
        return leaf.form.raw
    if leaf.row.get("index") is True:
        return "number"
    return "text" if is_part(leaf.row) or not leaf.special.leaves else leaf.special.leaves[0].form.raw


def form_writer(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """A writer of forms, of one of JSON."""

    def written(value: Any) -> str:
        return "&".join(
            f"{quote_plus(name)}={quote_plus(query_text(item))}"
            for name, item in _flat(read_json(write(value).encode()))
        )

    return written


def _flat(members: dict[str, Any], above: str = "") -> Iterator[tuple[str, str | bool | int | Decimal]]:
    for key, item in members.items():
        name = f"{above}[{key}]" if above else key
        if _NAME.fullmatch(name) is None or name.endswith("[]"):
            raise NotExpressible(name[:60], "", kind_of(key), "unknown", "a name of a form, without brackets")
        if isinstance(item, dict) and item:
            yield from _flat(item, name)
        elif isinstance(item, list) and (item or not above):
            yield from ((f"{name}[]", each) for each in item)
        elif isinstance(item, (dict, list)):
            raise NotExpressible(name[:60], "", kind_of(item), "type", "a value: a form has nothing that is empty")
        else:
            yield name, item
