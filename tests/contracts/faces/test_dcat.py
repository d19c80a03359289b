"""The catalogue read by rdflib: JSON-LD and Turtle are one graph, and every statement keeps to the vocabulary of DCAT
3."""

from __future__ import annotations

from typing import Any

import pytest
import rdflib
from rdflib import DCAT, DCTERMS, FOAF, RDF, Graph, Literal, URIRef
from rdflib.compare import isomorphic

from contracts.base.words import Words
from contracts.faces import dcat

BASE = "https://cong.example"
PUBLISHER = dcat.Publisher("H14.0", Words("Trung tâm Giám sát, điều hành thông minh", "Intelligent Operations Centre"))
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
    DCTERMS.title: (RESOURCE | {URIRef(dcat.PREFIXES["eli"] + "LegalResource")}, None),
    DCTERMS.description: (RESOURCE, None),
    DCTERMS.identifier: (RESOURCE | {FOAF.Agent}, None),
    DCTERMS.publisher: (RESOURCE, {FOAF.Agent}),
    DCTERMS.language: (RESOURCE, set()),
    DCTERMS.accessRights: (RESOURCE, {DCTERMS.RightsStatement}),
    DCTERMS.conformsTo: (RESOURCE, {DCTERMS.Standard}),
    FOAF.name: ({FOAF.Agent}, None),
    rdflib.RDFS.label: ({DCTERMS.RightsStatement}, None),
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


def test_an_entry_says_who_what_where_and_by_what_law(catalogue: Any) -> None:
    compiled = catalogue["incident-alert/v1"]
    nodes = dcat.entry(compiled, PUBLISHER, BASE + "/")
    assert dcat.json_ld(nodes) == dcat.json_ld(dcat.entry(compiled, PUBLISHER, BASE))
    graph = graph_of(nodes)
    keeps_to_the_vocabulary(graph)
    at = URIRef(f"{BASE}/contracts/incident-alert/v1")
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
