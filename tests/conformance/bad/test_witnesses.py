"""Schemathesis and zeep, which share no code with us, say of answers what the kit says, where they can judge.

Nothing travels: the provider answers in this process, and the witness reads the answer by the published document.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import zeep
from lxml import etree
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from zeep.exceptions import XMLParseError

from contracts.compiled.contract import catalogue
from contracts.faces.openapi import openapi
from contracts.faces.wsdl import wsdl
from tests.conformance.bad import content
from tests.conformance.bad.provider import Asked, Provider
from tests.conformance.bad.small_gateway import call_fields, two_sides
from tests.conformance.bad.soap_wire import SOAP
from tests.conformance.bad.test_bad_caller import REPORT

ADDRESS = "https://localhost:9443"
FIELD_REPORT = next(each for each in catalogue() if each.contract.name == "field-report/v1")
CHECKS = [content_type_conformance, response_schema_conformance]
# What the documents alone say. Other seeded faults lie in proofs, times and repeats, or in the words of a text.
BY_OPENAPI = {
    "unknown-field": "priority",
    "wrong-code": "done",
    "wrong-type": "12",
    "required-missing": "status",
    "date-form": "30/11/2026",
    "wrong-content-type": "text/html",
}
BY_WSDL = {"soap-namespace": "do-thi:2", "unknown-field": "UuTien", "required-missing": "TrangThai"}
UNSEEN = ("diacritics-dropped", "nfd", "text-cut", "answer-unsigned", "digest-missing")
BY_ZEEP_UNSEEN = ("wrong-code", "date-form", "nfd")  # zeep reads no enumeration and no pattern


@pytest.fixture(scope="module")
def described() -> Any:
    return schemathesis.openapi.from_dict(openapi(FIELD_REPORT, ADDRESS))["/requests"]["POST"]


@pytest.mark.parametrize("fault", [None, *BY_OPENAPI, *UNSEEN])
def test_schemathesis_agrees(described: Any, fault: str | None) -> None:
    gateway, own = two_sides(ADDRESS)
    body, at = json.dumps(REPORT, ensure_ascii=False).encode(), f"{ADDRESS}/requests"
    asked = Asked("POST", at, call_fields(gateway, at, body, str(uuid.uuid4())), body)
    given = Provider(own, ADDRESS, fault).answer(asked)
    sent = requests.Request("POST", at).prepare()
    answer = Response(given.status, {name: [each] for name, each in given.fields.items()}, given.body, sent, 0.0, True)
    case = described.Case(body=REPORT, media_type="application/json")
    if fault not in BY_OPENAPI:
        case.validate_response(answer, checks=CHECKS)
        return
    with pytest.raises(FailureGroup) as wrong:
        case.validate_response(answer, checks=CHECKS)
    assert any(BY_OPENAPI[fault] in str(each) for each in wrong.value.exceptions)


@pytest.fixture(scope="module")
def operation(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file: Path = tmp_path_factory.mktemp("wsdl") / "field-report.wsdl"
    file.write_bytes(wsdl(FIELD_REPORT, f"{ADDRESS}/soap/field-report/v1", "do-thi-xml"))
    return zeep.Client(str(file)).service._binding._operations["createRequest"]


@pytest.mark.parametrize("fault", [None, *BY_WSDL, *BY_ZEEP_UNSEEN])
def test_zeep_agrees(operation: Any, fault: str | None) -> None:
    answer = content.to_xml(content.spoil(content.report_answer(1, "Ổ gà lớn"), fault), fault)
    envelope = etree.Element(f"{{{SOAP}}}Envelope")
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(answer)
    if fault not in BY_WSDL:
        assert operation.process_reply(envelope)["MaHoSo"] == "KT-2026-00001"
        return
    with pytest.raises(XMLParseError, match=BY_WSDL[fault]):
        operation.process_reply(envelope)
