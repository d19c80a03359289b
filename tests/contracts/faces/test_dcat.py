"""The catalogue read by rdflib: JSON-LD and Turtle are one graph, and every statement keeps to the vocabulary of DCAT
3."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import pytest
from rdflib import DCAT, DCTERMS, FOAF, RDF, SKOS, XSD, Graph, Literal, URIRef
from rdflib.compare import isomorphic
from rdflib.namespace import Namespace

from contracts.base.words import Words
from contracts.canonical.model import CatalogueFacts
from contracts.faces import dcat

BASE = "https://cong.example"
VCARD = Namespace(dcat.PREFIXES["vcard"])
PUBLISHER = dcat.Publisher(
    "H14.0",
    Words("Trung tâm Giám sát, điều hành thông minh", "Intelligent Operations Centre"),
    "Tổ vận hành",
    "0206 000 0000",
    "van-hanh@trung-tam.example",
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
    DCTERMS.title: (RESOURCE | {DCTERMS.LicenseDocument, URIRef(dcat.PREFIXES["eli"] + "LegalResource")}, None),
    DCTERMS.description: (RESOURCE, None),
    DCTERMS.identifier: (RESOURCE | {FOAF.Agent}, None),
    DCTERMS.publisher: (RESOURCE, {FOAF.Agent}),
    DCTERMS.language: (RESOURCE, set()),
    DCTERMS.accrualPeriodicity: ({DCAT.Dataset}, {DCTERMS.Frequency}),
    DCTERMS.spatial: ({DCAT.Dataset, DCAT.Catalog}, {DCTERMS.Location}),
    DCTERMS.license: ({DCAT.Distribution, *SERVICE, DCAT.Catalog}, {DCTERMS.LicenseDocument}),
    DCTERMS.modified: (RESOURCE, None),
    DCAT.theme: ({DCAT.Dataset, *SERVICE}, {SKOS.Concept}),
    DCAT.contactPoint: ({DCAT.Dataset, *SERVICE, DCAT.Catalog}, {VCARD.Organization}),
    SKOS.prefLabel: ({DCTERMS.Location}, None),
    VCARD.fn: ({VCARD.Organization}, None),
    VCARD["organization-name"]: ({VCARD.Organization}, None),
    VCARD.hasTelephone: ({VCARD.Organization}, set()),
    VCARD.hasEmail: ({VCARD.Organization}, set()),
    DCTERMS.accessRights: (RESOURCE, {DCTERMS.RightsStatement}),
    DCTERMS.conformsTo: (RESOURCE, {DCTERMS.Standard}),
    FOAF.name: ({FOAF.Agent}, None),
    URIRef(dcat.PREFIXES["dcatap"] + "applicableLegislation"): (
        RESOURCE,
        {URIRef(dcat.PREFIXES["eli"] + "LegalResource")},
    ),
}


def graph_of(nodes: Any) -> Graph:
    graph = Graph().parse(data=dcat.json_ld(nodes), format="json-ld")
    assert isomorphic(graph, Graph().parse(data=dcat.turtle(nodes), format="turtle"))
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
    nodes = dcat.catalogue([(each, PUBLISHER) for each in catalogue.values()], PUBLISHER, BASE)
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
    graph = graph_of(dcat.catalogue([(each, PUBLISHER) for each in catalogue.values()], PUBLISHER, BASE))
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


def test_what_a_contract_does_not_declare_is_not_said(catalogue: Any) -> None:
    bare = copy(catalogue["indicator/v1"])
    bare.contract = replace(bare.contract, catalogue=CatalogueFacts())
    graph = graph_of(dcat.catalogue([(bare, dcat.Publisher("x", Words("x", "x")))], PUBLISHER, BASE))
    keeps_to_the_vocabulary(graph)
    said = set(graph.predicates())
    assert not said & {DCTERMS.accrualPeriodicity, DCTERMS.spatial, DCTERMS.modified, DCTERMS.license, DCAT.theme}


def test_an_entry_says_who_what_where_and_by_what_law(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    nodes = dcat.entry(compiled, PUBLISHER, BASE + "/")
    assert dcat.json_ld(nodes) == dcat.json_ld(dcat.entry(compiled, PUBLISHER, BASE))
    graph = graph_of(nodes)
    keeps_to_the_vocabulary(graph)
    at = URIRef(f"{BASE}/contracts/incident-alert/v1")
    (rights,) = graph.objects(at, DCTERMS.accessRights)  # a controlled vocabulary of DCAT-AP
    assert rights == URIRef("http://publications.europa.eu/resource/authority/access-right/RESTRICTED")
    titles = set(graph.objects(at, DCTERMS.title))
    assert titles == {Literal("Cảnh báo sự cố", lang="vi"), Literal("Incident alert", lang="en")}
    law = graph.objects(at, URIRef(dcat.PREFIXES["dcatap"] + "applicableLegislation"))
    assert {str(graph.value(each, DCTERMS.title)) for each in law} == set(compiled.contract.legal_basis)
    endpoints = {str(each) for each in graph.objects(None, DCAT.endpointURL)}
    assert endpoints == {
        f"{BASE}/incident-alert/v1",
        f"{BASE}/soap/incident-alert/v1",
        f"{BASE}/feeds/incident-alert/v1",
    }
    distributions = {str(each).removeprefix(str(at)) for each in graph.objects(at, DCAT.distribution)}
    assert distributions == {"#json", "#xml", *(f"/formats/{name}" for name in compiled.formats if name != "canonical")}


@pytest.mark.parametrize("text", ['"', "\\", "a\nb", "Đỗ", "\t", "<>"])
def test_any_text_survives(text: str, catalogue: Any) -> None:
    publisher = dcat.Publisher("H14 0>", Words(text, "x"))
    graph = graph_of(dcat.entry(catalogue["indicator/v1"], publisher, BASE))
    assert Literal(text, lang="vi") in set(graph.objects(None, FOAF.name))
