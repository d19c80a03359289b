"""The AsyncAPI documents of the feeds, by the official schema; their events, by the official CloudEvents SDK."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from contracts.compiled.contract import CompiledContract
from contracts.faces.asyncapi import asyncapi
from tests.nodepackages import installed

BASE = "https://gateway.example:8443"


@pytest.fixture(scope="module")
def official() -> Any:
    place = installed(Path(__file__).parent / "node", "npm @asyncapi/specs is")
    schema = json.loads((place / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json").read_text("utf-8"))
    return jsonschema_rs.Draft7Validator(schema)


def documents(catalogue: Mapping[str, CompiledContract]) -> dict[str, dict[str, Any]]:
    made = {each.contract.name: asyncapi(each, BASE) for each in catalogue.values()}
    return {name: document for name, document in made.items() if document is not None}


def test_every_feed_has_one_that_the_official_schema_takes(
    catalogue: Mapping[str, CompiledContract], official: Any
) -> None:
    made = documents(catalogue)
    assert set(made) == {each.contract.name for each in catalogue.values() if each.contract.fed} and made
    for name, document in made.items():
        errors = official.iter_errors(document)
        wrong = [f"{'/'.join(map(str, each.instance_path))}: {each.message[:200]}" for each in errors]
        assert not wrong, (name, wrong[:5])
    broken = next(iter(made.values())) | {"channels": []}
    assert not official.is_valid(broken)


def test_every_reference_leads_somewhere(catalogue: Mapping[str, CompiledContract]) -> None:
    def refs(value: Any) -> list[str]:
        if isinstance(value, list):
            return [ref for each in value for ref in refs(each)]
        if not isinstance(value, dict):
            return []
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for each in value.values() for ref in refs(each)]

    for document in documents(catalogue).values():
        for ref in refs(document):
            at: Any = document
            for step in ref.removeprefix("#/").split("/"):
                at = at[step]


def test_the_messages_validate_samples(catalogue: Mapping[str, CompiledContract]) -> None:
    (alerts,) = [each for each in catalogue.values() if each.contract.name == "incident-alert/v1"]
    document = asyncapi(alerts, BASE)
    assert document is not None
    sample = next(each for each in alerts.samples if each.message == alerts.contract.fed[0].request)
    event = {
        "specversion": "1.0",
        "id": "01935b6e-0000-7000-8000-000000000001",
        "source": "urn:lgsp:system:canh-bao",
        "type": "urn:lgsp:contract:incident-alert:v1:submitAlert:recalled",
        "sequence": "00000000000000000001",
        "sequencedtime": "2026-11-24T07:00:00.000Z",
        "data": json.loads(sample.canonical),
    }
    schema = {"$ref": "#/components/schemas/Event-submitAlert", "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    validator.validate(event)
    assert not validator.is_valid(event | {"type": "urn:lgsp:contract:incident-alert:v1:other"})
    assert not validator.is_valid(event | {"data": {"identifier": 7}})
