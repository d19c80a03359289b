"""Masks of messages whose types lead back to themselves: what is hidden is hidden at every depth, by whichever branch
it is reached."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle

CONTRACT = """id: don-vi
version: 1.0.0
title: {vi: Đơn vị, en: Units}
description: {vi: Đơn vị, en: Units}
owner_role: department
legal_basis: [Quyết định 451/QĐ-UBND]
retention_months: 24
operations:
  getUnits: {pattern: query, method: POST, path: /don-vi, request: Units, answer: Units, title: {vi: Hỏi, en: Ask}}
"""
TEXT = {"type": "string"}
SECRET = "số điện thoại riêng"


def listed(name: str) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{name}"}}


def told(kind: str, **properties: Any) -> dict[str, Any]:
    return {
        "properties": {"kind": {"type": "string", "const": kind}, "phone": {**TEXT, "absentable": True}, **properties},
        "required": ["kind"],
    }


DEFS: dict[str, Any] = {
    "Units": {"properties": {"units": listed("Unit"), "place": {"$ref": "#/$defs/Place"}}},
    "Unit": {
        "properties": {
            "name": TEXT,
            "phone": {**TEXT, "absentable": True},
            "units": listed("Unit"),
            "box": {"$ref": "#/$defs/Box"},
        }
    },
    "Box": {"properties": {"unit": {"$ref": "#/$defs/Unit"}}},
    "Place": {
        "oneOf": [{"$ref": "#/$defs/House"}, {"$ref": "#/$defs/Street"}],
        "discriminator": {"propertyName": "kind"},
    },
    "House": told("house", next={"$ref": "#/$defs/House"}),
    "Street": told("street", places=listed("Place")),
}


@pytest.fixture(scope="module")
def units() -> CompiledContract:
    closed = {
        name: each if "oneOf" in each else {"type": "object", "additionalProperties": False, **each}
        for name, each in DEFS.items()
    }
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": closed}
    return compile_bundle(Bundle.of({"contract.yaml": CONTRACT.encode(), "schema.json": json.dumps(schema).encode()}))


def unit(depth: int) -> dict[str, Any]:
    below = {} if depth == 0 else {"units": [unit(depth - 1)], "box": {"unit": unit(depth - 1)}}
    return {"name": "Phòng", "phone": SECRET, **below}


def house(depth: int) -> dict[str, Any]:
    return {"kind": "house", "phone": SECRET, **({} if depth == 0 else {"next": house(depth - 1)})}


FULL = {
    "units": [unit(4)],
    "place": {
        "kind": "street",
        "phone": SECRET,
        "places": [house(3), {"kind": "street", "phone": SECRET, "places": [house(2)]}],
    },
}


@pytest.mark.parametrize(
    "fields",
    [
        ["*", "!units.phone", "!place.phone"],
        ["units.name", "units.units", "units.box", "place.kind", "place.places", "place.next"],
    ],
)
def test_what_is_hidden_is_hidden_at_every_depth(units: CompiledContract, fields: list[str]) -> None:
    assert units.check_fields("Units", fields) == []
    assert units.validate("Units", FULL) == []
    mask = units.mask("Units", fields)
    assert mask is not None
    seen = mask(FULL)
    assert units.validate("Units", seen) == []
    shown = json.dumps(seen, ensure_ascii=False)
    assert SECRET not in shown and shown.count("not-permitted") == json.dumps(FULL, ensure_ascii=False).count(SECRET)
    assert shown.count("Phòng") == json.dumps(FULL, ensure_ascii=False).count("Phòng"), "and nothing else is"
    for written in (
        units.codec("canonical").write_json("Units", seen),
        units.codec("canonical").write_xml("Units", seen),
    ):
        assert SECRET.encode() not in written


def test_a_list_of_what_may_be_seen_hides_what_leads_back(units: CompiledContract) -> None:
    mask = units.mask("Units", ["units.name"])
    assert mask is not None and mask(FULL) == {"units": [{"name": "Phòng", "phone": {"absent": "not-permitted"}}]}


def test_the_path_is_the_first_one(units: CompiledContract) -> None:
    """Below what leads back a path would say something of one depth only; a stored one that does is taken for all."""
    (problem,) = units.check_fields("Units", ["*", "!units[].units[].phone"])
    assert "units.phone means it at every depth" in problem
    mask = units.mask("Units", ["*", "!units.units.phone"])
    assert mask is not None and SECRET not in json.dumps(mask({"units": [unit(3)]}), ensure_ascii=False)


def test_a_field_that_the_contract_does_not_know_is_not_copied(units: CompiledContract) -> None:
    """As of a version that was taken back, whose messages stand in the feed."""
    later = {"units": [{**unit(1), "later": SECRET}], "later": SECRET}
    mask = units.mask("Units", ["*", "!units.phone"])
    assert mask is not None and SECRET not in json.dumps(mask(later), ensure_ascii=False)
