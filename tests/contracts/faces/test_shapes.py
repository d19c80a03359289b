"""The catalogue is valid by the shapes of `dcat_ap_shapes.ttl` (SHACL), and they miss what is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyshacl
import pytest
from rdflib import DCAT, DCTERMS, FOAF, RDF, SH, SKOS, Graph, URIRef

from contracts.faces import dcat, rdf
from tests.contracts.faces.test_dcat import BASE, DQV, FACTS, PUBLISHER

SHAPES = Path(__file__).with_name("dcat_ap_shapes.ttl")


def test_the_catalogue_conforms_to_the_shapes_of_dcat_ap(catalogue: Any) -> None:
    """Also without what an instance knows. The shapes are written from DCAT-AP 3.0's tables of properties."""
    shapes = Graph().parse(SHAPES)
    for facts in (FACTS, dcat.Facts()):
        entries = [dcat.Entry(each, PUBLISHER, facts) for each in catalogue.values()]
        graph = Graph().parse(data=rdf.turtle(dcat.catalogue(entries, PUBLISHER, BASE)), format="turtle")
        conforms, _, text = pyshacl.validate(graph, shacl_graph=shapes)
        assert conforms, text


@pytest.mark.parametrize(
    ("subject", "word"),
    [
        (DCAT.Catalog, DCTERMS.publisher),
        (DCAT.Catalog, DCTERMS.description),
        (DCAT.Dataset, DCTERMS.title),
        (DCAT.Dataset, DCAT.contactPoint),
        (DCAT.Distribution, DCAT.accessURL),
        (DCAT.DataService, DCAT.endpointURL),
        (FOAF.Agent, FOAF.name),
        (SKOS.Concept, SKOS.prefLabel),
        (DQV.QualityMeasurement, DQV.isMeasurementOf),
        (DQV.Metric, SKOS.definition),
    ],
)
def test_the_shapes_miss_what_is_left_out(subject: URIRef, word: URIRef, catalogue: Any) -> None:
    entry = dcat.Entry(catalogue["indicator/v1"], PUBLISHER, FACTS)
    graph = Graph().parse(data=rdf.turtle(dcat.catalogue([entry], PUBLISHER, BASE)), format="turtle")
    for each in set(graph.subjects(RDF.type, subject)):
        graph.remove((each, word, None))
    conforms, found, _ = pyshacl.validate(graph, shacl_graph=Graph().parse(SHAPES))
    assert not conforms and word in set(found.objects(None, SH.resultPath))
