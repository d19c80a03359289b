"""The catalogue read by rdflib: JSON-LD and Turtle are one graph, and every statement keeps to the vocabulary of DCAT
3."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from rdflib import DCAT, DCTERMS, FOAF, PROV, RDF, RDFS, SKOS, XSD, Graph, Literal, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import Namespace

from contracts.base.words import Words
from contracts.canonical.model import CatalogueFacts
from contracts.faces import dcat, rdf
from contracts.faces.dqv import Measured

BASE = "https://cong.example"
VCARD, DQV = Namespace(rdf.PREFIXES["vcard"]), Namespace(rdf.PREFIXES["dqv"])
PUBLISHER = dcat.Publisher(
    "H14.0",
    Words("Trung tâm Giám sát, điều hành thông minh", "Intelligent Operations Centre"),
    "Tổ vận hành",
    "0206 000 0000",
    "van-hanh@trung-tam.example",
)
FACTS = dcat.Facts(
    origins=(
        dcat.Origin(
            "kinh-te", Words("Chỉ tiêu", "Indicators"), PUBLISHER, "submitValues", "values[].indicator = KT-*", True
        ),
        dcat.Origin("do-thi", Words("Đô thị", "Urban"), PUBLISHER, "getValue", "", False),
    ),
    conditions=(Words("Quyền G-0001 …", "Grant G-0001 …"), Words("2 quyền khác", "2 more grants")),
    begins="2026-10-29T01:02:03.004Z",
    ends="2026-11-27T01:02:03.004Z",
    measured=Measured(
        {"accepted": 12, "refused": 3, "failed": 0, "repeated": 1},
        5,
        90,
        "2026-10-29T01:02:03.004Z",
        "2026-11-27T01:02:03.004Z",
    ),
)
# DCAT-AP 3: how often a resource of each class has a property. What the gateway always says beside the mandatory
# properties is held here too, so that none is lost.
MANY = 10_000
CARDINALITIES: dict[URIRef, dict[URIRef, tuple[int, int]]] = {
    DCAT.Catalog: {
        DCTERMS.title: (1, MANY),
        DCTERMS.description: (1, MANY),
        DCTERMS.publisher: (1, 1),
        DCTERMS.modified: (1, 1),
        DCTERMS.license: (0, 1),
        DCAT.contactPoint: (1, MANY),
        DCAT.dataset: (1, MANY),
    },
    DCAT.Dataset: {
        DCTERMS.title: (1, MANY),
        DCTERMS.description: (1, MANY),
        DCTERMS.publisher: (1, 1),
        DCTERMS.accrualPeriodicity: (1, 1),
        DCTERMS.modified: (1, 1),
        DCTERMS.accessRights: (1, 1),
        DCTERMS.spatial: (1, MANY),
        DCAT.theme: (1, MANY),
        DCAT.contactPoint: (1, MANY),
        DCAT.distribution: (1, MANY),
        URIRef(str(DCAT) + "version"): (1, 1),
    },
    DCAT.Distribution: {DCAT.accessURL: (1, MANY), DCTERMS.license: (1, 1), DCAT.mediaType: (1, 1)},
    DCAT.DataService: {
        DCTERMS.title: (1, MANY),
        DCAT.endpointURL: (1, MANY),
        DCAT.servesDataset: (1, MANY),
        DCTERMS.publisher: (1, 1),
        DCTERMS.license: (1, 1),
        DCAT.contactPoint: (1, MANY),
    },
    FOAF.Agent: {FOAF.name: (1, MANY)},
    VCARD.Organization: {VCARD.fn: (1, MANY), VCARD.hasEmail: (0, MANY)},
}
SERVICE, RESOURCE = {DCAT.DataService}, {DCAT.Dataset, DCAT.DataService, DCAT.Distribution, DCAT.Catalog}
# Property: classes that it may be said of, classes of what it names (None: a text; empty: any resource). DCAT 3,
# sections 6.3 to 6.8.
RULES: dict[URIRef, tuple[set[URIRef], set[URIRef] | None]] = {
    DCAT.dataset: ({DCAT.Catalog}, {DCAT.Dataset}),
    DCAT.service: ({DCAT.Catalog}, SERVICE),
    DCAT.distribution: ({DCAT.Dataset}, {DCAT.Distribution}),
    DCAT.accessService: ({DCAT.Distribution}, SERVICE),
    DCAT.accessURL: ({DCAT.Distribution}, set()),
    DCAT.mediaType: ({DCAT.Distribution}, {DCTERMS.MediaType}),
    DCAT.endpointURL: (SERVICE, set()),
    DCAT.endpointDescription: (SERVICE, set()),
    DCAT.servesDataset: (SERVICE, {DCAT.Dataset}),
    DCAT.landingPage: ({DCAT.Dataset}, {FOAF.Document}),
    URIRef(str(DCAT) + "version"): ({DCAT.Dataset}, None),
    DCTERMS.title: (RESOURCE | {DCTERMS.LicenseDocument, URIRef(rdf.PREFIXES["eli"] + "LegalResource")}, None),
    DCTERMS.description: (RESOURCE | {DCTERMS.RightsStatement, PROV.Attribution}, None),
    DCTERMS.identifier: (RESOURCE | {FOAF.Agent}, None),
    DCTERMS.publisher: (RESOURCE, {FOAF.Agent}),
    DCTERMS.language: (RESOURCE, set()),
    DCTERMS.accrualPeriodicity: ({DCAT.Dataset}, {DCTERMS.Frequency}),
    DCTERMS.spatial: ({DCAT.Dataset, DCAT.Catalog}, {DCTERMS.Location}),
    DCTERMS.license: ({DCAT.Distribution, *SERVICE, DCAT.Catalog}, {DCTERMS.LicenseDocument}),
    DCTERMS.modified: (RESOURCE, None),
    DCAT.theme: ({DCAT.Dataset, *SERVICE}, {SKOS.Concept}),
    DCAT.contactPoint: ({DCAT.Dataset, *SERVICE, DCAT.Catalog}, {VCARD.Organization}),
    DCAT.keyword: ({DCAT.Dataset}, None),
    DCAT.themeTaxonomy: ({DCAT.Catalog}, set()),
    FOAF.homepage: ({DCAT.Catalog}, {FOAF.Document}),
    DCTERMS.rights: ({DCAT.Distribution}, {DCTERMS.RightsStatement}),
    RDFS.label: ({DCTERMS.RightsStatement, PROV.SoftwareAgent}, None),
    DCTERMS["format"]: ({DCAT.Distribution}, {DCTERMS.MediaTypeOrExtent}),
    URIRef(rdf.PREFIXES["dcatap"] + "availability"): ({DCAT.Distribution}, set()),
    SKOS.prefLabel: ({DCTERMS.Location, SKOS.Concept, DCAT.Role, DQV.Metric, DQV.Dimension}, None),
    DCTERMS.temporal: ({DCAT.Dataset, DQV.QualityMeasurement}, {DCTERMS.PeriodOfTime}),
    DCAT.startDate: ({DCTERMS.PeriodOfTime}, None),
    DCAT.endDate: ({DCTERMS.PeriodOfTime}, None),
    PROV.qualifiedAttribution: ({DCAT.Dataset}, {PROV.Attribution}),
    PROV.agent: ({PROV.Attribution}, {PROV.SoftwareAgent}),
    PROV.actedOnBehalfOf: ({PROV.SoftwareAgent}, {FOAF.Agent}),
    DCAT.hadRole: ({PROV.Attribution}, {DCAT.Role}),
    DQV.hasQualityMeasurement: ({DCAT.Dataset}, {DQV.QualityMeasurement}),
    DQV.computedOn: ({DQV.QualityMeasurement}, {DCAT.Dataset}),
    DQV.isMeasurementOf: ({DQV.QualityMeasurement}, {DQV.Metric}),
    DQV.value: ({DQV.QualityMeasurement}, None),
    DQV.expectedDataType: ({DQV.Metric}, set()),
    DQV.inDimension: ({DQV.Metric}, {DQV.Dimension}),
    SKOS.definition: ({DQV.Metric}, None),
    RDFS.comment: ({DQV.QualityMeasurement}, None),
    VCARD.fn: ({VCARD.Organization}, None),
    VCARD["organization-name"]: ({VCARD.Organization}, None),
    VCARD.hasTelephone: ({VCARD.Organization}, set()),
    VCARD.hasEmail: ({VCARD.Organization}, set()),
    DCTERMS.accessRights: (RESOURCE, {DCTERMS.RightsStatement}),
    DCTERMS.conformsTo: (RESOURCE, {DCTERMS.Standard}),
    FOAF.name: ({FOAF.Agent}, None),
    URIRef(rdf.PREFIXES["dcatap"] + "applicableLegislation"): (
        RESOURCE,
        {URIRef(rdf.PREFIXES["eli"] + "LegalResource")},
    ),
}


def graph_of(nodes: Any) -> Graph:
    graph = Graph().parse(data=rdf.json_ld(nodes), format="json-ld")
    assert isomorphic(graph, Graph().parse(data=rdf.turtle(nodes), format="turtle"))
    assert isomorphic(graph, Graph().parse(data=rdf.rdf_xml(nodes), format="xml"))
    return graph


def keeps_to_the_vocabulary(graph: Graph) -> None:
    for subject, word, value in graph:
        if word == RDF.type:
            continue
        domain, ranged = RULES[word]  # type: ignore[index]
        assert set(graph.objects(subject, RDF.type)) & domain, (subject, word)
        if ranged is None:
            assert isinstance(value, Literal), (subject, word, value)
        else:
            assert not isinstance(value, Literal) and (not ranged or set(graph.objects(value, RDF.type)) & ranged), (
                subject,
                word,
                value,
            )


def test_the_catalogue_keeps_to_dcat(catalogue: Any) -> None:
    nodes = dcat.catalogue([dcat.Entry(each, PUBLISHER) for each in catalogue.values()], PUBLISHER, BASE)
    graph = graph_of(nodes)
    keeps_to_the_vocabulary(graph)
    at = URIRef(f"{BASE}/contracts")
    assert set(graph.objects(at, DCAT.dataset)) == {URIRef(f"{BASE}/contracts/{name}") for name in catalogue}
    assert set(graph.objects(at, DCAT.service)) == set(graph.subjects(RDF.type, DCAT.DataService))
    assert {str(each) for each in graph.objects(at, DCTERMS.title)} == {
        "Danh mục hợp đồng dữ liệu",
        "Catalogue of data contracts",
    }


def test_the_catalogue_keeps_to_the_cardinalities_of_dcat_ap(catalogue: Any) -> None:
    graph = graph_of(dcat.catalogue([dcat.Entry(each, PUBLISHER) for each in catalogue.values()], PUBLISHER, BASE))
    for kind, properties in CARDINALITIES.items():
        nodes = set(graph.subjects(RDF.type, kind))
        assert nodes, kind
        for node in nodes:
            for word, (least, most) in properties.items():
                assert least <= len(set(graph.objects(node, word))) <= most, (kind, node, word)
    for date in graph.objects(None, DCTERMS.modified):
        assert isinstance(date, Literal) and date.datatype == XSD.date
    (contact,) = set(graph.objects(URIRef(f"{BASE}/contracts/indicator/v1"), DCAT.contactPoint))
    assert graph.value(contact, VCARD.hasTelephone) == URIRef("tel:+842060000000")
    assert graph.value(contact, VCARD.hasEmail) == URIRef("mailto:van-hanh@trung-tam.example")


def known(catalogue: Any, *names: str) -> Graph:
    """Data sets with what an instance knows."""
    nodes = [dcat.Entry(catalogue[f"{each}/v1"], PUBLISHER, FACTS) for each in names]
    return graph_of(dcat.catalogue(nodes, PUBLISHER, BASE))


def test_what_an_instance_knows_keeps_to_the_vocabularies(catalogue: Any) -> None:
    graph = known(catalogue, "indicator")
    keeps_to_the_vocabulary(graph)
    at = URIRef(f"{BASE}/contracts/indicator/v1")
    figures = {
        str(graph.value(each, DQV.isMeasurementOf)): graph.value(each, DQV.value)
        for each in graph.objects(at, DQV.hasQualityMeasurement)
    }
    assert figures == {
        f"urn:lgsp:metric:{name}": Literal(number, datatype=XSD.integer)
        for name, number in {"accepted": 12, "refused": 3, "failed": 0, "repeated": 1}.items()
    }
    for name in figures:
        definitions = set(graph.objects(URIRef(name), SKOS.definition))
        assert {each.language for each in definitions if isinstance(each, Literal)} == {"vi", "en"}
    roles = {
        (str(graph.value(each, PROV.agent)), str(graph.value(each, DCAT.hadRole)))
        for each in graph.objects(at, PROV.qualifiedAttribution)
    }
    assert roles == {
        ("urn:lgsp:system:kinh-te", "urn:lgsp:role:source"),
        ("urn:lgsp:system:do-thi", "urn:lgsp:role:provider"),
    }


def test_every_text_of_people_is_said_in_both_languages(catalogue: Any) -> None:
    graph = known(catalogue, "incident-alert")
    bilingual = (DCTERMS.title, SKOS.prefLabel, SKOS.definition, RDFS.label, RDFS.comment, DCAT.keyword, FOAF.name)
    law = set(graph.subjects(RDF.type, URIRef(rdf.PREFIXES["eli"] + "LegalResource")))
    for word in bilingual:
        for subject in set(graph.subjects(word)) - law:
            languages = {each.language for each in graph.objects(subject, word) if isinstance(each, Literal)}
            assert languages == {"vi", "en"}, (subject, word)


def test_what_a_contract_does_not_declare_is_not_said(catalogue: Any) -> None:
    bare = copy(catalogue["indicator/v1"])
    bare.contract = replace(bare.contract, catalogue=CatalogueFacts())
    graph = graph_of(dcat.catalogue([dcat.Entry(bare, dcat.Publisher("x", Words("x", "x")))], PUBLISHER, BASE))
    keeps_to_the_vocabulary(graph)
    said = set(graph.predicates())
    assert not said & {DCTERMS.accrualPeriodicity, DCTERMS.spatial, DCTERMS.modified, DCTERMS.license, DCAT.theme}


def test_an_entry_says_who_what_where_and_by_what_law(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    nodes = dcat.alone(dcat.Entry(compiled, PUBLISHER), BASE + "/")
    assert rdf.json_ld(nodes) == rdf.json_ld(dcat.alone(dcat.Entry(compiled, PUBLISHER), BASE))
    graph = graph_of(nodes)
    keeps_to_the_vocabulary(graph)
    at = URIRef(f"{BASE}/contracts/incident-alert/v1")
    (rights,) = graph.objects(at, DCTERMS.accessRights)  # a controlled vocabulary of DCAT-AP
    assert rights == URIRef("http://publications.europa.eu/resource/authority/access-right/RESTRICTED")
    titles = set(graph.objects(at, DCTERMS.title))
    assert titles == {Literal("Cảnh báo sự cố", lang="vi"), Literal("Incident alert", lang="en")}
    law = graph.objects(at, URIRef(rdf.PREFIXES["dcatap"] + "applicableLegislation"))
    assert {str(graph.value(each, DCTERMS.title)) for each in law} == set(compiled.contract.legal_basis)
    endpoints = {str(each) for each in graph.objects(None, DCAT.endpointURL)}
    assert endpoints == {
        f"{BASE}/incident-alert/v1",
        f"{BASE}/soap/incident-alert/v1",
        f"{BASE}/feeds/incident-alert/v1",
    }
    distributions = {str(each).removeprefix(str(at)) for each in graph.objects(at, DCAT.distribution)}
    assert distributions == {
        "#json",
        "#xml",
        "#feed",
        *(f"/formats/{name}" for name in compiled.formats if name != "canonical"),
    }


@pytest.mark.parametrize(
    "text", ['"', "\\", "a\nb", "Đỗ", "\t", "<>", "&amp;", "]]>", "</dct:title><x/>", "a\r\nb", " x ", "'''", ""]
)
def test_any_text_survives(text: str, catalogue: Any) -> None:
    publisher = dcat.Publisher("H14 0>", Words(text, "x"))
    graph = graph_of(dcat.alone(dcat.Entry(catalogue["indicator/v1"], publisher), BASE))
    assert Literal(text, lang="vi") in set(graph.objects(None, FOAF.name))


@pytest.mark.attack("catalogue: characters that XML does not have")
def test_what_xml_does_not_have_is_replaced_in_every_form(catalogue: Any) -> None:
    publisher = dcat.Publisher("x", Words("a\x00b\x1b\ud800\ufffe", "x"))
    graph = graph_of(dcat.alone(dcat.Entry(catalogue["indicator/v1"], publisher), BASE))
    assert Literal("a\ufffdb\ufffd\ufffd\ufffd", lang="vi") in set(graph.objects(None, FOAF.name))


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "page"),
        ("*/*", "page"),
        ("text/turtle", "turtle"),
        ("application/ld+json", "json-ld"),
        ("application/rdf+xml;q=0.5, text/turtle;q=0.4", "rdf-xml"),
        ("text/turtle;q=0, */*;q=0.1", "page"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "page"),
        ("TEXT/TURTLE; charset=utf-8", "turtle"),
        ("text/turtle;q=nan, application/ld+json;q=0.1", "json-ld"),
        ("text/turtle;q=9", "page"),
        ("x," * 100_000 + "text/turtle", "page"),
    ],
)
def test_the_form_is_what_is_accepted(accept: str, form: str) -> None:
    assert rdf.accepted(accept, {"text/html": "page"}, "page") == form
