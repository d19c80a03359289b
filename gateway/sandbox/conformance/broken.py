"""Breaks messages of a contract, in each of its formats: what the gateway's own reader refuses is broken.

The canonical format has a message for each constraint (`contracts.faces.samples`). Another format is broken field by
field: removed, doubled, of another type, with a field that nobody knows. Invariant: what the reader takes is never
handed out as broken.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from lxml import etree

from contracts.base.errors import Failure
from contracts.canonical.model import Operation
from contracts.compiled.contract import Codec, CompiledContract
from contracts.faces.examples import Unsatisfiable
from contracts.faces.samples import of_message
from contracts.wire.soap import parse_xml
from gateway.sandbox.conformance.rules import Kind

_MOST: Final = 60  # fields of a message that are broken, in formats other than the canonical one
_STRANGE: Final = "khong_co"
_LONGEST: Final = 200_000  # bytes of a broken message


def refusal(codec: Codec, operation: Operation, kind: Kind, content: bytes) -> str | None:
    """What the reader says against a message: `field: rule`. None if it takes it."""
    try:
        if kind == "soap":
            codec.read_xml(operation.request, parse_xml(content))
        elif codec.rest[operation.name].method == "GET":
            codec.read_query(operation.request, content.decode())
        else:
            codec.read_json(operation.request, content)
    except Failure as failure:
        for each in failure.findings:
            return f"{each.here or each.canonical or '/'}: {each.rule}"
        return failure.code
    return None


def broken(
    compiled: CompiledContract, codec: Codec, operation: Operation, kind: Kind, good: bytes
) -> Iterator[tuple[str, bytes]]:
    """Broken messages, each with what it breaks. `good` is a valid one in the format."""
    seen: set[bytes] = set()
    for content in _every(compiled, codec, operation, kind, good):
        if content in seen or len(content) > _LONGEST:
            continue
        seen.add(content)
        what = refusal(codec, operation, kind, content)
        if what is not None:
            yield what, content


def _every(compiled: CompiledContract, codec: Codec, operation: Operation, kind: Kind, good: bytes) -> Iterator[bytes]:
    query = kind == "rest" and codec.rest[operation.name].method == "GET"
    if query:
        yield from _queries(good.decode())
        return
    if codec.name == "canonical":
        with suppress(Unsatisfiable):
            for sample in of_message(compiled, operation.request):
                if sample.rule and sample.media == ("xml" if kind == "soap" else "json"):
                    yield _named(sample.content, operation, compiled) if kind == "soap" else sample.content
        return
    yield from _trees(good) if kind == "soap" else _documents(good)


def _named(content: bytes, operation: Operation, compiled: CompiledContract) -> bytes:
    """With the element that names the operation."""
    root = parse_xml(content)
    root.tag = f"{{{compiled.namespace}}}{operation.name}"
    return etree.tostring(root, method="c14n", exclusive=True)


def _queries(text: str) -> Iterator[bytes]:
    pairs = parse_qsl(text, keep_blank_values=True)
    for number, (name, value) in enumerate(pairs):
        yield urlencode(pairs[:number] + pairs[number + 1 :]).encode()
        for wrong in ("", f"{value}§"):
            yield urlencode([*pairs[:number], (name, wrong), *pairs[number + 1 :]]).encode()
    yield urlencode([*pairs, (_STRANGE, "x")]).encode()


def _documents(good: bytes) -> Iterator[bytes]:
    content = json.loads(good)
    if not isinstance(content, dict):
        return
    yield _json(content | {_STRANGE: "x"})
    for path in list(_paths(content))[:_MOST]:
        for change in (_left_out, _of_another_type):
            changed = copy.deepcopy(content)
            at: Any = changed
            for step in path[:-1]:
                at = at[step]
            change(at, path[-1])
            yield _json(changed)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value[:1])
        for step, item in items:
            yield from _paths(item, (*path, step))


def _left_out(at: Any, step: Any) -> None:
    del at[step]


def _of_another_type(at: Any, step: Any) -> None:
    at[step] = "x" if isinstance(at[step], dict | list) else {_STRANGE: "x"}


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _trees(good: bytes) -> Iterator[bytes]:
    count = min(sum(1 for _ in parse_xml(good).iter(etree.Element)), _MOST)
    for number in range(count):
        for change in (_removed, _doubled, _strange):
            root = parse_xml(good)
            element = list(root.iter(etree.Element))[number]
            parent = element.getparent()
            if parent is None and change is not _strange:
                continue
            change(element, parent)
            yield etree.tostring(root, method="c14n", exclusive=True)


def _removed(element: etree._Element, parent: Any) -> None:
    parent.remove(element)


def _doubled(element: etree._Element, parent: Any) -> None:
    element.addnext(copy.deepcopy(element))


def _strange(element: etree._Element, parent: Any) -> None:
    name = etree.QName(element)
    etree.SubElement(element, f"{{{name.namespace}}}{_STRANGE}" if name.namespace else _STRANGE).text = "x"
