"""The contracts that the other steps do not use: cameras, stations, documents between agencies, registers.

The messages are the samples that the gateway serves with each contract. What answers is simulated from the contract.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from lxml import etree

from examples.story.exchange import read_feed
from examples.story.world import Telling, World, check, same
from gateway.sample_client.soap import SoapClient
from gateway.sample_client.wssec import SOAP, SOAP12

CAMERAS, READINGS = "camera-event/v1", "observation/v1"
DOCUMENTS, REGISTERS = "official-document/v1", "reference-query/v1"
EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
ROAD = "urn:caobang:camera:1"


def sample(world: World, contract: str, format_name: str, message: str) -> str:
    """A sample of a message as the gateway serves it: the shortest, which has no attachments."""
    answer = world.rest("dieu-hanh").call("GET", f"/contracts/{contract}/samples", need_signature=False)
    same(answer.status, 200, "the samples of the contract")
    texts = [
        str(each["content"])
        for each in answer.json()
        if (each["format"], each["message"], each["valid"]) == (format_name, message, True) and "content" in each
    ]
    check(texts, f"a sample of {message} in {format_name}")
    return min(texts, key=len)


def _sent(world: World, system: str, path: str, content: Any) -> Any:
    answer = world.rest(system).call("POST", path, content)
    check(answer.ok and answer.verified, f"expected an answer to {path}, got {answer.status} {answer.body[:400]!r}")
    return answer.json()


def _by_soap(
    world: World, system: str, contract: str, operation: str, body: str, soap: str = SOAP, **how: Any
) -> etree._Element:
    client = world.soap(system) if soap == SOAP else SoapClient(world.identity(system), soap=soap)
    answer = client.call(contract, operation, body.encode(), **how)
    check(answer.ok and answer.verified, f"expected an answer to {operation}, got {answer.status} {answer.fault}")
    assert answer.body is not None
    return answer.body


def _in_feed(world: World, contract: str, wanted: set[str], field: str) -> None:
    def found() -> bool:
        return wanted <= {str(event["data"].get(field)) for event in read_feed(world, contract)}

    world.wait(f"{len(wanted)} events in the feed of {contract}", found)


def cameras(world: World) -> str:
    one, other = f"VMS-{uuid.uuid4()}", f"onvif:{uuid.uuid4()}"
    event = json.loads(sample(world, CAMERAS, "vms-json", "CameraEvent"))
    _sent(world, "camera", f"/{CAMERAS}/events", event | {"maSuKien": one})
    root = etree.fromstring(sample(world, CAMERAS, "onvif-xml", "CameraEvent").encode())
    for item in root.iter("{*}SimpleItem"):
        if item.get("Name") == "EventId":
            item.set("Value", other)
    _by_soap(world, "camera-giao-thong", CAMERAS, "submitEvent", etree.tostring(root, encoding="unicode"))
    _in_feed(world, CAMERAS, {one, other}, "id")
    return "one event in a vendor's JSON by REST, one in ONVIF's XML by SOAP; the centre reads both in one shape"


def stations(world: World) -> str:
    reading = json.loads(sample(world, READINGS, "canonical", "Observation"))
    _sent(world, "quan-trac", f"/{READINGS}/observations", reading)
    space = "urn:lgsp:contract:observation:v1"
    root = etree.Element(f"{{{space}}}submitObservation", nsmap={None: space})  # type: ignore[dict-item]
    etree.SubElement(root, f"{{{space}}}phenomenonTime").text = "2026-11-20T03:00:00Z"
    etree.SubElement(root, f"{{{space}}}result").text = "12.5"
    body = _by_soap(world, "quan-trac", READINGS, "submitObservation", etree.tostring(root, encoding="unicode"))
    check(body.findtext(f"{{{space}}}transfer"), "an accepted reading")
    _in_feed(world, READINGS, {str(reading["phenomenonTime"]), "2026-11-20T03:00:00Z"}, "phenomenonTime")
    return "readings of a station handed in by REST and by SOAP; both stand in the centre's feed"


def documents(world: World) -> str:
    before = world.seen("van-ban-xd")["records"]
    text = sample(world, DOCUMENTS, "edxml", "Document").replace("000.00.22.H14", "000.00.03.H14")
    for soap in (SOAP, SOAP12):
        status = _by_soap(world, "van-ban-khcn", DOCUMENTS, "sendDocument", text, soap)
        same(etree.QName(status).localname, "Status", "the answer of the other agency's document system")
    same(world.seen("van-ban-xd")["records"], before + 2, "documents that reached the Department of Construction")
    back = world.seen("van-ban-khcn")["records"]
    told = sample(world, DOCUMENTS, "edxml", "DocumentStatus")
    _by_soap(world, "van-ban-xd", DOCUMENTS, "sendStatus", told)
    same(world.seen("van-ban-khcn")["records"], back + 1, "statuses that came back to the sender")
    letter = json.loads(sample(world, DOCUMENTS, "qlvb-json", "Document"))
    _sent(world, "van-ban-tc", f"/{DOCUMENTS}/documents", letter)
    return "edXML between two agencies both ways, by SOAP 1.1 and 1.2; a third agency sends its own JSON by REST"


def registers(world: World) -> str:
    question = json.loads(sample(world, REGISTERS, "tra-cuu-json", "EnterpriseQuery"))
    found = _sent(world, "mot-cua", f"/{REGISTERS}/enterprises", question)
    check(question["maSoDoanhNghiep"] in json.dumps(found, ensure_ascii=False), "the enterprise that was asked for")
    before = world.seen("dan-cu")["records"]
    asked = json.loads(sample(world, REGISTERS, "canonical", "CitizenQuery"))
    space = "urn:lgsp:contract:reference-query:v1"
    root = etree.Element(f"{{{space}}}queryCitizen", nsmap={None: space})  # type: ignore[dict-item]
    for name, value in asked.items():
        etree.SubElement(root, f"{{{space}}}{name}").text = value
    answer = _by_soap(world, "mot-cua-xa", REGISTERS, "queryCitizen", etree.tostring(root, encoding="unicode"))
    citizen = answer.find(f"{{{space}}}citizen")
    assert citizen is not None
    same(citizen.findtext(f"{{{space}}}personalId"), asked["personalId"], "the citizen who was asked for")
    hidden = citizen.find(f"{{{space}}}ethnicity")
    check(hidden is not None and hidden.get("absent") == "not-permitted", "a field that the commune's grant lacks")
    same(world.seen("dan-cu")["records"], before + 1, "questions that reached the register")
    return "an enterprise by REST, a citizen by SOAP across protocols; the commune is not shown what its grant lacks"


STEPS: tuple[Telling, ...] = (
    ("events of cameras, by REST and by SOAP", cameras),
    ("readings of stations, by REST and by SOAP", stations),
    ("edXML between two agencies, both ways", documents),
    ("questions to the registers of reference", registers),
)
