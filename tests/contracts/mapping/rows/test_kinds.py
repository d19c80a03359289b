"""Every kind of mapping row, in a contract made for it, held to the laws: in XML and in JSON, with attributes, keys,
nesting and absence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure, Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces import xsd
from contracts.folder.bundle import Bundle
from contracts.wire.soap import parse_xml

NAME = {"type": "string", "maxLength": 20}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$defs": {
        "Everything": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "minLength": 1, "maxLength": 20},
                "count": {"type": "integer", "minimum": -5, "exclusiveMaximum": 1000},
                "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 10},
                "big": {"type": "integer", "absentable": True},
                "on": {"type": "boolean"},
                "day": {"type": "string", "format": "date"},
                "at": {"type": "string", "format": "date-time"},
                "kind": {"type": "string", "enum": ["a", "b"], "absentable": True},
                "tags": {"type": "array", "items": NAME},
                "marks": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 3,
                    "items": {"type": "integer"},
                    "absentable": True,
                },
                "flags": {"type": "array", "minItems": 1, "items": {"type": "boolean"}},
                "place": {
                    "type": "object",
                    "properties": {
                        "name": NAME,
                        "deep": {
                            "type": "object",
                            "properties": {"x": {"type": "integer"}},
                            "additionalProperties": False,
                        },
                    },
                    "additionalProperties": False,
                    "absentable": True,
                },
                "lines": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "no": {"type": "integer"},
                            "text": NAME,
                            "unit": NAME,
                            "parts": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "properties": {"v": {"type": "number"}},
                                    "required": ["v"],
                                    "additionalProperties": False,
                                },
                            },
                        },
                        "required": ["no", "parts"],
                        "additionalProperties": False,
                    },
                },
                "email": NAME,
                "phone": NAME,
                "level": {"type": "string", "enum": ["low", "high"]},
                "extra": NAME,
            },
            "required": ["id", "tags", "lines", "level"],
            "additionalProperties": False,
        }
    },
}
CONTRACT = """
id: everything
version: 2.3.4
title: {vi: Tất cả, en: Everything}
description: {vi: Tất cả, en: Everything}
owner_role: centre
legal_basis: [none]
retention_months: 24
operations:
  putAll: {pattern: submit, method: POST, path: /all, request: Everything, answer: Everything, key: id, title: {vi: Gửi, en: Put}}
"""  # noqa: E501
XML = """
format: xml
title: {vi: X, en: X}
namespaces: {"": "urn:a", b: "urn:b"}
messages:
  Everything:
    root: Tat
    rows:
      - {here: "@ver", constant: "1"}
      - {here: Dau/Loai, constant: "TC"}
      - {canonical: id, here: "@b:ma"}
      - {canonical: count, here: Dau/So}
      - {canonical: ratio, here: Dau/b:TyLe, as: decimal-comma}
      - {canonical: big, here: Lon, absent: {unknown: "?", none: "-"}}
      - {canonical: "on", here: Dau/@bat, as: boolean-01}
      - {canonical: day, here: Ngay, as: dd/MM/yyyy}
      - {canonical: at, here: Luc, as: yyyy/MM/dd HH:mm, zone: "-03:30"}
      - {canonical: kind, here: Kieu, codes: kieu, absent: {unknown: U, none: N, partial: P, not-permitted: X}}
      - {canonical: "tags[]", here: "The/b:T[]"}
      - {canonical: "marks[]", here: "Diem[]"}
      - {canonical: "flags[]", here: "Co[]", as: boolean-01}
      - {canonical: place.name, here: "NoiTen"}
      - {canonical: place.deep.x, here: "Sau/Rat/@x"}
      - {canonical: "lines[].no", here: "Dong[]/@so"}
      - {canonical: "lines[].text", here: "Dong[]/b:Chu"}
      - {canonical: "lines[].unit", here: "Dong[]/DonVi", default: cai}
      - {canonical: "lines[].parts[].v", here: "Dong[]/Nhom/Phan[]"}
      - {canonical: email, here: "LienHe[@k='e-mail']"}
      - {canonical: phone, here: "Muc[b:ten='phone']/GiaTri"}
      - {canonical: level, constant: low}
    drops: [extra]
    ignores: [ChuKy]
