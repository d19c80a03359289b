"""Alerts and readings as the world sends them: CAP 1.1 and 1.2 in any prefix, with stylesheets, comments and empty
values; SensorThings bodies."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract
from contracts.mapping.steps import above, json_steps
from contracts.proof.tryout import try_out
from contracts.wire.soap import parse_xml

CAP = "urn:oasis:names:tc:emergency:cap:1."
HEAD = (
    "<identifier>TW-2026.8</identifier>\n<sender>http://canhbao.example/</sender> "
    "\n<sent>2026-08-31T00:09:25-05:00</sent>\n"
    "<status>Actual</status><msgType>Alert</msgType>"
)
INFO = (
    "<info><category>Met</category><category>Geo</category><event>Mưa "
    "lớn</event><urgency>Past</urgency><severity>Unknown</severity>"
    "<certainty>Likely</certainty><description>LOCATION: &lt;br /&gt; Trà Lĩnh...\n* dòng hai</description>"
    "<parameter>\n\n<valueName>TIME...MOT...LOC</valueName><value></value></parameter>"
    "<parameter><valueName>VTEC</valueName><value/></parameter><area>\n\n<areaDesc>Vùng núi phía đông</areaDesc>"
    "<circle>-16.053,-173.274 0.0</circle></area></info>"
)
STYLE = "<?xml-stylesheet href='http://alerts.example/cap.xsl' type='text/xsl'?>\n"
XML = "<?xml version = '1.0' encoding = 'UTF-8' standalone = 'yes'?>\n"
ALERTS = {
    "stylesheet": (f'{XML}{STYLE}<alert xmlns="{CAP}{{0}}">{HEAD}<scope>Public</scope>{INFO}</alert>', 1),
    "comment": (
        f"{XML}<alert xmlns = '{CAP}{{0}}'>\n<!-- http-date = Mon, 30 Aug 2026 "
        f"-->\n{HEAD}<scope>Public</scope>{INFO}{INFO}</alert>",
        2,
    ),
    "no optional field": (f'{XML}{STYLE}<alert xmlns="{CAP}{{0}}">\n{HEAD}\n<scope>Public</scope>\n</alert>', 0),
}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", list(ALERTS))
def test_both_versions_pass_both_ways_and_into_each_other(
    kind: str, version: str, catalogue: dict[str, CompiledContract]
) -> None:
    compiled = catalogue["incident-alert/v1"]
    here, there = compiled.codec(f"cap1{version}"), compiled.codec(f"cap1{3 - int(version)}")
    text, infos = ALERTS[kind]
    for form in (text, prefixed(text)):
        value = here.read_xml("Alert", parse_xml(form.format(version).encode(), published=True))
        assert len(value.get("info", [])) == infos and value["identifier"] == "TW-2026.8"
        for codec in (here, there):
            assert codec.read_xml("Alert", parse_xml(codec.write_xml("Alert", value))) == value
        canonical = compiled.codec("canonical")
        assert canonical.read_json("Alert", canonical.write_json("Alert", value)) == value
        if infos:
            assert value["info"][0]["parameter"] == [
                {"valueName": "TIME...MOT...LOC", "value": ""},
                {"valueName": "VTEC", "value": ""},
            ]
            assert value["info"][0]["description"] == "LOCATION: <br /> Trà Lĩnh...\n* dòng hai"


SIGNATURE = (
    '<s:Signature xmlns:s="http://www.w3.org/2000/09/xmldsig#"><s:SignedInfo><s:Reference URI=""/></s:SignedInfo>'
    "<s:SignatureValue>AAAA</s:SignatureValue></s:Signature>"
)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_alert_is_taken_as_the_same_without_its_signature(
    version: str, catalogue: dict[str, CompiledContract]
) -> None:
    codec, space = catalogue["incident-alert/v1"].codec(f"cap1{version}"), f"{CAP}{version}"
    place = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{space} cap.xsd"'
    alert = f'<alert xmlns="{space}">{HEAD}<scope>Public</scope>{INFO}</alert>'
    signed = alert.replace(f'"{space}"', f'"{space}" {place}').replace("</alert>", f"{SIGNATURE}{SIGNATURE}</alert>")
    value = codec.read_xml("Alert", parse_xml(signed.encode()))
    assert value == codec.read_xml("Alert", parse_xml(alert.encode()))
    tried = try_out(catalogue["incident-alert/v1"], f"cap1{version}", signed.encode())
    assert tried.ok and tried.passed == ("cap:alert/ds:Signature[]",), (
        "it is said that it was read over, and not verified"
    )
    other = signed.replace("s:Signature", "s:Manifest")
    with pytest.raises(Theirs) as caught:
        codec.read_xml("Alert", parse_xml(other.encode()))
    assert [each.rule for each in caught.value.findings] == ["unknown", "unknown"]


def prefixed(text: str) -> str:
    """The same document with a prefix on every element."""
    head, tag, rest = text.partition("<alert xmlns")
    rest = rest.replace("</", "\0").replace("<!", "\1").replace("<", "<c:").replace("\0", "</c:").replace("\1", "<!")
    return head + "<c:alert xmlns:c" + rest if tag else text


def test_an_alert_without_scope_and_one_of_the_other_version_are_refused(
    catalogue: dict[str, CompiledContract],
) -> None:
    codec = catalogue["incident-alert/v1"].codec("cap12")
    with pytest.raises(Theirs) as caught:
        codec.read_xml("Alert", parse_xml(f'{XML}<alert xmlns="{CAP}2">{HEAD}<!-- no scope -->{INFO}</alert>'.encode()))
    assert [(each.here, each.canonical, each.rule) for each in caught.value.findings] == [
        ("cap:alert/cap:scope", "scope", "required")
    ]
    with pytest.raises(Theirs) as caught:
        codec.read_xml("Alert", parse_xml(f'<alert xmlns="{CAP}1">{HEAD}<scope>Public</scope></alert>'.encode()))
    assert caught.value.code == "message.wrong-root"
    with pytest.raises(Theirs) as caught:
        parse_xml(
            f'<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/hostname">]><alert xmlns="{CAP}2">&x;</alert>'.encode(),
            published=True,
        )
    assert caught.value.code == "xml.doctype"


@pytest.mark.parametrize(
    ("raw", "published"),
    [
        ("<?xml-stylesheet href='x'?><a/>", False),
        ("<?php x?><a/>", True),
        ("<a><?xml-stylesheet href='x'?></a>", True),
        ("<a/><?xml-stylesheet href='x'?>", True),
    ],
)
def test_only_a_published_file_may_name_a_stylesheet_and_only_before_its_root(raw: str, published: bool) -> None:
    with pytest.raises(Theirs) as caught:
        parse_xml(raw.encode(), published=published)
    assert caught.value.code == "xml.instruction"


DATASTREAM = (
    '{"name":"Nhiệt '
    'độ","description":"","observationType":"http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",'
    '"unitOfMeasurement":{"name":"Celsius","symbol":"degC","definition":"http://qudt.org/vocab/unit#DegreeCelsius"},'
    '"Thing":{"@iot.id":"7"},"Sensor":{"name":"s","description":"d","encodingType":"http://schema.org/description","metadata":"Pt100"},'
    '"ObservedProperty":{"name":"t","definition":"http://dbpedia.org/page/Dew_point","description":""}}'
)


@pytest.mark.parametrize(
    ("message", "raw"),
    [
        ("Observation", '{"phenomenonTime":"2026-03-01T00:10:00Z","result":3,"resultQuality":"high"}'),
        (
            "Observation",
            '{"phenomenonTime":"2026-03-01T00:00:00Z","result":92122,"resultTime":"2026-03-01T00:00:10Z",'
            '"validTime":"2026-03-01T00:00:00.000Z/2026-03-01T01:00:00.000Z"}',
        ),
        (
            "Observation",
            '{"phenomenonTime":"2026-03-01T00:40:00Z","result":0.10,"parameters":{"a":"1","b-c":""},"Datastream":{"@iot.id":"42"}}',
        ),
        ("Datastream", DATASTREAM),
    ],
)
def test_sensorthings_bodies_pass_both_ways(message: str, raw: str, catalogue: dict[str, CompiledContract]) -> None:
    codec = catalogue["observation/v1"].codec("sensorthings")
    value = codec.read_json(message, raw.encode())
    assert codec.read_json(message, codec.write_json(message, value)) == value
    assert sorted(codec.write_json(message, value).decode()) == sorted(raw)  # digit for digit, in another order


@pytest.mark.parametrize(
    ("message", "raw", "here", "rule"),
    [
        ("Datastream", DATASTREAM.replace('"name":"Nhiệt độ",', ""), "name", "required"),
        ("Datastream", DATASTREAM.replace('"metadata":"Pt100"', '"metadata":12'), "Sensor.metadata", "type"),
        (
            "Datastream",
            DATASTREAM.replace('"Sensor":{"name":"s"', '"Sensor":{"@iot.id":"3","name":"s"'),
            "Sensor.@iot.id",
            "unknown",
        ),
        ("Observation", '{"phenomenonTime":"2026-03-01T00:40:00Z","result":"8"}', "result", "type"),
        ("Observation", '{"phenomenonTime":"2026-03-01T00:40:00Z"}', "result", "required"),
        (
            "Observation",
            '{"phenomenonTime":"2026-03-01T00:40:00Z","result":8,"Datastream":{"@iot.id":7}}',
            "Datastream.'@iot.id'",
            "type",
        ),
    ],
)
def test_what_is_wrong_with_a_sensorthings_body_is_named(
    message: str, raw: str, here: str, rule: str, catalogue: dict[str, CompiledContract]
) -> None:
    with pytest.raises(Theirs) as caught:
        catalogue["observation/v1"].codec("sensorthings").read_json(message, raw.encode())
    assert [(each.here, each.rule) for each in caught.value.findings] == [(here, rule)]


def test_a_json_name_that_holds_a_dot_stands_between_quotes() -> None:
    def names(path: str) -> Any:
        steps = json_steps(path)
        return steps if isinstance(steps, str) else [(step.name, step.many) for step in steps]

    assert names("Datastream.'@iot.id'") == [("Datastream", False), ("@iot.id", False)]
    assert names("'a.b'[].c") == [("a.b", True), ("c", False)]
    assert names("a[].{}") == [("a", True), ("*", True)]
    for wrong in ("", "a.", ".a", "a..b", "a b", "it's", "'a", "'a'b", "''"):
        assert isinstance(json_steps(wrong), str), wrong
    assert [above(path, False) for path in ("a.'b.c'", "a[].b", "'a.b'.c", "a")] == ["a", "a[]", "'a.b'", ""]
    assert above("x:a/x:b[@c='d.e']", True) == "x:a"
