"""Field masks of grants, compiled: what a reader may not see becomes `{"absent": "not-permitted"}`, so that masked and missing differ.

Fields: `*`, canonical paths that may be seen (with all below them), and `!path` for what is hidden. Paths are written without
brackets or with them (`info.area`, `info[].area`). Invariant: a value that is hidden is never copied into what is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contracts.model import Struct, group

Mask = Callable[[dict[str, Any]], dict[str, Any]]

_HIDDEN = "not-permitted"


class FieldSet:
    """Which paths of one message are hidden."""

    def __init__(self, struct: Struct, fields: Sequence[str]) -> None:
        self.struct = struct
        self.shown = [_plain(each) for each in fields if not each.startswith("!") and each != "*"]
        self.hidden = [_plain(each[1:]) for each in fields if each.startswith("!")]
        # Only denials, or a star: everything else is seen.
        self.all = "*" in fields or not self.shown

    def state(self, path: str) -> bool | None:
        """True: seen with all below; False: hidden with all below; None: it depends on what is below."""
        if any(path == each or path.startswith(each + ".") for each in self.hidden):
            return False
        below = any(each.startswith(path + ".") for each in self.hidden)
        if self.all or any(path == each or path.startswith(each + ".") for each in self.shown):
            return None if below else True
        return None if any(each.startswith(path + ".") for each in self.shown) else False


def check_fields(struct: Struct, fields: Sequence[str]) -> list[str]:
    """What is wrong with a list of fields: paths that do not exist, and hidden fields that cannot be shown as absent."""
    problems = [
        f"{each}: a path that {struct.name} does not have"
        for each in fields
        if each != "*" and not _exists(struct, _plain(each.removeprefix("!")))
    ]
    if not fields:
        problems.append("no field at all: write * or the fields that may be seen")
    chosen = FieldSet(struct, fields)

    def walk(made: Struct, at: str) -> None:
        for each in made.fields:
            path = f"{at}.{each.name}" if at else each.name
            state = chosen.state(path)
            if state is False and not each.absentable:
                problems.append(f"{path}: hidden, but the contract does not declare it absentable")
            elif state is None and (inner := group(each.type)) is not None:
                walk(inner, path)

    if not problems:
        walk(struct, "")
    return problems


def compile_mask(struct: Struct, fields: Sequence[str]) -> Mask | None:
    """None where everything is seen. A hidden field that is missing stays missing; what is not absentable is left out."""
    return _compile(struct, "", FieldSet(struct, fields))


def _compile(made: Struct, at: str, chosen: FieldSet) -> Mask | None:
    hidden: list[str] = []
    removed: list[str] = []
    inner: list[tuple[str, Mask]] = []
    for each in made.fields:
        path = f"{at}.{each.name}" if at else each.name
        state = chosen.state(path)
        below = group(each.type)
        if state is False:
            (hidden if each.absentable else removed).append(each.name)
        elif state is None and below is not None:
            mask = _compile(below, path, chosen)
            if mask is not None:
                inner.append((each.name, mask))
    if not hidden and not removed and not inner:
        return None

    def apply(value: dict[str, Any]) -> dict[str, Any]:
        seen = {name: item for name, item in value.items() if name not in removed}
        for name in hidden:
            if name in seen:
                seen[name] = {"absent": _HIDDEN}
        for name, mask in inner:
            item = seen.get(name)
            if isinstance(item, list):
                seen[name] = [mask(each) for each in item]
            elif isinstance(item, dict) and "absent" not in item:
                seen[name] = mask(item)
        return seen

    return apply


def _exists(struct: Struct, path: str) -> bool:
    made: Struct | None = struct
    for name in path.split("."):
        field = made.field(name) if made is not None else None
        if field is None:
            return False
        made = group(field.type)
    return True


def _plain(path: str) -> str:
    return path.replace("[]", "")
