"""A skeleton sample of each message that a draft maps: every field once, texts marked for people to put real ones in.

Written by the draft's own codecs, so that the pair of sample and twin holds from the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.base.errors import Failure
from contracts.bundle import Bundle
from contracts.compiled import compile_bundle
from contracts.marks import MARK
from contracts.model import Many, Scalar, Struct, Type

NAME: Final = "mau"


def skeletons(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Sample and twin of each mapped message whose values can be thought of."""
    compiled = compile_bundle(Bundle.of(files))
    made: dict[str, bytes] = {}
    for codec in compiled.formats.values():
        for message in sorted(codec.mapped):
            value = _value(compiled.messages[message])
            if value is None or compiled.validate(message, value):
                continue
            try:
                raw = codec.write_json(message, value) if codec.media == "json" else codec.write_xml(message, value)
            except Failure:
                continue
            stem = f"samples/{codec.name}/{message}.{NAME}"
            made[f"{stem}.{codec.media}"] = raw + b"\n"
            twin = codec.normal(message, value)
            made[f"{stem}.canonical.json"] = compiled.codec("canonical").write_json(message, twin) + b"\n"
    return made


def _value(made: Type) -> Any:
    """A value of the type, None where none can be made without knowing the pattern."""
    if isinstance(made, Many):
        item = _value(made.items)
        return None if item is None else [item] * max(made.least, 1)
    if isinstance(made, Struct):
        found = {field.name: _value(field.type) for field in made.fields}
        if any(found[field.name] is None for field in made.fields if field.required):
            return None
        return {name: value for name, value in found.items() if value is not None} or None
    return _scalar(made) if isinstance(made, Scalar) else None


def _scalar(made: Scalar) -> Any:
    if made.kind == "boolean":
        return True
    if made.kind != "string":
        least = made.minimum if made.minimum is not None else made.exclusive_minimum
        most = made.maximum if made.maximum is not None else made.exclusive_maximum
        for number in (1, 0, *(int(each) + step for each in (least, most) if each is not None for step in (1, 0, -1))):
            if (least is None or number > least or number == made.minimum) and (most is None or number < most or number == made.maximum):
                return number
        return None
    if made.values:
        return made.values[0]
    if made.format is not None:
        return "2026-01-01" if made.format == "date" else "2026-01-01T08:00:00+07:00"
    if made.pattern is not None:
        return None
    if made.binary:
        return "AAAA" * max((made.min_length or 0) // 4, 0 if made.max_length == 0 else 1)
    return MARK.ljust(made.min_length or 0, ".")[: made.max_length if made.max_length is not None else 99]
