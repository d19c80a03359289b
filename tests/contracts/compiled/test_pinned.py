"""What an older version does not have is left out at every depth: lists, choices, types that contain themselves; and
what it cannot hold is refused."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.compiled.pinned import PinnedCodec, pinned
from contracts.diff.changes import Level
from contracts.diff.compare import differences, level_of
from contracts.folder.bundle import Bundle
from contracts.wire.soap import parse_xml

CONTRACT = """id: quy-tac
version: {version}
title: {{vi: Quy tắc, en: Rules}}
description: {{vi: Quy tắc, en: Rules}}
owner_role: department
legal_basis: [Quyết định 451/QĐ-UBND]
retention_months: 24
operations:
  putRule: {{pattern: dispatch, method: POST, path: /quy-tac, request: Rules, answer: Taken, title: {{vi: Nộp, en: Hand in}}}}
"""  # noqa: E501
OLD: dict[str, Any] = {
    "Rules": {
        "properties": {
            "rule": {"$ref": "#/$defs/Rule"},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "minItems": 1},
        }
    },
    "Rule": {"oneOf": [{"$ref": "#/$defs/Both"}, {"$ref": "#/$defs/Above"}], "discriminator": {"propertyName": "kind"}},
    "Both": {
        "properties": {
            "kind": {"type": "string", "const": "both"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/Rule"}},
        },
        "required": ["kind", "parts"],
    },
    "Above": {
        "properties": {"kind": {"type": "string", "const": "above"}, "bound": {"type": "number"}},
        "required": ["kind", "bound"],
    },
    "Tag": {
        "properties": {"name": {"type": "string"}, "within": {"$ref": "#/$defs/Tag", "absentable": True}},
        "required": ["name"],
    },
    "Taken": {"properties": {"transfer": {"type": "string"}}},
}
TEXT = {"type": "string"}


def compiled(defs: dict[str, Any], version: str) -> tuple[Bundle, CompiledContract]:
    closed = {
        name: each if "oneOf" in each else {"type": "object", "additionalProperties": False, **each}
        for name, each in defs.items()
    }
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": closed}
    bundle = Bundle.of(
        {"contract.yaml": CONTRACT.format(version=version).encode(), "schema.json": json.dumps(schema).encode()}
    )
    return bundle, compile_bundle(bundle)


@pytest.fixture(scope="module")
def versions() -> tuple[CompiledContract, PinnedCodec]:
    """The newest version, and the codec of a system that knows the first."""
    new = copy.deepcopy(OLD)
    for name in ("Both", "Above", "Tag", "Rules"):
        new[name]["properties"]["note"] = TEXT
    new["Within"] = {"properties": {"kind": {"type": "string", "const": "within"}}, "required": ["kind"]}
    new["Rule"]["oneOf"].append({"$ref": "#/$defs/Within"})
    first, second = compiled(OLD, "1.0.0"), compiled(new, "1.1.0")
    changes = differences(first, second)
    assert level_of(changes) is Level.MINOR and {each.code for each in changes} == {
        "schema.field-added",
        "schema.branch-added",
    }
    return second[1], pinned(first[1], "canonical")


VALUE: dict[str, Any] = {
    "note": "x",
    "rule": {
        "kind": "both",
        "note": "x",
        "parts": [{"kind": "above", "bound": 1, "note": "x"}, {"kind": "both", "parts": [], "note": "x"}],
    },
    "tags": [
        {"name": "a", "note": "x", "within": {"name": "b", "note": "x"}},
        {"name": "c", "within": {"absent": "not-permitted"}},
    ],
}


def without_notes(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_notes(item) for name, item in value.items() if name != "note"}
    return [without_notes(item) for item in value] if isinstance(value, list) else value


def test_what_came_later_is_left_out_at_every_depth(versions: tuple[CompiledContract, PinnedCodec]) -> None:
    newest, behind = versions
    assert newest.validate("Rules", VALUE) == []
    assert json.loads(behind.write_json("Rules", VALUE)) == without_notes(VALUE)
    assert behind.read_xml("Rules", parse_xml(behind.write_xml("Rules", VALUE))) == without_notes(VALUE)
    assert behind.projection("Rules")(VALUE) == without_notes(VALUE)


def test_a_branch_that_came_later_is_refused_not_cut(versions: tuple[CompiledContract, PinnedCodec]) -> None:
    newest, behind = versions
    value = {"rule": {"kind": "both", "parts": [{"kind": "within"}]}}
    assert newest.validate("Rules", value) == []
    for write in (behind.write_json, behind.write_xml):
        with pytest.raises(Theirs) as caught:
            write("Rules", value)
        assert caught.value.code == "message.not-expressible" and caught.value.findings[0].canonical.startswith(
            "rule.parts[0]"
        )


def test_a_number_that_was_an_integer_is_refused_where_it_is_written_as_none() -> None:
    """JSON Schema takes 1.0 for an integer, the decoder of the old version does not: so it is not sent."""
    defs = copy.deepcopy(OLD)
    defs["Tag"]["properties"]["count"] = {"type": "integer"}
    _, old = compiled(defs, "1.0.0")
    codec = pinned(old, "canonical")

    def tag(count: str) -> dict[str, Any]:
        return {"tags": [{"name": "a", "count": Decimal(count)}]}

    for whole in ("1.0", "0.0000", "2.5"):
        with pytest.raises(Theirs) as caught:
            codec.write_json("Rules", tag(whole))
        assert caught.value.code == "message.not-expressible"
        assert [each.canonical for each in caught.value.findings] == ["tags[0].count"]
    assert codec.write_json("Rules", {"tags": [{"name": "a", "count": 3}]}) == b'{"tags":[{"name":"a","count":3}]}'
