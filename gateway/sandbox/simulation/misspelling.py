"""Puts a code into an answer that no table has, at the place where its format writes a code."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, Final, Literal

from lxml import etree

from contracts.base.errors import Failure
from contracts.canonical.model import Scalar, Struct
from contracts.wire.soap import parse_xml
from gateway.sandbox.simulation.echoes import with_value
from gateway.sandbox.simulation.places import Place

_NO_CODE: Final = "KHONG-CO-MA-NAY"
Media = Literal["json", "xml"]


def misspelt(place: Place, body: bytes, media: Media) -> bytes | None:
    """None if the answer has no code, or another code changes more than one value."""
    codec, message = place.codec, place.operation.answer
    with suppress(Failure):
        value = codec.read(message, body, media)
        for path, scalar in _coded(place.compiled.messages[message], value):
            for other in scalar.values:
                with suppress(Failure):
                    changed = codec.write(message, with_value(value, path, other), media)
                    done = _with_no_code(body, changed, media)
                    if done is not None:
                        return done
    return None


def _coded(struct: Struct, value: dict[str, Any], at: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Scalar]]:
    """The fields outside lists that hold a code."""
    found: list[tuple[tuple[str, ...], Scalar]] = []
    for field in struct.fields:
        inner = value.get(field.name)
        if isinstance(field.type, Struct) and isinstance(inner, dict):
            found += _coded(field.type, inner, (*at, field.name))
        elif isinstance(field.type, Scalar) and field.type.values and isinstance(inner, str):
            found.append(((*at, field.name), field.type))
    return found


def _with_no_code(one: bytes, other: bytes, media: Media) -> bytes | None:
    """The first text with an unknown code at the single value in which both differ."""
    if media == "json":
        content = json.loads(one)
        places = _differing(content, json.loads(other))
        if len(places) != 1:
            return None
        holder, name = places[0]
        holder[name] = _NO_CODE
        return json.dumps(content, ensure_ascii=False).encode()
    root, second = parse_xml(one), parse_xml(other)
    pairs = list(zip(root.iter(etree.Element), second.iter(etree.Element), strict=False))
    changed = [mine for mine, theirs in pairs if mine.text != theirs.text]
    if len(changed) != 1:
        return None
    changed[0].text = _NO_CODE
    return etree.tostring(root, method="c14n", exclusive=True)


def _differing(one: Any, other: Any) -> list[tuple[Any, Any]]:
    """Holder and name of each single value in which two documents of the same form differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [name for name in one if name in other]
    elif isinstance(one, list) and isinstance(other, list):
        names = list(range(min(len(one), len(other))))
    else:
        return []
    found: list[tuple[Any, Any]] = []
    for name in names:
        mine, theirs = one[name], other[name]
        if isinstance(mine, dict | list):
            found += _differing(mine, theirs)
        elif mine != theirs:
            found.append((one, name))
    return found
