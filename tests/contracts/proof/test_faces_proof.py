"""`check` proves the faces: what no sample can be made of is named, what a format writes is held to its own face, in
several namespaces too."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.base.errors import Finding
from contracts.faces import samples
from contracts.faces.pages.page import page
from contracts.proof import faces
from tests.contracts.generating import built


def message(**properties: Any) -> dict[str, Any]:
    made = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"Message": made}


@pytest.mark.parametrize(
    "impossible",
    [
        {"type": "string", "pattern": "^[a-z]$", "minLength": 2},
        {"type": "string", "pattern": "^a$", "enum": ["b"]},
        {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    ],
)
def test_constraints_that_no_value_keeps_are_named(impossible: dict[str, Any]) -> None:
    compiled = built(message(a=impossible))
    found: list[Finding] = []
    faces.generated_samples(compiled, found)
    assert [(each.here, each.canonical, each.rule) for each in found] == [("schema.json", "Message", "sample")]
    # What is served goes on without them.
    assert samples.generated(compiled) == [] and page(compiled, "vi", "https://x")


@pytest.mark.parametrize(
    "rare",
    [
        {"type": "string", "pattern": "^[a-z]+$", "minLength": 5000, "maxLength": 5001},
        {"type": "string", "pattern": "^[^a-zA-Z0-9 ,.:_+*/ắệ-]$".replace("-]", r"\-]")},
        {"type": "string", "pattern": r"^([0-9]{3}\.){2,}x$", "minLength": 40},
        {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
        {"type": "integer", "minimum": 10**30},
    ],
)
def test_values_are_found_where_they_are_rare(rare: dict[str, Any]) -> None:
    compiled = built(message(a=rare))
    found: list[Finding] = []
    faces.generated_samples(compiled, found)
    assert found == []
    assert len([each for each in samples.generated(compiled) if not each.rule]) >= 4


def test_the_catalogue_is_held_to_its_own_faces(catalogue: Any) -> None:
    for compiled in catalogue.values():
        found: list[Finding] = []
        proved = faces.foreign_faces(compiled, found)
        assert found == [] and len(proved) == len(
            [each for each in compiled.formats.values() if each.name != "canonical" and each.media in ("xml", "json")]
        )
        assert not any(each.endswith(" of 0 samples") for each in proved), proved
    assert faces.xml_face(catalogue["indicator/v1"], "sdmx-ml")("IndicatorValue", b"<x/>")  # two namespaces, in memory
    assert faces.json_face(catalogue["indicator/v1"], "kinh-te-json")(
        "ValueQuery", json.dumps({"maChiTieu": 1}).encode()
    )


@pytest.mark.parametrize(("face", "format_name"), [("xml_face", "do-thi-xml"), ("json_face", "hien-truong-json")])
def test_a_face_that_refuses_what_its_format_writes_is_a_finding(
    face: str, format_name: str, catalogue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, face, lambda compiled, name: lambda message, raw: "not in this schema")
    found: list[Finding] = []
    faces.foreign_faces(catalogue["field-report/v1"], found)
    assert found and {(each.rule, each.got) for each in found} == {("face", "not in this schema")}
    assert all(f"as {format_name} writes it" in each.expected for each in found)
