"""edXML as the national SDK and its bus write it: each shape is taken, written again as it stood, and valid by the
format's own XSD, which a second reader (libxml2) reads."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from contracts.base.errors import Theirs
from contracts.canonical.model import Pattern
from contracts.compiled.contract import CompiledContract
from contracts.faces.foreign.xsd import xsd_files
from contracts.proof.tryout import try_out
from contracts.wire.soap import parse_xml
from gateway.doors.soap import operation_of

FORMAT = "edxml-vxp"
SPACE = "{http://www.mic.gov.vn/TBT/QCVN_102_2016}"
DAY = 1_791_158_400.0  # 2026-10-05 in Unix seconds
# What is put into the document from the centre, each as some system writes it: where, and instead of what.
WRITTEN = {
    "links of the list of files": (
        "<edXML:Reference>",
        '<edXML:Reference xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="cid:1105" xlink:role="XLinkRole"'
        ' xlink:type="simple">',
    ),
    "attributes of the trace": (
        "<edXML:TraceHeaderList>",
        '<edXML:TraceHeaderList id="a1b2" version="1.0" mustUnderstand="1" actor="urn:next">',
    ),
    "a signature in its own namespace": (
        "<Signature>",
        '<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignatureValue>MC0CFQ==</ds:SignatureValue>'
        "</ds:Signature><edXML:DigitalSignature/><Signature>",
    ),
    "empty parts": (
        "<edXML:ResponseFor>",
        "<edXML:ResponseFor><edXML:OrganId/><edXML:Code/><edXML:PromulgationDate/><edXML:DocumentId/></edXML:ResponseFor>"
        "<edXML:ResponseFor>",
    ),
    "an empty appendix": ("<edXML:Appendix>Danh mục kèm theo", "<edXML:Appendix>"),
    "an agency by its new code": ("28.22.H97", "G97"),
    "an agency by no list": ("28.22.H97", "null"),
}
REFUSED = {
    "an office that was merged": ("28.22.H97", "000.00.14.H14", "ed:To[2]/ed:OrganId"),
    "a kind that is no number": ("<edXML:Type>18", "<edXML:Type>CV", "ed:DocumentType/ed:Type"),
    "an element of nobody": ("<edXML:Direction>false", "<edXML:Hướng/><edXML:Direction>false", "Hướng"),
}


@pytest.fixture(scope="module")
def compiled(catalogue: dict[str, CompiledContract]) -> CompiledContract:
    return catalogue["official-document/v1"]


@pytest.fixture(scope="module")
def second(compiled: CompiledContract, tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The XSD that the format serves, as libxml2 reads it."""
    folder = tmp_path_factory.mktemp("xsd")
    for name, text in xsd_files(compiled, FORMAT).items():
        (folder / name).write_bytes(text)
    return etree.XMLSchema(file=str(folder / "schema.xsd"))


def shapes(compiled: CompiledContract) -> dict[str, tuple[str, str]]:
    """Each document: its name -> its message and text."""
    given = [each for each in compiled.samples if each.format == FORMAT]
    own = {f"{each.message}.{each.name}": (each.message, each.raw.decode()) for each in given}
    centre, recall = own["Document.tu-trung-uong"][1], own["Document.thu-hoi"][1]
    for name, (old, new) in WRITTEN.items():
        of = recall if old not in centre else centre
        assert of.count(old) == 1, name
        own[name] = "Document", of.replace(old, new)
    return own


def told(element: Any) -> Any:
    """What a document tells: every text by its path, without what is read over and empty parts."""
    tag = etree.QName(element).localname
    parts = [told(child) for child in element if isinstance(child.tag, str) and "Signature" not in child.tag]
    parts = [each for each in parts if each is not None]
    text = (element.text or "").strip() if not len(element) else ""
    return (tag, text, sorted(parts, key=repr)) if text or parts else None


def test_each_shape_is_taken_and_written_again_as_it_stood(compiled: CompiledContract, second: etree.XMLSchema) -> None:
    codec = compiled.codec(FORMAT)
    found = shapes(compiled)
    assert len(found) >= 12
    for name, (message, text) in found.items():
        root = parse_xml(text.encode())
        value = codec.read_xml(message, root, DAY)
        again = codec.write_xml(message, value)
        assert told(parse_xml(again)) == told(root), name
        assert codec.read_xml(message, parse_xml(again), DAY) == value, name
        second.assertValid(etree.fromstring(again))


@pytest.mark.parametrize("name", ["edxml", FORMAT])
def test_a_status_in_the_header_of_the_message_is_read_and_ours_is_written_as_declared(
    compiled: CompiledContract, name: str
) -> None:
    codec = compiled.codec(name)
    text = shapes(compiled)["StatusReport.da-den"][1]
    other = text.replace("edXML:Status>", "edXML:MessageHeader>")
    assert other.count("MessageHeader") == 2
    root = parse_xml(other.encode())
    before = etree.tostring(root)
    declared = codec.read_xml("StatusReport", parse_xml(text.encode()), DAY)
    value = codec.read_xml("StatusReport", root, DAY)
    assert value == declared and etree.tostring(root) == before, "what was signed is not changed"
    assert b"MessageHeader" not in codec.write_xml("StatusReport", value)
    both = text.replace("<edXML:Status>", "<edXML:MessageHeader/><edXML:Status>")
    with pytest.raises(Theirs):
        codec.read_xml("StatusReport", parse_xml(both.encode()), DAY)
    tried = try_out(compiled, name, other.encode(), at=DAY)
    assert (tried.message, tried.ok) == ("StatusReport", True)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_named_where_it_stands(name: str, compiled: CompiledContract) -> None:
    old, new, where = REFUSED[name]
    text = shapes(compiled)["Document.tu-trung-uong"][1]
    assert text.count(old) == 1
    with pytest.raises(Theirs) as refused:
        compiled.codec(FORMAT).read_xml("Document", parse_xml(text.replace(old, new).encode()), DAY)
    assert [where in each.here for each in refused.value.findings] == [True]


def test_they_are_taken_by_the_format_of_the_regulation_too(compiled: CompiledContract) -> None:
    for name, (message, text) in shapes(compiled).items():
        tried = [try_out(compiled, each, text.encode(), at=DAY) for each in ("edxml", FORMAT)]
        assert [each.message for each in tried] == [message, message], name
        assert tried[0].canonical == tried[1].canonical is not None, name


def test_a_document_is_tried_as_the_message_that_it_is(compiled: CompiledContract) -> None:
    for name, (message, text) in shapes(compiled).items():
        tried = try_out(compiled, FORMAT, text.encode(), at=DAY)
        assert (tried.message, tried.ok) == (message, True), name
    broken = shapes(compiled)["StatusReport.da-den"][1].replace("StatusCode>01", "StatusCode>77")
    tried = try_out(compiled, FORMAT, broken.encode(), at=DAY)
    assert tried.message == "StatusReport" and tried.failure is not None
    assert [each.canonical for each in tried.failure.findings] == ["status"], "not those of a document"


def test_one_root_is_told_apart_by_the_signed_action(compiled: CompiledContract) -> None:
    codec, contract = compiled.codec(FORMAT), compiled.contract
    root = codec.soap_roots[f"{SPACE}edXML"]
    for name, operation in contract.operations.items():
        assert operation.pattern is Pattern.DISPATCH
        assert operation_of(contract, codec, root, codec.soap_action(name)) == name
    assert operation_of(contract, codec, root, "") == "sendDocument"
