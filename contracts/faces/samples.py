"""Samples generated from the schema: for each message valid ones, and for each constraint one that breaks it, with the rule and the place.

They are served, they are tests (each valid one is taken by every face, each invalid one refused by the decoder with its rule), and they
are the same bytes each time. Where many fields share one very long bound, one sample stands for them.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

from lxml import etree

from contracts.compiled import CompiledContract
from contracts.faces.examples import Maker, fits, valid
from contracts.model import Field, Many, Scalar, Struct, Type
from contracts.wire.jsontext import write_json

Path = tuple[str | int, ...]
_MUCH: Final = 500  # characters or items, above which one sample stands for all fields of that bound
_STRANGE: Final = "khong_co"
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True, slots=True)
class Generated:
    """A sample in canonical form. `rule` and `path` say what an invalid one breaks, and where; both are empty for a valid one."""

    message: str
    name: str
    media: Literal["json", "xml"]
    content: bytes
    rule: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Break:
    """One constraint broken: the changed value, or (`in_xml`) a change to the tree that the full sample is written as."""

    path: Path
    rule: str
    what: str
    value: Any = None
    json: bool = True
    xml: bool = True
    in_xml: Callable[[etree._Element], None] | None = None


def generated(compiled: CompiledContract) -> list[Generated]:
    found: list[Generated] = []
    canonical = compiled.codec("canonical")
    for message in compiled.exchanged:
        made = valid(compiled, message)
        for name, value in made.items():
            found.append(Generated(message, name, "json", write_json(value)))
            found.append(Generated(message, name, "xml", canonical.write_xml(message, value)))
        whole = Maker(compiled.tables).lean(compiled.messages[message])
        for each in _breaks(compiled, message, whole):
            where = _shown(each.path)
            name = f"{re.sub(r'[0-9]', '', where)} {each.what}".strip()
            if each.json and each.in_xml is None:
                found.append(Generated(message, name, "json", write_json(each.value), each.rule, where))
            if each.in_xml is not None:
                root = etree.fromstring(canonical.write_xml(message, whole))
                each.in_xml(root)
                content = etree.tostring(root, method="c14n", exclusive=True)
                found.append(Generated(message, name, "xml", content, each.rule, where))
            elif each.xml:
                found.append(Generated(message, name, "xml", canonical.write_xml(message, each.value), each.rule, where))
    return found


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _breaks(compiled: CompiledContract, message: str, full: Any) -> Iterator[_Break]:
    maker = Maker(compiled.tables)
    told: set[tuple[str, int]] = set()
    yield from _of_struct(compiled.messages[message], (), full, compiled.namespace, maker, told)


def _of_struct(made: Struct, path: Path, full: Any, space: str, maker: Maker, told: set[tuple[str, int]]) -> Iterator[_Break]:
    here = _at(full, path)
    yield _Break((*path, _STRANGE), "unknown", "unknown", _with(full, (*path, _STRANGE), "x"), xml=False)
    yield _Break(path, "unknown", "unknown", in_xml=lambda root: _append(_element(root, path), f"{{{space}}}{_STRANGE}"))
    elements = _element_names(here)
    if len(elements) > 1:
        yield _Break(path, "order", "order", in_xml=lambda root: _swap(_element(root, path)))
    for field in made.fields:
        at = (*path, field.name)
        if field.name not in here:
            continue
        if field.required:
            # A required list that may be empty is, in XML, empty where nothing stands.
            said = not (isinstance(field.type, Many) and field.type.least == 0)
            yield _Break(at, "required", "required", _without(full, at), xml=said)
        if field.absentable:
            yield _Break((*at, "absent"), "absent", "absent", _with(full, at, {"absent": "because"}), xml=False)
            if not isinstance(field.type, Many):
                yield _Break(at, "absent", "absent", in_xml=lambda root, at=at: _nil(_element(root, at)))  # type: ignore[misc]
        if not isinstance(field.type, Many):
            yield _Break(at, "repeated", "repeated", in_xml=lambda root, at=at: _twice(_element(root, at)))  # type: ignore[misc]
        yield from _of_type(field.type, field, at, full, space, maker, told)


def _of_type(made: Type, field: Field, at: Path, full: Any, space: str, maker: Maker, told: set[tuple[str, int]]) -> Iterator[_Break]:
    if isinstance(made, Struct):
        yield _Break(at, "type", "type", _with(full, at, "x"), xml=False)
        yield from _of_struct(made, at, full, space, maker, told)
    elif isinstance(made, Many):
        yield _Break(at, "type", "type", _with(full, at, "x"), xml=False)
        one = _at(full, (*at, 0))
        if made.least > 0:
            yield _Break(at, "length", "too few", _with(full, at, [one] * (made.least - 1)), xml=made.least > 1)
        if made.most is not None and _once(told, "items", made.most):
            yield _Break(at, "length", "too many", _with(full, at, [one] * (made.most + 1)))
        yield from _of_type(made.items, field, (*at, 0), full, space, maker, told)
    else:
        for what, rule, value, in_json, in_xml in _of_scalar(made, _at(full, at), maker, told):
            if in_json:
                yield _Break(at, rule, what, _with(full, at, value), xml=False)
            if in_xml:
                yield _Break(at, rule, what, in_xml=lambda root, at=at, value=value: _set(_element(root, at), value))  # type: ignore[misc]


def _of_scalar(made: Scalar, good: Any, maker: Maker, told: set[tuple[str, int]]) -> Iterator[tuple[str, str, Any, bool, bool]]:
    """What is broken, the rule, the value, and whether JSON and XML can say it."""
    if made.kind == "boolean":
        yield "type", "type", "true", True, False
        yield "type", "type", "đúng", False, True
        return
    if made.kind in ("integer", "number"):
        yield "type", "type", "12", True, False
        yield "type", "type", "mười hai", False, True
        if made.kind == "integer":
            yield "not whole", "type", Decimal("1.5"), True, True
        step = Decimal(1)
        for bound, wrong in (
            (made.minimum, lambda low: low - step),
            (made.exclusive_minimum, lambda low: low),
            (made.maximum, lambda high: high + step),
            (made.exclusive_maximum, lambda high: high),
        ):
            if bound is not None:
                value = wrong(bound)  # type: ignore[no-untyped-call]
                yield f"beyond {bound}", "range", int(value) if made.kind == "integer" else value, True, True
        return
    yield "type", "type", 12, True, False
    if made.values:
        yield "code", "code", "KHÔNG-CÓ", True, True
    if made.format is not None:
        day = "2026-02-30"
        yield "no such day", "format", day + good[10:], True, True
    if made.pattern is not None:
        for text in (good + "§", "§", "", good[:-1]):
            if fits(made, good) and re.fullmatch(made.pattern[1:-1], text) is None:
                yield "pattern", "pattern", text, True, True
                break
    if made.min_length:
        yield "too short", "length", good[: made.min_length - 1], True, True
    if made.max_length is not None and _once(told, "characters", made.max_length):
        yield "too long", "length", (good + "ắ" * (made.max_length + 1))[: made.max_length + 1], True, True


def _once(told: set[tuple[str, int]], kind: str, bound: int) -> bool:
    if bound > _MUCH:
        if (kind, bound) in told:
            return False
        told.add((kind, bound))
    return True


# --- in a value -------------------------------------------------------------------------------------------------------------


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(full: Any, path: Path, new: Any) -> Any:
    made = copy.deepcopy(full)
    _at(made, path[:-1])[path[-1]] = new
    return made


def _without(full: Any, path: Path) -> Any:
    made = copy.deepcopy(full)
    del _at(made, path[:-1])[path[-1]]
    return made


# --- in a tree --------------------------------------------------------------------------------------------------------------


def _element_names(value: Any) -> Sequence[str]:
    return [name for name, item in value.items() if item != []]


def _element(root: etree._Element, path: Path) -> etree._Element:
    space = etree.QName(root).namespace
    at = root
    for number, step in enumerate(path):
        if isinstance(step, str):
            index = path[number + 1] if number + 1 < len(path) and isinstance(path[number + 1], int) else 0
            at = at.findall(f"{{{space}}}{step}")[int(index)]
    return at


def _append(parent: etree._Element, name: str) -> None:
    etree.SubElement(parent, name).text = "x"


def _swap(parent: etree._Element) -> None:
    parent.append(parent[0])


def _twice(element: etree._Element) -> None:
    element.addnext(copy.deepcopy(element))


def _nil(element: etree._Element) -> None:
    for child in list(element):
        element.remove(child)
    element.text = None
    element.set(f"{{{_XSI}}}nil", "true")
    element.set("absent", "because")


def _set(element: etree._Element, value: Any) -> None:
    element.text = str(value)