"""
JSON = """
format: json
title: {vi: J, en: J}
messages:
  Everything:
    rows:
      - {here: phienBan, constant: 3}
      - {here: dau.loai, constant: true}
      - {canonical: id, here: ma}
      - {canonical: count, here: dau.so, as: text}
      - {canonical: ratio, here: tyLe, as: text}
      - {canonical: big, here: lon, absent: {unknown: KR, partial: MP, none: KC, not-permitted: KP}}
      - {canonical: "on", here: bat, as: boolean-01}
      - {canonical: day, here: ngay, as: yyyyMMdd}
      - {canonical: at, here: luc, as: yyyyMMddHHmmss, zone: "+07:00"}
      - {canonical: kind, here: kieu, as: integer, codes: kieu, absent: {unknown: U}}
      - {canonical: "tags[]", here: "the.ds[]"}
      - {canonical: "marks[]", here: "diem[]"}
      - {canonical: "flags[]", here: "co[]"}
      - {canonical: place.name, here: noi.ten}
      - {canonical: place.deep.x, here: x}
      - {canonical: "lines[].no", here: "dong[].so"}
      - {canonical: "lines[].text", here: "dong[].noiDung.chu"}
      - {canonical: "lines[].unit", here: "dong[].donVi"}
      - {canonical: "lines[].parts[].v", here: "dong[].phan[]"}
      - {canonical: email, here: lienHe.email}
      - {canonical: phone, here: lienHe.phone}
      - {canonical: level, here: muc}
      - {canonical: extra, here: them, default: "không"}
    ignores: [chuKy]
