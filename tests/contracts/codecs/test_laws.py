"""The laws of translation, on generated canonical values, for every format and every face of the catalogue."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Failure
from contracts.compiled.contract import CompiledContract
from contracts.faces import xsd
from contracts.folder.bundle import catalogue_folders
from contracts.wire.soap import parse_xml

CONTRACTS = [f"{folder.parent.name}/{folder.name}" for folder in catalogue_folders()]
FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)


def through(compiled: CompiledContract, format_name: str, media: str, message: str, value: Any) -> Any:
    codec = compiled.codec(format_name)
    return codec.read(message, codec.write(message, value, media), media)


@pytest.mark.parametrize("name", CONTRACTS)
@FEW
@given(data=st.data())
def test_decode_of_encode_is_the_value_but_for_the_listed_losses(
    name: str, catalogue: Any, values_of: Any, data: st.DataObject
) -> None:
    compiled = catalogue[name]
    message = data.draw(st.sampled_from(compiled.exchanged))
    value = data.draw(values_of(compiled, message))
    assert compiled.validate(message, value) == []
    assert through(compiled, "canonical", "json", message, value) == value
    assert through(compiled, "canonical", "xml", message, value) == value
    for codec in compiled.formats.values():
        if message not in codec.mapped:
            continue
        expected = codec.normal(message, value)
        constants = {fill.keys[0]: fill.value for fill in codec.plans[message].root.fills if fill.constant}
        try:
            back = through(compiled, codec.name, codec.media, message, value)
        except Failure as failure:
            assert failure.code == "message.not-expressible"
            assert any(value[key] != constant for key, constant in constants.items()) or failure.findings[0].rule in (
                "range",
                "repeated",
                "format",
                "code",  # of an open list: the receiver's table means another value by this word
            )
            continue
        assert back == expected
        # Idempotent: what came back goes through unchanged.
        assert through(compiled, codec.name, codec.media, message, back) == back
        if not codec.plans[message].losses and not constants:
            assert back == value


@pytest.mark.parametrize("name", CONTRACTS)
@FEW
@given(data=st.data())
def test_written_xml_is_its_own_exclusive_c14n(name: str, catalogue: Any, values_of: Any, data: st.DataObject) -> None:
    compiled = catalogue[name]
    message = data.draw(st.sampled_from(compiled.exchanged))
    value = data.draw(values_of(compiled, message))
    for codec in compiled.formats.values():
        if codec.name != "canonical" and (message not in codec.mapped or codec.media != "xml"):
            continue
        try:
            written = codec.write_xml(message, value)
        except Failure as failure:  # the first law says when a format cannot carry a value
            assert failure.code == "message.not-expressible" and codec.name != "canonical"
            continue
        assert etree.tostring(parse_xml(written), method="c14n", exclusive=True, with_comments=False) == written
        # The same bytes as a subtree of an envelope, where prefixes of the envelope are in scope.
        envelope = etree.fromstring(
            b'<s:E xmlns:s="urn:s" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:B>'
            + written
            + b"</s:B></s:E>"
        )
        assert etree.tostring(envelope[0][0], method="c14n", exclusive=True, with_comments=False) == written


@pytest.mark.parametrize("name", CONTRACTS)
@settings(FEW, max_examples=150)
@given(data=st.data())
def test_the_xsd_takes_a_value_exactly_when_the_schema_does(
    name: str, catalogue: Any, values_of: Any, data: st.DataObject
) -> None:
    compiled = catalogue[name]
    schema = etree.XMLSchema(etree.fromstring(xsd.xsd(compiled)))
    message = data.draw(st.sampled_from(compiled.exchanged))
    value = data.draw(values_of(compiled, message, True))
    element = parse_xml(compiled.codec("canonical").write_xml(message, value))
    found = compiled.validate(message, value)
    if found and all(each.got == "a code that is not in force" for each in found):
        return  # which no schema can say: it depends on the day
    valid = found == []
    assert schema.validate(element) is valid
    # The decoders of both faces agree with the schema as well.
    for media in ("json", "xml"):
        try:
            assert through(compiled, "canonical", media, message, value) == value
            taken = True
        except Failure as failure:
            assert failure.code == "message.invalid" and failure.findings
            taken = False
        assert taken is valid
