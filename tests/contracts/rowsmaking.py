"""Contracts of one message, made for the rows that a test is about, and the laws that they are held to."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, settings
from lxml import etree

from contracts.base.errors import Failure, Finding, Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces.foreign import xsd
from contracts.faces.openapi import openapi
from contracts.folder.bundle import Bundle
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml

NAME = {"type": "string", "minLength": 1, "maxLength": 20}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def schema(properties: dict[str, Any], *required: str) -> str:
    return json.dumps(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"Thing": closed(properties, *required)}}
    )


HEAD = """
id: rows
version: 1.0.0
title: {vi: Dòng, en: Rows}
description: {vi: Dòng, en: Rows}
owner_role: centre
legal_basis: [none]
retention_months: 24
operations:
"""
CONTRACT = (
    HEAD
    + """  putThing: {pattern: submit, method: POST, path: /things, request: Thing, answer: Thing, title: {vi: Gửi, en: Put}}
"""  # noqa: E501
)


SPACES = 'namespaces: {d: "urn:d"}\n'


def contract(
    thing: str, tables: dict[str, str], codes: dict[str, str] | None = None, more: str = "", spaces: str = SPACES
) -> CompiledContract:
    """A contract of one message; `tables` holds the rows of each format, the media first in its name."""
    files = {"contract.yaml": CONTRACT + more, "schema.json": thing}
    for name, rows in tables.items():
        media = name.partition("-")[0]
        head = spaces if media == "xml" else ""
        root = "    root: d:T\n" if media == "xml" else ""
        lines = "".join(
            f"{'      ' if line.strip()[0] == '-' else '    '}{line.strip()}\n" for line in rows.strip().splitlines()
        )
        files[f"systems/{name}.yaml"] = (
            f"format: {media}\ntitle: {{vi: A, en: A}}\n{head}messages:\n  Thing:\n{root}    rows:\n{lines}"
        )
    files.update({f"codes/{name}.csv": text for name, text in (codes or {}).items()})
    return compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))


def refused_table(*arguments: Any, **named: Any) -> list[Finding]:
    with pytest.raises(Theirs) as caught:
        contract(*arguments, **named)
    assert caught.value.code == "contract.invalid"
    return list(caught.value.findings)


def write(compiled: CompiledContract, name: str, value: Any) -> bytes:
    return compiled.codec(name).write("Thing", value)


def read(compiled: CompiledContract, name: str, raw: bytes, at: float | None = None) -> Any:
    return compiled.codec(name).read("Thing", raw, at=at)


def found(work: Any, code: str = "message.invalid") -> list[tuple[str, str, str]]:
    with pytest.raises(Theirs) as caught:
        work()
    assert caught.value.code == code, caught.value
    return [(each.here, each.canonical, each.rule) for each in caught.value.findings]


@lru_cache(maxsize=200)
def face(compiled: CompiledContract, name: str) -> Callable[[bytes], Any]:
    """A check by the format's own XSD or OpenAPI, as strangers read them."""
    if compiled.codec(name).media == "json":
        described = {"$ref": "#/components/schemas/Thing", "components": openapi(compiled, "", name)["components"]}
        validator = jsonschema_rs.Draft4Validator(described)
        return lambda raw: validator.validate(read_json(raw))
    with TemporaryDirectory() as folder:
        for file, raw in xsd.xsd_files(compiled, name).items():
            Path(folder, file).write_bytes(raw)
        schema = etree.XMLSchema(etree.parse(Path(folder, "schema.xsd")))
    return lambda raw: schema.assertValid(etree.fromstring(raw))


LAWS = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def laws(compiled: CompiledContract, value: Any) -> int:
    """decode(encode(c)) = normal(c), and what came back goes through unchanged; how many formats could carry the value.
    What is written is valid by the format's own face."""
    assert compiled.validate("Thing", value) == []
    carried = 0
    for name, codec in compiled.formats.items():
        if "Thing" not in codec.mapped:
            continue
        try:
            written = write(compiled, name, value)
        except Failure as failure:
            assert failure.code == "message.not-expressible" and failure.findings
            continue
        if codec.media == "xml":
            assert etree.tostring(parse_xml(written), method="c14n", exclusive=True) == written
        face(compiled, name)(written)
        back = read(compiled, name, written)
        assert back == codec.normal("Thing", value)
        assert read(compiled, name, write(compiled, name, back)) == back
        carried += 1
    return carried


MA = {"ma": "code,canonical,vi,en,valid_from,valid_until,replaced_by\n1,x,X,X,,,\n2,y,Y,Y,,,\n"}
