"""A body in another format of the contract than the registered one: the refusal names the format that it fits."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from contracts.base.errors import Failure
from contracts.codecs.codec import Codec
from contracts.compiled.contract import CompiledContract
from gateway.doors import other_format
from gateway.doors.rest import RestDoor
from gateway.transfer.stages import Addressed, Authenticated, Authorised, Face, Received, Requested
from security.jose import Opener
from tests.registry.making import contracts

REPORT = "field-report/v1"
ADDRESS = "https://gateway.example:8443"


def requested(body: bytes, named: str, contract: str = REPORT, operation: str = "createRequest") -> Requested:
    compiled = contracts()[contract]
    nobody: Any = None
    path = f"/{contract}/requests"
    received = Received(
        "t", time.time(), Face.REST, "POST", path, ADDRESS + path, "", {}, body, None, "192.0.2.1", nobody
    )
    op = compiled.contract.operations[operation]
    authenticated = Authenticated(Addressed(received, nobody, compiled, op), None, None, b"", None)
    return Requested(authenticated, "m", op, op.request, body, named)


def sample(compiled: CompiledContract, format_name: str, message: str) -> bytes:
    return next(each.raw for each in compiled.samples if (each.format, each.message) == (format_name, message))


def refusal(of: Requested, seen: list[str] | None = None) -> Failure:
    def read(codec: Codec) -> object:
        if seen is not None:
            seen.append(codec.name)
        return codec.read_json(of.request, of.content, of.received.at)

    with pytest.raises(Failure) as caught:
        of.codec.read_json(of.request, of.content, of.received.at)
    return other_format.explained(of, caught.value, read)


@pytest.mark.parametrize(("sent", "registered"), [("hien-truong-json", "canonical"), ("canonical", "hien-truong-json")])
def test_a_body_of_another_format_is_told_so(sent: str, registered: str) -> None:
    body = sample(contracts()[REPORT], sent, "ServiceRequest")
    failure = refusal(requested(body, registered))
    assert failure.code == "message.other-format" and failure.findings
    assert (failure.facts["looks"], failure.facts["format"]) == (sent, registered)
    assert sent in failure.what("vi") and registered in failure.what("en")
    leaf = "openapi.json" if registered == "canonical" else "formats/hien-truong-json/openapi.json"
    assert failure.facts["document"] == f"{ADDRESS}/contracts/{REPORT}/{leaf}"


def test_the_rest_door_tells_it() -> None:
    nobody: Any = None
    body = sample(contracts()[REPORT], "hien-truong-json", "ServiceRequest")
    asked = requested(body, "canonical")
    asked.received.headers["content-type"] = "application/json"  # type: ignore[index]
    door = RestDoor(nobody, nobody, Opener([]), ADDRESS, str, time.time)
    with pytest.raises(Failure) as refused:
        door.decode(Authorised(asked, nobody))
    assert (refused.value.code, refused.value.facts["looks"]) == ("message.other-format", "hien-truong-json")


def test_a_body_that_fits_nothing_stays_invalid() -> None:
    assert refusal(requested(b'{"x": 1}', "canonical")).code == "message.invalid"


def test_a_registered_format_without_json_points_to_it() -> None:
    body = sample(contracts()[REPORT], "canonical", "ServiceRequest")
    failure = refusal(requested(body, "do-thi-xml"))
    assert failure.code == "message.other-format" and failure.facts["looks"] == "canonical"
    assert str(failure.facts["document"]).endswith("/formats/do-thi-xml/service.wsdl")


def test_a_large_body_is_not_tried_and_a_small_one_once_a_format() -> None:
    body = json.loads(sample(contracts()[REPORT], "hien-truong-json", "ServiceRequest"))
    large = json.dumps(body | {"x" * other_format.LIMIT: 1}).encode()
    seen: list[str] = []
    assert refusal(requested(large, "canonical"), seen).code == "message.invalid" and seen == []
    assert refusal(requested(b"{}", "canonical"), seen).code == "message.invalid"
    assert len(seen) == len(set(seen)) <= other_format.MOST and "canonical" not in seen
