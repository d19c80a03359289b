"""The marks of personal data: read from the schema, for every value at any depth."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.folder.bundle import Bundle

CONTRACT = """id: ho-so
version: 1.0.0
title: {vi: Hồ sơ, en: Files}
description: {vi: Hồ sơ, en: Files}
owner_role: department
legal_basis: [Quyết định 451/QĐ-UBND]
retention_months: 24
operations:
  getFile: {pattern: query, method: POST, path: /ho-so, request: File, answer: File, title: {vi: Hỏi, en: Ask}}
"""
TEXT: dict[str, Any] = {"type": "string"}


def ref(name: str, **words: Any) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", **words}


def listed(items: dict[str, Any], **words: Any) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items, **words}


def object_(properties: dict[str, Any], **words: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **words}


def compiled(**defs: dict[str, Any]) -> CompiledContract:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": defs}
    files = {"contract.yaml": CONTRACT.encode(), "schema.json": json.dumps(schema).encode()}
    return compile_bundle(Bundle.of(files))


def test_marks_of_values_lists_objects_and_types() -> None:
    contract = compiled(
        File=object_(
            {
                "code": TEXT,
                "phone": {**TEXT, "personal": "basic"},
                "phones": listed({**TEXT, "personal": "basic"}),
                "mails": listed(TEXT, personal="basic"),
                "owner": ref("Person", personal="basic"),
                "others": listed(ref("Person")),
                "doctor": ref("Doctor"),
                "place": {**TEXT, "personal": "none"},
                "office": object_({"name": TEXT, "head": {**TEXT, "personal": "basic"}}, personal="none"),
            }
        ),
        Person=object_({"name": {**TEXT, "personal": "basic"}, "health": ref("Health"), "note": TEXT}),
        Health={**TEXT, "personal": "sensitive"},
        Doctor=object_({"name": TEXT, "ill": {**TEXT, "personal": "none"}}, personal="sensitive"),
    )
    assert dict(contract.personal("File")) == {
        "phone": "basic",
        "phones[]": "basic",
        "mails[]": "basic",
        "owner.name": "basic",
        "owner.health": "sensitive",
        "owner.note": "basic",
        "others[].name": "basic",
        "others[].health": "sensitive",
        "doctor.name": "sensitive",
        "doctor.ill": "sensitive",
        "office.head": "basic",
    }


def test_a_choice_has_the_marks_of_all_its_branches() -> None:
    kinds = [{"type": "string", "const": each} for each in "ab"]
    contract = compiled(
        File=object_({"one": ref("Kinds")}),
        Kinds={"oneOf": [ref("A"), ref("B")], "discriminator": {"propertyName": "kind"}},
        A=object_({"kind": kinds[0], "name": TEXT, "own": {**TEXT, "personal": "sensitive"}}, required=["kind"]),
        B=object_({"kind": kinds[1], "name": {**TEXT, "personal": "basic"}}, required=["kind"]),
    )
    assert dict(contract.personal("File")) == {"one.name": "basic", "one.own": "sensitive"}


def test_what_is_marked_below_a_recursive_type_is_marked_at_its_first_path() -> None:
    contract = compiled(
        File=object_({"unit": ref("Unit"), "after": TEXT}),
        Unit=object_(
            {"name": TEXT, "people": listed(ref("Person")), "below": listed(ref("Unit"), personal="basic")},
        ),
        Person=object_({"name": TEXT, "unit": ref("Unit")}),
    )
    assert dict(contract.personal("File")) == {
        "unit.name": "basic",
        "unit.people[].name": "basic",
    }


def test_another_word_is_refused_with_its_line() -> None:
    with pytest.raises(Theirs) as caught:
        compiled(File=object_({"name": {**TEXT, "personal": "secret"}}))
    (finding,) = caught.value.findings
    assert finding.canonical == "$defs/File/properties/name/personal" and finding.expected.startswith("one of none")
    with pytest.raises(Theirs):
        compiled(File=object_({"name": {**TEXT, "personal": ["basic"]}}))


MARKS = st.sampled_from([None, "none", "basic", "sensitive"])
WEIGHT = {None: 0, "none": 0, "basic": 1, "sensitive": 2}


@settings(max_examples=60, deadline=None)
@given(st.lists(MARKS, min_size=12, max_size=12))
def test_the_strongest_mark_on_the_way_counts(marks: list[str | None]) -> None:
    """Every value has the strongest of the marks on its way: field, list, items, type."""
    left = iter(marks)

    def say(schema: dict[str, Any]) -> dict[str, Any]:
        mark = next(left)
        return schema if mark is None else {**schema, "personal": mark}

    leaf = say(TEXT)
    inner = say(object_({"leaf": leaf}))
    items = say(ref("Inner"))
    middle = say(object_({"list": say(listed(items)), "one": say(ref("Inner"))}))
    contract = compiled(File=say(object_({"middle": say(ref("Middle"))})), Middle=middle, Inner=inner)
    m_leaf, m_inner, m_items, m_list, m_one, m_middle, m_ref, m_file = marks[:8]

    def strongest(*each: str | None) -> str | None:
        most = max(each, key=lambda mark: WEIGHT[mark])
        return most if WEIGHT[most] else None

    above = (m_middle, m_ref, m_file)
    assert contract.personal("File").get("middle.list[].leaf") == strongest(m_leaf, m_inner, m_items, m_list, *above)
    assert contract.personal("File").get("middle.one.leaf") == strongest(m_leaf, m_inner, m_one, *above)
