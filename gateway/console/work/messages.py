"""The message of a transfer before and after translation, its fields matched by the mapping tables.

Without bodies it shows paths and marks of personal data, as the contract of that transfer has them. With bodies it
shows the values at each place.
Invariant: a value is in the result only if its part was opened (`work.openings`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from lxml import etree

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml
from gateway.console.site.desk import Desk
from gateway.console.work.journeys import Seen
from gateway.console.work.openings import Body
from gateway.console.work.withheld import Withheld, withheld
from gateway.registry.snapshot import Snapshot

_TEXT: Final = 120  # characters of a value in the table
_VALUES: Final = 4  # of a repeated place
_PATHS: Final = 8  # names of one element
_PREFIX: Final = re.compile(r"(?<![^@])[\w.-]+:(?=[\w@])")
_TOKEN: Final = b"authorization:"
Values = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Side:
    """One form of a message. `parts` of the vault have it; `text` is what was opened, as far as it is shown."""

    name: str  # source | canonical | target
    format: str
    parts: tuple[str, ...]
    text: str | None = None
    cut: int = 0  # bytes that are not shown
    gone: str | None = None


@dataclass(frozen=True, slots=True)
class Matched:
    """One field: its path and values in each form, from left to right; None where the form has no such place.

    `withheld`: the receiver on the right was not shown it.
    """

    paths: tuple[str | None, str, str | None]
    personal: str | None
    values: tuple[str | None, str | None, str | None] = (None, None, None)
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Translated:
    """`direction` is request or answer; of an answer the provider's form stands left."""

    direction: str
    message: str
    sides: tuple[Side, ...]
    fields: tuple[Matched, ...]
    drops: tuple[str, ...]  # canonical fields that the right form cannot carry
    grants: tuple[str, ...] = ()  # that decided what the receiver is shown
    known: bool = True  # whether it is known what they hid

    @property
    def withheld(self) -> tuple[Matched, ...]:
        return tuple(each for each in self.fields if each.withheld)

    @property
    def shown(self) -> tuple[Matched, ...]:
        """All fields; those with a value, if values were read."""
        filled = tuple(each for each in self.fields if each.values != (None, None, None))
        return filled or self.fields

    @property
    def empty(self) -> int:
        return len(self.fields) - len(self.shown)


def translated(desk: Desk, seen: Seen, bodies: Sequence[Body] = ()) -> tuple[Translated, ...]:
    """Request and answer; empty for what became no transfer, or whose contract is not known any more."""
    row = seen.journey.row
    if row is None:
        return ()
    registry = desk.services.registry
    try:
        compiled = registry.compiled(row["bundle"])
    except (Failure, LookupError):
        return ()
    operation = compiled.contract.operations.get(row["operation"])
    if operation is None:
        return ()
    stored = {each["part"] for each in seen.journey.vault}
    caller = _format(registry.snapshot, row["caller_system"], row["contract"])
    provider = _format(registry.snapshot, row["provider"], row["contract"]) if row["provider"] else None
    opened = {each.part: each for each in bodies}

    def side(name: str, format: str, *parts: str) -> Side:
        there = tuple(each for each in parts if each in stored)
        body = next((opened[each] for each in there if each in opened), None)
        if body is None:
            return Side(name, format, there)
        text = None if body.gone else _readable(body.data)
        return Side(name, format, there, text, max(0, body.size - len(body.data)), body.gone)

    asked = [
        side("source", caller, "request-opened", "request"),
        side("canonical", "canonical", "canonical"),
        *([side("target", provider, "forwarded-opened", "forwarded")] if provider else []),
    ]
    answered = [
        *([side("source", provider, "provider-answer-opened", "provider-answer")] if provider else []),
        side("canonical", "canonical", "answer"),
        side("target", caller),
    ]
    from_provider, from_caller = withheld(desk, seen, compiled)
    return (
        _matched(compiled, ("request", operation.request, from_provider), asked, opened),
        _matched(compiled, ("answer", operation.answer, from_caller), answered, opened),
    )


def _format(snapshot: Snapshot, system: str, contract: str) -> str:
    known = snapshot.system(system)
    return "canonical" if known is None else known.format(contract)


