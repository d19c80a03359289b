"""Requests of a JSON format whose bytes are a form, as Open311 posts them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces.openapi import openapi
from contracts.folder.bundle import Bundle
from contracts.proof.check import check, check_bundle
from tests.contracts.rowsmaking import HEAD, LAWS, MA, NAME, closed, found

CONTRACT = (
    HEAD
    + """
  putThing: {pattern: dispatch, method: POST, path: /things, request: Thing, answer: Done, title: {vi: A, en: A}}
  findThing: {pattern: query, method: GET, path: /things, request: Asked, answer: Done, title: {vi: A, en: A}}
"""
)
ITEM = closed({"code": NAME, "value": {"type": "string", "maxLength": 9}}, "code", "value")
DEFS = {
    "Thing": closed(
        {
            "service": {"type": "string", "enum": ["x", "y"]},
            "lat": {"type": "number"},
            "count": {"type": "integer"},
            "open": {"type": "boolean"},
            "who": closed({"name": NAME, "phone": {"type": "string", "minLength": 2, "absentable": True}}, "name"),
            "tags": {"type": "array", "items": {"type": "integer"}},
            "attributes": {"type": "array", "minItems": 1, "items": ITEM},
        },
        "service",
        "tags",
    ),
    "Asked": closed({"lat": {"type": "number"}, "name": NAME}, "lat"),
    "Done": closed({"id": NAME}, "id"),
}
ROWS = """
      - {here: api, constant: 2}
      - {canonical: service, here: service_code, codes: ma}
      - {canonical: lat, here: lat}
      - {canonical: count, here: count, missing: [""]}
      - {canonical: open, here: open}
      - {canonical: who.name, here: who.name}
      - {canonical: who.phone, here: who.phone, absent: {unknown: "?", none: "-", partial: "~", not-permitted: "!"}}
      - {canonical: "tags[]", here: "tag[]"}
      - {canonical: "attributes[].code", here: "attribute.{}"}
      - {canonical: "attributes[].value", here: "attribute.{}"}
"""
TABLE = f"""format: json
title: {{vi: A, en: A}}
messages:
  Thing:
    body: form
    rows:{ROWS.rstrip()}
  Asked:
    body: form
    rows:
      - {{canonical: lat, here: lat}}
      - {{canonical: name, here: n.ten}}