"""
CODES = "code,canonical,vi,en,valid_from,valid_until,replaced_by\n1,a,A,A,,,\n2,b,B,B,,,\n"


@pytest.fixture(scope="module")
def everything() -> CompiledContract:
    files = {
        "contract.yaml": CONTRACT,
        "schema.json": json.dumps(SCHEMA),
        "systems/all-xml.yaml": XML,
        "systems/all-json.yaml": JSON,
        "codes/kieu.csv": CODES,
    }
    try:
        return compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))
    except Theirs as failure:
        raise AssertionError([(f.here, f.canonical, f.got, f.expected) for f in failure.findings]) from None


MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))


@MANY
@given(data=st.data())
def test_the_laws_hold_for_every_kind_of_row(everything: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(everything, "Everything"))
    assert everything.validate("Everything", value) == []
    for name in ("canonical", "all-xml", "all-json"):
        codec = everything.codec(name)
        for media in sorted(codec.speaks):

            def through(given: Any, codec: Any = codec, media: str = media) -> Any:
                if media == "json":
                    return codec.read_json("Everything", codec.write_json("Everything", given))
                written = codec.write_xml("Everything", given)
                assert etree.tostring(parse_xml(written), method="c14n", exclusive=True) == written
                return codec.read_xml("Everything", parse_xml(written))

            try:
                back = through(value)
            except Failure as failure:
                assert failure.code == "message.not-expressible" and name == "all-xml"
                assert value["level"] != "low" or failure.findings[0].canonical == "at"
                continue
            assert back == codec.normal("Everything", value)
            assert through(back) == back


@MANY
@given(data=st.data())
def test_faces_agree_on_every_kind_of_value(everything: CompiledContract, values_of: Any, data: st.DataObject) -> None:
    value = data.draw(values_of(everything, "Everything", True))
    schema = etree.XMLSchema(etree.fromstring(xsd.xsd(everything)))
    written = everything.codec("canonical").write_xml("Everything", value, "putAll")
    assert schema.validate(parse_xml(written)) is (everything.validate("Everything", value) == [])


def test_a_message_in_each_format_by_hand(everything: CompiledContract) -> None:
    raw = """<Tat xmlns="urn:a" xmlns:q="urn:b" ver="1" q:ma="M1"><ChuKy><la x="1"/></ChuKy>
      <Muc><q:ten>phone</q:ten><GiaTri>0206</GiaTri></Muc><LienHe k="e-mail">a@b</LienHe>
      <Dau bat="1"><Loai>TC</Loai><So> 12 </So><q:TyLe>2,50</q:TyLe></Dau><Lon>-</Lon><Luc>2026/11/24 20:00</Luc><Ngay>24/11/2026</Ngay>
      <Dong so="1"><q:Chu>chữ</q:Chu></Dong><Dong so="2"><DonVi>kg</DonVi><Nhom><Phan>1.5</Phan></Nhom></Dong></Tat>"""  # noqa: E501
    value = everything.codec("all-xml").read_xml("Everything", parse_xml(raw.encode()))
    assert value == {
        "id": "M1",
        "phone": "0206",
        "email": "a@b",
        "on": True,
        "count": 12,
        "ratio": value["ratio"],
        "big": {"absent": "none"},
        "level": "low",
        "at": "2026-11-24T20:00:00-03:30",
        "day": "2026-11-24",
        "tags": [],
        "lines": [
            {"no": 1, "text": "chữ", "unit": "cai", "parts": []},
            {"no": 2, "unit": "kg", "parts": [{"v": value["lines"][1]["parts"][0]["v"]}]},
        ],
    }
    assert str(value["ratio"]) == "2.50"
    written = everything.codec("all-json").write_json("Everything", value).decode()
    assert (
        '"dau":{"loai":true,"so":"12"}' in written and '"lon":"KC"' in written and '"luc":"20261125063000"' in written
    )


@pytest.mark.parametrize(
    ("old", "new", "here", "rule"),
    [
        ('ver="1"', 'ver="2"', "Tat/@ver", "constant"),
        ('ver="1"', "", "Tat/@ver", "required"),
        ("<Loai>TC</Loai>", "<Loai>T</Loai>", "Tat/Dau/Loai", "constant"),
        ('k="e-mail"', 'k="fax"', "Tat/LienHe", "unknown"),
        ('k="e-mail"', "", "Tat/LienHe", "unknown"),
        ('bat="1"', 'bat="true"', "Tat/Dau/@bat", "type"),
        ('so="2"', 'so="hai"', "Tat/Dong[2]/@so", "type"),
        ('so="2"', 'so="2" la="1"', "Tat/Dong[2]/@la", "unknown"),
        ('so="2"', "", "Tat/Dong[2]/@so", "required"),
        ("<Lon>-</Lon>", "<Lon>--</Lon>", "Tat/Lon", "type"),
        ("24/11/2026", "31/11/2026", "Tat/Ngay", "format"),
    ],
)
def test_faults_in_attributes_keys_and_constants(
    everything: CompiledContract, old: str, new: str, here: str, rule: str
) -> None:
    raw = """<Tat xmlns="urn:a" xmlns:q="urn:b" ver="1" q:ma="M1"><LienHe k="e-mail">a@b</LienHe><Dau bat="1"><Loai>TC</Loai></Dau><Lon>-</Lon><Ngay>24/11/2026</Ngay>
      <Dong so="1"/><Dong so="2"/></Tat>"""  # noqa: E501
    assert everything.codec("all-xml").read_xml("Everything", parse_xml(raw.encode()))
    with pytest.raises(Theirs) as caught:
        everything.codec("all-xml").read_xml("Everything", parse_xml(raw.replace(old, new).encode()))
    assert (here, rule) in [(each.here, each.rule) for each in caught.value.findings]


def test_an_optional_field_cannot_be_the_text_of_a_list_item(everything: CompiledContract) -> None:
    schema = json.loads(json.dumps(SCHEMA))
    del schema["$defs"]["Everything"]["properties"]["lines"]["items"]["properties"]["parts"]["items"]["required"]
    files = {
        "contract.yaml": CONTRACT,
        "schema.json": json.dumps(schema),
        "systems/all-xml.yaml": XML,
        "systems/all-json.yaml": JSON,
        "codes/kieu.csv": CODES,
    }
    with pytest.raises(Theirs) as caught:
        compile_bundle(Bundle.of({path: text.encode() for path, text in files.items()}))
    assert [each.canonical for each in caught.value.findings] == ["lines[].parts[].v"] * 2
