"""Generated samples: the same bytes each time; valid ones are taken by every face, invalid ones refused by the decoder
with their rule."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.base.errors import Theirs
from contracts.compiled.contract import CompiledContract, compile_bundle
from contracts.faces import samples, xsd
from contracts.faces.pages.pattern_words import words
from contracts.faces.schema import schema_json
from contracts.folder.bundle import Bundle, catalogue_folders
from contracts.wire.jsontext import read_json
from contracts.wire.soap import parse_xml

CONTRACTS = [f"{folder.parent.name}/{folder.name}" for folder in catalogue_folders()]


def decode(compiled: CompiledContract, sample: samples.Generated) -> Any:
    codec = compiled.codec("canonical")
    if sample.media == "json":
        return codec.read_json(sample.message, sample.content)
    return codec.read_xml(sample.message, parse_xml(sample.content))


def test_the_same_bytes_each_time(catalogue: Any) -> None:
    for folder in catalogue_folders():
        again = compile_bundle(Bundle.from_folder(folder))
        assert samples.generated(again) == samples.generated(catalogue[again.contract.name])


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_face_takes_the_valid_ones(name: str, catalogue: Any) -> None:
    compiled = catalogue[name]
    schema, served = etree.XMLSchema(etree.fromstring(xsd.xsd(compiled))), json.loads(schema_json(compiled))
    valid = [each for each in samples.generated(compiled) if not each.rule]
    assert {(each.message, each.name, each.media) for each in valid} >= {
        (message, kind, media)
        for message in compiled.exchanged
        for kind in ("smallest", "full")
        for media in ("json", "xml")
    }
    for each in valid:
        value = decode(compiled, each)
        if each.media == "xml":
            schema.assertValid(etree.fromstring(each.content))
        else:
            jsonschema_rs.Draft202012Validator(
                {**served, "$ref": f"#/$defs/{each.message}"}, validate_formats=True
            ).validate(read_json(each.content))
        assert compiled.validate(each.message, value) == []


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_invalid_one_is_refused_by_its_rule(name: str, catalogue: Any) -> None:
    compiled = catalogue[name]
    invalid = [each for each in samples.generated(compiled) if each.rule]
    for each in invalid:
        with pytest.raises(Theirs) as caught:
            decode(compiled, each)
        assert caught.value.code == "message.invalid", each
        found = [(finding.rule, finding.canonical) for finding in caught.value.findings]
        at = each.path.removesuffix(".absent")
        assert any(rule == each.rule and canonical in ("", each.path, at) for rule, canonical in found), (each, found)
    assert {each.rule for each in invalid} >= {"required", "unknown", "type", "order", "repeated"}


def test_each_constraint_has_its_sample(catalogue: Any) -> None:
    made = samples.generated(catalogue["indicator/v1"])
    broken = {(each.path, each.rule) for each in made if each.message == "IndicatorValue" and each.rule}
    assert broken >= {
        ("indicator", "code"),
        ("period", "pattern"),
        ("frequency", "code"),
        ("unit", "length"),
        ("value", "type"),
        ("value.absent", "absent"),
        ("updated", "format"),
        ("updated", "required"),
        ("responsible.phone", "pattern"),
        ("responsible.name", "required"),
        ("khong_co", "unknown"),
    }


PATTERNS = st.recursive(
    st.sampled_from(["a", "[a-z]", "[0-9]", r"\.", r"[^ \t\r\n,<&]", r"[+\-]", "[A-Za-zÀ-ỹ]", "ắ"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "{2,}"])).map(
            lambda pair: f"({pair[0]}){pair[1]}"
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.lists(inner, min_size=1, max_size=3).map("".join),
    ),
    max_leaves=8,
).map(lambda inner: f"^{inner}$")


@settings(max_examples=300, deadline=None)
@given(pattern=PATTERNS, least=st.integers(0, 4))
def test_words_match_their_pattern(pattern: str, least: int) -> None:
    for text, _ in zip(words(pattern, least, 60), range(6), strict=False):
        assert re.fullmatch(pattern[1:-1], text) and least <= len(text) <= 60
