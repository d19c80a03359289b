"""Contracts made at random: schemas that keep to the profile, compiled as any other contract is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle

CONTRACT = """
id: made
version: 1.0.0
title: {vi: Hợp đồng sinh ngẫu nhiên, en: A generated contract}
description: {vi: Dùng để thử., en: For tests.}
owner_role: centre
legal_basis: [Điều 1]
operations:
  send: {pattern: submit, method: POST, path: /send, request: Message, answer: Message, title: {vi: Gửi, en: Send}}
protection: signed
retention_months: 24
"""
PATTERNS = [
    "^[A-Z]{2}[0-9]{1,3}$",
    "^(a|bc)+$",
    "^[^ ,]{1,8}$",
    r"^[+\-]?[0-9]+([.][0-9]{2})?$",
    "^[À-ỹa-z ]{0,6}$",
    "^x?(y{2}|z)$",
]
NAMES = ["ten", "maSo", "ghi_chu", "A", "b2", "noiDung", "soLuong", "thoi_diem", "value", "_x"]
BOUND = st.integers(-20, 20)


@st.composite
def strings(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string"}
    kind = draw(st.sampled_from(["plain", "length", "enum", "pattern", "date", "date-time"]))
    if kind == "length":
        least = draw(st.integers(0, 5))
        made |= {"minLength": least, "maxLength": least + draw(st.integers(0, 8))}
    elif kind == "enum":
        made["enum"] = draw(
            st.lists(
                st.sampled_from(["A", "b c", "Đã nhận", "1", "", "<&>", " x "]), min_size=1, max_size=4, unique=True
            )
        )
    elif kind == "pattern":
        made["pattern"] = draw(st.sampled_from(PATTERNS))
    elif kind != "plain":
        made["format"] = kind
    return made


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    low = draw(BOUND)
    if draw(st.booleans()):
        made[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        made[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + draw(st.integers(2, 30))
    return made


@st.composite
def bytes_(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "string", "contentEncoding": "base64"}
    if draw(st.booleans()):
        least = draw(st.sampled_from([0, 4, 8]))
        made |= {"minLength": least, "maxLength": least + draw(st.sampled_from([4, 8]))}
    return made


SCALARS = st.one_of(
    strings(),
    numbers(),
    bytes_(),
    st.builds(dict, type=st.just("boolean")),
    st.builds(dict, type=st.just("string"), codes=st.just("bang")),
)


def refs(parts: int, *more: str) -> st.SearchStrategy[dict[str, Any]]:
    names = [*(f"Part{number}" for number in range(parts)), *more]
    return st.sampled_from(names).map(lambda name: {"$ref": f"#/$defs/{name}"})


@st.composite
def branches(draw: st.DrawFn, told: list[str], prefix: str) -> dict[str, Any]:
    """An object of a choice: names of its own, but for the discriminator, which stands anywhere among them."""
    made = draw(objects(0, 0))
    inner = [(f"{prefix}_{name}", schema) for name, schema in made["properties"].items()]
    inner.insert(draw(st.integers(0, len(inner))), ("loai", {"type": "string", "enum": told}))
    return {**made, "properties": dict(inner), "required": ["loai", *(f"{prefix}_{name}" for name in made["required"])]}


@st.composite
def fields(draw: st.DrawFn, depth: int, parts: int) -> tuple[dict[str, Any], bool]:
    """The schema of a property, and whether it is required."""
    required = draw(st.booleans())
    absentable = draw(st.integers(0, 3)) == 0
    kind = draw(
        st.sampled_from(
            ["scalar", "scalar", "list", "object", "ref", "choice"] if depth else ["scalar", "list", "back"]
        )
    )
    made: dict[str, Any]
    if kind == "list":
        least = draw(st.integers(0 if required and not absentable else 1, 3))
        items = draw(st.one_of(SCALARS, objects(depth - 1, parts), refs(parts, "Choice"))) if depth else draw(SCALARS)
        made = {"type": "array", "items": items, "minItems": least}
        if draw(st.booleans()):
            made["maxItems"] = max(least, 1) + draw(st.integers(0, 3))
    elif kind == "object":
        made = draw(objects(depth - 1, parts))
    elif kind == "ref":
        made = draw(refs(parts))
    elif kind == "choice":
        made = {"$ref": "#/$defs/Choice"}
    elif kind == "back":
        back: dict[str, Any] = {"$ref": draw(st.sampled_from(["#/$defs/Part1", "#/$defs/Choice"]))}
        as_list = draw(st.booleans())
        made, required = ({"type": "array", "items": back, "minItems": 1, "maxItems": 2} if as_list else back), False
    else:
        made = draw(SCALARS)
    if absentable:
        made["absentable"] = True
    return made, required


@st.composite
def objects(draw: st.DrawFn, depth: int, parts: int) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    made = {name: draw(fields(depth, parts)) for name in names}
    return {
        "type": "object",
        "properties": {name: schema for name, (schema, _) in made.items()},
        "required": [name for name, (_, required) in made.items() if required],
        "additionalProperties": False,
    }


@st.composite
def contracts(draw: st.DrawFn) -> CompiledContract:
    defs = {
        "Message": draw(objects(2, 2)),
        "Part0": draw(SCALARS),
        "Part1": draw(objects(0, 0)),
        "Choice": {
            "oneOf": [{"$ref": "#/$defs/One"}, {"$ref": "#/$defs/Other"}],
            "discriminator": {"propertyName": "loai"},
        },
        "One": draw(branches(["a", "b"], "p")),
        "Other": draw(branches(["c"], "q")),
    }
    return built(defs)


def built(defs: dict[str, Any], contract: str = CONTRACT) -> CompiledContract:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}
    codes = "code,vi,en,valid_from,valid_until,replaced_by\nA1,Một,One,,,\nB2,Hai,Two,2025-07-01,,\nC3,Ba,Three,2020-01-01,2025-06-30,B2\n"  # noqa: E501
    files = {"contract.yaml": contract, "schema.json": json.dumps(schema), "codes/bang.csv": codes}
    return compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))
