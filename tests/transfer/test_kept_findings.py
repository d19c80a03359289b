"""What the log keeps of findings: bounded, and without any word of the sender."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from lxml import etree

from contracts.base.errors import Failure, Finding
from contracts.canonical.findings import MAX_FINDINGS
from contracts.codecs.cells.codec import CellCodec
from contracts.codecs.codec import Codec
from gateway.transfer.kept_findings import BYTES, MOST, keep_findings
from tests.registry.making import contracts
from tests.size import examples

# Letters that no contract, phrase or path of ours has together.
SECRETS = tuple(f"QZXJ{letters}0912" for letters in ("aa", "bb", "cc", "dd"))
FORMATS = [
    (name, codec.name, message)
    for name, contract in sorted(contracts().items())
    for codec in contract.formats.values()
    for message in contract.exchanged
    if isinstance(codec, CellCodec) is False or message in codec.mapped
]


def replaced(value: Any, choose: Iterator[int], secret: str) -> Any:
    """The message with some values and names replaced by words of the sender."""
    what = next(choose)
    if isinstance(value, dict):
        pairs = ((f"{secret} {name}" if next(choose) == 0 else name, item) for name, item in value.items())
        return {name: replaced(item, choose, secret) for name, item in pairs}
    if isinstance(value, list) and value:
        return [replaced(item, choose, secret) for item in value] * (1 + (what == 1))
    return {0: secret, 1: {secret: secret}, 2: [secret], 3: {"absent": secret}}.get(what, value)


def in_xml(root: Any, choose: Iterator[int], secret: str) -> None:
    for element in list(root.iter(etree.Element)):
        what = next(choose)
        if what == 0:
            element.text = secret
        elif what == 1:
            element.append(etree.Element(secret))
        elif what == 2:
            element.set(secret, secret)
        elif what == 3:
            element.append(etree.Element(f"{{urn:{secret}}}{secret}"))
        elif what == 4 and element is not root:
            element.tail = secret


def findings_of(codec: Codec, message: str, raw: bytes, choose: Iterator[int], secret: str) -> tuple[Finding, ...]:
    try:
        if isinstance(codec, CellCodec):
            lines = raw.decode().split("\n")
            hostile = [secret + line if next(choose) == 0 else line.replace(",", f",{secret}", 1) for line in lines]
            codec.read_cells(message, "\n".join(hostile).encode())
        elif raw.lstrip().startswith(b"<"):
            root = etree.fromstring(raw)
            in_xml(root, choose, secret)
            codec.read_xml(message, etree.fromstring(etree.tostring(root)), 1_795_500_000.0)
        else:
            codec.read_json(message, json.dumps(replaced(json.loads(raw), choose, secret)).encode(), 1_795_500_000.0)
    except Failure as failure:
        return failure.findings
    return ()


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.sampled_from(FORMATS), some.sampled_from(SECRETS), some.integers(1, 2**32))
def test_no_word_of_the_sender_is_kept(format: tuple[str, str, str], secret: str, seed: int) -> None:
    from random import Random

    name, codec_name, message = format
    contract = contracts()[name]
    samples = [each.raw for each in contract.samples if (each.format, each.message) == (codec_name, message)]
    chance = Random(seed)
    choose = iter(lambda: chance.randrange(12), None)
    for raw in samples[:2]:
        if raw[:2] == b"PK":  # a workbook
            continue
        findings = findings_of(contract.formats[codec_name], message, raw, choose, secret)
        kept = keep_findings(findings, contract)
        text = json.dumps(kept, ensure_ascii=False)
        assert "QZXJ" not in text and "0912" not in text, text
        assert len(kept.findings) + kept.more == len(findings) <= MAX_FINDINGS
        assert all(set(each) <= {"here", "canonical", "got", "rule", "expected"} for each in kept.findings)


def test_paths_of_the_contract_stay_whole() -> None:
    contract = contracts()["incident-alert/v1"]
    finding = Finding("info[0].area[12].areaDesc", "info[0].area[12].areaDesc", "whole number", "type", "text")
    assert keep_findings([finding], contract).findings[0]["here"] == "info[0].area[12].areaDesc"
    cap = Finding("alert/info[2]/cap:urgency", "info[1].urgency", "text of 3 characters", "code", "one of Past")
    assert keep_findings([cap], contract).findings[0] == {
        "here": "alert/info[2]/cap:urgency",
        "canonical": "info[1].urgency",
        "got": "text of 3 characters",
        "rule": "code",
        "expected": "one of Past",
    }


@pytest.mark.parametrize(
    ("here", "kept"),
    [
        ("info[0].NguyễnVănA", "info[0].…"),
        ("NguyễnVănA.0912345678.info", "….….info"),
        ("0912345678", "…"),
        ("info[0912345678]", "info…"),
        ("line 3: 0912345678", "line 3: …"),
        ("line 0912345678", "line …"),
        ("query 0912345678", "query …"),
        ("\ud800\u202e", ""),
    ],
)
def test_a_name_that_the_contract_does_not_have_is_hidden(here: str, kept: str) -> None:
    finding = Finding(here, "", "0912345678", "0912", "x")
    (said,) = keep_findings([finding], contracts()["incident-alert/v1"]).findings
    assert said == {name: text for name, text in (("here", kept), ("rule", "invalid"), ("expected", "x")) if text}
    unknown = json.dumps(keep_findings([finding], None), ensure_ascii=False)
    assert "0912" not in unknown and "Nguy" not in unknown


def test_number_and_size_are_bounded() -> None:
    contract = contracts()["incident-alert/v1"]
    many = [Finding("info[0].area" * 500, "info" * 500, "number", "type", "x" * 5_000)] * 20
    kept = keep_findings(many, contract)
    size = sum(len(text.encode()) for each in kept.findings for text in each.values())
    assert 0 < len(kept.findings) <= MOST and size <= BYTES and kept.more == 20 - len(kept.findings)
