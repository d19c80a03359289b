"""A mask that a format could not show is found by its table alone; what is not found there does come back as not
permitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.base.errors import Failure
from contracts.canonical.model import Struct, group
from contracts.compiled.contract import CompiledContract
from contracts.wire.jsontext import read_json

NOT_PERMITTED = {"absent": "not-permitted"}


def single(struct: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Paths of fields that may be hidden, outside lists."""
    for field in struct.fields if isinstance(struct, Struct) and len(above) < 3 else ():
        if field.absentable:
            yield (*above, field.name)
        below = group(field.type)
        if isinstance(below, Struct) and field.type is below:
            yield from single(below, (*above, field.name))


def at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def cases(catalogue: dict[str, CompiledContract]) -> Iterator[tuple[CompiledContract, str, str, tuple[str, ...]]]:
    for compiled in catalogue.values():
        for name, codec in compiled.formats.items():
            for message in set(codec.plans) if codec.media in ("json", "xml") else ():
                for path in single(compiled.messages[message]):
                    if not compiled.check_fields(message, ["*", "!" + ".".join(path)]):
                        yield compiled, name, message, path


def test_over_every_format_of_the_catalogue(catalogue: Any) -> None:
    shown, refused, missing = 0, 0, 0
    for compiled, name, message, path in cases(catalogue):
        fields = ["*", "!" + ".".join(path)]
        found = compiled.unshown(message, name, fields)
        assert all(where == ".".join(path) and here for where, here in found)
        mask, codec = compiled.mask(message, fields), compiled.codec(name)
        assert mask is not None
        for sample in compiled.samples:
            value = read_json(sample.canonical) if sample.message == message else None
            if not isinstance(value, dict) or at(value, path) is None:
                continue
            try:
                back = codec.read(message, codec.write(message, mask(value)))
            except Failure:
                back = None
            told = back is not None and at(back, path) == NOT_PERMITTED
            if found:
                assert not told, (name, message, path)
                refused += 1
            elif told:
                shown += 1
            else:
                assert back is not None and at(back, path) is None, (name, message, path)
                assert at(codec.read(message, codec.write(message, value)), path) is None, (
                    "a format that does not carry it"
                )
                missing += 1
    assert shown and refused, (shown, refused, missing)


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        (["*", "!value"], []),
        (["*", "!responsible"], [("responsible", "canBo.hoTen")]),
        (
            ["indicator", "area", "period", "frequency", "unit", "value", "status", "note", "updated"],
            [("responsible", "canBo.hoTen")],
        ),
    ],
)
def test_the_finance_systems_json(catalogue: Any, fields: list[str], places: list[tuple[str, str]]) -> None:
    assert catalogue["indicator/v1"].unshown("IndicatorValue", "kinh-te-json", fields) == places
