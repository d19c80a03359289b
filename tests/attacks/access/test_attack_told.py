"""What a refusal tells and keeps when a body is tried with the contract's other formats: no value of the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.base.errors import Failure
from gateway.doors import other_format
from gateway.transfer.kept_findings import keep_findings
from tests.doors.test_door_other_format import REPORT, requested, sample
from tests.registry.making import contracts

pytestmark = pytest.mark.attack("access")
HIDDEN = "0912-zz-hidden"


def leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {each for item in value.values() for each in leaves(item)}
    if isinstance(value, list):
        return {each for item in value for each in leaves(item)}
    return {value} if isinstance(value, str) and len(value) > 6 else set()


@pytest.mark.parametrize("fits", [True, False])
def test_a_body_of_another_format_tells_none_of_its_values(fits: bool) -> None:
    body = json.loads(sample(contracts()[REPORT], "hien-truong-json", "ServiceRequest"))
    if not fits:
        body |= {HIDDEN: HIDDEN, "area": {"of": HIDDEN}}
    asked = requested(json.dumps(body, ensure_ascii=False).encode(), "canonical")
    with pytest.raises(Failure) as caught:
        asked.codec.read_json(asked.request, asked.content, asked.received.at)
    refused = other_format.explained(
        asked, caught.value, lambda codec: codec.read_json(asked.request, asked.content, asked.received.at)
    )
    assert (refused.code == "message.other-format") is fits and refused.findings
    kept = json.dumps(keep_findings(refused.findings, asked.contract).findings, ensure_ascii=False)
    told = [kept, *(text for language in ("vi", "en") for text in (refused.what(language), refused.next(language)))]
    for value in {*leaves(body), HIDDEN}:
        assert not any(value in text for text in told), value
