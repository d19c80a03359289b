"""Messages made to cost much or to break the reader: refused with findings or a place, quickly, and never by a fault of
ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.jsontext import MAX_VALUES, read_json
from contracts.wire.soap import MAX_TAGS, parse_xml
from tests.cost import seconds

CAP = "urn:oasis:names:tc:emergency:cap:1.2"


def refused(codec: Any, raw: bytes) -> Theirs:
    with pytest.raises(Theirs) as caught:
        codec.read_json("Alert", raw)
    return caught.value


@pytest.mark.parametrize(
    "number",
    ["1e9999999999999999999999", "-1e-99999999999999999999", "0e999999999999999999999", "1" + "0" * 5000, "1E+1000"],
)
def test_a_number_beyond_all_bounds_is_not_json(number: str) -> None:
    with pytest.raises(Theirs) as caught:
        read_json(b'{"n":' + number.encode() + b"}")
    assert caught.value.code == "message.not-json"


@pytest.mark.parametrize("depth", [10, 63, 64, 65, 100, 250, 260, 700, 900, 960, 990, 1_000, 5_000, 500_000])
@pytest.mark.parametrize("inside", [b"", b'"\\u0001"', b'"\\ud800"'])
def test_any_depth_is_answered(catalogue: Any, depth: int, inside: bytes) -> None:
    for name in ("canonical", "bao-chay-json"):
        for raw in (
            b'{"info":' + b"[" * depth + inside + b"]" * depth + b"}",
            b'{"info":' * depth + (inside or b"1") + b"}" * depth,
        ):
            assert refused(catalogue["incident-alert/v1"].codec(name), raw).code in (
                "message.character",
                "message.not-json",
                "message.invalid",
            )


@pytest.mark.parametrize("item", [b"{}", b"0", b"[]", b'{"event":1}', b'{"area":[{},{}]}'])
def test_as_many_wrong_items_as_are_read_cost_little(catalogue: Any, item: bytes) -> None:
    """What one finding costs, times a few, and not times the items: a door has one loop, and others wait for it."""
    raw = (
        b'{"info":['
        + b",".join([item] * ((MAX_VALUES - 2) // (1 + sum(item.count(sign) for sign in (b",", b"[", b"{")))))
        + b"]}"
    )
    codec = catalogue["incident-alert/v1"].codec("canonical")
    failure = refused(codec, raw)
    assert failure.code == "message.invalid" and failure.findings
    assert seconds(lambda: codec.read_json("Alert", raw)) < 8 * seconds(lambda: read_json(raw))


@pytest.mark.parametrize("item", [b"{}", b"0", b"[]", b'""', b"1.5", b'{"a":1}'])
def test_more_values_than_are_read_are_counted_and_not_read(catalogue: Any, item: bytes) -> None:
    """Five megabytes of the shortest values there are: seconds for who judges each, about what plain numbers take to
    parse for who counts."""
    raw = b'{"info":[' + b",".join([item] * (5_000_000 // (len(item) + 1) - 5)) + b"]}"
    plain = seconds(lambda: json.loads(b"[" + b"1," * 2_499_999 + b"1]"))
    for name in ("canonical", "bao-chay-json"):
        codec = catalogue["incident-alert/v1"].codec(name)
        assert refused(codec, raw).code == "message.not-json"
        assert seconds(lambda codec=codec: codec.read_json("Alert", raw)) < 8 * plain  # type: ignore[misc]


def test_more_tags_than_are_read_are_counted_and_not_read() -> None:
    raw = b"<a>" + b"<b/>" * MAX_TAGS + b"</a>"
    with pytest.raises(Theirs) as caught:
        parse_xml(raw)
    assert caught.value.code == "xml.too-many-tags"
    assert seconds(lambda: parse_xml(raw)) < seconds(lambda: etree.fromstring(raw))
    assert len(parse_xml(b"<a>" + b"<b/>" * (MAX_TAGS - 2) + b"</a>")) == MAX_TAGS - 2


def test_commas_in_a_text_are_no_values() -> None:
    text = ",[{" * 1_000_000
    assert read_json(json.dumps([text, 'a"', "\\"]).encode()) == [text, 'a"', "\\"]
    assert len(read_json(b"[" + b"1," * (MAX_VALUES - 2) + b"1]")) == MAX_VALUES - 1
    with pytest.raises(Theirs):
        read_json(b"[" + b"1," * MAX_VALUES + b"1]")


def test_fields_without_number_are_told_soon_and_those_behind_them_are_seen(catalogue: Any) -> None:
    unknown = ",".join(f'"x{number}":1' for number in range(MAX_VALUES - 5))
    raw = f'{{{unknown},"identifier":"a"}}'.encode()
    codec = catalogue["incident-alert/v1"].codec("canonical")
    failure = refused(codec, raw)
    assert seconds(lambda: codec.read_json("Alert", raw)) < 15 * seconds(lambda: json.loads(raw))
    assert {finding.rule for finding in failure.findings} == {"required", "unknown"}
    assert "identifier" not in [finding.here for finding in failure.findings]


def test_too_many_good_items_are_told_as_such(catalogue: Any) -> None:
    sample = next(
        each
        for each in catalogue["incident-alert/v1"].samples
        if each.format == "canonical" and each.message == "Alert"
    )
    alert = json.loads(sample.canonical)
    alert["info"] = alert["info"][:1] * 6_000
    failure = refused(catalogue["incident-alert/v1"].codec("canonical"), json.dumps(alert).encode())
    assert [(finding.here, finding.rule) for finding in failure.findings] == [("info", "length")]


def test_xml_of_many_wrong_elements_costs_little(catalogue: Any) -> None:
    raw = f'<cap:alert xmlns:cap="{CAP}">{"<cap:info/>" * 90_000}</cap:alert>'.encode()
    root = etree.fromstring(raw)
    codec = catalogue["incident-alert/v1"].codec("cap12")
    with pytest.raises(Theirs) as caught:
        codec.read_xml("Alert", root)
    assert caught.value.code == "message.invalid" and caught.value.findings
    assert seconds(lambda: codec.read_xml("Alert", root)) < 60 * seconds(lambda: etree.fromstring(raw))
