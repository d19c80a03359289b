"""Faces over the wire: every address of a contract, and old clients that go on with the WSDL of their own format."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import zeep
from lxml import etree
from rdflib import DCAT, RDF, Graph, URIRef

from examples.story import World
from gateway.sample_client.soap import ZeepSigner, zeep_transport
from gateway.settings import Settings

pytestmark = pytest.mark.server

CAP = "incident-alert/v1"


@pytest.fixture(scope="module")
def session(world: World) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.verify = str(world.identity("canh-bao").folder / "ca.crt")
    return made


def test_whoever_meets_the_exchange_listener_first_finds_the_documentation(
    world: World, instance: Settings, session: requests.Session
) -> None:
    base, html = world.identity("canh-bao").gateway, {"accept": "text/html", "accept-language": "en"}
    assert f"{instance.desk_named}/docs" in session.get(f"{base}/", headers=html, timeout=60).json()["next"]
    for path in ("/contracts", f"/contracts/{CAP}"):
        page = etree.HTML(session.get(f"{base}{path}", headers=html, timeout=60).content)
        links = [str(each.get("href")) for each in page.iterfind(".//nav//a")]
        assert links and all(requests.get(each, timeout=60).status_code == 200 for each in links), links


def test_every_address_of_the_summary_answers(world: World, session: requests.Session) -> None:
    base = world.identity("canh-bao").gateway
    for summary in session.get(f"{base}/contracts", timeout=60).json():
        for address in (
            *(summary[word] for word in ("openapi", "schema", "codes", "samples", "dcat", "wsdl")),
            *summary["foreign"].values(),
        ):
            answer = session.get(address, timeout=60)
            assert answer.status_code == 200 and answer.content, address
        samples = session.get(summary["samples"], timeout=60).json()
        assert {each["valid"] for each in samples} == {True, False} and all(
            each["rule"] for each in samples if not each["valid"]
        )
    assert session.get(f"{base}/contracts/{CAP}/formats/canonical/openapi.json", timeout=60).status_code == 404
    assert session.get(f"{base}/contracts/{CAP}/formats/cap12/openapi.json", timeout=60).status_code == 404
    assert etree.fromstring(
        session.get(f"{base}/contracts/{CAP}/formats/cap12/schema.xsd", timeout=60).content
    ).tag.endswith("schema")


def test_the_catalogue_is_rdf(world: World, session: requests.Session) -> None:
    base = world.identity("canh-bao").gateway
    linked = session.get(f"{base}/contracts/catalog.jsonld", timeout=60)
    turtle = session.get(f"{base}/contracts/catalog.ttl", timeout=60)
    assert linked.headers["content-type"] == "application/ld+json" and turtle.headers["content-type"].startswith(
        "text/turtle"
    )
    one, other = Graph().parse(data=linked.text, format="json-ld"), Graph().parse(data=turtle.text, format="turtle")
    assert len(one) == len(other) and URIRef(f"{base}/contracts/{CAP}") in set(one.subjects(RDF.type, DCAT.Dataset))


@pytest.mark.parametrize("port", ["IncidentAlertPort", "IncidentAlertPort12"])
def test_a_zeep_client_of_cap_goes_on_in_its_own_format(port: str, world: World) -> None:
    identity = world.identity("canh-bao")  # registered with the format cap12
    signer = ZeepSigner(identity)
    client = zeep.Client(
        f"{identity.gateway}/contracts/{CAP}/formats/cap12/service.wsdl",
        wsse=signer,
        transport=zeep_transport(identity),
    )
    service = client.bind("IncidentAlertService", port)
    alert: dict[str, Any] = {
        "identifier": f"CB-2026-{port}",
        "sender": "thien-tai@nnmt.caobang.example",
        "sent": "2026-11-24T14:15:30+07:00",
        "status": "Exercise",
        "msgType": "Alert",
        "scope": "Public",
        "info": [
            {
                "category": ["Met"],
                "event": "Lũ quét",
                "urgency": "Immediate",
                "severity": "Severe",
                "certainty": "Likely",
                "area": [{"areaDesc": "Xã Trà Lĩnh", "geocode": [{"valueName": "DVHC", "value": "01447"}]}],
            }
        ],
    }
    accepted = service.submitAlert(**alert)
    assert signer.verified and accepted.transfer
    with pytest.raises(zeep.exceptions.Fault) as fault:
        service.submitAlert(**{**alert, "identifier": f"CB-2026-{port}-2", "sender": "có dấu cách"})
    assert "cap:alert/cap:sender" in etree.tostring(fault.value.detail, encoding="unicode")