"""
RAW = (
    "api=2&service_code=1&lat=22.67&count=&open=true&who%5Bname%5D=L%E1%BA%A1c+%26+H%E1%BB%93ng&who[phone]=%3F"
    "&tag%5B%5D=1&tag[]=-2&attribute[A]=x&attribute[B+C]="
)
VALUE = {
    "service": "x",
    "lat": Decimal("22.67"),
    "open": True,
    "who": {"name": "Lạc & Hồng", "phone": {"absent": "unknown"}},
    "tags": [1, -2],
    "attributes": [{"code": "A", "value": "x"}, {"code": "B C", "value": ""}],
}


def bundle(table: str) -> Bundle:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": DEFS}
    files = {"contract.yaml": CONTRACT, "schema.json": json.dumps(schema), "systems/a.yaml": table}
    files |= {f"codes/{name}.csv": text for name, text in MA.items()}
    return Bundle.of({path: text.encode() for path, text in files.items()})


@pytest.fixture(scope="module")
def forms() -> CompiledContract:
    report = check_bundle(bundle(TABLE))
    if report.findings == [] and report.compiled is not None:
        return report.compiled
    raise AssertionError(report.findings)


@LAWS
@given(data=st.data())
def test_forms_keep_the_laws(forms: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    codec, message = forms.codec("a"), data.draw(st.sampled_from(["Thing", "Asked"]))
    value = data.draw(values_of(forms, message))
    try:
        written = codec.write(message, value)
    except Failure as failure:
        assert failure.code == "message.not-expressible" and failure.findings
        return
    assert urlencode(parse_qsl(written.decode(), keep_blank_values=True, strict_parsing=True)).encode() == written
    back = codec.read(message, written)
    assert back == codec.normal(message, value)
    assert codec.write(message, back) == codec.write(message, codec.read(message, codec.write(message, back)))
    if message == "Asked":
        assert codec.read_query("Asked", codec.write_query("Asked", value)) == back


def test_a_form_by_hand(forms: CompiledContract) -> None:
    codec = forms.codec("a")
    assert codec.read("Thing", RAW.encode()) == VALUE
    assert codec.read("Thing", codec.write("Thing", VALUE)) == VALUE
    assert codec.json_type("Thing") == "application/x-www-form-urlencoded"
    assert codec.json_type("Done") == "application/json"


@pytest.mark.parametrize(
    ("part", "code", "where"),
    [
        ("lat=22,67", "message.invalid", "lat"),
        ("lat=1e3", "message.invalid", "lat"),
        ("open=yes", "message.invalid", "open"),
        ("tag[]=x", "message.invalid", "tag[2]"),
        ("khac=1", "message.invalid", "khac"),
        ("who[khac]=1", "message.invalid", "who.khac"),
        ("lat=1&lat=1", "message.not-query", ""),
        ("who=1", "message.not-query", ""),
        ("tag=1", "message.not-query", ""),
        ("a[b=1", "message.not-query", ""),
        ("a[][b]=1", "message.not-query", ""),
        ("lat=%FF", "message.not-query", ""),
        ("lat", "message.not-query", ""),
        ("ten=Đ", "message.not-query", ""),
        ("a" + "[b]" * 9 + "=1", "message.not-query", ""),
    ],
)
def test_what_is_no_such_form_is_refused(forms: CompiledContract, part: str, code: str, where: str) -> None:
    raw = RAW.replace("&lat=22.67", "").replace("&open=true", "") + "&" + part
    findings = found(lambda: forms.codec("a").read("Thing", raw.encode()), code)
    assert where in [here for here, _, _ in findings] if where else findings == []


def test_a_sample_is_a_file(forms: CompiledContract, tmp_path: Path) -> None:
    twin = forms.codec("canonical").write_json("Thing", VALUE)
    files = {**bundle(TABLE).files, "samples/a/Thing.one.form": f"{RAW}\n".encode()}
    for name, raw in (files | {"samples/a/Thing.one.canonical.json": twin}).items():
        (tmp_path / "v1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "v1" / name).write_bytes(raw)
    report = check(tmp_path / "v1")
    assert report.findings == [] and "a Thing: count: in the message, not written again" in report.losses
    assert "sample a/Thing.one: decoded, and the laws hold in every format" in report.proved


def test_the_face_names_the_form(forms: CompiledContract) -> None:
    document = openapi(forms, "https://localhost", "a")
    content = document["paths"]["/things"]["post"]["requestBody"]["content"]
    assert list(content) == ["application/x-www-form-urlencoded"]
    assert set(content["application/x-www-form-urlencoded"]["encoding"]) == {"who", "attribute"}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('"tags[]", here: "tag[]"', '"tags[]", here: "tag[].x"', "unsupported"),
        ('missing: [""]', "missing: [null]", "unsupported"),
        ("here: lat}", 'here: "vi[0]"}', "unsupported"),
        ("body: form", "body: json", "table"),
    ],
)
def test_what_a_form_does_not_have_is_refused(old: str, new: str, rule: str) -> None:
    assert old in TABLE
    assert rule in [each.rule for each in check_bundle(bundle(TABLE.replace(old, new, 1))).findings]


def test_an_answer_is_no_form() -> None:
    table = TABLE + "  Done:\n    body: form\n    rows:\n      - {canonical: id, here: id}\n"
    assert [each.rule for each in check_bundle(bundle(table)).findings] == ["unsupported"] * 2
    assert compile_bundle(bundle(table.replace("Done:\n    body: form", "Done:"))).codec("a").json_type("Done")
