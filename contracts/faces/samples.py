"""Samples generated from the schema: for each message valid ones, and for each constraint one that breaks it, with the rule and the place.

They are served, they are tests (each valid one is taken by every face, each invalid one refused by the decoder with its rule), and they
are the same bytes each time. Where many fields share one very long bound, one sample stands for them. In XML a constraint is broken by a change
to the tree of a whole message, so that also what the writer would never write is tried.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, Final, Literal

from lxml import etree

from contracts.canonical.model import Array, Choice, Field, Scalar, Struct, Type
from contracts.canonical.patterns import matcher
from contracts.compiled.contract import CompiledContract
from contracts.faces.examples import DAY, EXACT, Maker, Unsatisfiable, fits, valid, wholes
from contracts.mapping.validity import codes_path
from contracts.wire.jsontext import write_json
from contracts.wire.soap import XSI

Path = tuple[str | int, ...]
_MUCH: Final = 500  # characters or items, above which one sample stands for all fields of that bound
_STRANGE: Final = "khong_co"
_NO_CODE: Final = "KHÔNG-CÓ"


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
    """One constraint broken: in JSON by another value, in XML by a change to the tree that `whole` is written as."""

    path: Path
    rule: str
    what: str
    value: Any
    whole: Any
    in_xml: Callable[[etree._Element], None] | None = None
    in_json: bool = False


def generated(compiled: CompiledContract) -> list[Generated]:
    """Of every message; one whose constraints no value was found for has none (`check` says so)."""
    found: list[Generated] = []
    for message in compiled.exchanged:
        with suppress(Unsatisfiable):
            found += of_message(compiled, message)
    return found


def of_message(compiled: CompiledContract, message: str) -> list[Generated]:
    found: list[Generated] = []
    canonical = compiled.codec("canonical")
    for name, value in valid(compiled, message).items():
        found.append(Generated(message, name, "json", write_json(value)))
        found.append(Generated(message, name, "xml", canonical.write_xml(message, value)))
    for each in _breaks(compiled, message):
        where = _shown(each.path)
        name = f"{where.replace('[0]', '[]')} {each.what}".strip()
        if each.in_json:
            found.append(Generated(message, name, "json", write_json(each.value), each.rule, where))
        if each.in_xml is not None:
            root = etree.fromstring(canonical.write_xml(message, each.whole))
            each.in_xml(root)
            content = etree.tostring(root, method="c14n", exclusive=True)
            found.append(Generated(message, name, "xml", content, each.rule, where))
    return found


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _breaks(compiled: CompiledContract, message: str) -> Iterator[_Break]:
    """Of the lean message, and of what its other branches of choices bring beside it."""
    maker, struct = Maker(compiled.tables), compiled.messages[message]
    told: set[tuple[Any, ...]] = set()
    for value in wholes(maker, struct):
        yield from _Walk(compiled, struct, value, told).of_struct(struct, (), ())


class _Walk:
    """Breaks one constraint after another of one whole message. `told` keeps what was broken already, in this message or before."""

    def __init__(self, compiled: CompiledContract, struct: Struct, whole: Any, told: set[tuple[Any, ...]]) -> None:
        self._space, self._tables, self._whole, self._told = compiled.namespace, compiled.tables, whole, told
        self._dated = codes_path(struct, compiled.contract.codes_at) is not None

    def of_struct(self, made: Struct, path: Path, xml: Path, discriminator: str = "") -> Iterator[_Break]:
        """`xml` leads through the tree: where there is a choice, the branch is an element more, and `discriminator` tells which it is."""
        here = _at(self._whole, path)
        if self._once("struct", path, made.name):
            yield _Break(
                (*path, _STRANGE), "unknown", "unknown", self._with((*path, _STRANGE), "x"), self._whole, in_json=True
            )
            yield _Break(
                path,
                "unknown",
                "unknown",
                None,
                self._whole,
                lambda root: _append(_element(root, xml), f"{{{self._space}}}{_STRANGE}"),
            )
            if sum(item != [] for item in here.values()) > 1:
                yield _Break(path, "order", "order", None, self._whole, lambda root: _swap(_element(root, xml)))
        for field in made.fields:
            if field.name in here:
                yield from self._of_field(
                    field, (*path, field.name), (*xml, field.name), made.name, field.name == discriminator
                )

    def _of_field(self, field: Field, at: Path, xml: Path, owner: str, tells: bool) -> Iterator[_Break]:
        many = isinstance(field.type, Array)
        if self._once("field", at, owner):
            if field.required:
                yield _Break(at, "required", "required", self._without(at), self._whole, in_json=True)
                if not (
                    isinstance(field.type, Array) and field.type.least == 0
                ):  # such a list is, in XML, empty where nothing stands
                    yield _Break(
                        at, "required", "required", None, self._whole, lambda root: _remove(_element(root, xml))
                    )
            if field.absentable:
                yield _Break(
                    (*at, "absent"),
                    "absent",
                    "absent",
                    self._with(at, {"absent": "because"}),
                    self._whole,
                    in_json=True,
                )
                if not many:
                    yield _Break(at, "absent", "absent", None, self._whole, lambda root: _nil(_element(root, xml)))
            if not many:
                yield _Break(at, "repeated", "repeated", None, self._whole, lambda root: _twice(_element(root, xml)))
        if not tells:
            yield from self._of_type(field.type, at, xml)
        elif self._once("value", at, ""):
            yield _Break(
                at,
                "code",
                "code",
                self._with(at, _NO_CODE),
                self._whole,
                partial(_set, path=xml, value=_NO_CODE),
                in_json=True,
            )

    def _of_type(self, made: Type, at: Path, xml: Path) -> Iterator[_Break]:
        if isinstance(made, Scalar):
            yield from self._of_value(made, at, xml)
            return
        if self._once("type", at, ""):
            yield _Break(at, "type", "type", self._with(at, "x"), self._whole, in_json=True)
        if isinstance(made, Array):
            yield from self._of_list(made, at, xml)
        elif isinstance(made, Choice):
            told = _at(self._whole, at)[made.discriminator]
            branch = next(each for each in made.branches if told in each.values)
            yield from self.of_struct(branch.struct, at, (*xml, branch.type.name), made.discriminator)
        elif isinstance(made, Struct):  # what leads back to itself is broken where it first stands
            yield from self.of_struct(made, at, xml)

    def _of_list(self, made: Array, at: Path, xml: Path) -> Iterator[_Break]:
        items = _at(self._whole, at)
        if not items:
            return
        if self._once("list", at, ""):
            if made.least > 0:
                few = items[:1] * (made.least - 1)
                yield _Break(at, "length", "too few", self._with(at, few), self._whole, in_json=True)
                if few:
                    yield _Break(
                        at,
                        "length",
                        "too few",
                        None,
                        self._whole,
                        lambda root: _times(_element(root, xml), made.least - 1),
                    )
            if made.most is not None and (made.most <= _MUCH or self._once("items", (made.most,), "")):
                many = made.most + 1
                yield _Break(at, "length", "too many", self._with(at, items[:1] * many), self._whole, in_json=True)
                yield _Break(
                    at, "length", "too many", None, self._whole, lambda root: _times(_element(root, xml), many)
                )
        yield from self._of_type(made.items, (*at, 0), (*xml, 0))

    def _of_value(self, made: Scalar, at: Path, xml: Path) -> Iterator[_Break]:
        good = _at(self._whole, at)
        if not self._once("value", at, ""):
            return
        wrongs = list(_of_scalar(made, good))
        if self._dated and made.table is not None:
            ended = (row.code for row in self._tables[made.table].rows if row.valid_until and row.valid_until < DAY)
            wrongs += [
                ("no longer in force", "code", code, True, True) for code, _ in zip(ended, range(1), strict=False)
            ]
        for what, rule, value, in_json, in_xml in wrongs:
            if what == "too long" and made.max_length is not None and made.max_length > _MUCH:
                if not self._once("characters", (made.max_length,), ""):
                    continue
            if in_json:
                yield _Break(at, rule, what, self._with(at, value), self._whole, in_json=True)
            if in_xml:
                yield _Break(at, rule, what, None, self._whole, partial(_set, path=xml, value=value))

    def _once(self, what: str, path: Path, name: str) -> bool:
        mark = (what, path, name)
        new = mark not in self._told
        self._told.add(mark)
        return new

    def _with(self, path: Path, new: Any) -> Any:
        made = copy.deepcopy(self._whole)
        _at(made, path[:-1])[path[-1]] = new
        return made

    def _without(self, path: Path) -> Any:
        made = copy.deepcopy(self._whole)
        del _at(made, path[:-1])[path[-1]]
        return made


def _of_scalar(made: Scalar, good: Any) -> Iterator[tuple[str, str, Any, bool, bool]]:
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
                with localcontext(EXACT):
                    value = wrong(bound)  # type: ignore[no-untyped-call]
                yield f"beyond {bound}", "range", int(value) if made.kind == "integer" else value, True, True
        return
    yield "type", "type", 12, True, False
    if made.values:
        yield "code", "code", _NO_CODE, True, True
    if made.format is not None:
        day = "2026-02-30"
        yield "no such day", "format", day + good[10:], True, True
    if made.pattern is not None:
        for text in (good + "§", "§", "", good[:-1]):
            if fits(made, good) and not matcher(made.pattern)(text):
                yield "pattern", "pattern", text, True, True
                break
    if made.binary:
        yield "not base64", "pattern", "không", True, True
        if made.min_length:
            yield "too short", "length", "QUJD" * (made.min_length // 4 - 1), True, True
        if made.max_length is not None:
            yield "too long", "length", "QUJD" * (made.max_length // 4 + 1), True, True
        return
    if made.min_length:
        yield "too short", "length", good[: made.min_length - 1], True, True
    if made.max_length is not None:
        yield "too long", "length", (good + "ắ" * (made.max_length + 1))[: made.max_length + 1], True, True


# --- in a value -------------------------------------------------------------------------------------------------------------


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


# --- in a tree --------------------------------------------------------------------------------------------------------------


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
    element.set(f"{{{XSI}}}nil", "true")
    element.set("absent", "because")


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    assert parent is not None
    if isinstance(element.tag, str):
        for each in parent.findall(element.tag):
            parent.remove(each)


def _times(element: etree._Element, count: int) -> None:
    """As many elements like this one as there are to be."""
    parent = element.getparent()
    assert parent is not None and isinstance(element.tag, str)
    for each in parent.findall(element.tag)[1:]:
        parent.remove(each)
    for _ in range(count - 1):
        element.addnext(copy.deepcopy(element))


def _set(root: etree._Element, *, path: Path, value: Any) -> None:
    _element(root, path).text = str(value)
