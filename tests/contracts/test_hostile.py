"""Messages made to cost much or to break the reader: refused with findings or a place, quickly, and never by a fault of ours."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.wire.jsontext import read_json

CAP = "urn:oasis:names:tc:emergency:cap:1.2"


def refused(codec: Any, raw: bytes) -> Theirs:
    with pytest.raises(Theirs) as caught:
        codec.read_json("Alert", raw)
    return caught.value


@pytest.mark.parametrize(
    "number", ["1e9999999999999999999999", "-1e-99999999999999999999", "0e999999999999999999999", "1" + "0" * 5000, "1E+1000"]
)
def test_a_number_beyond_all_bounds_is_not_json(number: str) -> None:
    with pytest.raises(Theirs) as caught:
        read_json(b'{"n":' + number.encode() + b"}")
    assert caught.value.code == "message.not-json"


@pytest.mark.parametrize("depth", [10, 63, 64, 65, 100, 250, 260, 700, 900, 960, 990, 1_000, 5_000, 500_000])
@pytest.mark.parametrize("inside", [b"", b'"\\u0001"', b'"\\ud800"'])
def test_any_depth_is_answered(catalogue: Any, depth: int, inside: bytes) -> None:
    for name in ("canonical", "bao-chay-json"):
        for raw in (b'{"info":' + b"[" * depth + inside + b"]" * depth + b"}", b'{"info":' * depth + (inside or b"1") + b"}" * depth):
            assert refused(catalogue["incident-alert/v1"].codec(name), raw).code in ("message.not-json", "message.invalid")


@pytest.mark.parametrize("item", [b"{}", b"0", b"[]", b'{"event":1}', b'{"area":[{},{}]}'])
def test_a_million_wrong_items_cost_little(catalogue: Any, item: bytes) -> None:
    """What one finding costs, times a few, and not times the items: a door has one loop, and others wait for it."""
    raw = b'{"info":[' + b",".join([item] * (1_000_000 // len(item))) + b"]}"
    began = time.process_time()
    failure = refused(catalogue["incident-alert/v1"].codec("canonical"), raw)
    assert failure.code == "message.invalid" and failure.findings
    assert time.process_time() - began < 2.0


def test_too_many_good_items_are_told_as_such(catalogue: Any) -> None:
    sample = next(each for each in catalogue["incident-alert/v1"].samples if each.format == "canonical" and each.message == "Alert")
    alert = json.loads(sample.canonical)
    alert["info"] = alert["info"][:1] * 6_000
    failure = refused(catalogue["incident-alert/v1"].codec("canonical"), json.dumps(alert).encode())
    assert [(finding.here, finding.rule) for finding in failure.findings] == [("info", "length")]


def test_xml_of_many_wrong_elements_costs_little(catalogue: Any) -> None:
    root = etree.fromstring(f'<cap:alert xmlns:cap="{CAP}">{"<cap:info/>" * 90_000}</cap:alert>'.encode())
    began = time.process_time()
    with pytest.raises(Theirs) as caught:
        catalogue["incident-alert/v1"].codec("cap12").read_xml("Alert", root)
    assert caught.value.code == "message.invalid" and caught.value.findings
    assert time.process_time() - began < 2.0
