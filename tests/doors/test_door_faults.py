"""A failure as a Fault of SOAP 1.1 and of 1.2: both languages, each finding, canonical bytes, the code and status that
each version asks for."""

from __future__ import annotations

import pytest
from lxml import etree

from contracts.base.errors import Finding, Theirs
from contracts.errors import MESSAGE_INVALID, SOAP_NOT_UNDERSTOOD, SOAP_VERSION
from contracts.wire import faults
from contracts.wire.soap import LGSP, SOAP, SOAP12, V11, V12, Version, parse_envelope, parse_xml, plain_envelope
from gateway.errors import GATEWAY_FAULT

INVALID = MESSAGE_INVALID(
    findings=[Finding("a/b", "a.b", 'x"<\x01', "type", "text")], message="M", contract="c/v1", format="f", count=1
)
LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@pytest.mark.parametrize("version", [V11, V12])
def test_a_fault_speaks_both_languages_and_is_canonical(version: Version) -> None:
    body = faults.fault(INVALID, "t<1", version)
    assert etree.tostring(parse_xml(body), method="c14n", exclusive=True) == body
    root = parse_envelope(plain_envelope(body, version), version)
    problem = next(root.iter(f"{{{LGSP}}}Problem"))
    assert problem.findtext(f"{{{LGSP}}}Code") == "message.invalid" and problem.findtext(f"{{{LGSP}}}Transfer") == "t<1"
    said = {each.get(LANG): each.text for each in problem.findall(f"{{{LGSP}}}Title")}
    assert said == {"vi": "Bản tin không đúng hợp đồng", "en": "The message does not keep to its contract"}
    finding = problem.find(f"{{{LGSP}}}Finding")
    assert finding is not None and finding.get("here") == "a/b" and finding.get("got") == 'x"<\ufffd'


def test_each_version_has_its_own_shape() -> None:
    old = parse_xml(faults.fault(INVALID, "t", V11))
    assert [child.tag for child in old] == ["faultcode", "faultstring", "detail"] and old.tag == f"{{{SOAP}}}Fault"
    new = parse_xml(faults.fault(INVALID, "t", V12))
    assert [child.tag for child in new] == [f"{{{SOAP12}}}{name}" for name in ("Code", "Reason", "Detail")]
    assert [text.get(LANG) for text in new[1]] == ["vi", "en"]


@pytest.mark.parametrize(
    ("failure", "old", "new", "status"),
    [
        (INVALID, "soap:Client", "soap:Sender", 400),
        (GATEWAY_FAULT(transfer="t"), "soap:Server", "soap:Receiver", 500),
        (SOAP_NOT_UNDERSTOOD(block="{urn:x}pay"), "soap:MustUnderstand", "soap:MustUnderstand", 500),
        (
            SOAP_VERSION(got="urn:x", expected="urn:y", number="1.2"),
            "soap:VersionMismatch",
            "soap:VersionMismatch",
            500,
        ),
    ],
)
def test_codes_and_status(failure: Theirs, old: str, new: str, status: int) -> None:
    assert parse_xml(faults.fault(failure, "t", V11)).findtext("faultcode") == old
    assert parse_xml(faults.fault(failure, "t", V12)).findtext(f"{{{SOAP12}}}Code/{{{SOAP12}}}Value") == new
    assert faults.status(failure, V11) == 500 and faults.status(failure, V12) == status
