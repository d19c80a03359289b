"""Every OpenAPI document, ours and generated, holds what OpenAPI asks of one."""

from __future__ import annotations

from typing import Any

import pytest
from openapi_spec_validator import validate

from contracts.base import safeyaml
from contracts.faces.openapi import openapi
from gateway.doors.api.apis import DOCUMENTS, EXCHANGE, PEOPLE, merge

FILES = sorted(DOCUMENTS.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_each_file_stands_alone(file: Any) -> None:
    validate(safeyaml.load(file.read_text("utf-8")))


@pytest.mark.parametrize("listener", [EXCHANGE, PEOPLE])
def test_what_a_listener_serves(listener: str) -> None:
    merged = merge(FILES, listener)
    assert merged["paths"]
    validate(merged)


def test_what_is_generated_of_each_contract_in_each_format(catalogue: Any) -> None:
    for compiled in catalogue:
        for name in ("canonical", *(each for each, codec in compiled.formats.items() if codec.media == "json")):
            document = openapi(compiled, "https://cong.example", name)
            assert document["paths"]
            validate(document)
