"""The quick reader of usual XML says what the general one says, or nothing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from contracts.codecs.codec import Codec
from contracts.codecs.xmlproblems import XmlProblems
from contracts.compiled.contract import CompiledContract
from contracts.wire.soap import parse_xml
from tests.contracts.xmlmessages import xml_messages, xml_of


def generally(codec: Codec, message: str, element: Any) -> tuple[Any, bool]:
    """What the general reader makes of a document, and whether it found nothing to say."""
    inner, into = xml_of(codec, message), dict[str, Any]()
    problems = XmlProblems(element, inner.prefixes)
    inner.read(element, into, None, problems)
    return into, not problems.findings


def quick(codec: Codec, message: str, element: Any) -> Any:
    read = xml_of(codec, message).fast
    return None if read is None else read.element(element)


def spoken(catalogue: dict[str, CompiledContract]) -> list[tuple[CompiledContract, str, str]]:
    return [
        (compiled, name, message)
        for compiled in catalogue.values()
        for name, codec in compiled.formats.items()
        for message, inner in xml_messages(codec)
        if inner.fast is not None
    ]


def test_most_messages_of_the_catalogue_have_one(catalogue: dict[str, CompiledContract]) -> None:
    found = {(compiled.contract.name, name, message) for compiled, name, message in spoken(catalogue)}
    assert {("observation/v1", "canonical", "Readings"), ("incident-alert/v1", "cap12", "Alert")} <= found and len(
        found
    ) > 20


CHANGES = [
    "&amp;",
    "&lt;x",
    "\r",
    " ",
    "<!-- c -->",
    "<x/>",
    ' a="1"',
    "</",
    "\n  ",
    "ấ",
    "1",
    "",
    "<",
    'xmlns="urn:y"',
    "0",
    "--5",
]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_the_same_value_or_none(catalogue: dict[str, CompiledContract], values_of: Any, data: Any, seed: int) -> None:
    """Whole messages, with any prefix, and damaged ones: where the quick reader gives a value, the general one gives
    the same and is content."""
    chance = random.Random(seed)
    compiled, name, message = chance.choice(spoken(catalogue))
    codec = compiled.formats[name]
    value = data.draw(values_of(compiled, message, False))
    try:
        raw = codec.write_xml(message, value)
    except Exception:  # a value that this format cannot say
        return
    root = parse_xml(raw)
    assert quick(codec, message, root) in (None, generally(codec, message, root)[0])
    text = raw.decode()
    for _ in range(8):
        at = chance.randrange(len(text))
        damaged = text[:at] + chance.choice(CHANGES) + text[at + chance.choice([0, 0, 1, 3]) :]
        try:
            element = etree.fromstring(damaged.encode(), etree.XMLParser(resolve_entities=False, remove_comments=True))
        except etree.XMLSyntaxError:
            continue
        found = quick(codec, message, element)
        if found is not None:
            assert (found, True) == generally(codec, message, element)


READINGS = (
    "{open}<{p}Datastream><{p}id>ab</{p}id></{p}Datastream><{p}readings><{p}phenomenonTime>2026-11-24T00:00:00Z</{p}phenomenonTime>"
    "<{p}result>1.50</{p}result></{p}readings><{p}readings><{p}phenomenonTime>2026-11-24T01:00:00Z</{p}phenomenonTime><{p}result>-2</{p}result>"
    "<{p}resultQuality>tốt &amp; rõ</{p}resultQuality></{p}readings>{close}"
)
SPACE = "urn:lgsp:contract:observation:v1"


@pytest.mark.parametrize("prefix", [None, "ns0", "tns", "a.b-c"])
def test_any_prefix(observation: CompiledContract, prefix: str | None) -> None:
    p = f"{prefix}:" if prefix else ""
    declared = f'xmlns:{prefix}="{SPACE}"' if prefix else f'xmlns="{SPACE}"'
    raw = READINGS.format(open=f"<{p}submitReadings {declared}>", close=f"</{p}submitReadings>", p=p)
    codec, root = observation.codec("canonical"), parse_xml(raw.encode())
    found = quick(codec, "Readings", root)
    assert (
        found == generally(codec, "Readings", root)[0]
        and found["Datastream"]["id"] == "ab"
        and str(found["readings"][0]["result"]) == "1.50"
    )


@pytest.mark.parametrize(
    ("opening", "p", "closing"),
    [
        (f'<submitReadings xmlns="{SPACE}" x="1">', "", "</submitReadings>"),
        (f'<q:submitReadings xmlns:q="{SPACE}" xmlns="urn:other">', "", "</q:submitReadings>"),
        ('<submitReadings xmlns="urn:other">', "", "</submitReadings>"),
        (f'<submitReadings xmlns="{SPACE}">\n', "", "</submitReadings>"),
        (f'<submitReadings xmlns="{SPACE}">', "", "<more/></submitReadings>"),
    ],
)
def test_what_is_not_usual_is_left_alone(
    catalogue: dict[str, CompiledContract], opening: str, p: str, closing: str
) -> None:
    root = parse_xml(READINGS.format(open=opening, close=closing, p=p).encode())
    assert quick(catalogue["observation/v1"].codec("canonical"), "Readings", root) is None


def test_many_prefixes_and_long_messages_cost_nothing(observation: CompiledContract) -> None:
    codec = observation.codec("canonical")
    for number in range(30):
        p = f"p{number}:"
        raw = READINGS.format(open=f'<{p}submitReadings xmlns:p{number}="{SPACE}">', close=f"</{p}submitReadings>", p=p)
        assert codec.read_xml("Readings", parse_xml(raw.encode()))["Datastream"] == {"id": "ab"}
    long = {"Datastream": {"id": "x"}, "readings": [{"phenomenonTime": "2026-11-24T00:00:00Z", "result": 1}] * 1000}
    root = parse_xml(codec.write_xml("Readings", long, "submitReadings"))
    assert quick(codec, "Readings", root) is None and codec.read_xml("Readings", root) == long
