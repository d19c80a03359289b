"""Generates samples from the schema: valid ones, and for each constraint one that breaks it.

The samples are served, and the tests use them: every face accepts the valid ones, the decoder refuses each invalid one
with its rule. Where many fields share one very long bound, one sample stands for them. Of a large message not every
constraint is broken, since each takes a whole message. In XML a constraint is broken in
the tree of a whole message, so that forms that the writer never produces are tried too.
Invariant: the same contract gives the same bytes.
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
_MUCH: Final = 500  # characters or items; above, one sample stands for all fields with that bound
_BYTES: Final = 5_000_000  # of all that is tried of one message
_ALL_BYTES: Final = 40_000_000
_LEAST: Final = 40
_STRANGE: Final = "khong_co"
_NO_CODE: Final = "KHÔNG-CÓ"


@dataclass(frozen=True, slots=True)
class Generated:
    """A sample in canonical form. An invalid one breaks `rule` at `path`; both are empty for a valid one."""

    message: str
    name: str
    media: Literal["json", "xml"]
    content: bytes
    rule: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Break:
    """One broken constraint: what `value` makes in JSON, or the tree of it after `change` in XML."""

    path: Path
    rule: str
    what: str
    value: Callable[[], Any]
    change: Callable[[etree._Element], None] | None = None


def generated(compiled: CompiledContract) -> list[Generated]:
    """The samples of every message. A message without valid values has none (`check` reports it)."""
    samples: list[Generated] = []
    for message in compiled.exchanged:
        with suppress(Unsatisfiable):
            samples += of_message(compiled, message)
    return samples


def of_message(compiled: CompiledContract, message: str) -> list[Generated]:
    """The samples of one message. Raises Unsatisfiable."""
    samples: list[Generated] = []
    canonical = compiled.codec("canonical")
    for name, value in valid(compiled, message).items():
        samples.append(Generated(message, name, "json", write_json(value)))
        samples.append(Generated(message, name, "xml", canonical.write_xml(message, value)))
    for each in _some(_breaks(compiled, message), allowed(compiled, max(len(each.content) for each in samples))):
        where = _shown(each.path)
        name = f"{where.replace('[0]', '[]')} {each.what}".strip()
        media: Literal["json", "xml"] = "json" if each.change is None else "xml"
        if each.change is None:
            content = write_json(each.value())
        else:
            root = etree.fromstring(canonical.write_xml(message, each.value()))
            each.change(root)
            content = etree.tostring(root, method="c14n", exclusive=True)
        samples.append(Generated(message, name, media, content, rule=each.rule, path=where))
    return samples


def allowed(compiled: CompiledContract, size: int) -> int:
    """How many messages of `size` bytes are tried of one message of the contract."""
    return max(_LEAST, min(_BYTES, _ALL_BYTES // len(compiled.exchanged)) // max(size, 1))


def _some(breaks: Iterator[_Break], most: int) -> list[_Break]:
    """All constraints, or as many as allowed, evenly spread."""
    found = list(breaks)
    return found if len(found) <= most else [found[number * len(found) // most] for number in range(most)]


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def _breaks(compiled: CompiledContract, message: str) -> Iterator[_Break]:
    """Breaks the lean message, then what other branches of its choices add."""
    maker, struct = Maker(compiled.tables), compiled.messages[message]
    broken: set[tuple[Any, ...]] = set()
    for value in wholes(maker, struct):
        yield from _Walk(compiled, struct, value, broken).of_struct(struct, (), ())


class _Walk:
    """Breaks each constraint of one whole message once. `broken` keeps the constraints broken so far."""

    def __init__(self, compiled: CompiledContract, struct: Struct, whole: Any, broken: set[tuple[Any, ...]]) -> None:
        self._space, self._tables, self._whole, self._broken = compiled.namespace, compiled.tables, whole, broken
        self._dated = codes_path(struct, compiled.contract.codes_at) is not None

    def of_struct(self, struct: Struct, path: Path, xml: Path, discriminator: str = "") -> Iterator[_Break]:
        """`xml` is the path in the tree: one more element for each branch, which the field `discriminator` names."""
        here = _at(self._whole, path)
        if self._once("struct", path, struct.name):
            strange = (*path, _STRANGE)
            yield _Break(strange, "unknown", "unknown", self._with(strange, "x"))
            append = partial(_append, name=f"{{{self._space}}}{_STRANGE}")
            yield self._in_xml(path, "unknown", "unknown", xml, append)
            if sum(item != [] for item in here.values()) > 1:
                yield self._in_xml(path, "order", "order", xml, _swap)
        for field in struct.fields:
            if field.name in here:
                yield from self._of_field(
                    field, (*path, field.name), (*xml, field.name), struct.name, field.name == discriminator
                )

    def _of_field(self, field: Field, at: Path, xml: Path, owner: str, tells: bool) -> Iterator[_Break]:
        many = isinstance(field.type, Array)
        if self._once("field", at, owner):
            if field.required:
                yield _Break(at, "required", "required", self._without(at))
                # In XML a missing list that may be empty is an empty list.
                if not (isinstance(field.type, Array) and field.type.least == 0):
                    yield self._in_xml(at, "required", "required", xml, _remove)
            if field.absentable:
                yield _Break((*at, "absent"), "absent", "absent", self._with(at, {"absent": "because"}))
                if not many:
                    yield self._in_xml(at, "absent", "absent", xml, _nil)
            if not many:
                yield self._in_xml(at, "repeated", "repeated", xml, _twice)
        if not tells:
            yield from self._of_type(field.type, at, xml)
        elif self._once("value", at, ""):
            yield _Break(at, "code", "code", self._with(at, _NO_CODE))
            yield self._in_xml(at, "code", "code", xml, partial(_set, value=_NO_CODE))

    def _of_type(self, type_: Type, at: Path, xml: Path) -> Iterator[_Break]:
        if isinstance(type_, Scalar):
            yield from self._of_value(type_, at, xml)
            return
        if self._once("type", at, ""):
            yield _Break(at, "type", "type", self._with(at, "x"))
        if isinstance(type_, Array):
            yield from self._of_list(type_, at, xml)
        elif isinstance(type_, Choice):
            value = _at(self._whole, at)[type_.discriminator]
            branch = next(each for each in type_.branches if value in each.values)
            yield from self.of_struct(branch.struct, at, (*xml, branch.type.name), type_.discriminator)
        elif isinstance(type_, Struct):  # a recursive type is broken where it first occurs
            yield from self.of_struct(type_, at, xml)

    def _of_list(self, array: Array, at: Path, xml: Path) -> Iterator[_Break]:
        items = _at(self._whole, at)
        if not items:
            return
        if self._once("list", at, ""):
            if array.least > 0:
                few = items[:1] * (array.least - 1)
                yield _Break(at, "length", "too few", self._with(at, few))
                if few:
                    yield self._in_xml(at, "length", "too few", xml, partial(_times, count=array.least - 1))
            if array.most is not None and (array.most <= _MUCH or self._once("items", (array.most,), "")):
                many = array.most + 1
                yield _Break(at, "length", "too many", self._with(at, items[:1] * many))
                yield self._in_xml(at, "length", "too many", xml, partial(_times, count=many))
        yield from self._of_type(array.items, (*at, 0), (*xml, 0))

    def _of_value(self, scalar: Scalar, at: Path, xml: Path) -> Iterator[_Break]:
        good = _at(self._whole, at)
        if not self._once("value", at, ""):
            return
        wrongs = list(_of_scalar(scalar, good))
        if self._dated and scalar.table is not None:
            ended = (row.code for row in self._tables[scalar.table].rows if row.valid_until and row.valid_until < DAY)
            wrongs += [
                ("no longer in force", "code", code, True, True) for code, _ in zip(ended, range(1), strict=False)
            ]
        for what, rule, value, in_json, in_xml in wrongs:
            if what == "too long" and scalar.max_length is not None and scalar.max_length > _MUCH:
                if not self._once("characters", (scalar.max_length,), ""):
                    continue
            if in_json:
                yield _Break(at, rule, what, self._with(at, value))
            if in_xml:
                yield self._in_xml(at, rule, what, xml, partial(_set, value=value))

    def _in_xml(self, path: Path, rule: str, what: str, xml: Path, change: Callable[[etree._Element], None]) -> _Break:
        """A constraint broken by `change` to the element at `xml`."""
        return _Break(path, rule, what, lambda: self._whole, lambda root: change(_element(root, xml)))

    def _once(self, what: str, path: Path, name: str) -> bool:
        mark = (what, path, name)
        new = mark not in self._broken
        self._broken.add(mark)
        return new

    def _with(self, path: Path, new: Any) -> Callable[[], Any]:
        def changed() -> Any:
            copied = copy.deepcopy(self._whole)
            _at(copied, path[:-1])[path[-1]] = new
            return copied

        return changed

    def _without(self, path: Path) -> Callable[[], Any]:
        def changed() -> Any:
            copied = copy.deepcopy(self._whole)
            del _at(copied, path[:-1])[path[-1]]
            return copied

        return changed


def _of_scalar(scalar: Scalar, good: Any) -> Iterator[tuple[str, str, Any, bool, bool]]:
    """What is broken, the rule, the value, and whether JSON and XML can express it."""
    if scalar.kind == "boolean":
        yield "type", "type", "true", True, False
        yield "type", "type", "đúng", False, True
        return
    if scalar.kind in ("integer", "number"):
        yield "type", "type", "12", True, False
        yield "type", "type", "mười hai", False, True
        if scalar.kind == "integer":
            yield "not whole", "type", Decimal("1.5"), True, True
        step = Decimal(1)
        for bound, wrong in (
            (scalar.minimum, lambda low: low - step),
            (scalar.exclusive_minimum, lambda low: low),
            (scalar.maximum, lambda high: high + step),
            (scalar.exclusive_maximum, lambda high: high),
        ):
            if bound is not None:
                with localcontext(EXACT):
                    value = wrong(bound)  # type: ignore[no-untyped-call]
                yield f"beyond {bound}", "range", int(value) if scalar.kind == "integer" else value, True, True
        return
    yield "type", "type", 12, True, False
    if scalar.values:
        yield "code", "code", _NO_CODE, True, True
    if scalar.format is not None:
        day = "2026-02-30"
        yield "no such day", "format", day + good[10:], True, True
    if scalar.pattern is not None:
        for text in (good + "§", "§", "", good[:-1]):
            if fits(scalar, good) and not matcher(scalar.pattern)(text):
                yield "pattern", "pattern", text, True, True
                break
    if scalar.binary:
        yield "not base64", "pattern", "không", True, True
        if scalar.min_length:
            yield "too short", "length", "QUJD" * (scalar.min_length // 4 - 1), True, True
        if scalar.max_length is not None:
            yield "too long", "length", "QUJD" * (scalar.max_length // 4 + 1), True, True
        return
    if scalar.min_length:
        yield "too short", "length", good[: scalar.min_length - 1], True, True
    if scalar.max_length is not None:
        yield "too long", "length", (good + "ắ" * (scalar.max_length + 1))[: scalar.max_length + 1], True, True


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


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
    """Repeats the element `count` times."""
    parent = element.getparent()
    assert parent is not None and isinstance(element.tag, str)
    for each in parent.findall(element.tag)[1:]:
        parent.remove(each)
    for _ in range(count - 1):
        element.addnext(copy.deepcopy(element))


def _set(element: etree._Element, value: Any) -> None:
    element.text = str(value)