def _matched(
    compiled: CompiledContract, of: tuple[str, str, Withheld], sides: Sequence[Side], opened: Mapping[str, Body]
) -> Translated:
    """`of`: the direction, the message, and what its receiver was not shown."""
    direction, message, hidden = of
    by_name = {each.name: each for each in sides}
    here = {name: _paths(compiled, each.format, message) for name, each in by_name.items()}
    values = {
        name: next((values_of(opened[part]) for part in each.parts if part in opened), {})
        for name, each in by_name.items()
    }
    last = sides[-1].format
    by_stored = bool(sides[-1].parts)  # else what was sent is the canonical form without what is withheld
    fields = []
    for leaf in compiled.leaves(message, ("*",)):
        paths = [
            None if name not in by_name else leaf.path if (place := here[name]) is None else place.get(leaf.path)
            for name in ("source", "canonical", "target")
        ]
        shown = [
            None if path is None else _shown(values.get(name, {}), path)
            for name, path in zip(("source", "canonical", "target"), paths, strict=True)
        ]
        lacking = leaf.path in (hidden.paths or ())
        values_here = (shown[0], shown[1], shown[2] if by_stored else None if lacking else shown[1])
        fields.append(Matched((paths[0], leaf.path, paths[2]), leaf.personal, values_here, lacking))
    plan = compiled.formats[last].plans.get(message) if last in compiled.formats else None
    return Translated(
        direction=direction,
        message=message,
        sides=tuple(sides),
        fields=tuple(fields),
        drops=tuple(sorted(plan.drops)) if plan else (),
        grants=hidden.grants,
        known=hidden.paths is not None,
    )


def _paths(compiled: CompiledContract, format: str, message: str) -> Mapping[str, str] | None:
    """Canonical path -> path in the format; None if it keeps the canonical names."""
    codec = compiled.formats.get(format)
    plan = None if codec is None else codec.plans.get(message)
    return None if plan is None else plan.here_of()


def _shown(values: Values, path: str) -> str | None:
    found = values.get(plain(path))
    if not found:
        return None
    text = " · ".join(found[:_VALUES]) + (" …" if len(found) > _VALUES else "")
    return text if len(text) <= _TEXT else text[:_TEXT] + "…"


def value_at(body: Body, path: str) -> str | None:
    """What a place of a body has, as the table shows it."""
    return _shown(values_of(body), path)


def values_of(body: Body) -> Values:
    """The values of a body by place; empty if it is gone, cut, or neither JSON nor XML."""
    if body.gone or body.size > len(body.data):
        return {}
    found: dict[str, list[str]] = {}
    content = _content(body.data)
    try:
        if content[:1] == b"<":
            root = _payload(parse_xml(content))
            _from_xml(root, ["", _local(root.tag)], found)  # tables name the root, or begin below it
        elif content:
            _from_json(read_json(content), "", found)
    except (Failure, ValueError):
        return {}
    return {path: tuple(each) for path, each in found.items()}


def _content(data: bytes) -> bytes:
    """The body of an HTTP message, or the bytes themselves."""
    if data[:1] in (b"{", b"[", b"<"):
        return data
    return data.partition(b"\r\n\r\n")[2].strip()


def _payload(root: etree._Element) -> etree._Element:
    """What stands in the Body of a SOAP envelope."""
    if _local(root.tag) == "Envelope":
        for part in root:
            if isinstance(part.tag, str) and _local(part.tag) == "Body" and len(part):
                return part[0]
    return root


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _from_xml(element: etree._Element, paths: Sequence[str], into: dict[str, list[str]]) -> None:
    """`paths` name the element without and with the attributes by which a mapping table tells it from others."""
    attributes = {_local(name): str(value) for name, value in element.attrib.items()}
    children = [each for each in element if isinstance(each.tag, str)]
    text = (element.text or "").strip()
    for path in paths:
        for name, value in attributes.items():
            into.setdefault(_joined(path, f"@{name}"), []).append(value)
        if path and text and not children:
            into.setdefault(path, []).append(text)
    for each in children:
        name = _local(each.tag)
        named = [name, *(f"{name}[@{_local(at)}='{value!s}']" for at, value in each.attrib.items())]
        below = [_joined(path, step) for path in paths for step in named]
        _from_xml(each, below[:_PATHS], into)


def _from_json(value: Any, path: str, into: dict[str, list[str]]) -> None:
    if isinstance(value, dict):
        for name, below in value.items():
            _from_json(below, _joined(path, name), into)
    elif isinstance(value, list):
        for each in value:
            _from_json(each, path, into)
    elif path:
        into.setdefault(path, []).append(_text_of(value))


def _text_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def plain(path: str) -> str:
    """A path of JSON or XML without brackets of lists and prefixes, its steps between slashes."""
    return "/".join(_PREFIX.sub("", each) for each in _steps(path.replace("[]", "").removesuffix("/text()")))


def _steps(path: str) -> list[str]:
    """Split at dots and slashes, but for those within a condition in brackets."""
    steps, within = [""], False
    for each in path:
        within = each == "[" or within and each != "]"
        if each in "./" and not within:
            steps.append("")
        else:
            steps[-1] += each
    return steps


def _readable(data: bytes) -> str:
    """As text. The caller's token is left out: it is not needed to read the message."""
    head, gap, body = data.partition(b"\r\n\r\n")
    if gap:
        lines = [_TOKEN + b" ..." if each.lower().startswith(_TOKEN) else each for each in head.split(b"\r\n")]
        data = b"\r\n".join(lines) + gap + body
    return data.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\x00", "␀")
